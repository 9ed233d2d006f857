import { isJsonNumber, type Leaf, type LeafKind } from '../json/text.js';
import { keyStreams } from './keystream.js';
import { acceptsNested, NESTED_LEAF, NESTED_TEXT, partsChunk } from './nested.js';
import { scrambler } from './scrambler.js';
import type {
  ChunkContext,
  Column,
  ColumnTransform,
  ColumnType,
  CompileContext,
  Prf,
  TransformerSpec,
} from './transformer.js';

/** What becomes of leaves that no path names. */
export type Rest = 'block' | 'null' | 'scramble' | 'keep';

/** New JSON texts of the leaves of each row, undefined where a leaf stays; and the rows that failed. */
export interface Replaced {
  readonly texts: readonly (string | undefined)[][];
  readonly failed: ReadonlySet<number>;
}

/** Leaves of all rows that go through one function together. */
interface Group {
  readonly transform: ColumnTransform;
  /** Name of the path, for reasons. */
  readonly where: string;
  readonly kind: LeafKind;
  /** Whatever the leaves were, they become strings. */
  readonly asText: boolean;
  readonly rows: number[];
  readonly slots: number[];
  readonly values: string[];
}

/** What happens to leaves of one kind at one path: a function, a JSON text, nothing (undefined), or a refusal. */
type Action = ColumnTransform | { readonly text: string } | { readonly refusal: string } | undefined;

/**
 * Builds the function that replaces the leaves of a chunk of documents: all leaves of one path, of all rows, go through
 * its transformer in one column.
 */
export function leafReplacer(
  context: CompileContext<unknown>,
  paths: readonly { readonly path: string; readonly spec: TransformerSpec }[],
  rest: Rest,
): (values: Column, leaves: readonly (readonly Leaf[])[], chunk: ChunkContext) => Replaced {
  const actions = [
    ...paths.map(({ path, spec }) => pathActions(context, path, spec)),
    restActions(context.prf, rest),
  ];
  return (values, leaves, chunk) => {
    const texts = leaves.map((row): (string | undefined)[] => new Array(row.length));
    const failed = new Set<number>();
    const fail = (row: number, reason: string) => {
      if (!failed.has(row)) chunk.fail(row, reason);
      failed.add(row);
    };
    const groups = new Map<string, Group>();
    for (const [row, list] of leaves.entries()) {
      for (const [slot, leaf] of list.entries()) {
        const index = leaf.path < 0 ? paths.length : leaf.path;
        const action = actions[index]!(leaf.kind);
        if (action === undefined) continue;
        if (typeof action === 'function') {
          const text = values[row]!.slice(leaf.start, leaf.end);
          const value = leaf.kind === 'string' ? (JSON.parse(text) as string) : text;
          add(
            groups,
            `${index} ${leaf.kind}`,
            action,
            paths[index]?.path ?? 'rest',
            leaf.kind,
            paths[index]?.spec.name === SEALED,
            row,
            slot,
            value,
          );
        } else if ('text' in action) texts[row]![slot] = action.text;
        else fail(row, `${action.refusal}, at depth ${leaf.depth}`);
      }
    }
    for (const group of groups.values()) runGroup(group, texts, { ...chunk, fail });
    return { texts, failed };
  };
}

function add(
  groups: Map<string, Group>,
  id: string,
  transform: ColumnTransform,
  where: string,
  kind: LeafKind,
  asText: boolean,
  row: number,
  slot: number,
  value: string,
): void {
  let group = groups.get(id);
  if (!group) {
    group = { transform, where, kind, asText, rows: [], slots: [], values: [] };
    groups.set(id, group);
  }
  group.rows.push(row);
  group.slots.push(slot);
  group.values.push(value);
}

function runGroup(group: Group, texts: (string | undefined)[][], chunk: ChunkContext): void {
  const { rows, slots, where, kind, asText } = group;
  const out = group.transform(group.values, partsChunk(chunk, rows, where));
  for (let i = 0; i < rows.length; i++) {
    const text = encode(out[i] ?? null, asText ? 'string' : kind);
    if (text === undefined) chunk.fail(rows[i]!, `${where}: a ${kind} would become another type`);
    else texts[rows[i]!]![slots[i]!] = text;
  }
}

function encode(value: string | null, kind: LeafKind): string | undefined {
  if (value === null) return 'null';
  if (kind === 'string') return JSON.stringify(value);
  if (kind === 'number') return isJsonNumber(value) ? value : undefined;
  return { t: 'true', true: 'true', f: 'false', false: 'false' }[value];
}

/** Its tokens are strings, of numbers as well, and tell whoever reads them what they were. */
const SEALED = 'retain';

const NUMERIC: ColumnType = { kind: 'numeric', name: 'numeric', nullable: true, equality: 'exact' };
const INTEGER: ColumnType = { kind: 'int8', name: 'bigint', nullable: true, equality: 'exact' };
const BOOLEAN: ColumnType = { kind: 'bool', name: 'boolean', nullable: true, equality: 'exact' };

const TYPES: Readonly<Record<LeafKind, readonly ColumnType[]>> = {
  string: [NESTED_TEXT],
  number: [NUMERIC, INTEGER],
  boolean: [BOOLEAN],
  null: [],
  empty: [],
};

/** A path's transformer, built for the kinds of leaves that it takes; JSON null and empty containers stay. */
function pathActions(
  context: CompileContext<unknown>,
  path: string,
  spec: TransformerSpec,
): (kind: LeafKind) => Action {
  const built = new Map<LeafKind, Action>();
  for (const [kind, usual] of Object.entries(TYPES) as [LeafKind, readonly ColumnType[]][]) {
    const types =
      spec.name === SEALED && usual !== TYPES.string ? usual.slice(0, 1).map(() => NESTED_LEAF) : usual;
    const type = types.find((candidate) => acceptsNested(spec, candidate) === true);
    if (spec.name === 'keep' || types.length === 0) built.set(kind, undefined);
    else if (type) built.set(kind, context.nested(spec, type, `${path} ${kind}`));
    else built.set(kind, { refusal: `${path}: ${spec.name} cannot take a ${kind}` });
  }
  return (kind) => built.get(kind);
}

function restActions(prf: Prf, rest: Rest): (kind: LeafKind) => Action {
  if (rest === 'keep') return () => undefined;
  if (rest === 'null') return () => ({ text: 'null' });
  if (rest === 'block') return (kind) => ({ refusal: `no path names a value (${kind})` });
  const actions: Partial<Record<LeafKind, Action>> = {
    string: scrambler(prf, 'json/rest'),
    number: numberScrambler(prf),
    boolean: { text: 'false' },
  };
  return (kind) => actions[kind];
}

/** Other digits, as many; zeros at the start, the sign, the point and the exponent stay. */
function numberScrambler(prf: Prf): ColumnTransform {
  const open = keyStreams(prf, 'json/rest/number');
  return (values) => {
    const stream = open(values);
    return values.map((value, row) => {
      if (value === null) return null;
      stream.row(row);
      const [mantissa = '', ...exponent] = value.split(/(?=[eE])/);
      const leading = /^-?(?:0(?=\.)|[1-9])/.exec(mantissa)?.[0].length ?? 0;
      const digits = mantissa.replace(/\d/g, (digit, at: number) => {
        if (at >= leading) return String(stream.below(10));
        return digit === '0' ? '0' : String(1 + stream.below(9));
      });
      return digits + exponent.join('');
    });
  };
}
