import { LetheError } from '../../errors/errors.js';
import type { BatchFacts } from '../../ledger/chain.js';
import type { BatchState } from '../../ledger/types.js';
import { execute, query, type Session, type TextRow } from '../session.js';
import { type BatchId, type TwinGuard, withoutTwin } from './twins.js';

/*
 * lethe.partition and lethe.batch. Bounds come in sealed. Callers own the transactions,
 * except where a function says that it makes one.
 */

/** A partition as stored. */
export interface StoredPartition {
  readonly partition: number;
  readonly table: number;
  readonly bounds: string;
  readonly generation: number;
  readonly done: boolean;
  /** The replay that copied its rows one by one, by their keys; then it is no range. */
  readonly replay?: number;
}

/** A batch as stored: claimed → committed, or claimed → failed → committed. */
export interface StoredBatch {
  readonly batch: number;
  readonly state: BatchState;
  readonly bounds: string;
  readonly generation: number;
  readonly attempt: number;
  /** Link of the hash chain, once committed. */
  readonly chain: string;
}

/** The partitions of a table, if it was cut, in order. */
export async function readPartitions(
  session: Session,
  run: string,
  table: number,
): Promise<StoredPartition[]> {
  const rows = await query(
    session,
    `SELECT partition, table_id, bounds, generation, done, replay FROM lethe.partition
     WHERE run = $1 AND table_id = $2::int ORDER BY partition`,
    [run, table],
  );
  return rows.map(toPartition);
}

export async function readPartition(
  session: Session,
  run: string,
  partition: number,
): Promise<StoredPartition | undefined> {
  const [row] = await query(
    session,
    `SELECT partition, table_id, bounds, generation, done, replay FROM lethe.partition WHERE run = $1 AND partition = $2::int`,
    [run, partition],
  );
  return row && toPartition(row);
}

/**
 * Opens the ledger's account of rows that a replay copies by their keys, in the transaction that writes them: a
 * partition of its own with one batch. `recordOutcome` and `finishPartition` close it.
 */
export async function openReplayed(
  session: Session,
  id: BatchId,
  of: {
    table: number;
    replay: number;
    generation: number;
    bounds: readonly [partition: string, batch: string];
  },
): Promise<void> {
  const { run, partition, batch } = id;
  await query(
    session,
    `INSERT INTO lethe.partition (run, partition, table_id, bounds, generation, replay)
     VALUES ($1, $2::int, $3::int, $4, $5::int, $6::int)`,
    [run, partition, of.table, of.bounds[0], of.generation, of.replay],
  );
  await query(
    session,
    `INSERT INTO lethe.batch (run, partition, batch, table_id, state, bounds, generation, backend, committed_at)
     VALUES ($1, $2::int, $3::int, $4::int, 'committed', $5, $6::int, $7, clock_timestamp())`,
    [run, partition, batch, of.table, of.bounds[1], of.generation, session.applicationName],
  );
}

/** Holds off others that hand out partition numbers of the run, until the transaction ends; returns the next number. */
export async function nextPartition(session: Session, run: string): Promise<number> {
  await query(session, `SELECT pg_advisory_xact_lock(hashtext('lethe/partition'), hashtext($1))`, [run]);
  const [row] = await query(
    session,
    'SELECT coalesce(max(partition), 0) + 1 AS next FROM lethe.partition WHERE run = $1',
    [run],
  );
  return Number(row?.next);
}

export async function insertPartitions(
  session: Session,
  run: string,
  table: number,
  generation: number,
  partitions: readonly { readonly partition: number; readonly bounds: string }[],
): Promise<void> {
  await query(
    session,
    `INSERT INTO lethe.partition (run, partition, table_id, bounds, generation)
     SELECT $1, p, $2::int, b, $3::int FROM unnest($4::int[], $5::text[]) AS u(p, b)`,
    [run, table, generation, partitions.map((p) => p.partition), partitions.map((p) => p.bounds)],
  );
}

/** Forgets the partitions of a table and its batches: by name, since a session that fires no trigger cascades nothing. */
export async function dropPartitions(session: Session, run: string, table: number): Promise<void> {
  await query(session, 'SELECT FROM lethe.partition WHERE run = $1 AND table_id = $2::int FOR UPDATE', [
    run,
    table,
  ]);
  await query(session, 'DELETE FROM lethe.batch WHERE run = $1 AND table_id = $2::int', [run, table]);
  await query(session, 'DELETE FROM lethe.partition WHERE run = $1 AND table_id = $2::int', [run, table]);
}

/** The batches of a partition that decide how it goes on: its last two, oldest first. */
export async function lastBatches(session: Session, run: string, partition: number): Promise<StoredBatch[]> {
  const rows = await query(
    session,
    `SELECT batch, state, bounds, generation, attempt, chain FROM lethe.batch
     WHERE run = $1 AND partition = $2::int ORDER BY batch DESC LIMIT 2`,
    [run, partition],
  );
  return rows.reverse().map(toBatch);
}

/**
 * Claims a batch in a transaction of its own, or finds it: bounds are fixed by whoever claims first. Its commit need
 * not reach the disk: were it lost in a crash, so would be everything that was built on it. Waits for a twin that is
 * committing it.
 *
 * @throws LetheError `RunSuperseded` when the partition is gone: its table was begun again.
 */
export async function claimBatch(
  session: Session,
  id: BatchId,
  claim: { table: number; bounds: string; generation: number },
  guard: TwinGuard,
): Promise<StoredBatch> {
  return withoutTwin(session, id, guard, async () => {
    const rows = await query(
      session,
      `INSERT INTO lethe.batch AS b (run, partition, batch, table_id, state, bounds, generation, backend)
       SELECT p.run, p.partition, $3::int, $4::int, 'claimed', $5, $6::int, $7
         FROM lethe.partition p WHERE p.run = $1 AND p.partition = $2::int FOR KEY SHARE
       ON CONFLICT (run, partition, batch) DO UPDATE
         SET attempt = b.attempt + 1, generation = excluded.generation, backend = excluded.backend, claimed_at = clock_timestamp()
         WHERE b.state <> 'committed'
       RETURNING batch, state, bounds, generation, attempt, chain`,
      [id.run, id.partition, id.batch, claim.table, claim.bounds, claim.generation, session.applicationName],
    );
    const found = rows[0] ?? (await readBatch(session, id));
    if (found) return toBatch(found);
    throw new LetheError(
      'RunSuperseded',
      `Partition ${id.partition} of run ${id.run} is gone: its table was begun again. This attempt writes nothing more.`,
    );
  });
}

/** What a batch has to say when it commits. */
export type BatchOutcome = Omit<
  BatchFacts,
  'run' | 'partition' | 'batch' | 'table' | 'bounds' | 'evidenceDigest'
> & {
  readonly chain: string;
  readonly evidence: Buffer | null;
};

/**
 * First of a batch's transaction, before its rows: false when a twin has committed it, in which case the transaction
 * must be rolled back and the batch skipped. Waits for a twin that is in the middle of it.
 */
export async function guardBatch(session: Session, id: BatchId): Promise<boolean> {
  const changed = await execute(
    session,
    `UPDATE lethe.batch SET state = 'committed', committed_at = clock_timestamp(), error = NULL, backend = $4
     WHERE run = $1 AND partition = $2::int AND batch = $3::int AND state <> 'committed'`,
    [id.run, id.partition, id.batch, session.applicationName],
  );
  return changed === 1;
}

/** The time that a batch is going to bear, by the destination's clock, as a session of ours prints it. */
export async function batchTime(session: Session): Promise<string> {
  const [row] = await query(session, 'SELECT clock_timestamp() AS now');
  return row!.now!;
}

/** Last of a batch's transaction: what it did. */
export async function recordOutcome(session: Session, id: BatchId, outcome: BatchOutcome): Promise<void> {
  await query(
    session,
    `UPDATE lethe.batch SET rows = $4::bigint, quarantined = $5::bigint, bytes = $6::bigint, rules = $7::jsonb, leaks = $8::jsonb,
       source_digest = $9, output_digest = $10, evidence = $11, chain = $12, generation = $13::int,
       committed_at = $14::timestamptz
     WHERE run = $1 AND partition = $2::int AND batch = $3::int`,
    [
      id.run,
      id.partition,
      id.batch,
      outcome.rows,
      outcome.quarantined,
      outcome.bytes,
      JSON.stringify(outcome.rules),
      JSON.stringify(outcome.leaks),
      outcome.sourceDigest,
      outcome.outputDigest,
      outcome.evidence,
      outcome.chain,
      outcome.generation,
      outcome.committedAt,
    ],
  );
}

/** Writes that a batch failed, unless somebody committed it meanwhile: a loser never overwrites a winner. */
export async function failBatch(session: Session, id: BatchId, error: string): Promise<void> {
  await query(
    session,
    `UPDATE lethe.batch SET state = 'failed', error = $4
     WHERE run = $1 AND partition = $2::int AND batch = $3::int AND state <> 'committed'`,
    [id.run, id.partition, id.batch, error],
  );
}

/** All of a partition's batches are committed. */
export async function finishPartition(
  session: Session,
  run: string,
  partition: number,
  head: string,
): Promise<void> {
  await query(
    session,
    `UPDATE lethe.partition SET done = true, head = $3 WHERE run = $1 AND partition = $2::int`,
    [run, partition, head],
  );
}

/** What the committed batches of partitions wrote. */
export async function countPartitions(
  session: Session,
  run: string,
  partitions: readonly number[],
): Promise<{ rows: number; bytes: number; quarantined: number }> {
  const [row] = await query(
    session,
    `SELECT coalesce(sum(rows), 0) AS rows, coalesce(sum(bytes), 0) AS bytes, coalesce(sum(quarantined), 0) AS quarantined
     FROM lethe.batch WHERE run = $1 AND partition = ANY ($2::int[]) AND state = 'committed'`,
    [run, partitions],
  );
  return { rows: Number(row?.rows), bytes: Number(row?.bytes), quarantined: Number(row?.quarantined) };
}

/** Rows of a table that committed batches of the run have dealt with. */
export async function countTable(session: Session, run: string, table: number): Promise<number> {
  const [row] = await query(
    session,
    `SELECT coalesce(sum(rows + quarantined), 0) AS count FROM lethe.batch
     WHERE run = $1 AND table_id = $2::int AND state = 'committed'`,
    [run, table],
  );
  return Number(row?.count);
}

async function readBatch(session: Session, id: BatchId): Promise<TextRow | undefined> {
  const [row] = await query(
    session,
    `SELECT batch, state, bounds, generation, attempt, chain FROM lethe.batch
     WHERE run = $1 AND partition = $2::int AND batch = $3::int`,
    [id.run, id.partition, id.batch],
  );
  return row;
}

function toPartition(row: TextRow): StoredPartition {
  return {
    partition: Number(row.partition),
    table: Number(row.table_id),
    bounds: row.bounds!,
    generation: Number(row.generation),
    done: row.done === 't',
    ...(row.replay !== null && { replay: Number(row.replay) }),
  };
}

function toBatch(row: TextRow): StoredBatch {
  return {
    batch: Number(row.batch),
    state: row.state as BatchState,
    bounds: row.bounds!,
    generation: Number(row.generation),
    attempt: Number(row.attempt),
    chain: row.chain ?? '',
  };
}
