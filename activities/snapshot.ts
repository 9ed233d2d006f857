import { setTimeout as sleep } from 'node:timers/promises';
import { heartbeat } from '@temporalio/activity';
import { LetheError } from '../errors/errors.js';
import type { RunRef } from '../ledger/types.js';
import {
  currentSnapshots,
  isHeld,
  lastGeneration,
  loseSnapshot,
  publishSnapshot,
} from '../postgres/ledger/snapshots.js';
import { query, type Session } from '../postgres/session.js';
import { beginUnderSnapshot } from '../postgres/snapshot.js';
import type { Dependencies } from './dependencies.js';
import { snapshotAge } from './metrics.js';
import { heartbeatTimeout, type OpenRun, withRun } from './run.js';
import { withSource } from './source.js';

const POLL_MS = 40;
const PUBLISH_TIMEOUT_MS = 60_000;

/**
 * Holds one state of the source open, in a transaction that only waits, until cancelled. A holder that starts while
 * another one lives imports that snapshot and exports it again: either may die then, and the generation goes on.
 */
export async function holdSnapshot(deps: Dependencies, ref: RunRef, holder: number): Promise<void> {
  await withRun(deps, ref, async (run) => {
    await withSource(
      deps,
      run,
      async (source) => {
        const exportedId = await openSnapshot(run, source, holder);
        const tellAge = snapshotAge(ref.job, holder);
        try {
          await keepOpen(run, source, exportedId, tellAge);
        } finally {
          tellAge(0);
        }
      },
      `s${holder}`,
    );
  });
}

/** Waits until a snapshot is published. */
export async function awaitSnapshot(deps: Dependencies, ref: RunRef): Promise<void> {
  await withRun(deps, ref, async ({ session, signal }) => {
    const deadline = Date.now() + PUBLISH_TIMEOUT_MS;
    while ((await currentSnapshots(session, ref.run)).length === 0) {
      if (Date.now() > deadline) {
        throw new LetheError(
          'SnapshotLost',
          'No snapshot of the source was opened. The activities of `holdSnapshot` say why.',
        );
      }
      await sleep(POLL_MS, undefined, { signal });
    }
  });
}

/** Opens and publishes a snapshot; its exported id. */
async function openSnapshot(run: OpenRun, source: Session, holder: number): Promise<string> {
  const { session, ref } = run;
  // One holder at a time decides, so that two that start together hold one state, not two.
  await query(session, `SELECT pg_advisory_lock(hashtext('lethe/snapshot'), hashtext($1))`, [ref.run]);
  try {
    const generation = (await importSnapshot(run, source)) ?? (await newGeneration(run, source));
    const [exported] = await query(source, 'SELECT pg_export_snapshot() AS id');
    const exportedId = exported!.id!;
    await publishSnapshot(session, ref.run, { generation, holder, exportedId });
    return exportedId;
  } finally {
    await query(session, `SELECT pg_advisory_unlock(hashtext('lethe/snapshot'), hashtext($1))`, [ref.run]);
  }
}

async function importSnapshot({ session, ref }: OpenRun, source: Session): Promise<number | undefined> {
  for (const { exportedId, generation } of await currentSnapshots(session, ref.run)) {
    try {
      await beginUnderSnapshot(source, [exportedId]);
      return generation;
    } catch (error) {
      if (!(error instanceof LetheError && error.type === 'SnapshotLost')) throw error;
      await loseSnapshot(session, ref.run, exportedId);
    }
  }
  return undefined;
}

async function newGeneration({ session, ref }: OpenRun, source: Session): Promise<number> {
  await beginUnderSnapshot(source, 'now');
  return (await lastGeneration(session, ref.run)) + 1;
}

/**
 * The heartbeat follows the source's answers: a holder that cannot reach it is replaced. One whose snapshot was reported
 * gone ends too, whether the report was right or not: nobody reads that snapshot any more, and the run waits for another.
 */
async function keepOpen(
  { pins, signal, ref, session }: OpenRun,
  source: Session,
  exportedId: string,
  tellAge: (seconds: number) => void,
): Promise<void> {
  const since = Date.now();
  for (;;) {
    await query(source, 'SELECT 1');
    heartbeat();
    tellAge((Date.now() - since) / 1000);
    // A ledger that cannot be reached says nothing about the source.
    if (!(await isHeld(session, ref.run, exportedId).catch(() => true))) {
      throw new LetheError('SnapshotLost', 'The snapshot was reported gone; a holder opens a new one.');
    }
    if (Date.now() - since > pins.snapshot.maxAgeSeconds * 1_000) {
      throw new LetheError(
        'SnapshotExpired',
        `Run ${ref.run} held the source's snapshot for ${pins.snapshot.maxAgeSeconds} s, as long as the job allows. Raise source.limits.snapshot, or concurrency, and sync again.`,
      );
    }
    await sleep(heartbeatTimeout() / 5, undefined, { signal });
  }
}
