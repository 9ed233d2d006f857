import { tableText } from '../../plan/catalog.js';
import type { SemiJoin } from '../../plan/plan.js';
import { renderExpression } from '../expressions.js';
import { quoteIdent, quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** Which rows of a table are copied, as conditions over `FROM <the relation>` without an alias. */
export interface RowFilter {
  readonly where?: string;
  readonly semiJoins: readonly SemiJoin[];
}

/**
 * The plain tables among the parents, as `schema.table`: read with ONLY, since a foreign key to one does not reach the
 * tables that inherit from it. A partitioned parent is read with its partitions.
 */
export async function plainTables(source: Session, joins: readonly SemiJoin[]): Promise<Set<string>> {
  const parents = joins.flatMap(function all(join): SemiJoin['parent'][] {
    return [join.parent, ...join.semiJoins.flatMap(all)];
  });
  if (parents.length === 0) return new Set();
  const rows = await query(
    source,
    `SELECT s.nspname AS schema, c.relname AS name FROM unnest($1::name[], $2::name[]) AS w(schema, name)
     JOIN pg_namespace s ON s.nspname = w.schema JOIN pg_class c ON c.relnamespace = s.oid AND c.relname = w.name
     WHERE c.relkind = 'r'`,
    [parents.map(({ schema }) => schema), parents.map(({ name }) => name)],
  );
  return new Set(rows.map((row) => tableText({ schema: row.schema!, name: row.name! })));
}

/**
 * SQL of a filter: conditions to be joined by AND; empty when all rows pass.
 *
 * @param relation The relation that is read, quoted, as it stands after FROM.
 * @param runTime ISO 8601, UTC.
 * @param plainParents Parents that are read with ONLY, as `schema.table`.
 */
export function filterConditions(
  filter: RowFilter,
  relation: string,
  runTime: string,
  plainParents: ReadonlySet<string>,
): string[] {
  return [
    ...(filter.where === undefined ? [] : [renderExpression(filter.where, runTime)]),
    ...filter.semiJoins.map((join) => semiJoinCondition(join, relation, runTime, plainParents, 1)),
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
  plainParents: ReadonlySet<string>,
  depth: number,
): string {
  const parent = quoteTable(join.parent);
  const inner = [
    ...(join.where === undefined ? [] : [renderExpression(join.where, runTime)]),
    ...join.semiJoins.map((next) => semiJoinCondition(next, parent, runTime, plainParents, depth + 1)),
  ];
  const alias = `lethe_parent_${depth}`;
  const names = join.parentColumns.map((_, i) => `k${i}`);
  const only = plainParents.has(tableText(join.parent)) ? 'ONLY ' : '';
  const rows = `SELECT ${join.parentColumns.map(quoteIdent).join(', ')} FROM ${only}${parent}${
    inner.length > 0 ? ` WHERE ${inner.join(' AND ')}` : ''
  }`;
  const pairs = join.columns.map((column, i) => `${alias}.${names[i]} = ${relation}.${quoteIdent(column)}`);
  const absent = join.columns.map((column) => `${relation}.${quoteIdent(column)} IS NULL`);
  return `(${absent.join(' OR ')} OR EXISTS (SELECT FROM (${rows}) AS ${alias} (${names.join(', ')}) WHERE ${pairs.join(' AND ')}))`;
}
