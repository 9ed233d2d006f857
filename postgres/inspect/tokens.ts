import { quoteIdent } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** Values of a column by what they are. */
export interface TokenCounts {
  /** Tokens, by policy and date as their headers have them: `ip260228`. A date may be none of the calendar. */
  readonly tokens: ReadonlyMap<string, number>;
  /** What stands for expired values. */
  readonly markers: number;
  /** Neither. */
  readonly others: number;
}

/** See the token format: header, a body of a possible length whose unused bits are zero, a point. */
const TOKEN =
  '^l[tpbq]1\\.[a-z0-9]{2}[0-9]{6}\\.(?:[A-Za-z0-9_-]{4})+(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?\\.$';
const LEAST_CHARACTERS = 52;

/**
 * Counts the values of a column that are tokens as a whole; the server does, and no value leaves it.
 *
 * @param from What stands after `FROM`, with the table as `d`.
 * @param markers Texts that stand for expired values.
 */
export async function countTokens(
  session: Session,
  from: string,
  column: string,
  markers: readonly string[],
): Promise<TokenCounts> {
  const rows = await query(
    session,
    `SELECT what, count(*) AS n
       FROM (SELECT CASE WHEN v = ANY ($1::text[]) THEN 'marker'
                         WHEN length(v) >= ${LEAST_CHARACTERS} AND v ~ '${TOKEN}' THEN substr(v, 5, 8)
                         ELSE '' END AS what
               FROM (SELECT d.${quoteIdent(column)}::text COLLATE "C" AS v FROM ${from}) AS c
              WHERE v IS NOT NULL) AS w
      GROUP BY what`,
    [markers],
  );
  const counts = new Map(rows.map(({ what, n }) => [what!, Number(n)]));
  const take = (what: string) => {
    const count = counts.get(what) ?? 0;
    counts.delete(what);
    return count;
  };
  return { markers: take('marker'), others: take(''), tokens: counts };
}
