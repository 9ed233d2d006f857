import type { TablePlan } from '../../plan/plan.js';
import { readOrderings } from '../catalog/operators.js';
import { decodeRows } from '../copy/decode.js';
import { quoteIdent, quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';
import type { TableContext } from './context.js';
import { readKeyColumns } from './reads.js';
import type { LoadTable } from './task.js';

/** A row of the source that a foreign key of the destination refused: its parent is not there. */
export interface Orphan {
  /** The foreign key's name. */
  readonly constraint: string;
  /** Key of the row at the source. */
  readonly key: readonly string[];
}

/** A foreign key of the destination between two tables of the job, in the words of the source. */
export interface ParentLink {
  readonly parent: LoadTable;
  /** Columns of the child beside those of the parent. */
  readonly pairs: readonly (readonly [child: string, parent: string])[];
}

/** Those of the tables that rows of a table depend on by foreign keys, over any number of steps; with it in cycles. */
export async function ancestorsOf(
  destination: Session,
  table: TablePlan,
  tables: readonly LoadTable[],
): Promise<LoadTable[]> {
  const rows = await query(
    destination,
    `WITH RECURSIVE up AS (
       SELECT $1::regclass::oid AS rel, 0 AS step
       UNION
       SELECT more.rel, 1 FROM up, LATERAL (
         SELECT k.confrelid AS rel FROM pg_constraint k WHERE k.contype = 'f' AND k.conrelid = up.rel
         UNION ALL SELECT k.confrelid FROM pg_inherits i JOIN pg_constraint k ON k.contype = 'f' AND k.conrelid = i.inhrelid
          WHERE i.inhparent = up.rel) AS more
     )
     SELECT DISTINCT n.nspname AS schema, c.relname AS name
       FROM up JOIN pg_class c ON c.oid = up.rel JOIN pg_namespace n ON n.oid = c.relnamespace WHERE up.step > 0`,
    [quoteTable(table.destination)],
  );
  const found = new Set(rows.map((row) => wholeName({ schema: row.schema!, name: row.name! })));
  return tables.filter(({ plan }) => found.has(wholeName(plan.destination)));
}

/** Undefined when the parent is outside the job, or rows of it cannot be found by a key. */
export async function findLink(
  { destination, table: { plan } }: TableContext,
  constraint: string,
  ancestors: readonly LoadTable[],
): Promise<ParentLink | undefined> {
  const [row] = await query(
    destination,
    `SELECT pn.nspname AS schema, pc.relname AS name,
            (SELECT jsonb_agg(jsonb_build_array(ca.attname, pa.attname) ORDER BY u.i)
               FROM unnest(k.conkey, k.confkey) WITH ORDINALITY AS u(child, parent, i)
               JOIN pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = u.child
               JOIN pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.parent) AS pairs
       FROM pg_constraint k JOIN pg_class pc ON pc.oid = k.confrelid JOIN pg_namespace pn ON pn.oid = pc.relnamespace
      WHERE k.contype = 'f' AND k.conname = $2
        AND (k.conrelid = $1::regclass OR k.conrelid IN (SELECT relid FROM pg_partition_tree($1::regclass)))
      ORDER BY (k.conrelid = $1::regclass) DESC, k.oid LIMIT 1`,
    [quoteTable(plan.destination), constraint],
  );
  if (!row) return undefined;
  const name = wholeName({ schema: row.schema!, name: row.name! });
  const parent = ancestors.find((one) => wholeName(one.plan.destination) === name);
  if (!parent || parent.plan.key.kind === 'ctid') return undefined;
  const pairs: (readonly [string, string])[] = [];
  for (const [child, referenced] of JSON.parse(row.pairs!) as [string, string][]) {
    const [own, theirs] = [sourceColumn(plan, child), sourceColumn(parent.plan, referenced)];
    if (own === undefined || theirs === undefined) return undefined;
    pairs.push([own, theirs]);
  }
  return { parent, pairs };
}

/** A row of the source and one that it references, by their keys. */
export interface Kinship {
  readonly child: string[];
  readonly parent: string[];
}

/** The rows at the source that rows of `plan` reference. The children's keys go by `Source.setKeys`. */
export async function readParentKeys(
  { source, table: { plan } }: TableContext,
  { parent, pairs }: ParentLink,
  children: readonly (readonly string[])[],
): Promise<Kinship[]> {
  const { session } = source;
  const childKey = await readKeyColumns(session, plan);
  const parentKey = await readKeyColumns(session, parent.plan);
  const orderings = await readOrderings(
    session,
    parent.plan.units[0]!,
    pairs.map(([, referenced]) => referenced),
  );
  const equal = pairs.map(([, referenced], i) => {
    const { equal, builtIn, type } = orderings[i]!;
    return `lethe_parent.${quoteIdent(referenced)} ${equal} lethe_child.c${i}${builtIn ? '' : `::${type}`}`;
  });
  const columns = [
    ...pairs.map(([child], i) => `${quoteIdent(child)} AS c${i}`),
    ...childKey.map(({ sql }, i) => `${sql} AS k${i}`),
  ].join(', ');
  const keys = [
    ...childKey.map((_, i) => `lethe_child.k${i}`),
    ...parentKey.map(({ sql }) => `lethe_parent.${sql}`),
  ];
  const found: Kinship[] = [];
  for (let at = 0; at < children.length; at += source.keysAtOnce) {
    await source.setKeys(children.slice(at, at + source.keysAtOnce));
    for (const own of plan.units) {
      for (const unit of parent.plan.units) {
        const select = `SELECT ${keys.join(', ')}
          FROM (SELECT ${columns} FROM ONLY ${quoteTable(own)} WHERE ${source.amongKeys(childKey)}) AS lethe_child
          JOIN ONLY ${quoteTable(unit)} AS lethe_parent ON ${equal.join(' AND ')}`;
        for (const row of await readKeys(source, select, keys.length))
          found.push({ child: row.slice(0, childKey.length), parent: row.slice(childKey.length) });
      }
    }
  }
  return found.filter(({ parent }) => source.knowsKey(parent));
}

async function readKeys(source: TableContext['source'], select: string, width: number): Promise<string[][]> {
  const keys: string[][] = [];
  const reader = source.copy(select);
  try {
    for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
      const { fields, size } = decodeRows(source.decode(chunk), width, width);
      for (let row = 0; row < size; row++) keys.push(fields.map((field) => field[row]!));
      reader.release(chunk);
    }
  } catch (error) {
    await reader.drain();
    throw error;
  }
  return keys;
}

function sourceColumn({ columns }: TablePlan, destination: string): string | undefined {
  return columns.find((column) => column.destination === destination)?.name;
}

function wholeName({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return JSON.stringify([schema, name]);
}
