import { applyMigrations, schemaVersion } from '../migrations.js';
import type { Session } from '../session.js';

const LEDGER = { schema: 'lethe', folder: new URL('./migrations/', import.meta.url) };

/**
 * Brings the `lethe` schema of a destination up to this version.
 *
 * @throws LetheError `LedgerNewer` when a newer Lethe wrote the schema.
 */
export function migrate(session: Session): Promise<void> {
  return applyMigrations(session, LEDGER);
}

/** Version of the `lethe` schema: 0 where there is none. */
export function ledgerVersion(session: Session): Promise<number> {
  return schemaVersion(session, LEDGER.schema);
}
