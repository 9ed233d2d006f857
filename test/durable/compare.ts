import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { chainLink } from '../../ledger/chain.js';
import type { Bounds } from '../../ledger/types.js';
import { copyOut } from '../../postgres/copy/out.js';
import { openBounds } from '../../postgres/load/seals.js';
import { query, type Session } from '../../postgres/session.js';
import { catalogText } from '../engine/saga-fixture.js';
import { CRM_ORDER } from './crm.js';
import { type Ends, inside, jobFile, openCrm, type Stage } from './fixture.js';

/** What two copies of the databases of `crm.ts` are compared by. */
export interface Copy {
  /** SHA-256 of each table's COPY text in the order of its key. */
  readonly contents: Readonly<Record<string, string>>;
  /** Constraints, indexes, triggers with their state, rules, row security. */
  readonly catalog: readonly string[];
}

/** A run that nobody disturbed, and what the destination was before it. */
export interface Calm {
  readonly ends: Ends;
  readonly before: Copy;
  readonly after: Copy;
}

export async function runCalm(stage: Stage): Promise<Calm> {
  const ends = await openCrm();
  const before = await readCopy(ends);
  const { run } = await (await stage.start('crm', { file: jobFile(ends) })).result();
  await expectWholeLedger(ends, run);
  const after = await readCopy(ends);
  expect(after.catalog).toEqual(before.catalog);
  return { ends, before, after };
}

/** The run did what the calm one did, and put everything back. */
export async function expectSame(calm: Calm, ends: Ends, run: string): Promise<void> {
  expect(await readCopy(ends)).toEqual(calm.after);
  await expectWholeLedger(ends, run);
}

export function readCopy(ends: Ends): Promise<Copy> {
  return inside(ends.destination, async (session) => {
    const contents: Record<string, string> = {};
    for (const [table, order] of Object.entries(CRM_ORDER)) {
      contents[table] = await digestOf(session, `SELECT * FROM public.${table} ORDER BY ${order}`);
    }
    return { contents, catalog: await catalogText(session) };
  });
}

async function digestOf(session: Session, select: string): Promise<string> {
  const hash = createHash('sha256');
  const reader = copyOut(session, `COPY (${select}) TO STDOUT`);
  for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
    hash.update(chunk.bytes);
    reader.release(chunk);
  }
  return hash.digest('hex');
}

/**
 * The ledger of a run that loaded everything: its partitions cover each table without gap or overlap, its batches each
 * partition; all are committed, chained, and count the rows that are there; nothing is owed.
 */
export async function expectWholeLedger(ends: Ends, run: string): Promise<void> {
  return inside(ends.destination, async (session) => {
    const keys = jobKeys(parseJobKey(ends.key));
    const partitions = await query(
      session,
      'SELECT partition, table_id, bounds, done, head FROM lethe.partition WHERE run = $1 ORDER BY partition',
      [run],
    );
    for (const partition of partitions) {
      expect(partition.done, `partition ${partition.partition}`).toBe('t');
      const number = Number(partition.partition);
      const rows = await query(
        session,
        'SELECT * FROM lethe.batch WHERE run = $1 AND partition = $2::int ORDER BY batch',
        [run, number],
      );
      const whole = openBounds(keys, { run, partition: number }, partition.bounds!);
      let from: Bounds['from'] = whole.from;
      let link = '';
      for (const [i, row] of rows.entries()) {
        expect([row.state, Number(row.batch)]).toEqual(['committed', i]);
        const bounds = openBounds(keys, { run, partition: number, batch: i }, row.bounds!);
        expect(bounds.from).toEqual(from);
        from = bounds.to;
        link = linkOf(link, run, row);
        expect(row.chain).toBe(link);
      }
      expect(from).toEqual(whole.to);
      expect(partition.head).toBe(link);
    }
    await expectCounts(session, run);
    const owed = await query(session, `SELECT object_name FROM lethe.ddl WHERE state <> 'restored'`);
    expect(owed).toEqual([]);
    const [state] = await query(session, 'SELECT state FROM lethe.run WHERE run = $1', [run]);
    expect(state?.state).toBe('complete');
  });
}

async function expectCounts(session: Session, run: string): Promise<void> {
  const counts = await query(
    session,
    `SELECT t.destination ->> 'name' AS name, (SELECT coalesce(sum(rows), 0) FROM lethe.batch b
       WHERE b.run = r.run AND b.table_id = t.id AND b.state = 'committed') AS rows
     FROM lethe.run r, jsonb_to_recordset(r.pins -> 'plan' -> 'tables') AS t(id int, destination jsonb) WHERE r.run = $1`,
    [run],
  );
  for (const { name, rows } of counts) {
    const [there] = await query(session, `SELECT count(*) AS rows FROM public."${name}"`);
    expect([name, there?.rows]).toEqual([name, rows]);
  }
}

function linkOf(previous: string, run: string, row: Record<string, string | null>): string {
  const counts = (text: string | null | undefined) => JSON.parse(text ?? '{}') as Record<string, number>;
  return chainLink(previous, {
    run,
    partition: Number(row.partition),
    batch: Number(row.batch),
    table: Number(row.table_id),
    bounds: row.bounds!,
    generation: Number(row.generation),
    rows: Number(row.rows),
    quarantined: Number(row.quarantined),
    bytes: Number(row.bytes),
    rules: counts(row.rules),
    leaks: counts(row.leaks),
    sourceDigest: row.source_digest!,
    outputDigest: row.output_digest!,
    evidenceDigest: row.evidence
      ? createHash('sha256')
          .update(Buffer.from(row.evidence.slice(2), 'hex'))
          .digest('hex')
      : '',
    committedAt: row.committed_at!,
  });
}
