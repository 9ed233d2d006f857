import { randomUUID } from 'node:crypto';
import type { TableName } from '../../plan/catalog.js';
import { migrate } from '../../postgres/ledger/migrate.js';
import type { Fence } from '../../postgres/saga/put-back.js';
import type { SagaPlan } from '../../postgres/saga/take-away.js';
import { openSession, query, type Session, withTransaction } from '../../postgres/session.js';

/** No fence: what these tests look at is what is taken away and put back. */
export const unfenced: Fence = async () => {};

export async function open(url: string, name = 'lethe:test'): Promise<Session> {
  const session = await openSession({ url, role: 'destination', applicationName: name });
  if (process.env.LETHE_TEST_SQL) {
    const run = session.client.query.bind(session.client) as (...args: unknown[]) => Promise<unknown>;
    session.client.query = (async (...args: unknown[]) => {
      try {
        return await run(...args);
      } catch (error) {
        console.error((error as Error).message, args[0]);
        throw error;
      }
    }) as typeof session.client.query;
  }
  return session;
}

/** Statements, one transaction each, for setting a scene; names without a schema are in `public`. */
export async function sql(session: Session, ...statements: string[]): Promise<void> {
  for (const statement of statements) {
    try {
      await session.client.query(`BEGIN; SET LOCAL search_path = public; ${statement}; COMMIT`);
    } catch (error) {
      await session.client.query('ROLLBACK');
      throw new Error(`${(error as Error).message}\n${statement}`);
    }
  }
}

/** Every table of the given schemas as a job's plan would list them. */
export async function planOf(
  session: Session,
  options: { schemas?: string[]; mode?: 'replace' | 'upsert'; rows?: number; only?: string[] } = {},
): Promise<SagaPlan> {
  const rows = await query(
    session,
    `SELECT n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = ANY ($1::text[]) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND ($2::text[] IS NULL OR c.relname = ANY ($2))
      ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
    [options.schemas ?? ['public'], options.only ?? null],
  );
  return {
    mode: options.mode ?? 'replace',
    cycles: [],
    tables: rows.map((row, i) => ({
      id: i + 1,
      destination: { schema: String(row.schema), name: String(row.name) },
      rows: options.rows ?? 1_000_000,
    })),
  };
}

/** The rows of the ledger that a run of the plan would have: the run, and an epoch for each table. */
export async function beginRun(session: Session, plan: SagaPlan): Promise<string> {
  await migrate(session);
  const run = randomUUID();
  await query(
    session,
    `INSERT INTO lethe.run (run, job, mode, state, pins, namespace, workflow_id)
     VALUES ($1, 'test', $2, 'loading', $3, 'default', 'sync:test')`,
    [run, plan.mode, JSON.stringify({ plan })],
  );
  for (const { destination: t } of plan.tables) {
    await query(
      session,
      `INSERT INTO lethe.epoch (schema_name, table_name, run, n) VALUES ($1, $2, $3, 1)
       ON CONFLICT (schema_name, table_name) DO UPDATE SET run = $3, n = lethe.epoch.n + 1`,
      [t.schema, t.name, run],
    );
  }
  return run;
}

/** The connection breaks just before its n-th statement from now (0: the next one), as when a worker is killed. */
export function dieBefore(session: Session, n: number): void {
  const client = session.client as unknown as {
    query: (...args: unknown[]) => unknown;
    connection: { stream: { destroy(): void } };
  };
  const run = client.query.bind(client);
  let left = n;
  client.query = (...args) => {
    if (left-- <= 0) client.connection.stream.destroy();
    return run(...args);
  };
}

/** Says in the ledger that tables were loaded whole. */
export async function markLoaded(session: Session, run: string, ids: readonly number[]): Promise<void> {
  for (const id of ids) {
    await query(
      session,
      `INSERT INTO lethe.partition (run, partition, table_id, bounds, generation, done)
       VALUES ($1, $2, $2, '', 1, true) ON CONFLICT (run, partition) DO UPDATE SET done = true`,
      [run, id],
    );
  }
}

export async function inTransaction<T>(session: Session, body: () => Promise<T>): Promise<T> {
  return withTransaction(session, body);
}

/**
 * Everything that a load may take away, as text: indexes with all their particulars, constraints, triggers (internal
 * ones by what they do), rules, row security. Equal texts mean that the catalog is as it was.
 */
export async function catalogText(
  session: Session,
  schemas: readonly string[] = ['public'],
): Promise<string[]> {
  const rows = await query(session, CATALOG, [schemas]);
  return rows.map((row) => String(row.line)).sort();
}

export async function countRows(session: Session, table: TableName | string): Promise<number> {
  const name = typeof table === 'string' ? `public.${table}` : `"${table.schema}"."${table.name}"`;
  const [row] = await query(session, `SELECT count(*) AS n FROM ONLY ${name}`);
  return Number(row?.n);
}

const CATALOG = `
  WITH rel AS (
    SELECT c.*, n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = ANY ($1::text[])
  )
  SELECT concat_ws(' | ', 'index', r.oid::regclass, pg_get_indexdef(i.indexrelid), ic.relkind, ic.reloptions,
           (SELECT spcname FROM pg_tablespace s WHERE s.oid = ic.reltablespace), 'unique', i.indisunique, 'primary',
           i.indisprimary, 'immediate', i.indimmediate, 'clustered', i.indisclustered, 'replica', i.indisreplident,
           'valid', i.indisvalid, 'parent', (SELECT inhparent::regclass FROM pg_inherits h WHERE h.inhrelid = i.indexrelid),
           obj_description(i.indexrelid, 'pg_class'), pg_get_userbyid(ic.relowner),
           (SELECT string_agg(a.attname || coalesce(a.attstattarget, -1), ',' ORDER BY a.attnum)
              FROM pg_attribute a WHERE a.attrelid = i.indexrelid)) AS line
    FROM rel r JOIN pg_index i ON i.indrelid = r.oid JOIN pg_class ic ON ic.oid = i.indexrelid
  UNION ALL
  SELECT concat_ws(' | ', 'constraint', r.oid::regclass, k.conname, k.contype, pg_get_constraintdef(k.oid), 'valid',
           k.convalidated, 'local', k.conislocal, k.coninhcount, 'noinherit', k.connoinherit, 'index', k.conindid::regclass,
           'parent', (SELECT p.conrelid::regclass || '.' || p.conname FROM pg_constraint p WHERE p.oid = k.conparentid),
           obj_description(k.oid, 'pg_constraint'))
    FROM rel r JOIN pg_constraint k ON k.conrelid = r.oid
  UNION ALL
  SELECT concat_ws(' | ', 'trigger', r.oid::regclass, CASE WHEN t.tgisinternal THEN '' ELSE t.tgname END, t.tgenabled,
           t.tgfoid::regprocedure, t.tgtype, k.conname,
           CASE WHEN NOT t.tgisinternal THEN pg_get_triggerdef(t.oid) END, t.tgparentid <> 0)
    FROM rel r JOIN pg_trigger t ON t.tgrelid = r.oid LEFT JOIN pg_constraint k ON k.oid = t.tgconstraint
  UNION ALL
  SELECT concat_ws(' | ', 'rule', r.oid::regclass, w.rulename, w.ev_enabled, pg_get_ruledef(w.oid))
    FROM rel r JOIN pg_rewrite w ON w.ev_class = r.oid
  UNION ALL
  SELECT concat_ws(' | ', 'table', r.oid::regclass, r.relkind, r.relrowsecurity, r.relforcerowsecurity, r.relreplident,
           r.relhasindex OR r.relkind <> 'v', obj_description(r.oid, 'pg_class'))
    FROM rel r WHERE r.relkind IN ('r', 'p', 'v', 'm')
  UNION ALL
  SELECT concat_ws(' | ', 'column', r.oid::regclass, a.attname, a.attnotnull, a.attidentity, a.attgenerated)
    FROM rel r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 WHERE r.relkind IN ('r', 'p')`;
