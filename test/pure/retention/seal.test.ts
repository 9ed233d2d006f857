import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LetheError } from '../../../errors/errors.js';
import { isWellFormed } from '../../../retention/token/format.js';
import { Revealer } from '../../../retention/token/revealer.js';
import { dayKeys, Keyring } from '../../../retention/token/ring.js';
import { Sealer } from '../../../retention/token/sealer.js';
import { DAY, KERNELS, keyringOf, ringOf } from './scene.js';

const DAYS = ['2026-03-08', '2026-03-09', DAY];
const keyring = keyringOf(DAYS);

function typeOf(run: () => unknown): string {
  try {
    run();
    return 'nothing';
  } catch (error) {
    return error instanceof LetheError ? error.type : String(error);
  }
}

const fits = (value: string) => !value.includes('\0') && isWellFormed(value);
const text = fc.string({ unit: 'grapheme', maxLength: 200 }).filter(fits);
const context = fc.string({ unit: 'binary', maxLength: 60 }).filter(isWellFormed);

describe('sealing and revealing', () => {
  for (const [name, kernel] of Object.entries(KERNELS)) {
    it(`gives texts and bytes back, under any context, padding and day (${name})`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.option(text), fc.constantFrom(...DAYS)), { maxLength: 40 }),
          fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 10 }),
          context,
          fc.option(fc.integer({ min: 1, max: 500 }), { nil: undefined }),
          fc.boolean(),
          (values, blobs, context, pad, deterministic) => {
            const sealer = new Sealer({ keyring, policy: 'ip', context, pad, deterministic }, kernel);
            const revealer = new Revealer(keyring, context, kernel);
            const texts = values.map(([value]) => value);
            const tokens = sealer.sealAll(texts, { day: values.map(([, day]) => day) });
            expect(tokens.map((token) => token === null)).toEqual(texts.map((value) => value === null));
            const opened = revealer.openAll(tokens.filter((token) => token !== null));
            expect(opened.map(({ text }) => text)).toEqual(texts.filter((value) => value !== null));
            const sealed = sealer.sealBytesAll(blobs, { day: DAY }) as string[];
            expect(revealer.openAll(sealed).map(({ bytes }) => bytes && new Uint8Array(bytes))).toEqual(
              blobs,
            );
          },
        ),
        { numRuns: 150 },
      );
    });
  }

  it('makes another token each time, unless deterministic', () => {
    const random = new Sealer({ keyring, policy: 'ip' });
    expect(random.seal('192.0.2.1', DAY)).not.toBe(random.seal('192.0.2.1', DAY));
    const same = new Sealer({ keyring, policy: 'ip', deterministic: true });
    expect(same.seal('192.0.2.1', DAY)).toBe(same.seal('192.0.2.1', DAY));
    expect(same.seal('192.0.2.1', DAY)).not.toBe(same.seal('192.0.2.1', DAYS[0]));
  });

  it('never takes a salt twice', () => {
    const sealer = new Sealer({ keyring, policy: 'ip' });
    const tokens = sealer.sealAll(new Array<string>(5_000).fill(''), { day: DAY });
    expect(new Set(tokens.map((token) => token!.slice(13, 29))).size).toBe(5_000);
  });

  it('hides lengths by padding', () => {
    const sealer = new Sealer({ keyring, policy: 'ip', pad: 32 });
    const lengths = sealer.sealAll(['', 'a', 'x'.repeat(31)], { day: DAY }).map((token) => token!.length);
    expect(new Set(lengths).size).toBe(1);
    expect(sealer.seal('x'.repeat(32), DAY).length).toBeGreaterThan(lengths[0]!);
  });

  it('seals today by default', () => {
    const today = new Keyring([ringOf([DAY], { simulated: false, window: 30 })], () =>
      Date.parse(`${DAY}T23:59:59Z`),
    );
    expect(new Sealer({ keyring: today, policy: 'ip' }).seal('x')).toMatch(/^lt1\.ip260310\./);
  });

  it('refuses what no token can hold, and says which', () => {
    const sealer = new Sealer({ keyring, policy: 'ip' });
    const values = [
      'fine',
      'nul\0',
      'half \ud800',
      'x'.repeat(65_537),
      'é'.repeat(40_000),
      'x'.repeat(65_536),
      null,
      '\udc00',
    ];
    const refused: number[] = [];
    const tokens = sealer.sealAll(values, {
      day: DAY,
      fail: (i, { type }) => type === 'SealRefused' && refused.push(i),
    });
    expect(refused).toEqual([1, 2, 3, 4, 7]);
    expect(tokens.map((token) => token === null)).toEqual([false, true, true, true, true, false, true, true]);
    expect(typeOf(() => sealer.sealAll(values, { day: DAY }))).toBe('SealRefused');
    const padded = new Sealer({ keyring, policy: 'ip', pad: 16 });
    expect(typeOf(() => padded.seal('x'.repeat(65_536), DAY))).toBe('SealRefused');
    expect(padded.seal('x'.repeat(65_535), DAY)).toMatch(/^lp1/);
  });

  it('refuses days without a key, rows without a day, and mistakes', () => {
    const sealer = new Sealer({ keyring, policy: 'ip' });
    expect(typeOf(() => sealer.seal('x', '2026-03-11'))).toBe('DayKeyMissing');
    expect(typeOf(() => sealer.seal('x', '2026-02-01'))).toBe('DayKeyMissing');
    expect(typeOf(() => sealer.seal('x', '2026-02-30'))).toBe('RetentionInvalid');
    expect(typeOf(() => sealer.seal('x', '10.03.2026'))).toBe('RetentionInvalid');
    expect(typeOf(() => new Sealer({ keyring, policy: 'ip!' }))).toBe('RetentionInvalid');
    expect(typeOf(() => new Sealer({ keyring, policy: 'ip', pad: 1.5 }))).toBe('RetentionInvalid');
    expect(typeOf(() => new Sealer({ keyring, policy: 'ip', context: 'é'.repeat(513) }))).toBe(
      'RetentionInvalid',
    );
    expect(typeOf(() => new Revealer(keyring, 'x'.repeat(1_025)))).toBe('RetentionInvalid');
    const failures: string[] = [];
    sealer.sealAll(['a', 'b'], { day: [null, DAY], fail: (i, { type }) => failures.push(`${i} ${type}`) });
    expect(failures).toEqual(['0 SealRefused']);
    expect(typeOf(() => new Keyring([ringOf(), ringOf()]))).toBe('RetentionInvalid');
    expect(typeOf(() => new Keyring([ringOf([DAY], { simulated: false })]))).toBe('RetentionInvalid');
    expect(typeOf(() => dayKeys(Buffer.alloc(31), 'ip', DAY))).toBe('RetentionInvalid');
  });

  it('says no value, key or text in what it throws', () => {
    const sealer = new Sealer({ keyring, policy: 'ip' });
    expect(() => sealer.seal('secret\0', DAY)).toThrow(/^(?!.*secret)/s);
  });

  it('opens many days and policies in one call', () => {
    const days = Array.from({ length: 300 }, (_, i) =>
      new Date(Date.UTC(2025, 0, 1 + i)).toISOString().slice(0, 10),
    );
    const both = new Keyring([ringOf(days), ringOf(days, { policy: 'ua' })]);
    const values = days.map((day) => `value of ${day}`);
    const sealed = ['ip', 'ua'].flatMap((policy) =>
      new Sealer({ keyring: both, policy }).sealAll(values, { day: days }),
    );
    const mixed = sealed.map((_, i) => sealed[(i * 7) % sealed.length]!);
    expect(new Revealer(both).openAll(mixed).map(({ text }) => text)).toEqual(
      mixed.map((_, i) => values[((i * 7) % 600) % 300]),
    );
  });

  it('may be called while it reports failures', () => {
    const sealer = new Sealer({ keyring, policy: 'ip' });
    const inner: string[] = [];
    const tokens = sealer.sealAll(['a', '\0', 'c'], {
      day: DAY,
      fail: () => inner.push(sealer.seal('inner', DAY)),
    });
    const opened = new Revealer(keyring).openAll([tokens[0]!, tokens[2]!, inner[0]!]);
    expect(opened.map(({ text }) => text)).toEqual(['a', 'c', 'inner']);
  });
});

describe('a ring', () => {
  const at = (day: string, window = 30) =>
    new Keyring([ringOf(['2026-02-10', '2026-02-20', DAY], { simulated: false, window })], () =>
      Date.parse(`${day}T12:00:00Z`),
    );
  const token = new Sealer({ keyring: at('2026-02-20'), policy: 'ip' }).seal('x', '2026-02-20');

  it('opens until its window is over, whatever day it was made for', () => {
    expect(new Revealer(at('2026-03-22')).open(token).outcome).toBe('value');
    expect(new Revealer(at('2026-03-23')).open(token).outcome).toBe('expired');
    expect(new Revealer(at('2026-02-01')).open(token).outcome).toBe('value');
  });

  it('notices midnight while a reader lives', () => {
    let now = Date.parse('2026-03-22T23:59:59Z');
    const ring = ringOf(['2026-02-20'], { simulated: false, window: 30 });
    const revealer = new Revealer(new Keyring([ring], () => now));
    const own = new Sealer({ keyring: revealer.keyring, policy: 'ip' }).seal('x', '2026-02-20');
    expect(revealer.open(own).outcome).toBe('value');
    now += 1_000;
    expect(revealer.open(own).outcome).toBe('expired');
  });
});
