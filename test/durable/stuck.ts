import { query } from '../../postgres/session.js';
import { ask, inside, until } from './fixture.js';

/** Of the tables that `crm.ts` fills, those that keep a load busy. */
const TABLES = 'public.customer, public.address, public."Order", public.voucher, public.event';

/**
 * Locks the tables against writing, waits until a COPY of Lethe stands there, and runs `body` while it does:
 * what is killed then is killed at work, however fast the machine is.
 */
export function whileCopyWaits<T>(
  database: { readonly url: string },
  body: () => Promise<T>,
  tables = TABLES,
): Promise<T> {
  return inside(database, async (session) => {
    await query(session, 'BEGIN');
    await query(session, `LOCK TABLE ${tables} IN SHARE MODE`);
    try {
      await until('a COPY waits', async () => {
        // In a session of its own: a transaction sees the activity of its first look for ever.
        const [waiting] = await ask(
          database,
          `SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database()
             AND application_name LIKE 'lethe:%' AND query LIKE 'COPY%' AND wait_event_type = 'Lock'`,
        );
        return waiting !== undefined;
      });
      return await body();
    } finally {
      await query(session, 'ROLLBACK');
    }
  });
}
