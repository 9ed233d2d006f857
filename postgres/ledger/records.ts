import type { AuditedLedger } from '../../ledger/audit/audit.js';
import type {
  BatchRecord,
  PartitionRecord,
  QuarantineRecord,
  RunRecord,
  Segment,
  SignedReport,
} from '../../ledger/records.js';
import type { RunReport } from '../../ledger/report.js';
import { isOpen } from '../../ledger/states.js';
import type { Pins, RunState } from '../../ledger/types.js';
import type { Plan } from '../../plan/plan.js';
import { query, type Session, type TextRow } from '../session.js';
import { unknownRun } from './runs.js';

const TIME = `'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'`;

/** @throws LetheError `UnknownRun`. */
export async function readRunRecord(session: Session, run: string): Promise<RunRecord> {
  const [row] = await query(
    session,
    `SELECT run, job, mode, state, pins, report, signature, public_key,
            to_char(started_at, ${TIME}) AS started_at, to_char(ended_at, ${TIME}) AS ended_at
     FROM lethe.run WHERE run = $1`,
    [run],
  );
  if (!row) throw unknownRun(run);
  return {
    run: row.run!,
    job: row.job!,
    mode: row.mode!,
    state: row.state as RunState,
    startedAt: row.started_at!,
    endedAt: row.ended_at ?? null,
    pins: JSON.parse(row.pins!) as Pins,
    signed: toSigned(row),
  };
}

function toSigned(row: TextRow): SignedReport | null {
  if (!row.report) return null;
  return {
    report: JSON.parse(row.report) as RunReport,
    signature: row.signature ?? null,
    publicKey: row.public_key ?? null,
  };
}

/** The run as it was started and its replays, in order. A replay keeps the report that it follows. */
export async function readSegments(session: Session, run: RunRecord): Promise<Segment[]> {
  const [there] = await query(session, `SELECT to_regclass('lethe.replay') IS NOT NULL AS there`);
  const replays =
    there?.there === 't'
      ? await query(
          session,
          'SELECT plan, job_text, report, signature, public_key FROM lethe.replay WHERE run = $1 ORDER BY n',
          [run.run],
        )
      : [];
  const pins = replays.map(
    (row): Pins => ({ ...run.pins, plan: JSON.parse(row.plan!) as Plan, jobText: row.job_text! }),
  );
  // While a replay goes on, the run still bears the report that it follows.
  const goesOn = isOpen(run.state) && replays.at(-1)?.signature === run.signed?.signature;
  const last = goesOn ? null : run.signed;
  const signed = [...replays.map(toSigned), last];
  return [run.pins, ...pins].map((of, i) => ({ pins: of, signed: signed[i] ?? null }));
}

/** The ledger of a run, for an audit. In a transaction of the caller, so that it is one state; batches come when read. */
export async function readLedgerOf(session: Session, id: string): Promise<AuditedLedger> {
  const run = await readRunRecord(session, id);
  return {
    run,
    segments: await readSegments(session, run),
    partitions: await readPartitionRecords(session, id),
    quarantine: await readQuarantineRecords(session, id),
    batches: readBatchRecords(session, id),
  };
}

export async function readPartitionRecords(session: Session, run: string): Promise<PartitionRecord[]> {
  const rows = await query(
    session,
    `SELECT partition, table_id, bounds, generation, done, head, to_jsonb(p) ->> 'replay' AS replay
     FROM lethe.partition p WHERE run = $1 ORDER BY partition`,
    [run],
  );
  return rows.map((row) => ({
    partition: Number(row.partition),
    table: Number(row.table_id),
    bounds: row.bounds!,
    generation: Number(row.generation),
    done: row.done === 't',
    head: row.head ?? null,
    replay: number(row.replay),
  }));
}

export async function readQuarantineRecords(session: Session, run: string): Promise<QuarantineRecord[]> {
  const rows = await query(
    session,
    `SELECT table_id, partition, batch, key, key_hash, code, constraint_name, column_name, rule, message, waits_for_parent,
            replayed_at IS NOT NULL AS replayed, to_jsonb(q) ->> 'outcome' AS outcome, to_jsonb(q) ->> 'removed' AS removed
     FROM lethe.quarantine q WHERE run = $1 ORDER BY table_id, key_hash`,
    [run],
  );
  return rows.map((row) => ({
    table: Number(row.table_id),
    partition: number(row.partition),
    batch: number(row.batch),
    key: row.key!,
    keyHash: row.key_hash!,
    code: row.code!,
    constraint: row.constraint_name ?? null,
    column: row.column_name ?? null,
    rule: row.rule ?? null,
    message: row.message!,
    waitsForParent: row.waits_for_parent === 't',
    replayed: row.replayed === 't',
    outcome: row.outcome ?? null,
    removed: Number(row.removed ?? 0),
  }));
}

function number(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}

/** Batches fetched at once. */
const PAGE = 2_000;

/** All batches of a run, by partition and number. The digest of their evidence is taken by the server. */
export async function* readBatchRecords(session: Session, run: string): AsyncGenerator<BatchRecord> {
  let after = { partition: -1, batch: -1 };
  for (;;) {
    const rows = await query(
      session,
      `SELECT partition, batch, table_id, state, bounds, generation, attempt, rows, quarantined, bytes, rules, leaks,
              source_digest, output_digest, encode(sha256(evidence), 'hex') AS evidence_digest, chain, error, claimed_at, committed_at
       FROM lethe.batch WHERE run = $1 AND (partition, batch) > ($2::int, $3::int)
       ORDER BY partition, batch LIMIT ${PAGE}`,
      [run, after.partition, after.batch],
    );
    for (const row of rows) yield toBatch(run, row);
    const last = rows.at(-1);
    if (rows.length < PAGE || !last) return;
    after = { partition: Number(last.partition), batch: Number(last.batch) };
  }
}

/** The row digests that a batch kept under `evidence: row`, 16 bytes each; undefined where it kept none. */
export async function readEvidence(
  session: Session,
  id: { readonly run: string; readonly partition: number; readonly batch: number },
): Promise<Buffer | undefined> {
  const [row] = await query(
    session,
    `SELECT encode(evidence, 'base64') AS evidence FROM lethe.batch
     WHERE run = $1 AND partition = $2::int AND batch = $3::int`,
    [id.run, id.partition, id.batch],
  );
  return row?.evidence ? Buffer.from(row.evidence, 'base64') : undefined;
}

/** The batch of a table whose evidence holds a row digest, and the row's place in it. */
export async function findEvidence(
  session: Session,
  run: string,
  table: number,
  digest: Buffer,
): Promise<{ partition: number; batch: number; row: number } | undefined> {
  const rows = await query(
    session,
    `SELECT partition, batch, place - 1 AS at FROM lethe.batch, position(decode($3, 'hex') IN evidence) AS place
     WHERE run = $1 AND table_id = $2::int AND place > 0 ORDER BY partition, batch`,
    [run, table, digest.toString('hex')],
  );
  const [row] = rows.filter(({ at }) => Number(at) % digest.length === 0);
  return (
    row && {
      partition: Number(row.partition),
      batch: Number(row.batch),
      row: Number(row.at) / digest.length,
    }
  );
}

function toBatch(run: string, row: TextRow): BatchRecord {
  const counts = (text: string | null | undefined) => JSON.parse(text ?? '{}') as Record<string, number>;
  const id = { partition: Number(row.partition), batch: Number(row.batch), table: Number(row.table_id) };
  return {
    ...id,
    state: row.state!,
    chain: row.chain ?? null,
    attempt: Number(row.attempt),
    claimedAt: row.claimed_at!,
    error: row.error ?? null,
    facts: {
      run,
      ...id,
      bounds: row.bounds!,
      generation: Number(row.generation),
      rows: Number(row.rows ?? 0),
      quarantined: Number(row.quarantined ?? 0),
      bytes: Number(row.bytes ?? 0),
      rules: counts(row.rules),
      leaks: counts(row.leaks),
      sourceDigest: row.source_digest ?? '',
      outputDigest: row.output_digest ?? '',
      evidenceDigest: row.evidence_digest ?? '',
      committedAt: row.committed_at ?? '',
    },
  };
}
