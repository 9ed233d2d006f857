import { quoteIdent, quoteTable } from '../identifiers.js';
import type { ForeignKeyFacts } from '../ledger/ddl.js';
import { query, type Session } from '../session.js';

/** `FROM` item of the table whose rows a foreign key checks, as `c`; a key does not look at inheritance children. */
export function childFrom(key: ForeignKeyFacts): string {
  return `${key.partitioned ? '' : 'ONLY '}${quoteTable({ schema: key.schema, name: key.table })} AS c`;
}

/** `FROM` item of the table that it references, as `p`. */
export function parentFrom(key: ForeignKeyFacts): string {
  return `${key.parentPartitioned ? '' : 'ONLY '}${quoteTable({ schema: key.parentSchema, name: key.parentTable })} AS p`;
}

/** That `p` is the parent of `c`, by the operators of the key itself: a plain `=` would not find citext's. */
export function parentPairs(key: ForeignKeyFacts): string {
  return key.columns
    .map((column, i) => {
      const collation = key.collations[i];
      return `p.${quoteIdent(key.parentColumns[i]!)} ${key.operators[i]} c.${quoteIdent(column)}${collation ? ` COLLATE ${collation}` : ''}`;
    })
    .join(' AND ');
}

/** Condition over `c` that is true for the rows that the key refuses: an anti-join under its MATCH. */
export function orphanCondition(key: ForeignKeyFacts): string {
  const columns = key.columns.map((column) => `c.${quoteIdent(column)}`);
  const set = columns.map((column) => `${column} IS NOT NULL`).join(' AND ');
  const missing = `${set} AND NOT EXISTS (SELECT 1 FROM ${parentFrom(key)} WHERE ${parentPairs(key)})`;
  if (!key.matchFull || columns.length === 1) return missing;
  const some = columns.map((column) => `${column} IS NOT NULL`).join(' OR ');
  return `(${missing}) OR ((${some}) AND NOT (${set}))`;
}

/** Whether any row stands in the way of the key. */
export async function hasOrphans(session: Session, key: ForeignKeyFacts): Promise<boolean> {
  const rows = await query(session, `SELECT 1 FROM ${childFrom(key)} WHERE ${orphanCondition(key)} LIMIT 1`);
  return rows.length > 0;
}
