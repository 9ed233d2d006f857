import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalizer } from '../../anonymize/canonical.js';
import { characters } from '../../anonymize/characters.js';
import { compileColumn } from '../../anonymize/compile.js';
import { misfit } from '../../anonymize/fit.js';
import { jobKeys } from '../../anonymize/keys.js';
import { parseSpec, transformers } from '../../anonymize/registry.js';
import { loadSandbox } from '../../anonymize/sandbox.js';
import type {
  Column,
  ColumnTransform,
  ColumnType,
  Transformer,
  TransformerSpec,
  TypeKind,
} from '../../anonymize/transformer.js';

/*
 * What every transformer promises, for every type of column that it accepts: driven by the registry, so a new one is
 * covered as soon as it has a line there.
 */

beforeAll(loadSandbox);

/** `retain` has keys of its own and random salts: it is in transformers/retain.test.ts. */
const PLAIN = transformers.filter(({ name }) => name !== 'retain');

const KEY = new Uint8Array(32).fill(1);
const OTHER_KEY = new Uint8Array(32).fill(2);

const type = (kind: TypeKind, more: Partial<ColumnType> = {}): ColumnType => ({
  kind,
  name: kind,
  nullable: true,
  equality: 'exact',
  ...more,
});

const TYPES: readonly ColumnType[] = [
  type('text'),
  type('text', { name: 'character varying(12)', maxLength: 12 }),
  type('text', { name: 'character varying(36)', maxLength: 36 }),
  type('text', { name: 'character varying(64)', maxLength: 64 }),
  type('text', { name: 'public.citext', equality: 'caseless' }),
  type('text', { name: 'character(20)', maxLength: 20, equality: 'padded' }),
  type('int2'),
  type('int4'),
  type('int8'),
  type('numeric', { equality: 'number' }),
  type('numeric', { name: 'numeric(9,0)', precision: 9, scale: 0, equality: 'number' }),
  type('numeric', { name: 'numeric(10,2)', precision: 10, scale: 2, equality: 'number' }),
  type('float', { name: 'double precision', equality: 'number' }),
  type('bool'),
  type('uuid'),
  type('date'),
  type('timestamp'),
  type('timestamptz'),
  type('time'),
  type('interval'),
  type('json', { name: 'jsonb' }),
  type('inet'),
  type('bytea'),
  type('enum', { name: 'public.size', enumValues: ['small', 'medium', 'large'] }),
];

/** Option sets to try besides the defaults and the example. */
const OPTIONS: Readonly<Record<string, readonly Record<string, unknown>[]>> = {
  email: [{ keepDomain: true }, { keepLength: true }, { keepDomain: true, keepLength: true }],
  fullName: [{ order: 'last-first' }],
  hash: [{ format: 'base64url' }, { length: 64 }, { length: 1 }, { format: 'base64url', length: 12 }],
  permute: [{ allowSmall: true }, { as: 'uuid' }, { bits: 63 }, { bits: 7, allowSmall: true }],
  pick: [{ values: ['ab', 'cd', 'ef'], different: true }, { values: [1, 2, 3] }],
  postalCode: [{ onInvalid: 'null' }],
  street: [{ number: 'last' }, { number: 'none' }],
  username: [{ unique: true }],
  uuid: [{ version: 8 }],
};

const day = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
const integer = (bits: number): fc.Arbitrary<string> =>
  fc
    .oneof(
      fc.bigInt({ min: -(2n ** BigInt(bits)), max: 2n ** BigInt(bits) - 1n }),
      fc.bigInt({ min: -1000n, max: 1000n }),
    )
    .map(String);

const TEXTS = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 10 }).map((text) => text.replaceAll('\0', '')),
  fc.constantFrom(
    '',
    ' ',
    '\\N',
    'a\tb\nc',
    'ß',
    'É',
    'E\u0301',
    '👩‍👩‍👧',
    'x'.repeat(600),
    'Mary',
    'MARY',
    'ann@example.com',
  ),
  fc.emailAddress(),
  fc.webUrl(),
  fc.ipV4(),
  fc.uuid(),
  fc.stringMatching(/^[0-9]{6,20}$/),
  fc.stringMatching(/^[A-Z]{2}-[0-9]{4}-[a-z]{3}$/),
  fc.stringMatching(/^\+49 [0-9]{3} [0-9]{7}$/),
);

const VALUES: Partial<Record<TypeKind, fc.Arbitrary<string>>> = {
  text: TEXTS,
  int2: integer(15),
  int4: integer(31),
  int8: integer(63),
  numeric: fc.oneof(
    integer(40),
    fc.tuple(fc.integer(), fc.nat(99)).map(([whole, part]) => `${whole}.${String(part).padStart(2, '0')}`),
    fc.constantFrom('NaN', '0', '0.00', '1', '1.0', '1.00'),
  ),
  float: fc.oneof(
    fc.double({ min: -1e300, max: 1e300 }).map(String),
    fc.constantFrom('NaN', 'Infinity', '-Infinity', '1e+20'),
  ),
  bool: fc.constantFrom('t', 'f'),
  uuid: fc.uuid(),
  date: fc.oneof(
    day.map((date) => date.toISOString().slice(0, 10)),
    fc.constantFrom('infinity', '-infinity', '0044-03-15 BC'),
  ),
  timestamp: fc.oneof(
    day.map((date) => date.toISOString().slice(0, 23).replace('T', ' ')),
    fc.constant('infinity'),
  ),
  timestamptz: fc.oneof(
    day.map((date) => `${date.toISOString().slice(0, 23).replace('T', ' ')}+00`),
    fc.constant('infinity'),
  ),
  time: day.map((date) => date.toISOString().slice(11, 19)),
  interval: fc.constantFrom('1 day', '02:03:04', '1 year 2 mons'),
  json: fc.json(),
  inet: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('10.0.0.0/8', '::1')),
  bytea: fc.uint8Array({ maxLength: 8 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
  enum: fc.constantFrom('small', 'medium', 'large'),
};

interface Case {
  readonly label: string;
  readonly transformer: Transformer;
  readonly spec: TransformerSpec;
  readonly type: ColumnType;
}

/** Every transformer with each of its option sets on each type that it accepts. */
const CASES: readonly Case[] = PLAIN.flatMap((transformer) => {
  const sets = [{}, transformer.example.options ?? {}, ...(OPTIONS[transformer.name] ?? [])];
  const specs = sets.flatMap((options) => {
    const parsed = parseSpec({ name: transformer.name, options });
    return 'spec' in parsed ? [parsed.spec] : [];
  });
  const own = transformer.example.type ? [type('text', transformer.example.type)] : [];
  const unique = [...new Map(specs.map((spec) => [JSON.stringify(spec), spec])).values()];
  return unique.flatMap((spec) =>
    [...TYPES, ...own]
      .filter((candidate) => transformer.accepts(candidate, spec.options) === true && VALUES[candidate.kind])
      .map((candidate) => ({
        label: `${transformer.name} ${JSON.stringify(spec.options)} on ${candidate.name}`,
        transformer,
        spec,
        type: candidate,
      })),
  );
});

function values({ type, transformer }: Case): fc.Arbitrary<(string | null)[]> {
  const { kind, maxLength, equality, precision } = type;
  const all = VALUES[kind]!.filter(
    (value) => precision === undefined || value === 'NaN' || !misfit(type, value),
  );
  const fitting = all.map((value) => {
    const cut = maxLength === undefined ? value : [...value].slice(0, maxLength).join('');
    return equality === 'padded' ? cut.padEnd(maxLength! - characters(cut) + cut.length) : cut;
  });
  const { example } = transformer;
  const own = kind === (example.type?.kind ?? 'text') && misfit(type, example.input) === undefined;
  const value = own ? fc.oneof(fitting, fc.constant(example.input)) : fitting;
  return fc.array(fc.option(value, { freq: 6 }), { maxLength: 12 });
}

interface Run {
  readonly out: Column;
  readonly failed: ReadonlyMap<number, string>;
}

const compiled = new Map<string, ColumnTransform>();

function compile({ label, spec, type }: Case, key: Uint8Array): ColumnTransform {
  const id = `${key[0]} ${label}`;
  const transform = compiled.get(id) ?? compileColumn(spec, type, jobKeys(key).domain('test'));
  compiled.set(id, transform);
  return transform;
}

/** Runs a transformer over a chunk; other columns that it reads hold the row's number. */
function run(one: Case, values: Column, key = KEY, rows?: Column): Run {
  const failed = new Map<number, string>();
  const out = compile(one, key)(values, {
    size: values.length,
    fail: (row, reason) => void failed.set(row, reason),
    source: () => rows ?? values.map((_, row) => `row ${row}`),
  });
  return { out, failed };
}

const runs = { numRuns: 15 };

/** A promise that only some transformers make. */
function when(promised: boolean, name: string, test: () => void): void {
  if (promised) it(name, test);
}

describe.each(CASES.map((one) => [one.label, one] as const))('%s', (_, one) => {
  const { transformer, spec, type } = one;
  const proof = transformer.proof(type, spec.options);

  it('gives a value of the type for each value, and keeps NULL', () => {
    fc.assert(
      fc.property(values(one), (input) => {
        const { out, failed } = run(one, input);
        expect(out).toHaveLength(input.length);
        out.forEach((value, row) => {
          if (failed.has(row)) expect(value).toBeNull();
          else if (proof.keepsNull) expect(value === null).toBe(input[row] === null);
          if (
            value !== null &&
            (type.kind !== 'text' || type.maxLength !== undefined) &&
            value !== input[row]
          ) {
            expect(misfit(type, type.equality === 'padded' ? value.trimEnd() : value)).toBeUndefined();
          }
        });
      }),
      runs,
    );
  });

  it('never shows the value in a reason, nor gives it back where it says so', () => {
    fc.assert(
      fc.property(values(one), (input) => {
        const { out, failed } = run(one, input);
        for (const [row, reason] of failed) {
          expect(input[row]).not.toBeNull();
          if (input[row]!.length > 5) expect(reason).not.toContain(input[row]);
        }
        if (proof.mayEqualInput || proof.unique === 'injective') return;
        const canonical = canonicalizer(type.equality);
        out.forEach((value, row) => {
          if (value && canonical(input[row]!) !== '')
            expect(canonical(value)).not.toBe(canonical(input[row]!));
        });
      }),
      runs,
    );
  });

  it('depends on key and value alone', () => {
    fc.assert(
      fc.property(values(one), values(one), (input, others) => {
        const rows = [...input, ...others].map((_, row) => `row ${row}`);
        const alone = run(one, input, KEY, rows.slice(0, input.length));
        expect(run(one, input, KEY, rows.slice(0, input.length))).toEqual(alone);
        const mixed = run(one, [...others, ...input], KEY, [
          ...rows.slice(input.length),
          ...rows.slice(0, input.length),
        ]);
        expect(mixed.out.slice(others.length)).toEqual(alone.out);
      }),
      runs,
    );
  });

  when(proof.total, 'gives equal values equal outputs, however they are written', () => {
    const canonical = canonicalizer(type.equality);
    const spell = (value: string): string => {
      if (type.equality === 'caseless')
        return value.toUpperCase().toLowerCase() === value.toLowerCase() ? value.toUpperCase() : value;
      if (type.equality === 'padded') return `${value} `;
      return /^-?\d+$/.test(value) && type.equality === 'number' && type.scale !== 0 ? `${value}.0` : value;
    };
    fc.assert(
      fc.property(values(one), (input) => {
        const first = run(one, input);
        const again = run(
          one,
          input.map((value) => value && spell(value)),
        );
        const same = (value: string | null): string | null => value && canonical(value);
        expect(again.out.map(same)).toEqual(first.out.map(same));
      }),
      runs,
    );
  });

  when(proof.unique !== 'no', 'gives different values different outputs', () => {
    const canonical = canonicalizer(type.equality);
    fc.assert(
      fc.property(values(one), (input) => {
        const different = [...new Map(input.map((value) => [value && canonical(value), value])).values()];
        const { out, failed } = run(one, different);
        const kept = out.filter((_, row) => !failed.has(row)).map((value) => value && canonical(value));
        expect(new Set(kept).size).toBe(kept.length);
      }),
      runs,
    );
  });
});

describe.each(PLAIN.map((transformer) => [transformer.name, transformer] as const))(
  '%s',
  (name, transformer) => {
    it('takes its own example', () => {
      const parsed = parseSpec({ name, options: transformer.example.options ?? {} });
      const column = type('text', { name: 'text', ...transformer.example.type });
      if (!('spec' in parsed)) throw new Error(parsed.errors.join());
      expect(transformer.accepts(column, parsed.spec.options)).toBe(true);
      const one: Case = { label: name, transformer, spec: parsed.spec, type: column };
      expect([...run(one, [transformer.example.input]).failed.values()]).toEqual([]);
    });

    it('was tried on at least one type', () => {
      expect(CASES.some((one) => one.transformer === transformer)).toBe(true);
    });

    const keyed = CASES.filter(
      (one) =>
        one.transformer === transformer && !transformer.proof(one.type, one.spec.options).mayEqualInput,
    );
    when(keyed.length > 0, 'gives other outputs under another key', () => {
      for (const one of keyed) {
        const input = fc.sample(values(one), { numRuns: 40, seed: 7 }).flat();
        const first = run(one, input);
        const second = run(one, input, OTHER_KEY);
        const told = input.filter(
          (value, row) => value && value.trim() !== '' && value !== '0' && first.out[row] !== null,
        );
        if (told.length > 0) expect(second.out, one.label).not.toEqual(first.out);
      }
    });
  },
);
