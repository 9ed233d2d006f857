import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { revealJson, sealJson } from '../../../retention/token/json.js';
import { revealObjects, revealStream, sealObjects, sealStream } from '../../../retention/token/objects.js';
import { Revealer } from '../../../retention/token/revealer.js';
import { Sealer } from '../../../retention/token/sealer.js';
import { DAY, keyringOf } from './scene.js';

const keyring = keyringOf(['2026-03-08', '2026-03-09', DAY], { gone: ['2026-03-08'] });
const sealer = new Sealer({ keyring, policy: 'ip', context: 'events' });
const revealer = new Revealer(keyring, 'events');
const on = { day: DAY };
const TOKEN = /lt1\.ip260310\.[\w-]+\./g;

/** JSON values without U+0000 and half surrogates, which no text token holds; and no -0, which JSON has not. */
const value = fc
  .jsonValue({ maxDepth: 4 })
  .map((found) => JSON.parse(JSON.stringify(found).replaceAll('\\u0000', ' ')) as unknown);

describe('JSON texts', () => {
  it('seal leaves at paths, of any type, and nothing else', () => {
    const text =
      '{ "client": {"ip": "192.0.2.1", "port": 1.50, "tls": true}, "ip": "keep", "list": [1, "x"], "n": 1e400 }';
    const fields = [{ path: '$.client' }, { path: '$.list[0]' }];
    const [sealed] = sealJson(sealer, [text], fields, on);
    expect(sealed!.match(TOKEN)).toHaveLength(4);
    expect(sealed!.replaceAll(TOKEN, '#')).toBe(
      '{ "client": {"ip": "#", "port": "#", "tls": "#"}, "ip": "keep", "list": ["#", "x"], "n": 1e400 }',
    );
    expect(revealJson(revealer, [sealed!])).toEqual([text]);
  });

  it('keep null and what is empty', () => {
    const text = '{"a":null,"b":[],"c":{}}';
    expect(sealJson(sealer, [text, null], [{ path: '$' }], on)).toEqual([text, null]);
  });

  it('come back, every leaf of any document', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), (values) => {
        const texts = values.map((one) => JSON.stringify(one, null, 1));
        const sealed = sealJson(sealer, texts, [{ path: '$' }], on);
        expect(revealJson(revealer, sealed)).toEqual(texts);
        expect(sealJson(sealer, sealed, [{ path: '$' }], on)).toEqual(sealed);
      }),
      { numRuns: 100 },
    );
  });

  it('seal matches inside strings', () => {
    const fields = [{ path: '$.message', pattern: 'ipv4' as const }];
    const [sealed] = sealJson(sealer, ['{"message":"\\"192.0.2.1\\" and 192.0.2.2","n":1}'], fields, on);
    expect(sealed!.replaceAll(TOKEN, '#')).toBe('{"message":"\\"#\\" and #","n":1}');
    expect(revealJson(revealer, [sealed!])).toEqual(['{"message":"\\"192.0.2.1\\" and 192.0.2.2","n":1}']);
    expect(sealJson(sealer, ['{"message":7}'], fields, on)).toEqual(['{"message":7}']);
  });

  it('keep tokens that are there, whoever is asked twice', () => {
    const [once] = sealJson(sealer, ['{"a":1,"b":"x","c":"y"}'], [{ path: '$.a' }, { path: '$.b' }], on);
    const gone = new Sealer({ keyring: keyringOf(['2026-03-08']), policy: 'ip' }).seal('x', '2026-03-08');
    const texts = [once!, JSON.stringify({ a: gone })];
    expect(sealJson(sealer, texts, [{ path: '$.a' }, { path: '$.b' }], on)).toEqual(texts);
    const foreign = new Sealer({ keyring, policy: 'ip', context: 'other' }).seal('x', DAY);
    expect(sealJson(sealer, [JSON.stringify({ a: foreign })], [{ path: '$.a' }], on)[0]).not.toContain(
      foreign,
    );
  });

  it('never reveal names of members, nor serialized text', () => {
    const token = sealer.seal('"},"x":{"', DAY);
    const text = `{"${token}":"${token}"}`;
    const [revealed] = revealJson(revealer, [text]);
    expect(JSON.parse(revealed!)).toEqual({ [token]: '"},"x":{"' });
  });

  it('show markers or null', () => {
    const sealing = new Sealer({
      keyring: keyringOf(['2026-03-08', '2026-03-09', DAY]),
      policy: 'ip',
      context: 'events',
    });
    const [old] = sealJson(sealing, ['{"n":1,"s":"x"}'], [{ path: '$' }], { day: '2026-03-08' });
    expect(revealJson(revealer, [old!])).toEqual(['{"n":"[expired]","s":"[expired]"}']);
    const outcomes: string[] = [];
    const count = (outcome: string) => outcomes.push(outcome);
    expect(revealJson(revealer, [old!], { markers: { expired: null }, count })).toEqual([
      '{"n":null,"s":null}',
    ]);
    expect(outcomes).toEqual(['expired', 'expired']);
    const broken = sealer.seal('x', DAY).replace('260310', '260309');
    expect(revealJson(revealer, [JSON.stringify([broken])])).toEqual(['["[tampered]"]']);
  });

  it('refuse what is no JSON and what cannot be sealed', () => {
    const failures: string[] = [];
    const fail = (i: number, { type }: { type: string }) => failures.push(`${i} ${type}`);
    const texts = ['{"a":', '{"a":"\\u0000"}', '{"a":"\\ud800"}', '{"a":"fine"}', '1 2'];
    const sealed = sealJson(sealer, texts, [{ path: '$.a' }], { ...on, fail });
    expect(failures).toEqual(['0 SealRefused', '4 SealRefused', '1 SealRefused', '2 SealRefused']);
    expect(sealed.map((text) => text === null)).toEqual([true, true, true, false, true]);
    expect(() => sealJson(sealer, texts, [{ path: '$.a' }], on)).toThrow(/cannot be read/);
    expect(() => sealJson(sealer, [], [{ path: 'a' }], on)).toThrow(/Path a/);
    expect(() => revealJson(revealer, ['{'])).toThrow(/cannot be read/);
  });

  it('date each document', () => {
    const sealed = sealJson(sealer, ['"a"', '"b"'], [{ path: '$' }], { day: ['2026-03-09', DAY] });
    expect(sealed.map((text) => text!.slice(7, 13))).toEqual(['260309', '260310']);
  });
});

describe('objects', () => {
  it('come back, every leaf; what has no change stays the same object', () => {
    fc.assert(
      fc.property(fc.array(value, { maxLength: 8 }), (values) => {
        const sealed = sealObjects(sealer, values, [{ path: '$' }], on);
        expect(revealObjects(revealer, sealed)).toEqual(values);
        expect(sealObjects(sealer, sealed, [{ path: '$' }], on)).toEqual(sealed);
      }),
      { numRuns: 100 },
    );
    const objects = [{ a: { b: 1 }, c: 'x' }];
    const [sealed] = sealObjects(sealer, objects, [{ path: '$.c' }], on);
    expect(sealed!.a).toBe(objects[0]!.a);
    expect(objects[0]!.c).toBe('x');
    expect(revealObjects(revealer, objects)[0]).toBe(objects[0]);
  });

  it('agree with JSON texts', () => {
    const object = { ip: '192.0.2.1', port: 443, nested: [{ ok: false }] };
    const [sealed] = sealObjects(sealer, [object], [{ path: '$' }], on);
    expect(revealJson(revealer, [JSON.stringify(sealed)])).toEqual([JSON.stringify(object)]);
  });

  it('keep what JSON does not know, unless it is named', () => {
    const when = new Date(0);
    const object = { when, big: 10n, none: undefined, nan: Number.NaN, s: 'x' };
    const [sealed] = sealObjects(sealer, [object], [{ path: '$.s' }], on);
    expect(sealed).toEqual({ ...object, s: expect.stringMatching(TOKEN) });
    expect(sealed!.when).toBe(when);
    for (const path of ['$.when', '$.big', '$.none', '$.nan'])
      expect(() => sealObjects(sealer, [object], [{ path }], on), path).toThrow(/JSON does not know/);
    const own = JSON.parse('{"__proto__":{"s":"x"}}') as object;
    const [other] = sealObjects(sealer, [own], [{ path: '$..s' }], on);
    expect(Object.keys(other!)).toEqual(['__proto__']);
  });

  it('flow through as a stream, in order, those refused left out', async () => {
    async function* source() {
      for (let i = 0; i < 1_000; i++) yield { i, ip: i === 500 ? 'half \ud800' : `192.0.2.${i % 256}` };
    }
    const refused: number[] = [];
    const sealed = sealStream(sealer, source(), [{ path: '$.ip' }], {
      day: ({ i }) => (i % 2 ? DAY : '2026-03-09'),
      batch: 64,
      fail: ({ i }) => refused.push(i),
    });
    const days = new Set<string>();
    const out: unknown[] = [];
    for await (const object of revealStream(
      revealer,
      tap(sealed, ({ ip }) => days.add(ip.slice(6, 12))),
    ))
      out.push(object);
    const expected: unknown[] = [];
    for await (const object of source()) if (object.i !== 500) expected.push(object);
    expect(out).toEqual(expected);
    expect(refused).toEqual([500]);
    expect([...days].sort()).toEqual(['260309', '260310']);
  });
});

async function* tap<T>(items: AsyncIterable<T>, see: (item: T) => void): AsyncGenerator<T> {
  for await (const item of items) {
    see(item);
    yield item;
  }
}
