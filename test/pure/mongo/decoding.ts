import { BSON as Bson } from 'mongodb';
import { compileColumn } from '../../../anonymize/compile.js';
import type { JobKeys } from '../../../anonymize/keys.js';
import { columnTypeOf } from '../../../mongo/documents/columnTypes.js';
import { type FieldPath, type FieldStep, parseFieldPath } from '../../../mongo/documents/paths.js';
import type { BsonType, CollectionRules, FieldSpec } from '../../../mongo/documents/types.js';

/*
 * The reference that the raw editor is compared with: decodes a document with the driver's own library, changes it as an
 * object, value by value, and encodes it again. Slow and plain. It knows no fields in whose place JavaScript objects
 * have another order (names that are integers), and no types that the library has not.
 */

type Rule = { readonly path: FieldPath; readonly apply: FieldSpec; readonly text: string } & Pick<
  CollectionRules['fields'][number],
  'types'
>;

class Refused extends Error {}

const OPTIONS = { promoteValues: false, promoteBuffers: false, bsonRegExp: true } as const;
const GONE = Symbol('gone');

/** The document after, or null when it is refused. */
export function transformDecoded(given: CollectionRules, keys: JobKeys, document: Uint8Array): Buffer | null {
  const rules = given.fields.map(
    (rule): Rule => ({ ...rule, text: rule.path, path: parseFieldPath(rule.path) as FieldPath }),
  );
  try {
    const decoded = Bson.deserialize(document, OPTIONS);
    return Buffer.from(Bson.serialize(visit(decoded, []) as Bson.Document, { ignoreUndefined: false }));
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }

  function visit(value: unknown, place: readonly (string | number)[]): unknown {
    const type = typeOf(value);
    const decision = place.length === 0 ? undefined : decide(rules, place);
    const container = type === 'object' || type === 'array';
    const below =
      place.length === 0 ||
      rules.some((rule) => !closed(rules, rule, [...place, '']) && leadsBelow(rule.path.steps, place));
    const rule = decision?.rule;
    const spec: FieldSpec = rule ? (rule.types?.[type] ?? rule.apply) : { name: given.unlisted, options: {} };
    if (container && (below || !['keep', 'null', 'drop', 'block'].includes(spec.name)))
      return children(value, place, type);
    if (container && spec.name === 'block' && rule && rule.types?.[type] === undefined)
      return children(value, place, type);
    const nothing = value === null || value === undefined;
    if (nothing && rule && !(spec.name === 'drop')) return value;
    if (spec.name === 'keep') return value;
    if (spec.name === 'drop') return GONE;
    if (spec.name === 'null') return null;
    if (spec.name === 'block') {
      if (nothing && below) return value;
      throw new Refused();
    }
    return one(value, type, spec, rule!.text);
  }

  function children(value: unknown, place: readonly (string | number)[], type: BsonType): unknown {
    if (type === 'array') return (value as unknown[]).map((item, i) => visit(item, [...place, i]));
    const out: Record<string, unknown> = {};
    for (const [name, item] of Object.entries(value as object)) {
      const made = visit(item, [...place, name]);
      if (made !== GONE) out[name] = made;
    }
    return out;
  }

  function one(value: unknown, type: BsonType, spec: FieldSpec, path: string): unknown {
    const text = textOf(value, type);
    if (text === undefined) throw new Refused();
    let failed = false;
    let transform: ReturnType<typeof compileColumn>;
    try {
      transform = compileColumn(
        spec,
        columnTypeOf(type),
        keys.domain(`${given.collection}.${path}`),
        keys.domain(''),
      );
    } catch {
      throw new Refused();
    }
    const [made = null] = transform([text], {
      size: 1,
      fail: () => {
        failed = true;
      },
      source: () => [null],
    });
    if (failed) throw new Refused();
    return made === null ? null : valueFrom(made, type);
  }
}

function decide(rules: readonly Rule[], place: readonly (string | number)[]): { rule: Rule } | undefined {
  for (let length = place.length; length > 0; length--) {
    const prefix = place.slice(0, length);
    const here = rules.filter((rule) => !closed(rules, rule, prefix) && names(rule.path.steps, prefix));
    const rule = here.sort((a, b) => weight(a.path) - weight(b.path))[0];
    if (rule) return { rule };
  }
  return undefined;
}

/** Whether a path reaches, by more wildcards, into what another rule drops or empties. */
function closed(rules: readonly Rule[], { path }: Rule, place: readonly (string | number)[]): boolean {
  const deep = path.steps.some((step) => step.deep);
  return place.some((_, length) => {
    if (length === 0) return false;
    const prefix = place.slice(0, length);
    const named = rules.filter((rule) => names(rule.path.steps, prefix) && !closed(rules, rule, prefix));
    const rule = named.sort((a, b) => weight(a.path) - weight(b.path))[0];
    if (!rule || !['drop', 'null'].includes(rule.apply.name)) return false;
    return deep || weight({ steps: path.steps.slice(0, length) }) > weight(rule.path);
  });
}

function weight({ steps }: Pick<FieldPath, 'steps'>): number {
  return steps.reduce((sum, { kind, deep }) => sum + (kind.startsWith('any') ? 1 : 0) + (deep ? 2 : 0), 0);
}

function names(steps: readonly FieldStep[], place: readonly (string | number)[]): boolean {
  const [step, ...rest] = steps;
  const [key, ...deeper] = place;
  if (!step || key === undefined) return !step && key === undefined;
  return (stepNames(step, key) && names(rest, deeper)) || (step.deep && names(steps, deeper));
}

function leadsBelow(steps: readonly FieldStep[], place: readonly (string | number)[]): boolean {
  const [step, ...rest] = steps;
  const [key, ...deeper] = place;
  if (!step) return false;
  if (key === undefined) return true;
  return (stepNames(step, key) && leadsBelow(rest, deeper)) || (step.deep && leadsBelow(steps, deeper));
}

function stepNames(step: FieldStep, key: string | number): boolean {
  if (step.kind === 'name') return step.name === key;
  if (step.kind === 'index') return step.index === key;
  return (step.kind === 'anyElement') === (typeof key === 'number');
}

/* biome-ignore lint/suspicious/noExplicitAny: the library's values tell their types by a property. */
function typeOf(value: any): BsonType {
  if (value === null) return 'null';
  if (value === undefined) return 'undefined';
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'bool';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Date) return 'date';
  switch (value._bsontype) {
    case 'Double':
      return 'double';
    case 'Int32':
      return 'int';
    case 'Long':
      return 'long';
    case 'Timestamp':
      return 'timestamp';
    case 'Decimal128':
      return 'decimal';
    case 'ObjectId':
      return 'objectId';
    case 'Binary':
      return value.sub_type === 4 ? 'uuid' : 'binData';
    case 'BSONSymbol':
      return 'symbol';
    case 'BSONRegExp':
      return 'regex';
    case 'Code':
      return value.scope ? 'javascriptWithScope' : 'javascript';
    case 'MinKey':
      return 'minKey';
    case 'MaxKey':
      return 'maxKey';
    default:
      return 'object';
  }
}

/* biome-ignore lint/suspicious/noExplicitAny: as above. */
function textOf(value: any, type: BsonType): string | undefined {
  switch (type) {
    case 'double':
      return Number.isFinite(value.value) && !Object.is(value.value, -0) ? String(value.value) : undefined;
    case 'date':
      return value.getTime() >= -62135596800000 && value.getTime() <= 253402300799999
        ? value.toISOString()
        : undefined;
    case 'objectId':
      return value.toHexString();
    case 'uuid':
      return value.toUUID().toHexString();
    case 'symbol':
      return value.value;
    case 'binData':
      return `\\x${Buffer.from(value.value()).toString('hex')}`;
    default:
      return String(value);
  }
}

function valueFrom(text: string, type: BsonType): unknown {
  switch (type) {
    case 'double':
      return new Bson.Double(Number(text));
    case 'int':
      return new Bson.Int32(Number(text));
    case 'long':
      return Bson.Long.fromString(text);
    case 'decimal':
      return decimalFrom(text);
    case 'objectId':
      return Bson.ObjectId.createFromHexString(text);
    case 'uuid':
      return new Bson.UUID(text);
    case 'date':
      return new Date(text);
    case 'bool':
      return text === 'true';
    case 'symbol':
      return new Bson.BSONSymbol(text);
    default:
      return text;
  }
}

function decimalFrom(text: string): Bson.Decimal128 {
  try {
    return Bson.Decimal128.fromString(text);
  } catch {
    throw new Refused();
  }
}
