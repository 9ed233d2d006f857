import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BLIND, sealingWith } from '../../../anonymize/sealing.js';
import type { Sealing } from '../../../anonymize/transformer.js';
import type { Policy } from '../../../retention/keys/policy.js';
import { revealJson } from '../../../retention/token/json.js';
import { Revealer } from '../../../retention/token/revealer.js';
import { Keyring, type Ring } from '../../../retention/token/ring.js';
import { Sealer } from '../../../retention/token/sealer.js';
import { revealTexts } from '../../../retention/token/text.js';
import { ringOf } from '../retention/scene.js';
import { accepts, HOSTILE, proof, run, TEXT, type } from './support.js';

const DAY = '2026-03-10';
const DAYS = ['2026-03-08', '2026-03-09', DAY];

function policy(id: string, more: Partial<Policy> = {}): Policy {
  const base = { id, name: id, window: 3, store: 'main', context: '', expired: '[expired]' };
  return { ...base, deterministic: false, requireGrade: 'bestEffort', ...more };
}

const RINGS: readonly Ring[] = [
  ringOf(DAYS),
  ringOf(DAYS, { policy: 'us' }),
  ringOf(DAYS, { policy: 'dx' }),
  ringOf(DAYS, { policy: 'nu' }),
];
const sealing: Sealing = sealingWith({
  day: DAY,
  policies: {
    ip: policy('ip'),
    us: policy('us', { context: 'users' }),
    dx: policy('dx', { deterministic: true, pad: 32 }),
    nu: policy('nu', { expired: null }),
  },
  rings: RINGS,
  contexts: [],
});
const reveal = (text: string | null | undefined, context = '') =>
  revealTexts(new Revealer(new Keyring(RINGS), context), [text ?? null])[0];

describe('whole values', () => {
  it('become tokens of the day of the run, of which each is another; NULL stays', () => {
    const { out, failed } = run({ retain: 'ip' }, ['192.0.2.7', null, '192.0.2.7', ''], { sealing });
    expect(failed.size).toBe(0);
    expect(out[1]).toBeNull();
    expect(out[0]).toMatch(/^lt1\.ip260310\./);
    expect(out[0]).not.toBe(out[2]);
    expect(out.map((text) => reveal(text))).toEqual(['192.0.2.7', null, '192.0.2.7', '']);
  });

  it('are bound to the context of the policy, or the one that is given', () => {
    const [own] = run({ retain: 'us' }, ['ann'], { sealing }).out;
    expect([reveal(own), reveal(own, 'users')]).toEqual(['[tampered]', 'ann']);
    const [given] = run({ retain: { policy: 'us', context: 'x' } }, ['ann'], { sealing }).out;
    expect([reveal(given, 'users'), reveal(given, 'x')]).toEqual(['[tampered]', 'ann']);
  });

  it('of a deterministic policy give equal tokens for equal values', () => {
    const { out } = run({ retain: 'dx' }, ['a', 'a', 'b'], { sealing });
    expect(out[0]).toMatch(/^lp1\.dx/);
    expect(out[0]).toBe(out[1]);
    expect(out[0]).not.toBe(out[2]);
  });

  it('that are tokens of ours stay; what only looks like one is sealed', () => {
    const token = new Sealer({ keyring: new Keyring(RINGS), policy: 'ip' }).seal('x', '2026-03-09');
    const fake = `${token.slice(0, -2)}${token.at(-2) === 'A' ? 'Q' : 'A'}.`;
    const { out } = run({ retain: 'ip' }, [token, fake], { sealing });
    expect(out[0]).toBe(token);
    expect(reveal(out[1])).toBe(fake);
  });

  it('are refused where no token holds them, and nothing of them is left', () => {
    const values = ['a\0b', `half ${String.fromCharCode(0xd800)}`, 'x'.repeat(65_537), 'fine'];
    const { out, failed } = run({ retain: 'ip' }, values, { sealing });
    expect([...failed.keys()]).toEqual([0, 1, 2]);
    expect(out.slice(0, 3)).toEqual([null, null, null]);
    expect(reveal(out[3])).toBe('fine');
    for (const reason of failed.values()) for (const value of values) expect(reason).not.toContain(value);
  });

  it('never come out as they went in', () => {
    const value = fc.oneof(fc.constantFrom(...HOSTILE), fc.string(), fc.string({ unit: 'binary' }));
    fc.assert(
      fc.property(fc.array(value, { maxLength: 20 }), (values) => {
        const { out, failed } = run({ retain: 'ip' }, values, { sealing });
        for (const [row, text] of values.entries()) {
          if (text === null || failed.has(row)) expect(out[row]).toBeNull();
          else expect([out[row] === text, reveal(out[row])]).toEqual([false, text]);
        }
      }),
      { seed: 20260310, numRuns: 40 },
    );
  });
});

describe('dates', () => {
  const dated = (dates: readonly (string | null)[], id = 'ip') =>
    run(
      { retain: { policy: id, date: 'at' } },
      dates.map(() => 'secret'),
      {
        sealing,
        sources: { at: dates },
      },
    );

  it('come from a column, by its day in UTC', () => {
    const { out } = dated(['2026-03-09', '2026-03-08 23:59:59.999+00', '2026-03-10T00:00:00']);
    expect(out.map((text) => text?.slice(6, 12))).toEqual(['260309', '260308', '260310']);
    expect(out.map((text) => reveal(text))).toEqual(['secret', 'secret', 'secret']);
  });

  it('before the window leave what expired values read as', () => {
    expect(dated(['2026-03-07', '2000-01-01']).out).toEqual(['[expired]', '[expired]']);
    const none = dated(['2026-03-07'], 'nu');
    expect([none.out, none.failed.size]).toEqual([[null], 0]);
  });

  it('that are none, or lie in the future or another century, refuse the row', () => {
    const dates = [
      null,
      '',
      'infinity',
      '0044-03-15 BC',
      '2026-03-11',
      '2150-01-01',
      '1999-12-31',
      '2026-02-30',
    ];
    const { out, failed } = dated(dates);
    expect([...failed.keys()]).toEqual(dates.map((_, row) => row));
    expect(out).toEqual(dates.map(() => null));
    expect(failed.get(4)).toBe('policy ip has no key for the day of the row');
  });
});

describe('policies by a column', () => {
  it('seal each row by its own, and refuse a row of which nothing is said', () => {
    const by = { by: 'tenant', map: { a: 'ip', b: 'us' } };
    const given = { sealing, sources: { tenant: ['a', 'b', 'c', null, 'toString'] } };
    const values = ['1', '2', '3', '4', '5'];
    const { out, failed } = run({ retain: { policy: by } }, values, given);
    expect(out.map((text) => text?.slice(4, 6))).toEqual(['ip', 'us', undefined, undefined, undefined]);
    expect([...failed.keys()]).toEqual([2, 3, 4]);
    const otherwise = run({ retain: { policy: { ...by, default: 'nu' } } }, values, given);
    expect(otherwise.out.map((text) => text?.slice(4, 6))).toEqual(['ip', 'us', 'nu', 'nu', 'nu']);
  });

  it('that the retention file does not have refuse their rows', () => {
    const { out, failed } = run({ retain: 'zz' }, ['1', null], { sealing });
    expect([out, [...failed.keys()]]).toEqual([[null, null], [0]]);
  });
});

describe('matches inside texts', () => {
  it('are sealed, the rest stays; tokens of ours are not looked into', () => {
    const raw = { retain: { policy: 'ip', pattern: 'ipv4' } };
    const [first, none] = run(raw, ['from 192.0.2.7 to 192.0.2.8', 'nothing here'], { sealing }).out;
    expect(first).toMatch(/^from lt1\.ip\S+\. to lt1\.ip\S+\.$/);
    expect(reveal(first)).toBe('from 192.0.2.7 to 192.0.2.8');
    expect(none).toBe('nothing here');
    expect(run(raw, [first!], { sealing }).out).toEqual([first]);
  });

  it('of a day that is over become what expired values read as, or nothing', () => {
    const over = { sealing, sources: { at: ['2026-03-01'] } };
    const of = (id: string) =>
      run({ retain: { policy: id, pattern: '\\d+', date: 'at' } }, ['a 1 b 22'], over).out;
    expect(of('ip')).toEqual(['a [expired] b [expired]']);
    expect(of('nu')).toEqual(['a  b ']);
  });

  it('need a pattern that is one, and does not match the empty text', () => {
    for (const pattern of ['(', 'x*', ''])
      expect(() => run({ retain: { policy: 'ip', pattern } }, [], { sealing })).toThrow(/pattern/);
  });
});

describe('in documents', () => {
  const raw = {
    json: {
      '$.client.ip': { retain: { policy: 'ip', date: 'at' } },
      '$.line': { retain: { policy: 'us', pattern: 'ipv4' } },
      rest: 'keep',
    },
  };

  it('fields are sealed where they stand', () => {
    const before = '{"client": {"ip": "192.0.2.7", "n": 1}, "line": "x 192.0.2.8"}';
    const given = { sealing, type: type('json', { name: 'jsonb' }), sources: { at: ['2026-03-09'] } };
    const { out, failed } = run(raw, [before], given);
    expect(failed.size).toBe(0);
    const after = JSON.parse(out[0]!) as { client: { ip: string; n: number }; line: string };
    expect(after.client.n).toBe(1);
    expect(reveal(after.client.ip)).toBe('192.0.2.7');
    expect(reveal(after.line, 'users')).toBe('x 192.0.2.8');
  });

  it('numbers and booleans become tokens that give their type back; patterns refuse them', () => {
    const given = {
      sealing,
      type: type('json'),
      sources: { at: ['2026-03-09', '2026-03-09', '2026-03-01'] },
    };
    const before = ['{"client": {"ip": 7.10}}', '{"client": {"ip": true}}', '{"client": {"ip": 8}}'];
    const { out, failed } = run(raw, before, given);
    expect(failed.size).toBe(0);
    expect(out[0]).toMatch(/^\{"client": \{"ip": "lt1\.ip260309\./);
    const revealer = new Revealer(new Keyring(RINGS));
    expect(revealJson(revealer, out)).toEqual([before[0], before[1], '{"client": {"ip": "[expired]"}}']);
    expect(run(raw, [out[0]!], given).out).toEqual([out[0]]);
    expect(sealing.opened!([out[0]!])[0]).toBe(sealing.opened!(run(raw, [before[0]!], given).out)[0]);
    const refused = run(raw, ['{"line": 7}'], given);
    expect([refused.out, refused.failed.get(0)]).toEqual([
      [null],
      expect.stringContaining('cannot take a number'),
    ]);
  });
});

describe('comparing', () => {
  const opened = (values: readonly (string | null)[]) => sealing.opened!(values);

  it('what was sealed twice is equal, and plain text is never like it', () => {
    const raw = { retain: { policy: 'us', pattern: 'ipv4' } };
    const text = 'from 192.0.2.7';
    const twice = [run(raw, [text], { sealing }).out[0]!, run(raw, [text], { sealing }).out[0]!];
    expect(twice[0]).not.toBe(twice[1]);
    expect(opened(twice)[0]).toBe(opened(twice)[1]);
    expect(opened([text])[0]).not.toBe(opened(twice)[0]);
    expect(opened([null])).toEqual([null]);
  });

  it('a token of another policy, day or value differs; one whose day is over is not compared', () => {
    const keyring = new Keyring(RINGS);
    const seal = (id: string, day: string, text: string) =>
      new Sealer({ keyring, policy: id }).seal(text, day);
    const all = [seal('ip', DAY, 'a'), seal('nu', DAY, 'a'), seal('ip', DAYS[0]!, 'a'), seal('ip', DAY, 'b')];
    expect(new Set(opened(all)).size).toBe(4);
    const old = new Sealer({ keyring: new Keyring([ringOf(['2026-03-01'])]), policy: 'ip' });
    expect(opened([`x ${old.seal('a', '2026-03-01')}`])).toEqual([undefined]);
  });

  it('is not done without keys', () => {
    expect(BLIND.seal({ policy: 'ip' }, ['a', null], [], () => expect.fail())).toEqual([null, null]);
    expect(BLIND.opened).toBeUndefined();
  });
});

describe('what it takes and promises', () => {
  it('is every kind with a text of its own; documents by their paths', () => {
    for (const kind of ['text', 'inet', 'uuid', 'int8', 'timestamptz'] as const)
      expect(accepts({ retain: 'ip' }, type(kind))).toBe(true);
    expect(accepts({ retain: 'ip' }, type('json'))).toMatch(/json: \{/);
    for (const kind of ['bytea', 'array', 'other'] as const)
      expect(accepts({ retain: 'ip' }, type(kind))).toMatch(/no text/);
  });

  it('is nothing that a key or a domain could rely on', () => {
    expect(proof({ retain: 'ip' }, TEXT)).toMatchObject({ unique: 'no', total: false, keepsNull: false });
  });

  it('needs keys', () => {
    expect(() => run({ retain: 'ip' }, ['a'])).toThrow(/retention: \.\/retention\.yaml/);
  });
});
