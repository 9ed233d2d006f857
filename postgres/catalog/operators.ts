import type { TableName } from '../../plan/catalog.js';
import { quoteIdent, quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** Operators by which a column's type is ordered, as SQL: `OPERATOR(public.<)`. */
export interface Ordering {
  readonly less: string;
  readonly equal: string;
  readonly atLeast: string;
  readonly greater: string;
  /** They are those of `pg_catalog`, which need no schema. */
  readonly builtIn: boolean;
  /** The type that they compare, as SQL; '' when built in. */
  readonly type: string;
}

const BUILT_IN: Ordering = { less: '<', equal: '=', atLeast: '>=', greater: '>', builtIn: true, type: '' };

/**
 * The operators of columns' default ordering, which is that of ORDER BY and of keys. A plain `<` is looked up by the
 * search path, and ours is empty: it would compare citext as text, and find none for ltree.
 */
export async function readOrderings(
  session: Session,
  table: TableName,
  columns: readonly string[],
): Promise<Ordering[]> {
  const rows = await query(
    session,
    `WITH RECURSIVE based AS (
       SELECT a.attname, a.atttypid AS type FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = $1::regclass AND a.attname = ANY ($2::name[])
       UNION ALL
       SELECT b.attname, t.typbasetype FROM based b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
     )
     SELECT b.attname AS column, format_type(b.type, NULL) AS type, o.amopstrategy AS strategy, p.oprname AS name, n.nspname AS schema
       FROM based b
       JOIN pg_catalog.pg_opclass c ON c.opcintype = b.type AND c.opcdefault
       JOIN pg_catalog.pg_am m ON m.oid = c.opcmethod AND m.amname = 'btree'
       JOIN pg_catalog.pg_amop o ON o.amopfamily = c.opcfamily AND o.amoppurpose = 's'
        AND o.amoplefttype = c.opcintype AND o.amoprighttype = c.opcintype
       JOIN pg_catalog.pg_operator p ON p.oid = o.amopopr
       JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace
      WHERE n.nspname <> 'pg_catalog'`,
    [quoteTable(table), [...columns]],
  );
  return columns.map((column) => {
    const own = rows.filter((row) => row.column === column);
    const operator = (strategy: number) => {
      const row = own.find((found) => Number(found.strategy) === strategy);
      return row && `OPERATOR(${quoteIdent(row.schema!)}.${row.name})`;
    };
    const [less, equal, atLeast, greater] = [1, 3, 4, 5].map(operator);
    return less && equal && atLeast && greater
      ? { less, equal, atLeast, greater, builtIn: false, type: own[0]!.type! }
      : BUILT_IN;
  });
}

/**
 * `columns >= values` or `columns < values`, row-wise.
 *
 * @param columns SQL of each column.
 * @param values SQL of the value beside it.
 */
export function compareRows(
  columns: readonly string[],
  than: 'atLeast' | 'less',
  values: readonly string[],
  orderings: readonly Ordering[],
): string {
  const [strict, last] = than === 'less' ? (['less', 'less'] as const) : (['greater', 'atLeast'] as const);
  if (columns.length === 1) return `${columns[0]} ${orderings[0]![last]} ${values[0]}`;
  // A row comparison takes one operator name for all columns, and lets an index find the place.
  if (orderings.every(({ builtIn }) => builtIn)) {
    return `ROW(${columns.join(', ')}) ${BUILT_IN[last]} ROW(${values.join(', ')})`;
  }
  const from = (i: number): string => {
    const pair = (operator: string) => `${columns[i]} ${operator} ${values[i]}`;
    if (i === columns.length - 1) return pair(orderings[i]![last]);
    return `(${pair(orderings[i]![strict])} OR ${pair(orderings[i]!.equal)} AND ${from(i + 1)})`;
  };
  return from(0);
}
