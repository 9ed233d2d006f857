import { tableText } from '../../plan/catalog.js';
import type { SemiJoin } from '../../plan/plan.js';
import { type Ordering, readOrderings } from '../catalog/operators.js';
import { renderExpression } from '../expressions.js';
import { quoteIdent, quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** Which rows of a table are copied, as conditions over `FROM <the relation>` without an alias. */
export interface RowFilter {
  readonly where?: string;
  readonly semiJoins: readonly SemiJoin[];
}

/** What the source's catalog says of a parent in a semi-join. */
export interface Parent {
  /**
   * A plain table is read with ONLY, since a foreign key to one does not reach the tables that inherit from it; a
   * partitioned one with its partitions.
   */
  readonly plain: boolean;
  /** By column. */
  readonly orderings: ReadonlyMap<string, Ordering>;
}

/** By `schema.table`. */
export type Parents = ReadonlyMap<string, Parent>;

/** The parents of semi-joins, at every depth. */
export async function readParents(source: Session, joins: readonly SemiJoin[]): Promise<Parents> {
  const all = joins.flatMap(function nested(join): SemiJoin[] {
    return [join, ...join.semiJoins.flatMap(nested)];
  });
  if (all.length === 0) return new Map();
  const parents = all.map(({ parent }) => parent);
  const rows = await query(
    source,
    `SELECT s.nspname AS schema, c.relname AS name FROM unnest($1::name[], $2::name[]) AS w(schema, name)
     JOIN pg_namespace s ON s.nspname = w.schema JOIN pg_class c ON c.relnamespace = s.oid AND c.relname = w.name
     WHERE c.relkind = 'r'`,
    [parents.map(({ schema }) => schema), parents.map(({ name }) => name)],
  );
  const plain = new Set(rows.map((row) => tableText({ schema: row.schema!, name: row.name! })));
  const found = new Map<string, Parent>();
  for (const { parent, parentColumns } of all) {
    const name = tableText(parent);
    const orderings = await readOrderings(source, parent, parentColumns);
    const known = found.get(name)?.orderings ?? new Map();
    found.set(name, {
      plain: plain.has(name),
      orderings: new Map([...known, ...parentColumns.map((column, i) => [column, orderings[i]!] as const)]),
    });
  }
  return found;
}

/**
 * SQL of a filter: conditions to be joined by AND; empty when all rows pass.
 *
 * @param relation The relation that is read, quoted, as it stands after FROM.
 * @param runTime ISO 8601, UTC.
 * @param parents From `readParents`.
 */
export function filterConditions(
  filter: RowFilter,
  relation: string,
  runTime: string,
  parents: Parents,
): string[] {
  return [
    ...(filter.where === undefined ? [] : [renderExpression(filter.where, runTime)]),
    ...filter.semiJoins.map((join) => semiJoinCondition(join, relation, runTime, parents, 1)),
  ];
}

/**
 * The parent's conditions stand in a subquery of their own, where its columns are the only ones, as the job file means
 * them; outside it the parent has a name of ours, so that a table may be its own parent.
 */
function semiJoinCondition(
  join: SemiJoin,
  relation: string,
  runTime: string,
  parents: Parents,
  depth: number,
): string {
  const parent = quoteTable(join.parent);
  const inner = [
    ...(join.where === undefined ? [] : [renderExpression(join.where, runTime)]),
    ...join.semiJoins.map((next) => semiJoinCondition(next, parent, runTime, parents, depth + 1)),
  ];
  const alias = `lethe_parent_${depth}`;
  const names = join.parentColumns.map((_, i) => `k${i}`);
  const facts = parents.get(tableText(join.parent));
  const only = facts?.plain ? 'ONLY ' : '';
  const rows = `SELECT ${join.parentColumns.map(quoteIdent).join(', ')} FROM ${only}${parent}${
    inner.length > 0 ? ` WHERE ${inner.join(' AND ')}` : ''
  }`;
  const pairs = join.columns.map((column, i) => {
    const value = `${relation}.${quoteIdent(column)}`;
    const ordering = facts?.orderings.get(join.parentColumns[i]!);
    return ordering && !ordering.builtIn
      ? `${alias}.${names[i]} ${ordering.equal} ${value}::${ordering.type}`
      : `${alias}.${names[i]} = ${value}`;
  });
  const absent = join.columns.map((column) => `${relation}.${quoteIdent(column)} IS NULL`);
  return `(${absent.join(' OR ')} OR EXISTS (SELECT FROM (${rows}) AS ${alias} (${names.join(', ')}) WHERE ${pairs.join(' AND ')}))`;
}
