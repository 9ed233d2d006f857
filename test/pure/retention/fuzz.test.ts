import { describe, expect, it } from 'vitest';
import { Revealer } from '../../../retention/token/revealer.js';
import { Sealer } from '../../../retention/token/sealer.js';
import { revealTexts } from '../../../retention/token/text.js';
import { DAY, KERNELS, keyringOf } from './scene.js';

/** Mutated tokens to try; LETHE_FUZZ=10000000 tries ten million. */
const COUNT = Number(process.env.LETHE_FUZZ ?? 200_000);
const BATCH = 2_000;
const LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.+/= lt1pbq\n\0é😀';

/** A small generator, the same every time (xorshift32). */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

const days = ['2026-03-08', '2026-03-09', DAY];
const keyring = keyringOf(days, { gone: ['2026-03-08'] });
const sealing = keyringOf(days);

/** Tokens of all kinds, lengths and days. */
function originals(): string[] {
  return [undefined, 16].flatMap((pad) => {
    const sealer = new Sealer({ keyring: sealing, policy: 'ip', pad });
    const values = ['', 'a', 'ab', 'abc', '192.0.2.1', '2001:db8::1', 'x'.repeat(100), 'ä'.repeat(30)];
    return days.flatMap((day) => [
      ...sealer.sealAll(values, { day }),
      ...sealer.sealBytesAll(
        values.map((value) => Buffer.from(value)),
        { day },
      ),
    ]) as string[];
  });
}

type Random = (below: number) => number;

/** Ways to change a token, given another one and a place in it. */
const EDITS: readonly ((token: string, other: string, at: number, random: Random) => string)[] = [
  (token, _, at, random) => token.slice(0, at) + letter(random) + token.slice(at + 1),
  (token, _, at, random) => token.slice(0, at) + letter(random) + token.slice(at),
  (token, _, at, random) => token.slice(0, at) + token.slice(at + 1 + random(4)),
  (token, other, at) => token.slice(0, at) + other.slice(at),
  (token, other) => token.slice(0, 13) + other.slice(13),
  (token, other, at) => token.slice(0, at) + other + token.slice(at),
  (token, _, _at, random) => `${token.slice(0, -2)}${LETTERS[random(64)]!}.`,
  (token, _, at, random) => (random(2) ? token.toLowerCase() : token.slice(0, at)),
  (token, _, _at, random) =>
    `${token.slice(0, 6)}${String(random(1_000_000)).padStart(6, '0')}${token.slice(12)}`,
];

function letter(random: Random): string {
  return LETTERS[random(LETTERS.length)]!;
}

/** One to three changes; the result is another text than any original. */
function mutate(tokens: readonly string[], known: ReadonlySet<string>, random: Random): string {
  const pick = () => tokens[random(tokens.length)]!;
  for (;;) {
    let token = pick();
    for (let changes = 1 + random(3); changes > 0; changes--) {
      token = EDITS[random(EDITS.length)]!(token, pick(), random(token.length + 1), random);
    }
    if (!known.has(token)) return token;
  }
}

describe('mutated tokens', () => {
  it(
    `never reveal and never throw (${COUNT.toLocaleString('en')})`,
    () => {
      const tokens = originals();
      const known = new Set(tokens);
      const random = generator(20_260_310);
      const revealer = new Revealer(keyring);
      const check = new Revealer(keyring, '', KERNELS.node);
      const seen: Record<string, number> = {};
      for (let done = 0; done < COUNT; done += BATCH) {
        const batch = Array.from({ length: Math.min(BATCH, COUNT - done) }, () =>
          mutate(tokens, known, random),
        );
        const opened = revealer.openAll(batch);
        for (const { outcome } of opened) seen[outcome] = (seen[outcome] ?? 0) + 1;
        if (opened.some(({ outcome }) => outcome === 'value'))
          expect.fail(batch[opened.findIndex(({ outcome }) => outcome === 'value')]);
        if (done % (BATCH * 25) === 0) expect(check.openAll(batch)).toEqual(opened);
        expect(revealTexts(revealer, batch).length).toBe(batch.length);
      }
      expect(Object.keys(seen).sort()).toEqual(['expired', 'noKey', 'notToken', 'tampered']);
    },
    Math.max(300_000, COUNT / 4),
  );
});
