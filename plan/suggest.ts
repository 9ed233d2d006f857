import { getTransformer, parseSpec } from '../anonymize/registry.js';
import type { ColumnType } from '../anonymize/transformer.js';
import { type Catalog, type CatalogColumn, type CatalogTable, tableText } from './catalog.js';
import {
  foldName,
  NAME_PATTERNS,
  type NamePattern,
  PERSON_TABLES,
  type RawSpec,
  SYSTEM_TIMES,
} from './suggestNames.js';

/** A guess about a column from names and types alone: no row is read. A person has to look at it. */
export interface Suggestion {
  /** What the job file would say. */
  readonly spec: RawSpec;
  readonly confidence: 'high' | 'medium' | 'low';
  /** Half a sentence. */
  readonly reason: string;
}

/** What to write about a column. */
export type Advice =
  | { readonly kind: 'use'; readonly suggestion: Suggestion }
  /** A foreign key gives it the values of `column` (`schema.table.column`). */
  | { readonly kind: 'follows'; readonly column: string }
  /** The database computes it. */
  | { readonly kind: 'generated' }
  /** Nothing is sure enough; `suggestion` may be what is wanted. */
  | { readonly kind: 'undecided'; readonly reason: string; readonly suggestion?: Suggestion };

const KEYS: readonly ColumnType['kind'][] = ['int2', 'int4', 'int8', 'uuid', 'objectId'];
const PLAIN: readonly ColumnType['kind'][] = [
  'bool',
  'enum',
  'int2',
  'int4',
  'int8',
  'numeric',
  'float',
  'time',
  'interval',
];
const DATES: readonly ColumnType['kind'][] = ['date', 'timestamp', 'timestamptz'];

/** Suggestions for every column of a database. */
export class Advisor {
  readonly #groups: ReadonlyMap<string, Group>;
  readonly #personal: ReadonlySet<string>;

  constructor(private readonly catalog: Catalog) {
    this.#groups = groupByForeignKey(catalog);
    this.#personal = new Set(catalog.tables.filter(isPersonal).map(tableText));
  }

  /** What to write about one column of a table. */
  advise(table: CatalogTable, column: CatalogColumn): Advice {
    if (column.generated !== 'no') return { kind: 'generated' };
    const name = `${tableText(table)}.${column.name}`;
    const group = this.#groups.get(name);
    if (group && group.decider !== name) return { kind: 'follows', column: group.decider };
    const byName = this.#byName(table, column, group !== undefined);
    if (byName) return byName;
    if (isKey(table, column) || group) return this.#key(table, column, group);
    const inherited = this.#parents(table).find((parent) =>
      parent.columns.some(({ name }) => name === column.name),
    );
    return inherited ? this.advise(inherited, { ...column, generated: 'no' }) : this.#byType(table, column);
  }

  /** Tables that a table inherits from. */
  #parents(table: CatalogTable): CatalogTable[] {
    const names = new Set(table.inherits.map(tableText));
    return this.catalog.tables.filter((other) => names.has(tableText(other)));
  }

  #byName(table: CatalogTable, column: CatalogColumn, mustBeUnique: boolean): Advice | undefined {
    const pattern = patternOf(table, column);
    if (!pattern) return undefined;
    const unique = mustBeUnique || inUniqueIndex(table, column);
    const spec = pattern.specs.find((raw) => takes(raw, column.type, unique));
    const { what, confidence } = pattern;
    if (spec !== undefined)
      return { kind: 'use', suggestion: { spec, confidence, reason: `${what}, by its name` } };
    return {
      kind: 'undecided',
      reason: `${what}, by its name, but no transformer fits ${column.type.name}${unique ? ' and its unique index' : ''}`,
    };
  }

  #key(table: CatalogTable, column: CatalogColumn, group: Group | undefined): Advice {
    const personal = (group?.roots ?? [tableText(table)]).some((root) => this.#personal.has(root));
    const about = personal
      ? 'identifies rows about persons'
      : 'identifies rows that are about no person, by their columns';
    const confidence = 'medium';
    if (!KEYS.includes(column.type.kind)) {
      const keeps = !personal && column.type.kind !== 'text';
      if (keeps) return { kind: 'use', suggestion: { spec: 'keep', confidence, reason: about } };
      const suggestion = ifTaken('permute', column.type, true, 'a key that may say something by itself');
      return {
        kind: 'undecided',
        reason: 'a key that may say something by itself',
        ...(suggestion && { suggestion }),
      };
    }
    if (!personal) return { kind: 'use', suggestion: { spec: 'keep', confidence, reason: about } };
    const spec = column.type.kind === 'int2' ? { permute: { allowSmall: true } } : 'permute';
    const suggestion = ifTaken(spec, column.type, true, about);
    return suggestion ? { kind: 'use', suggestion } : { kind: 'undecided', reason: about };
  }

  #byType(table: CatalogTable, column: CatalogColumn): Advice {
    const { type } = column;
    const keep = (reason: string, confidence: Suggestion['confidence']): Advice => ({
      kind: 'use',
      suggestion: { spec: 'keep', confidence, reason },
    });
    const undecided = (reason: string, spec?: RawSpec): Advice => {
      const suggestion =
        spec === undefined ? undefined : ifTaken(spec, type, inUniqueIndex(table, column), reason);
      return { kind: 'undecided', reason, ...(suggestion && { suggestion }) };
    };
    if (/_id$/.test(foldName(column.name)) && KEYS.includes(type.kind)) {
      return undecided(
        'looks like a reference that the database does not declare: add it to `references`, or decide',
        'permute',
      );
    }
    if (DATES.includes(type.kind)) {
      if (SYSTEM_TIMES.test(foldName(column.name))) return keep('a time that the system writes', 'medium');
      const shift = this.#personal.has(tableText(table))
        ? ifTaken('dateShift', type, inUniqueIndex(table, column), 'a date in rows about persons')
        : undefined;
      return shift
        ? { kind: 'use', suggestion: { ...shift, confidence: 'low' } }
        : keep('a date in rows about no person', 'low');
    }
    if (PLAIN.includes(type.kind))
      return keep(`${type.kind === 'enum' ? 'an enum' : 'a value'} without a personal name`, 'medium');
    switch (type.kind) {
      case 'inet':
        return undecided('a network address', 'ip');
      case 'json':
        return undecided('JSON: list its paths, `rest` is for all others', { json: { rest: 'scramble' } });
      case 'text':
        return undecided('text that may hold anything', 'scramble');
      case 'uuid':
        return undecided('an identifier that no foreign key explains', 'permute');
      default:
        return undecided(`${type.name} is kept or nulled only`, type.nullable ? null : 'keep');
    }
  }
}

/** Columns tied together by foreign keys; one of them decides for all. */
interface Group {
  /** `schema.table.column`: the first in byte order that references no other; in a cycle the first at all. */
  readonly decider: string;
  /** Tables of the members that reference no other. */
  readonly roots: readonly string[];
}

function groupByForeignKey(catalog: Catalog): Map<string, Group> {
  const parent = new Map<string, string>();
  const tableOf = new Map<string, string>();
  const referencing = new Set<string>();
  const find = (name: string): string => {
    const up = parent.get(name) ?? name;
    return up === name ? name : find(up);
  };
  for (const table of catalog.tables) {
    for (const key of table.foreignKeys) {
      for (const [i, column] of key.columns.entries()) {
        const from = `${tableText(table)}.${column}`;
        const to = `${tableText(key.references)}.${key.referencedColumns[i]}`;
        tableOf.set(from, tableText(table)).set(to, tableText(key.references));
        // A self reference to the same column says nothing about who decides.
        if (from !== to) referencing.add(from);
        parent.set(find(from), find(to));
      }
    }
  }
  const members = new Map<string, string[]>();
  for (const name of tableOf.keys()) members.set(find(name), [...(members.get(find(name)) ?? []), name]);
  const groups = new Map<string, Group>();
  for (const names of members.values()) {
    const sorted = [...names].sort();
    const free = sorted.filter((name) => !referencing.has(name));
    const group: Group = {
      decider: free[0] ?? sorted[0] ?? '',
      roots: [...new Set((free.length > 0 ? free : sorted).map((name) => tableOf.get(name) ?? ''))],
    };
    for (const name of names) groups.set(name, group);
  }
  return groups;
}

function patternOf(table: CatalogTable, column: CatalogColumn): NamePattern | undefined {
  const name = foldName(column.name);
  if (name === 'name' && PERSON_TABLES.test(foldName(table.name)) && column.type.kind === 'text') {
    return {
      name: /^name$/,
      kinds: ['text'],
      specs: ['fullName', 'hash'],
      what: "a person's name",
      confidence: 'medium',
      personal: true,
    };
  }
  return NAME_PATTERNS.find((pattern) => pattern.kinds.includes(column.type.kind) && pattern.name.test(name));
}

function isPersonal(table: CatalogTable): boolean {
  return table.columns.some((column) => patternOf(table, column)?.personal);
}

function isKey(table: CatalogTable, column: CatalogColumn): boolean {
  return table.indexes.some((index) => index.primary && index.columns.includes(column.name));
}

function inUniqueIndex(table: CatalogTable, column: CatalogColumn): boolean {
  return table.indexes.some(
    ({ unique, exclusion, columns, expressionColumns }) =>
      (unique || exclusion) && (columns.includes(column.name) || expressionColumns.includes(column.name)),
  );
}

function ifTaken(spec: RawSpec, type: ColumnType, unique: boolean, reason: string): Suggestion | undefined {
  return takes(spec, type, unique) ? { spec, confidence: 'medium', reason } : undefined;
}

/** Whether a column can be transformed so, and stays unique where it must. */
function takes(raw: RawSpec, type: ColumnType, unique: boolean): boolean {
  const parsed = parseSpec(raw);
  if (!('spec' in parsed)) return false;
  if (raw === null && !type.nullable) return false;
  const transformer = getTransformer(parsed.spec.name);
  if (transformer.accepts(type, parsed.spec.options) !== true) return false;
  return !unique || raw === null || transformer.proof(type, parsed.spec.options).unique !== 'no';
}
