import type { TableName } from '../plan/catalog.js';
import { quoteTable } from './identifiers.js';
import { query, type Session } from './session.js';

/** Of the tables, those whose owner row security is forced on, where that would hide rows from this role; quoted. */
async function forcedTables(session: Session, tables: readonly TableName[]): Promise<string[]> {
  const rows = await query(
    session,
    `SELECT n.nspname AS schema, c.relname AS name
       FROM jsonb_to_recordset($1::jsonb) AS w(schema text, name text)
       JOIN pg_catalog.pg_namespace n ON n.nspname = w.schema
       JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
      WHERE c.relrowsecurity AND c.relforcerowsecurity
        AND NOT (SELECT u.rolsuper OR u.rolbypassrls FROM pg_catalog.pg_roles u WHERE u.rolname = current_user)
        AND pg_catalog.pg_has_role(c.relowner, 'USAGE')
      ORDER BY c.oid`,
    [JSON.stringify(tables.map(({ schema, name }) => ({ schema, name })))],
  );
  return rows.map((row) => quoteTable({ schema: row.schema!, name: row.name! }));
}

/**
 * Reads tables whole whose owner this role is: where row security is forced on owners too, in a transaction that
 * switches this off and is rolled back. `body` must not write.
 */
export async function readingAllRows<T>(
  session: Session,
  tables: readonly TableName[],
  body: () => Promise<T>,
): Promise<T> {
  const forced = await forcedTables(session, tables);
  if (forced.length === 0) return body();
  await query(session, 'BEGIN');
  try {
    for (const table of forced) await query(session, `ALTER TABLE ONLY ${table} NO FORCE ROW LEVEL SECURITY`);
    return await body();
  } finally {
    await query(session, 'ROLLBACK');
  }
}
