import { query, type Session } from '../session.js';

/** What the ledger says of a table of a run. */
export interface TableSummary {
  /** Plan id. */
  readonly table: number;
  readonly rows: number;
  readonly quarantined: number;
  readonly bytes: number;
  readonly batches: number;
  readonly failed: number;
  readonly partitions: number;
  readonly partitionsDone: number;
}

/** Counts of a run by table, from its partitions, batches and quarantine. */
export async function summarize(session: Session, run: string): Promise<TableSummary[]> {
  const rows = await query(
    session,
    `SELECT p.table_id, p.partitions, p.done, coalesce(b.rows, 0) AS rows, coalesce(b.bytes, 0) AS bytes,
            coalesce(b.batches, 0) AS batches, coalesce(b.failed, 0) AS failed, coalesce(q.rows, 0) AS quarantined
     FROM (SELECT table_id, count(*) AS partitions, count(*) FILTER (WHERE done) AS done
           FROM lethe.partition WHERE run = $1 GROUP BY table_id) p
     LEFT JOIN (SELECT table_id, sum(rows) FILTER (WHERE state = 'committed') AS rows,
                       sum(bytes) FILTER (WHERE state = 'committed') AS bytes,
                       count(*) FILTER (WHERE state = 'committed') AS batches,
                       count(*) FILTER (WHERE state = 'failed') AS failed
                FROM lethe.batch WHERE run = $1 GROUP BY table_id) b USING (table_id)
     LEFT JOIN (SELECT table_id, count(*) AS rows FROM lethe.quarantine
                WHERE run = $1 AND replayed_at IS NULL GROUP BY table_id) q USING (table_id)
     ORDER BY p.table_id`,
    [run],
  );
  return rows.map((row) => ({
    table: Number(row.table_id),
    rows: Number(row.rows),
    quarantined: Number(row.quarantined),
    bytes: Number(row.bytes),
    batches: Number(row.batches),
    failed: Number(row.failed),
    partitions: Number(row.partitions),
    partitionsDone: Number(row.done),
  }));
}

/** Whether ranges of the run's tables were read under more than one state of the source. */
export async function isTorn(session: Session, run: string): Promise<boolean> {
  const [row] = await query(
    session,
    `SELECT count(DISTINCT b.generation) > 1 AS torn FROM lethe.batch b JOIN lethe.partition p USING (run, partition)
     WHERE b.run = $1 AND b.state = 'committed' AND p.replay IS NULL`,
    [run],
  );
  return row?.torn === 't';
}

/** Quarantined rows by table and reason, most first: `lethe show` and the verdict list them. */
export async function quarantineReasons(
  session: Session,
  run: string,
): Promise<{ table: number; count: number; reason: string }[]> {
  const rows = await query(
    session,
    `SELECT table_id, count(*) AS count, message FROM lethe.quarantine
     WHERE run = $1 AND replayed_at IS NULL GROUP BY table_id, message ORDER BY count(*) DESC, table_id, message`,
    [run],
  );
  return rows.map((row) => ({ table: Number(row.table_id), count: Number(row.count), reason: row.message! }));
}

/** Batches with rows in quarantine, as a replay takes them: `partition/batch`. Rows that settle removed are in none. */
export async function quarantinedBatches(
  session: Session,
  run: string,
): Promise<{ table: number; batch: string; count: number }[]> {
  const rows = await query(
    session,
    `SELECT table_id, partition || '/' || batch AS batch, count(*) AS count FROM lethe.quarantine
     WHERE run = $1 AND replayed_at IS NULL AND partition IS NOT NULL
     GROUP BY table_id, partition, batch ORDER BY table_id, partition, batch`,
    [run],
  );
  return rows.map((row) => ({
    table: Number(row.table_id),
    batch: row.batch!,
    count: Number(row.count),
  }));
}

/** Last link of the hash chain of each partition; '' for one without a batch. */
export async function partitionHeads(session: Session, run: string): Promise<Map<number, string>> {
  const rows = await query(
    session,
    `SELECT partition, coalesce(head, (SELECT chain FROM lethe.batch b
       WHERE b.run = p.run AND b.partition = p.partition AND chain IS NOT NULL ORDER BY batch DESC LIMIT 1), '') AS head
     FROM lethe.partition p WHERE run = $1`,
    [run],
  );
  return new Map(rows.map((row) => [Number(row.partition), row.head!]));
}
