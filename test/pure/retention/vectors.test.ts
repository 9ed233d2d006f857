import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parseHeader } from '../../../retention/token/format.js';
import type { Kernel } from '../../../retention/token/kernel.js';
import { Revealer } from '../../../retention/token/revealer.js';
import { dayKeys, Keyring, type Ring } from '../../../retention/token/ring.js';
import { Sealer } from '../../../retention/token/sealer.js';
import { KERNELS, readVectors, VECTORS_FILE, type Vector } from './scene.js';

const vectors = readVectors();
const script = new URL('../../../scripts/vectors.mjs', import.meta.url);
const { vectorsText } = (await import(script.href)) as { vectorsText(): string };

/** The keyring that a vector describes, for the policy and day in the token's header. */
function keyringOf({ token, dayKey, ring }: Vector): Keyring {
  const header = parseHeader(token.slice(0, 13));
  if (!header || !ring) return new Keyring([]);
  const { policy, day } = header;
  const keys = new Map(dayKey ? [[day, dayKeys(Buffer.from(dayKey, 'hex'), policy, day)]] : []);
  return new Keyring([{ ...ring, policy, keys, simulated: true } satisfies Ring]);
}

/** Seals a vector's value as its token says, wherever time stands. */
function sealAgain(vector: Vector, kernel: Kernel): string {
  const { policy, day } = parseHeader(vector.token.slice(0, 13))!;
  const keys = new Map([[day, dayKeys(Buffer.from(vector.dayKey!, 'hex'), policy, day)]]);
  const keyring = new Keyring([{ policy, asOf: day, first: day, gone: [], keys, simulated: true }]);
  const { context, deterministic, kind, pad } = vector;
  const sealer = new Sealer({ keyring, policy, context, deterministic, pad: pad ?? undefined }, kernel);
  const bytes = Buffer.from(vector.plaintext, 'hex');
  const value = kind === 'lt1' || kind === 'lp1' ? bytes.toString('utf8') : bytes;
  return sealer.sealWithSalt(value, day, Buffer.from(vector.salt, 'hex'));
}

describe('retention/vectors.json', () => {
  it('is what its script writes', () => {
    expect(vectorsText() === readFileSync(VECTORS_FILE, 'utf8')).toBe(true);
  });

  it('has 200 vectors, 100 that open, and every outcome', () => {
    expect(vectors.length).toBeGreaterThanOrEqual(200);
    expect(vectors.filter(({ outcome }) => outcome === 'value').length).toBeGreaterThanOrEqual(100);
    expect(new Set(vectors.map(({ outcome }) => outcome)).size).toBe(5);
    expect(new Set(vectors.map(({ kind }) => kind)).size).toBe(4);
  });

  for (const [name, kernel] of Object.entries(KERNELS)) {
    it(`opens as written (${name})`, () => {
      for (const [i, vector] of vectors.entries()) {
        const { outcome, text, bytes } = new Revealer(keyringOf(vector), vector.context, kernel).open(
          vector.token,
        );
        expect(outcome, `vector ${i}`).toBe(vector.outcome);
        if (outcome !== 'value') continue;
        const isText = vector.kind === 'lt1' || vector.kind === 'lp1';
        expect(text !== undefined, `vector ${i}`).toBe(isText);
        expect(Buffer.from(text ?? bytes!).toString('hex') === vector.plaintext, `vector ${i}`).toBe(true);
      }
    });

    it(`seals as written (${name})`, () => {
      const sealable = vectors.filter(
        ({ dayKey, outcome }) => dayKey && ['value', 'expired', 'noKey'].includes(outcome),
      );
      expect(sealable.length).toBeGreaterThan(100);
      for (const vector of sealable) {
        expect(sealAgain(vector, kernel) === vector.token, `vector ${vectors.indexOf(vector)}`).toBe(true);
      }
    });
  }

  it('agrees with an implementation in Python that was written from the specification', (context) => {
    const script = fileURLToPath(new URL('../../reference/lethe_token.py', import.meta.url));
    const { error, status, stdout, stderr } = spawnSync('python3', [script, fileURLToPath(VECTORS_FILE)], {
      encoding: 'utf8',
    });
    if (error) context.skip('there is no python3');
    expect(`${stdout}${stderr}`).toBe(`${vectors.length} vectors, 0 differ\n`);
    expect(status).toBe(0);
  });
});
