import { describe, expect, it } from 'vitest';
import { getTransformer } from '../../anonymize/registry.js';
import { checkStaysTrue } from '../../plan/checks.js';
import { effectOf } from '../../plan/effects.js';
import { codes, index, plan, refusals, type TableSketch, type } from './plan-fixture.js';

const PERSON = {
  columns: { id: 'int4 not null', email: 'text', nick: 'varchar(10)', gone: 'timestamptz', age: 'int4' },
  key: ['id'],
} satisfies TableSketch;

/** Plans one table with explicit decisions; the rest is kept. */
function person(
  columns: string,
  more: Partial<TableSketch> = {},
  destination: Partial<TableSketch> = more,
  table = '',
) {
  return plan(
    `unlisted: keep\ntables: { public.p: { columns: ${columns}${table} } }`,
    { 'public.p': { ...PERSON, ...more } },
    { 'public.p': { ...PERSON, ...destination } },
  );
}

function note(made: ReturnType<typeof plan>, code: string): string[] {
  return made.findings.filter((finding) => finding.code === code).map(({ message }) => message);
}

describe('unique indexes', () => {
  it('stay unique under injective and wide transformers, and the plan says why', () => {
    const made = person('{ id: permute, email: email }', { unique: [['email']] });
    expect(codes(made)).toEqual([]);
    expect(note(made, 'unique')).toEqual([
      'unique index p_pkey (id) of public.p stays unique, because permute is injective',
      'unique index p_key1 (email) of public.p stays unique, because email is made from at least 96 keyed bits',
    ]);
  });

  it('are refused where outputs may collide, naming index, column and way out', () => {
    const made = person('{ email: firstName }', { unique: [['email']] });
    expect(codes(made)).toEqual(['unproved-unique']);
    expect(refusals(made)[0]).toMatchObject({ table: 'public.p', column: 'email' });
    expect(refusals(made)[0]?.message).toMatch(
      /p_key1 \(email\).*firstName may give equal values.*choose .*\bhash\b.* or keep for email/,
    );
    expect(refusals(made)[0]?.message).toContain('accept: ["p_key1"]');
  });

  it('are not proved when the column is too short for 96 bits', () => {
    expect(codes(person('{ nick: username }', { unique: [['nick']] }))).toEqual(['unproved-unique']);
  });

  it('may be left to the destination by name', () => {
    const made = person('{ nick: username }', { unique: [['nick']] }, undefined, ', accept: [p_key1]');
    expect(codes(made)).toEqual([]);
    expect(codes(made, 'warning')).toEqual(['accepted-unproved-unique']);
    const typo = person('{ nick: username }', { unique: [['nick']] }, undefined, ', accept: [p_key]');
    expect(codes(typo, 'warning')).toEqual(['unused-accept']);
    expect(codes(typo)).toEqual(['unproved-unique']);
  });

  it('of several columns need every changed one to be injective', () => {
    const unique = [['age', 'email']];
    expect(codes(person('{ age: permute }', { unique }))).toEqual([]);
    expect(codes(person('{ age: permute, email: email }', { unique }))).toEqual([]);
    expect(codes(person('{ age: { range: { size: 10 } } }', { unique }))).toEqual(['unproved-unique']);
  });

  it('that include a smaller unique key are proved by it', () => {
    const made = person('{ id: permute, email: firstName }', { unique: [['id', 'email']] });
    expect(codes(made)).toEqual([]);
    expect(note(made, 'unique')).toContain(
      'unique index p_key1 (id, email) of public.p stays unique, because its columns include those of p_pkey, which stay unique',
    );
  });

  it('hold when the column is nulled, unless NULLs are not distinct', () => {
    expect(codes(person('{ email: null }', { unique: [['email']] }))).toEqual([]);
    const strict = [{ ...index('p_nn', ['email']), nullsNotDistinct: true }];
    expect(codes(person('{ email: null }', { unique: strict }))).toEqual(['unproved-unique']);
    expect(codes(person('{ email: email }', { unique: strict }))).toEqual([]);
  });

  it('over expressions are refused, except letter case under wide outputs', () => {
    const lower = (key: string) => [
      { ...index('p_lower', [null as unknown as string]), keys: [key], expressionColumns: ['email'] },
    ];
    expect(codes(person('{ email: email }', { unique: lower('lower(email)') }))).toEqual([]);
    expect(codes(person('{ email: email }', { unique: lower('lower((email)::text)') }))).toEqual([]);
    expect(codes(person('{ email: email }', { unique: lower('md5(email)') }))).toEqual(['unproved-unique']);
    expect(codes(person('{ email: scramble }', { unique: lower('lower(email)') }))).toEqual([
      'unproved-unique',
    ]);
    expect(codes(person('{ age: permute }', { unique: lower('lower(email)') }))).toEqual([]);
  });

  it('that are partial are refused when rows may enter them', () => {
    const partial = (predicate: string, columns = ['gone']) => [
      { ...index('p_live', ['email']), predicate, expressionColumns: columns },
    ];
    const live = '(gone IS NULL)';
    expect(codes(person('{ email: email }', { unique: partial(live) }))).toEqual([]);
    expect(codes(person('{ gone: dateTruncate }', { unique: partial(live) }))).toEqual([]);
    expect(codes(person('{ gone: null }', { unique: partial(live) }))).toEqual(['unproved-unique']);
    expect(codes(person('{ age: permute }', { unique: partial('(age > 5)', ['age']) }))).toEqual([
      'unproved-unique',
    ]);
  });

  it('over computed columns hold while their sources are kept', () => {
    const columns = { ...PERSON.columns, shout: 'text = email' };
    expect(codes(person('{ age: permute }', { columns, unique: [['shout']] }))).toEqual([]);
    expect(codes(person('{ email: email }', { columns, unique: [['shout']] }))).toEqual(['unproved-unique']);
  });

  it('with a collation of their own need outputs that differ beyond letter case', () => {
    const unique = [
      { ...index('p_c', ['email']), definition: 'CREATE UNIQUE INDEX p_c ON p (email COLLATE x)' },
    ];
    expect(codes(person('{ email: email }', { unique }))).toEqual([]);
    expect(codes(person('{ email: permute }', { unique }))).toEqual(['unproved-unique']);
  });

  it('of the destination alone, and of the source alone, are warned of', () => {
    expect(codes(person('{}', {}, { unique: [['email']] }), 'warning')).toEqual(['unique-destination-only']);
    expect(codes(person('{ email: firstName }', { unique: [['email']] }, {}), 'warning')).toEqual([
      'unique-source-only',
    ]);
  });

  it('of one partition need its rows to stay there', () => {
    const leaf = {
      schema: 'public',
      name: 'p1',
      oid: 8,
      rows: 1,
      bytes: 1,
      pages: 1,
      indexes: [index('p1_email', ['email'])],
    };
    const root: Partial<TableSketch> = {
      kind: 'partitioned',
      leaves: [leaf],
      partitionKey: { columns: ['id'], expression: false, takesAny: true },
    };
    expect(codes(person('{ email: email }', root))).toEqual([]);
    expect(codes(person('{ email: email, id: permute }', root))).toEqual(['unproved-unique']);
  });
});

describe('effects of branches', () => {
  const text = type('text');
  const spec = (name: string, options = {}) => ({ name, options });
  const defaults = (name: string) => getTransformer(name).options.parse({}) as Record<string, unknown>;
  const effect = (...specs: string[]) =>
    effectOf(
      specs.map((name, at) => ({
        rule: `r${at}`,
        when: at,
        apply: spec(name, defaults(name)),
      })),
      text,
      text,
    );

  it('are unique together only if at most one is not wide', () => {
    expect(effect('keep').kind).toBe('kept');
    expect(effect('keep', 'null').unique).toBe('injective');
    expect(effect('null').kind).toBe('nulled');
    expect(effect('keep', 'hash').unique).toBe('wide');
    expect(effect('keep', 'permute').unique).toBe('no');
    expect(effect('hash', 'scramble').unique).toBe('no');
  });
});

describe('exclusion constraints', () => {
  const booking = (columns: string) =>
    plan(`unlisted: keep\ntables: { public.b: { columns: ${columns} } }`, {
      'public.b': {
        columns: { room: 'int4 not null', at: 'other', note: 'text' },
        unique: [
          {
            ...index('b_excl', ['room', 'at']),
            unique: false,
            exclusion: true,
            method: 'gist',
            constraint: {
              name: 'b_excl',
              definition: 'EXCLUDE USING gist (room WITH =, at WITH &&)',
              deferrable: false,
            },
          },
        ],
      },
    });

  it('hold for kept and injective columns under equality, else are refused', () => {
    expect(codes(booking('{ note: scramble }'))).toEqual([]);
    expect(codes(booking('{ room: permute }'))).toEqual([]);
    expect(codes(booking('{ room: { range: { size: 10 } } }'))).toEqual(['unproved-exclusion']);
  });
});

describe('checks', () => {
  const checked = (definition: string, columns: string, more: Partial<TableSketch> = {}) =>
    codes(person(columns, { checks: { c: definition }, ...more }));

  it('on kept columns hold', () => {
    expect(checked('CHECK ((age > 17))', '{ email: email }')).toEqual([]);
  });

  it('of NULL and of the sign survive what keeps them', () => {
    expect(checked('CHECK ((email IS NOT NULL))', '{ email: email }')).toEqual([]);
    expect(checked('CHECK ((email IS NOT NULL))', '{ email: null }')).toEqual(['unproved-check']);
    expect(checked('CHECK (((age > 0) AND (email IS NOT NULL)))', '{ age: permute }')).toEqual([]);
    expect(checked('CHECK ((age > 17))', '{ age: permute }')).toEqual(['unproved-check']);
    expect(checked('CHECK ((age > 17))', '{ age: null }')).toEqual([]);
    expect(checked("CHECK ((email ~ '@'::text))", '{ email: email }')).toEqual(['unproved-check']);
  });

  it('may be left to the destination by name', () => {
    const made = person(
      '{ age: permute }',
      { checks: { adult: 'CHECK ((age > 17))' } },
      undefined,
      ', accept: [adult]',
    );
    expect(codes(made)).toEqual([]);
    expect(codes(made, 'warning')).toEqual(['accepted-unproved-check']);
  });

  it('of the destination alone are warned of', () => {
    const made = person('{}', {}, { checks: { c: 'CHECK ((age > 17))' } });
    expect(codes(made, 'warning')).toEqual(['check-destination-only']);
  });

  it('of a column’s type are refused', () => {
    const override = { email: { domainChecks: ['is_mail'] } };
    expect(codes(person('{ email: email }', { override }))).toEqual(['unproved-check']);
    expect(codes(person('{ email: null }', { override }))).toEqual([]);
    expect(codes(person('{ email: email }', { override }, undefined, ', accept: [is_mail]'))).toEqual([]);
  });

  it('are read atom by atom', () => {
    const int = type('int4');
    const permuted = {
      type: int,
      effect: effectOf([{ rule: 'r', apply: { name: 'permute', options: {} } }], int, int),
    };
    const columns = new Map([['x', permuted]]);
    for (const good of [
      'CHECK ((x > 0))',
      'CHECK ((x >= 1))',
      'CHECK (((x <= 0) OR ((y > 5) AND (x <> 0))))',
      "CHECK (((y = ' AND '::text) OR (x IS NULL)))",
      'CHECK ((xx > 5)) NOT VALID',
      'CHECK ((x > (0)::bigint))',
    ]) {
      expect([good, checkStaysTrue(good, columns)]).toEqual([good, true]);
    }
    for (const bad of [
      'CHECK ((x > 1))',
      'CHECK ((NOT (x > 0)))',
      'CHECK ((x > y))',
      'CHECK (((x % 2) = 0))',
      'CHECK (((x > 0) = (y > 0)))',
      'CHECK ((0 < x))',
    ]) {
      expect([bad, checkStaysTrue(bad, columns)]).toEqual([bad, false]);
    }
  });
});

describe('partition keys', () => {
  const root = (takesAny: boolean): Partial<TableSketch> => ({
    kind: 'partitioned',
    partitionKey: { columns: ['id'], expression: false, takesAny },
  });

  it('may be changed only when every row finds a partition', () => {
    expect(codes(person('{ id: permute }', root(false)))).toEqual(['unproved-partition-key']);
    expect(codes(person('{ id: permute }', root(true)))).toEqual([]);
    expect(codes(person('{ email: email }', root(false)))).toEqual([]);
    expect(codes(person('{ id: permute }', root(false), undefined, ', accept: ["partition key"]'))).toEqual(
      [],
    );
  });
});

describe('computed columns', () => {
  it('that a foreign key reads need kept sources', () => {
    const made = (column: string) =>
      plan(`unlisted: keep\ntables: { public.c: { columns: { ${column}: permute } } }`, {
        'public.p': PERSON,
        'public.c': {
          columns: { raw: 'int4', other: 'int4', p: 'int4 = raw' },
          references: ['p -> public.p.id'],
        },
      });
    expect(codes(made('raw'))).toEqual(['generated-reference']);
    expect(codes(made('other'))).toEqual([]);
  });
});
