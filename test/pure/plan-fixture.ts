import type { ColumnType, TypeKind } from '../../anonymize/transformer.js';
import { parseJob } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import { buildPlan, type PlanInput } from '../../plan/build.js';
import type { Catalog, CatalogColumn, CatalogIndex, CatalogTable, TableName } from '../../plan/catalog.js';
import type { ColumnPlan, Finding, Plan } from '../../plan/plan.js';

/** What a test says about a table beyond its columns. */
export interface TableSketch
  extends Partial<Omit<CatalogTable, 'columns' | 'indexes' | 'foreignKeys' | 'checks'>> {
  /** `int4 not null`, `varchar(40)`, `citext`, `serial`, `identity`, `enum(a,b)`, `int4 = (computed from) a, b`. */
  readonly columns: Readonly<Record<string, string>>;
  readonly key?: readonly string[];
  readonly unique?: readonly (readonly string[] | Partial<CatalogIndex>)[];
  /** `store_id -> public.store.store_id`, `(a, b) -> public.t.(x, y)`. */
  readonly references?: readonly string[];
  /** Name to `CHECK (…)`. */
  readonly checks?: Readonly<Record<string, string>>;
  readonly override?: Readonly<Record<string, Partial<CatalogColumn>>>;
}

const KINDS: Record<string, TypeKind> = {
  varchar: 'text',
  char: 'text',
  citext: 'text',
  text: 'text',
  jsonb: 'json',
};
const NAMES: Record<string, string> = {
  varchar: 'character varying',
  char: 'character',
  int2: 'smallint',
  int4: 'integer',
  int8: 'bigint',
  timestamptz: 'timestamp with time zone',
};

export function type(text: string): ColumnType {
  const [, word = '', size] = /^(\w+)(?:\(([^)]*)\))?/.exec(text) ?? [];
  const kind = KINDS[word] ?? (word as TypeKind);
  const digits = size?.split(',').map(Number) ?? [];
  const equality =
    word === 'citext' ? 'caseless' : word === 'char' ? 'padded' : word === 'numeric' ? 'number' : 'exact';
  return {
    kind,
    name: kind === 'enum' ? 'public.mood' : `${NAMES[word] ?? word}${size === undefined ? '' : `(${size})`}`,
    nullable: !/ not null| serial|^identity/.test(text),
    equality,
    ...(kind === 'text' && size !== undefined && { maxLength: Number(size) }),
    ...(kind === 'numeric' && size !== undefined && { precision: digits[0], scale: digits[1] ?? 0 }),
    ...(kind === 'enum' && { enumValues: size?.split(',') }),
  };
}

export function index(
  name: string,
  columns: readonly string[],
  more: Partial<CatalogIndex> = {},
): CatalogIndex {
  return {
    name,
    oid: 1,
    method: 'btree',
    unique: true,
    primary: false,
    exclusion: false,
    valid: true,
    nullsNotDistinct: false,
    columns,
    expressionColumns: [],
    keys: [...columns],
    definition: `CREATE UNIQUE INDEX ${name}`,
    ...more,
  };
}

function split(name: string): TableName {
  const at = name.indexOf('.');
  return { schema: name.slice(0, at), name: name.slice(at + 1) };
}

function column(name: string, text: string, attnum: number): CatalogColumn {
  const base = text.replace(/\bserial\b/, 'int4 not null').replace(/\bidentity\b/, 'int8 not null');
  const from = / = (.*)$/.exec(text)?.[1]?.split(', ');
  return {
    name,
    attnum,
    type: { ...type(base), nullable: !/not null/.test(base) },
    typeOid: 1,
    generated: from ? 'stored' : 'no',
    ...(from && { generatedFrom: from }),
    identity: /\bidentity\b/.test(text) ? 'always' : 'no',
    domainChecks: [],
  };
}

function table(name: string, sketch: TableSketch, oid: number): CatalogTable {
  const { columns, key, unique = [], references = [], checks = {}, override = {}, ...more } = sketch;
  const own = split(name);
  return {
    ...own,
    oid,
    kind: 'table',
    leaves: [{ ...own, oid, rows: 1000, bytes: 100_000, pages: 13 }],
    inherits: [],
    columns: Object.entries(columns).map(([field, text], at) => ({
      ...column(field, text, at + 1),
      ...(/\b(serial|identity)\b/.test(text) && { sequence: { ...own, name: `${own.name}_${field}_seq` } }),
      ...override[field],
    })),
    indexes: [
      ...(key ? [index(`${own.name}_pkey`, key, { primary: true })] : []),
      ...unique.map((each, at) =>
        'name' in each
          ? index(each.name ?? '', (each.columns as string[]) ?? [], each)
          : index(`${own.name}_key${at + 1}`, each as string[]),
      ),
    ],
    foreignKeys: references.map((text, at) => {
      const sides = text.split(' -> ').map((side) => /^(?:(.*)\.)?(?:\((.*)\)|([^.]*))$/.exec(side) ?? []);
      const names = (side: readonly (string | undefined)[] = []) =>
        (side[2]?.split(', ') ?? [side[3] ?? '']) as string[];
      return {
        name: `${own.name}_fkey${at + 1}`,
        oid: oid * 100 + at,
        columns: names(sides[0]),
        references: split(sides[1]?.[1] ?? ''),
        referencedColumns: names(sides[1]),
        definition: `FOREIGN KEY ${text}`,
        deferrable: false,
        validated: true,
        matchFull: false,
      };
    }),
    checks: Object.entries(checks).map(([check, definition]) => ({
      name: check,
      columns: Object.keys(columns).filter((field) => new RegExp(`\\b${field}\\b`).test(definition)),
      definition,
      validated: true,
    })),
    triggers: [],
    rules: [],
    dependents: [],
    rowSecurity: 'off',
    rows: 1000,
    bytes: 100_000,
    owner: 'crm',
    fingerprint: 'f',
    ...more,
  };
}

/** A catalog from sketches, by `schema.table`. */
export function catalog(
  tables: Readonly<Record<string, TableSketch>>,
  name = 'crm',
  more: Partial<Catalog> = {},
): Catalog {
  const built = Object.entries(tables).map(([key, sketch], at) => table(key, sketch, at + 1));
  return {
    engine: 'postgres',
    serverVersion: 180000,
    database: { system: '1', oid: name, name },
    tables: built,
    sequences: built.flatMap((each) =>
      each.columns.flatMap((field) =>
        field.sequence
          ? [
              {
                ...field.sequence,
                ownedBy: { schema: each.schema, name: each.name, column: field.name },
                dataType: 'integer',
                maxValue: field.type.kind === 'int8' ? '9223372036854775807' : '2147483647',
                increment: '1',
                cycles: false,
              },
            ]
          : [],
      ),
    ),
    ...more,
  };
}

/** The rest of a job file, after what every job needs. */
export function job(text: string): Job {
  const destination = /^destination:/m.test(text) ? '' : 'destination: { postgres: env:B }\n';
  const file = `job: crm\nsource: { postgres: env:A }\nkey: env:K\n${destination}${text}`;
  const parsed = parseJob(file, 'crm.yaml');
  if (!parsed.job) throw new Error(parsed.mistakes.map(({ message }) => message).join('\n'));
  return parsed.job;
}

/** Plans a job over sketches; the destination is a copy of the source unless it is given. */
export function plan(
  text: string,
  source: Readonly<Record<string, TableSketch>>,
  destination = source,
  more: Partial<PlanInput> = {},
): Plan {
  return buildPlan({
    job: job(text),
    source: catalog(source),
    destination: catalog(destination, 'staging'),
    ...more,
  });
}

export function refusals(made: Plan): Finding[] {
  return made.findings.filter(({ level }) => level === 'refusal');
}

/** Codes of the findings of a level, in order. */
export function codes(made: Plan, level: Finding['level'] = 'refusal'): string[] {
  return made.findings.filter((finding) => finding.level === level).map(({ code }) => code);
}

export function columnPlan(made: Plan, name: string): ColumnPlan {
  const at = name.lastIndexOf('.');
  const found = made.tables
    .find(({ source }) => `${source.schema}.${source.name}` === name.slice(0, at))
    ?.columns.find((each) => each.name === name.slice(at + 1));
  if (!found) throw new Error(`no column ${name} in the plan`);
  return found;
}

/** Customers, their orders, the orders' lines. */
export const SHOP: Record<string, TableSketch> = {
  'public.customer': {
    columns: { id: 'serial', email: 'text', country: 'text' },
    key: ['id'],
  },
  'public.order': {
    columns: { id: 'identity', customer_id: 'int4' },
    key: ['id'],
    references: ['customer_id -> public.customer.id'],
  },
  'public.line': {
    columns: { order_id: 'int8 not null', no: 'int4 not null' },
    key: ['order_id', 'no'],
    references: ['order_id -> public.order.id'],
  },
};
