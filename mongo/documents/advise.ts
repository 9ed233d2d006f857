import type { Catalog, CatalogColumn, CatalogTable } from '../../plan/catalog.js';
import { Advisor } from '../../plan/suggest.js';
import type { RawSpec } from '../../plan/suggestNames.js';
import { columnTypeOf, VALUE_TYPES } from './columnTypes.js';
import type { LearnedCollection, LearnedField } from './learn.js';
import type { BsonType } from './types.js';

/** A guess about a field from its name and types: no value is looked at. A person has to look at it. */
export interface FieldAdvice {
  readonly path: string;
  /** What the job file would say; absent where nothing is sure enough. */
  readonly spec?: RawSpec;
  readonly confidence: 'high' | 'medium' | 'low' | 'none';
  /** Half a sentence. */
  readonly reason: string;
}

/**
 * Suggestions for every field that a sample showed, as for columns.
 *
 * @param collection `database.collection`.
 * @param follows Fields that a reference gives the values of another one: path → `collection.path`.
 */
export function adviseFields(
  collection: string,
  learned: LearnedCollection,
  follows: ReadonlyMap<string, string> = new Map(),
): FieldAdvice[] {
  const dot = collection.indexOf('.');
  const table = pseudoTable(collection.slice(0, dot), collection.slice(dot + 1), learned);
  const advisor = new Advisor(catalogOf(table));
  const fields = learned.fields.map((field): FieldAdvice => {
    const { path } = field;
    const target = follows.get(path);
    if (target !== undefined) return { path, confidence: 'high', reason: `it follows ${target}` };
    return adviseField(advisor, table, field);
  });
  const keys = learned.dataKeys.map(
    (path): FieldAdvice => ({
      path,
      confidence: 'none',
      reason: 'keys that look like data: hash, permute or keep them',
    }),
  );
  return [...fields, ...keys];
}

function adviseField(advisor: Advisor, table: CatalogTable, field: LearnedField): FieldAdvice {
  const { path } = field;
  const types = (Object.keys(field.types) as BsonType[]).filter((type) => VALUE_TYPES.includes(type));
  const holder = field.parent === '' || field.path === '_id' ? table : { ...table, name: field.parent };
  const given = types.map((type) => ({ type, advice: advisor.advise(holder, columnOf(field, type)) }));
  const guesses = given.map(({ type, advice }) => ({
    type,
    suggestion: advice.kind === 'use' ? advice.suggestion : undefined,
    reason:
      advice.kind === 'use' ? advice.suggestion.reason : advice.kind === 'undecided' ? advice.reason : '',
  }));
  const first = guesses[0];
  const undecided = guesses.find(({ suggestion }) => suggestion === undefined);
  if (!first) return nothingToSay(field);
  if (undecided) return { path, confidence: 'none', reason: undecided.reason };
  const specs = new Set(guesses.map(({ suggestion }) => JSON.stringify(suggestion!.spec)));
  const { confidence } = first.suggestion!;
  const spec =
    specs.size === 1
      ? first.suggestion!.spec
      : { types: Object.fromEntries(guesses.map(({ type, suggestion }) => [type, suggestion!.spec])) };
  return { path, spec, confidence, reason: first.reason };
}

/** A field that held nothing, or what no transformer reads. */
function nothingToSay({ path, types }: LearnedField): FieldAdvice {
  const names = Object.keys(types).filter((type) => type !== 'null' && type !== 'undefined');
  const empty = names.every((type) => type === 'object' || type === 'array');
  const reason = empty
    ? 'the sample has only empty values of it'
    : `${names.join(', ')} can only be kept, emptied or dropped`;
  return { path, confidence: 'none', reason };
}

function columnOf({ name, path }: LearnedField, type: BsonType): CatalogColumn {
  return {
    name: path === '_id' ? '_id' : name,
    attnum: 0,
    type: columnTypeOf(type),
    typeOid: 0,
    generated: 'no',
    identity: 'no',
    domainChecks: [],
  };
}

/** The collection as the table that the advisor knows: `_id` is its key. */
function pseudoTable(schema: string, name: string, learned: LearnedCollection): CatalogTable {
  const columns = learned.fields.flatMap((field) =>
    (Object.keys(field.types) as BsonType[]).map((type) => columnOf(field, type)),
  );
  return {
    schema,
    name,
    oid: 0,
    kind: 'table',
    leaves: [],
    inherits: [],
    columns,
    indexes: [
      {
        name: '_id_',
        oid: 0,
        method: 'btree',
        unique: true,
        primary: true,
        exclusion: false,
        valid: true,
        nullsNotDistinct: true,
        columns: ['_id'],
        expressionColumns: [],
        keys: ['_id'],
        definition: '',
      },
    ],
    foreignKeys: [],
    checks: [],
    triggers: [],
    rules: [],
    dependents: [],
    rowSecurity: 'off',
    rows: learned.documents,
    bytes: 0,
    owner: '',
    fingerprint: '',
  };
}

function catalogOf(table: CatalogTable): Catalog {
  return {
    engine: 'mongo',
    serverVersion: 0,
    database: { system: '', oid: '', name: table.schema },
    tables: [table],
    sequences: [],
  };
}
