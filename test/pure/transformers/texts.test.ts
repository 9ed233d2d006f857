import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { generator } from '../../../anonymize/generate.js';
import { LISTS } from '../../../anonymize/lists/index.js';
import { specHash, versions } from '../../../anonymize/registry.js';
import { listHash, valueList } from '../../../anonymize/value-lists.js';
import { accepts, HOSTILE, one, prf, proof, run, spec, TEXT, type } from './support.js';

const short = (maxLength: number) => type('text', { name: `character varying(${maxLength})`, maxLength });
const CASELESS = type('text', { name: 'public.citext', equality: 'caseless' });

describe('e-mail addresses', () => {
  test('are made of words and 16 characters under a domain that nobody has', () => {
    expect(one('email', 'ann@shop.test')).toMatch(
      /^[a-z]+\.[a-z]+\.[a-z2-9]{16}@(mail|post|home|work)\.example$/,
    );
    expect(one({ email: { unique: false } }, 'ann@shop.test')).toMatch(
      /^[a-z]+\.[a-z]+\d{1,2}@\w+\.example$/,
    );
    expect(proof('email').unique).toBe('wide');
    expect(proof({ email: { unique: false } }).unique).toBe('no');
  });

  test('keep a domain, where it is one', () => {
    const keep = { email: { keepDomain: true } };
    expect(one(keep, 'ann@shop.test')).toMatch(/@shop\.test$/);
    expect(one(keep, 'ann@Müller.example')).toMatch(/@Müller\.example$/);
    expect(one(keep, 'Ann@Shop.Test', { type: CASELESS })).toBe(
      one(keep, 'ann@shop.test', { type: CASELESS }),
    );
    for (const odd of [
      'no address',
      'ann@',
      '@shop.test',
      'ann@localhost',
      'ann@my secret.com',
      'a@b@c d.e',
    ]) {
      expect(one(keep, odd)).toMatch(/@\w+\.example$/);
    }
  });

  test('keep their length in characters', () => {
    for (const value of ['ann@shop.test', `${'a'.repeat(300)}@shop.test`, 'ännchen👩@shop.test']) {
      const made = one({ email: { keepLength: true } }, value)!;
      expect([...made]).toHaveLength([...value].length);
      const kept = one({ email: { keepLength: true, keepDomain: true } }, value)!;
      expect([...kept]).toHaveLength([...value].length);
      expect(kept).toMatch(/@shop\.test$/);
    }
    expect(one({ email: { keepLength: true } }, 'a@b.de')).toHaveLength(11);
    expect(proof({ email: { keepLength: true } }).unique).toBe('no');
  });

  test('fit the column, and say when that leaves too little to be unique', () => {
    for (const room of [11, 12, 20, 29, 30, 33, 40, 49, 50, 60]) {
      for (const options of [{}, { keepDomain: true }, { unique: false }, { keepLength: true }]) {
        const column = short(room);
        const { out, failed } = run(
          { email: options },
          ['ann@shop.test'.slice(0, room), 'x@a-rather-long-domain.example'.slice(0, room)],
          {
            type: column,
          },
        );
        expect(failed.size).toBe(0);
        for (const made of out) expect(made!.length).toBeLessThanOrEqual(room);
        if (proof({ email: options }, column).unique === 'wide') {
          for (const made of out) expect(made).toMatch(/[a-z2-9]{16}@|^[a-z2-9]{20}@/);
        }
      }
    }
    expect(proof('email', short(30)).unique).toBe('wide');
    expect(proof('email', short(29)).unique).toBe('no');
    expect(accepts('email', short(10))).toContain('room for 11');
    expect(accepts('email', type('int4'))).not.toBe(true);
  });
});

describe('hashes', () => {
  test('have the chosen alphabet and length, and are wide from 96 bits', () => {
    expect(one('hash', 'x')).toMatch(/^[0-9a-f]{32}$/);
    expect(one({ hash: 64 }, 'x')).toMatch(/^[0-9a-f]{64}$/);
    expect(one({ hash: { format: 'base64url' } }, 'x')).toMatch(/^[\w-]{21}$/);
    expect(one({ hash: { format: 'base64url', length: 40 } }, 'x')).toMatch(/^[\w-]{40}$/);
    expect(one('hash', 'x', { type: short(9) })).toHaveLength(9);
    expect([23, 24].map((length) => proof({ hash: length }).unique)).toEqual(['no', 'wide']);
    const base64 = (length: number) => ({ hash: { format: 'base64url', length } });
    expect([15, 16].map((length) => proof(base64(length)).unique)).toEqual(['no', 'wide']);
    expect([19, 20].map((length) => proof(base64(length), CASELESS).unique)).toEqual(['no', 'wide']);
    expect(accepts({ hash: 10 }, short(9))).toContain('at most 9');
  });

  test('of one character are never the value', () => {
    const digits = [...'0123456789abcdef'];
    run({ hash: 1 }, digits).out.forEach((made, row) => {
      expect(made).not.toBe(digits[row]);
    });
  });
});

describe('UUIDs', () => {
  test('have version and variant', () => {
    const pattern = (version: number) =>
      new RegExp(`^[0-9a-f]{8}-[0-9a-f]{4}-${version}[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`);
    for (const value of HOSTILE.filter((text) => text)) {
      expect(one('uuid', value)).toMatch(pattern(4));
      expect(one({ uuid: 8 }, value)).toMatch(pattern(8));
    }
    expect(accepts('uuid', short(35))).toContain('room for 36');
  });
});

describe('picks', () => {
  const count = (values: readonly (string | null)[], value: string): number =>
    values.filter((one) => one === value).length;
  const many = Array.from({ length: 4000 }, (_, i) => `value ${i}`);

  test('follow the weights', () => {
    const { out } = run({ pick: { values: { often: 3, seldom: 1 } } }, many);
    expect(count(out, 'often')).toBeGreaterThan(2850);
    expect(count(out, 'often')).toBeLessThan(3150);
    expect(count(out, 'seldom')).toBe(4000 - count(out, 'often'));
  });

  test('by the row give equal values different picks, the same for each row', () => {
    const raw = { pick: { values: ['M', 'F', 'X'], by: 'key' } };
    const same = many.map(() => 'M');
    const { out } = run(raw, same, { sources: { key: many } });
    for (const value of ['M', 'F', 'X']) expect(count(out, value)).toBeGreaterThan(1200);
    expect(run(raw, same, { sources: { key: many } }).out).toEqual(out);
    expect(proof(raw).total).toBe(false);
    expect(new Set(run({ pick: ['M', 'F', 'X'] }, same).out).size).toBe(1);
  });

  test('are different from the value on demand', () => {
    const raw = { pick: { values: ['a', 'b', 'c'], different: true } };
    const { out } = run(raw, ['a', 'B', 'c', 'A', 'b', 'C']);
    ['a', 'b', 'c', 'a', 'b', 'c'].forEach((value, row) => {
      expect(out[row]).not.toBe(value);
    });
    expect(accepts({ pick: { values: ['a', 'A'], different: true } }, TEXT)).toContain('two values');
  });

  test('fit the column, or the plan says so without showing them', () => {
    const size = type('enum', { name: 'public.size', enumValues: ['S', 'M'] });
    expect(accepts({ pick: ['S', 'M'] }, size)).toBe(true);
    expect(accepts({ pick: ['S', 'XXL'] }, size)).toContain('value number 2');
    expect(accepts({ pick: [1, 2, 70000] }, type('int2'))).toContain('value number 3');
    expect(accepts({ pick: ['long'] }, short(3))).not.toBe(true);
    expect(accepts({ pick: [true, false] }, type('bool'))).toBe(true);
  });
});

describe('names and places', () => {
  test.each([
    ['firstName', 3],
    ['lastName', 4],
    ['fullName', 10],
    ['username', 4],
    ['city', 4],
    ['street', 13],
    ['company', 10],
  ] as const)('%s: fits any column from %i characters on, and refuses smaller ones', (name, least) => {
    const values = Array.from({ length: 300 }, (_, i) => String(i));
    for (const room of [least, least + 1, least + 4, 16, 25, 40]) {
      const { out, failed } = run(
        name,
        values.map((value) => value.slice(0, room)),
        { type: short(room) },
      );
      expect(failed.size).toBe(0);
      for (const made of out) expect(made!.length).toBeLessThanOrEqual(room);
      expect(new Set(out).size).toBeGreaterThan(10);
    }
    expect(accepts(name, short(least - 1))).toContain(`room for ${least}`);
    expect(accepts(name, type('int4'))).not.toBe(true);
  });

  test('every name of the list becomes another one, whatever its case', () => {
    for (const [name, list] of [
      ['firstName', 'firstName.v1'],
      ['lastName', 'lastName.v1'],
      ['city', 'city.v1'],
    ] as const) {
      const names = valueList(list).map((entry) => entry.toUpperCase());
      run(name, names).out.forEach((made, row) => {
        expect(made!.toUpperCase()).not.toBe(names[row]);
      });
    }
  });

  test('look like what they stand for', () => {
    expect(one('fullName', 'x')).toMatch(/^\S+ [A-Z]\S+$/);
    expect(one({ fullName: 'last-first' }, 'x')).toMatch(/^[A-Z]\S+, \S+$/);
    expect(one('street', 'x')).toMatch(/^\d{1,4} \S/);
    expect(one({ street: 'last' }, 'x')).toMatch(/\S \d{1,4}$/);
    expect(one({ street: 'none' }, 'x')).not.toMatch(/^\d+ |\d$/);
    expect(one({ username: { unique: false } }, 'x')).toMatch(/^[a-z]+_[a-z]+\d{1,2}$/);
    expect(one('username', 'x')).toMatch(/^[a-z]+_[a-z]+_[a-z2-9]{16}$/);
    expect([19, 20].map((room) => proof('username', short(room)).unique)).toEqual(['no', 'wide']);
  });

  test('a value that nothing else could take the place of is refused, not kept', () => {
    const failed: number[] = [];
    const transform = generator({ prf: prf('key'), type: TEXT }, 'only', () => 'Only');
    const out = transform(['other', 'only', null], {
      size: 3,
      fail: (row) => failed.push(row),
      source: () => [],
    });
    expect(out).toEqual(['Only', null, null]);
    expect(failed).toEqual([1]);
  });
});

describe('postal codes', () => {
  test('keep their format and the region', () => {
    expect(one('postalCode', 'SW1A 1AA')).toMatch(/^[A-Z]{2}\d[A-Z] \d[A-Z]{2}$/);
    expect(one({ postalCode: 2 }, 'SW1A 1AA')).toMatch(/^SW\d[A-Z] \d[A-Z]{2}$/);
    expect(one({ postalCode: 2 }, '👩👩123')).toMatch(/^👩👩\d{3}$/);
  });

  test('with nothing to replace are refused or emptied', () => {
    expect([...run({ postalCode: 5 }, ['12345', '', '123456']).failed.keys()]).toEqual([0]);
    expect(one({ postalCode: { keep: 5, onInvalid: 'null' } }, '12345')).toBeNull();
    expect(accepts({ postalCode: { onInvalid: 'null' } }, { ...TEXT, nullable: false })).not.toBe(true);
  });
});

describe('value lists', () => {
  // A released list never changes: runs that pinned it, and outputs of other versions of Lethe, depend on it.
  test('are the released ones', () => {
    const hashes = Object.fromEntries(Object.keys(LISTS).map((name) => [name, listHash(name).slice(0, 16)]));
    expect(hashes).toMatchInlineSnapshot(`
      {
        "adjective.v1": "a8aad7118327e19a",
        "city.v1": "dfa62b7ae3ff71ad",
        "firstName.v1": "85eb0464433544d9",
        "lastName.v1": "b326c60358ef7955",
        "noun.v1": "82ce973e79a6b257",
        "street.v1": "5a99af5e41425272",
      }
    `);
  });

  test('hold no empty, double or untrimmed entry', () => {
    for (const name of Object.keys(LISTS)) {
      const entries = valueList(name);
      expect(new Set(entries).size).toBe(entries.length);
      for (const entry of entries) expect(entry).toBe(entry.trim());
      expect(entries).not.toContain('');
    }
    expect(() => valueList('firstName.v9')).toThrow('firstName.v1');
  });

  test('are pinned by hash with the versions of the transformers, nested ones too', () => {
    const email = spec('email');
    const nested = { name: 'json', options: { '$.a': email, rest: 'block' } };
    const sha = (text: string) => createHash('sha256').update(text).digest('hex');
    const pins = {
      email: '1',
      'list adjective.v1': sha(LISTS['adjective.v1']!),
      'list noun.v1': sha(LISTS['noun.v1']!),
    };
    expect(versions([email])).toEqual(pins);
    expect(versions([nested])).toMatchObject(pins);
    expect(specHash(nested)).not.toBe(specHash(email));
    expect(specHash(email)).toBe(specHash(spec({ email: { unique: true } })));
  });
});
