import { createHash } from 'node:crypto';
import type { TableName } from '../../plan/catalog.js';
import { sanitize } from '../errors.js';
import { quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** One column as the wire protocol describes it: table oid, attribute number, name, type (domains resolved), modifier. */
export type ColumnShape = readonly [
  table: number,
  attnum: number,
  name: string,
  type: number,
  typmod: number,
];

/** SHA-256, hex, of a table's columns in order. */
export function fingerprintOf(columns: readonly ColumnShape[]): string {
  return createHash('sha256').update(JSON.stringify(columns)).digest('hex');
}

/**
 * The fingerprint of a table **as it is now**, also inside a transaction that reads under an old snapshot. Catalog
 * tables cannot tell that there: they are read under the same snapshot, so a column that was renamed since would go
 * unseen. Parsing a statement uses the current definition, and the server describes its result. Once the transaction
 * has read the table, its lock keeps the definition until the end. Needs SELECT on every column.
 */
export async function readFingerprint(session: Session, table: TableName): Promise<string> {
  if (session.lost) throw session.lost;
  try {
    const result = await session.client.query(`SELECT * FROM ONLY ${quoteTable(table)} LIMIT 0`);
    return fingerprintOf(
      result.fields.map((f) => [f.tableID, f.columnID, f.name, f.dataTypeID, f.dataTypeModifier] as const),
    );
  } catch (error) {
    throw sanitize(error, `reading the columns of ${table.schema}.${table.name}`);
  }
}

/**
 * The file numbers of relations as they are now, whatever the snapshot; a dropped relation is missing. A number that
 * differs from the one at planning means that the table was rewritten or truncated: an older snapshot then sees no
 * rows in it, without an error.
 */
export async function readFilenodes(session: Session, oids: readonly number[]): Promise<Map<number, string>> {
  const rows = await query(
    session,
    'SELECT oid, pg_relation_filenode(oid::regclass) AS filenode FROM unnest($1::oid[]) AS oid',
    [oids],
  );
  return new Map(
    rows.flatMap((row) => (row.filenode === null ? [] : [[Number(row.oid), row.filenode!] as const])),
  );
}
