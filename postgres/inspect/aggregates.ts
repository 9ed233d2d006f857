import { quoteIdent } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** A column whose values are counted. */
export interface AggregatedColumn {
  readonly name: string;
  /** Has an order that numbers tell: a number, or a point in time. */
  readonly ordered: 'number' | 'time' | 'none';
}

/** What was counted of a column: numbers only. */
export interface Aggregates {
  readonly rows: number;
  readonly nulls: number;
  readonly distinct: number;
  /** Characters. */
  readonly length?: Spread;
  /** Of numbers; of points in time in seconds. */
  readonly range?: Spread;
  /** How often the most frequent values occur, most frequent first. */
  readonly top: readonly number[];
}

export interface Spread {
  readonly least: number;
  readonly most: number;
  readonly mean: number;
}

/** Values whose frequency is told. */
export const TOP = 10;

/**
 * Counts the values of columns, all in one statement over one reading of the rows.
 *
 * @param rows A SELECT that gives these columns.
 */
export async function aggregate(
  session: Session,
  rows: string,
  columns: readonly AggregatedColumn[],
): Promise<Map<string, Aggregates>> {
  if (columns.length === 0) return new Map();
  // A numeric may be too large, or too near to 0, for a float8; so may be a sum of them.
  const parts = columns.map(({ name, ordered }, i) => {
    const column = quoteIdent(name);
    const text = `${column}::text`;
    const number =
      ordered === 'number'
        ? `round(CASE WHEN abs(${column}::numeric) < 1e290 THEN ${column}::numeric END, 300)::float8`
        : ordered === 'time'
          ? `extract(epoch FROM ${column})::float8`
          : 'NULL::float8';
    return `SELECT ${i} AS place, (SELECT count(*) FROM sample) AS rows, coalesce(sum(n), 0) AS given, count(*) AS distinct,
        min(length) AS shortest, max(length) AS longest, sum(length * n) / nullif(sum(n), 0) AS mean_length,
        min(number) AS least, max(number) AS most, sum(number * n) / nullif(sum(n), 0) AS mean,
        (array_agg(n ORDER BY n DESC))[1:${TOP}] AS top
      FROM (SELECT count(*) AS n, length(${text}) AS length, ${finite(number)} AS number
              FROM sample WHERE ${column} IS NOT NULL GROUP BY ${text}, 2, 3) AS v`;
  });
  const found = await query(session, `WITH sample AS MATERIALIZED (${rows}) ${parts.join(' UNION ALL ')}`);
  return new Map(
    found.map((row) => {
      const spread = (
        least: string | null | undefined,
        most: string | null | undefined,
        mean: string | null | undefined,
      ) =>
        least == null || most == null || mean == null
          ? undefined
          : { least: Number(least), most: Number(most), mean: Number(mean) };
      const length = spread(row.shortest, row.longest, row.mean_length);
      const range = spread(row.least, row.most, row.mean);
      const all = Number(row.rows);
      return [
        columns[Number(row.place)]!.name,
        {
          rows: all,
          nulls: all - Number(row.given),
          distinct: Number(row.distinct),
          ...(length && { length }),
          ...(range && { range }),
          top: row.top ? (row.top.slice(1, -1).split(',').map(Number) as number[]) : [],
        },
      ];
    }),
  );
}

/** Not a number, and the ends of time, have no place on a scale. */
function finite(number: string): string {
  return `CASE WHEN ${number} BETWEEN -1e290 AND 1e290 THEN ${number} END`;
}
