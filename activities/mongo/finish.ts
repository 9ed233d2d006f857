import { createHash } from 'node:crypto';
import { withSealing } from '../../anonymize/sealing.js';
import { fails } from '../../ledger/checks.js';
import { type RunReport, reportBase, reportedPartitions, signReport } from '../../ledger/report.js';
import type { RunRef } from '../../ledger/types.js';
import { databasesOfPlan, dropLeftovers, putInPlace } from '../../mongo/collections.js';
import { prunableRuns, pruneRuns } from '../../mongo/ledger/prune.js';
import { previousSignature } from '../../mongo/ledger/replays.js';
import { advanceRun, endRun } from '../../mongo/ledger/runs.js';
import {
  partitionRecords,
  quarantineReasons,
  quarantineRecords,
  summarize,
} from '../../mongo/ledger/summary.js';
import { tableText } from '../../plan/catalog.js';
import { checkDocuments } from '../../quality/checkDocuments.js';
import { settingsOf } from '../../quality/run.js';
import type { Dependencies } from '../dependencies.js';
import { countRun } from '../metrics.js';
import { beating } from '../run.js';
import { judgedBy, sealingOf } from '../sealing.js';
import type { RunEnd, RunVerdict } from '../types.js';
import { withoutDetails } from '../validate.js';
import { type OpenDocumentRun, withDocumentRun, withDocumentSource } from './run.js';

/** Checks what was loaded: counts against the ledger, references, leaks, and a sample transformed again. */
export function validateRun(deps: Dependencies, ref: RunRef): Promise<RunVerdict> {
  return beating(() =>
    withDocumentRun(deps, ref, (run) =>
      withDocumentSource(deps, run, async (source) => {
        const { ledger, pins, row, destination } = run;
        const { sealing } = await sealingOf(deps, pins);
        await advanceRun(ledger, ref.run, 'validating');
        const check = {
          ...{ row, pins, settings: settingsOf(pins.plan), segment: ref.replay ?? 0 },
          ...{ keys: withSealing(run.keys, sealing), ...judgedBy(pins) },
          signal: run.signal,
          origin: 'run',
        } as const;
        const checks = await checkDocuments(check, source, destination);
        const reasons = await quarantineReasons(ledger, ref.run);
        const name = nameOf(run);
        const tables = await summarize(ledger, ref.run);
        return {
          ok: !checks.some(fails) && reasons.length === 0,
          rows: tables.reduce((sum, { rows }) => sum + rows, 0),
          quarantined: reasons.map(({ table, ...rest }) => ({ table: name(table), ...rest })),
          checks: checks.map(withoutDetails),
        };
      }),
    ),
  );
}

/**
 * Ends a run, signed. Its collections take the place of the old ones when every check passed, also where documents are
 * in quarantine. Those of a failed run stay beside them for a replay until the next run, those of a cancelled one go.
 * Idempotent. A run that a later one has taken over is left alone.
 */
export async function finishRun(deps: Dependencies, ref: RunRef, end: RunEnd): Promise<void> {
  await withDocumentRun(
    deps,
    ref,
    async (run) => {
      if (run.row.state === 'superseded') return;
      const { ledger, destination, pins } = run;
      if (end.state === 'complete' || end.error === 'RowsQuarantined') {
        await putInPlace(destination, ledger, ref.run, pins.plan);
      } else if (end.state === 'cancelled' && pins.plan.mode === 'replace') {
        await dropOwn(run);
      }
      await sign(run, end);
      // A replay of a failed run goes on with its collections, and with what its batches were about to write.
      if (end.state !== 'failed' || end.error === 'RowsQuarantined') {
        await ledger.ids.deleteMany({ run: ref.run });
      }
      if (end.state === 'complete') await prune(run);
    },
    { ended: true },
  );
}

/** Removes what the job's ledger need not keep of earlier runs. */
async function prune({ ledger, ref, pins }: OpenDocumentRun): Promise<void> {
  const { keepSeconds, keepRuns } = pins.plan.execution.ledger ?? {};
  if (keepSeconds === undefined && keepRuns === undefined) return;
  await pruneRuns(ledger, await prunableRuns(ledger, { job: ref.job, keepSeconds, keepRuns }));
}

async function dropOwn({ destination, ref, pins }: OpenDocumentRun): Promise<void> {
  await dropLeftovers(destination, databasesOfPlan(pins.plan), (run) => run === ref.run);
}

function nameOf({ pins }: OpenDocumentRun): (table: number) => string {
  const names = new Map(pins.plan.tables.map((table) => [table.id, tableText(table.source)]));
  return (table) => names.get(table) ?? String(table);
}

/** A replay's report follows the one before it, so that no segment can be left out. */
async function replayPart({ ledger, ref }: OpenDocumentRun, end: RunEnd): Promise<RunReport['replay']> {
  if (ref.replay === undefined) return undefined;
  const before = await previousSignature(ledger, ref.run, ref.replay);
  const { copied = 0, gone = 0 } = end.replayed ?? {};
  const previous = createHash('sha256')
    .update(before ?? '')
    .digest('hex');
  return { n: ref.replay, copied, gone, previous };
}

async function sign(run: OpenDocumentRun, end: RunEnd): Promise<void> {
  const { ledger, ref, pins, keys, row } = run;
  const name = nameOf(run);
  const heads = (await partitionRecords(ledger, ref.run)).map((partition) => ({
    partition,
    link: partition.head ?? '',
  }));
  const quarantine = await quarantineRecords(ledger, ref.run);
  const report: RunReport = {
    ...reportBase({ run: ref.run, mode: row.mode, startedAt: row.startedAt, pins, heads, quarantine }),
    state: end.state,
    endedAt: new Date().toISOString(),
    tables: (await summarize(ledger, ref.run)).map(({ table, rows, quarantined }) => ({
      ...{ name: name(table), rows, quarantined },
      ...reportedPartitions(heads, table),
    })),
    quarantined: (await quarantineReasons(ledger, ref.run)).map(({ table, count, reason }) => ({
      ...{ table: name(table), count, reason },
    })),
    checks: end.checks ?? [],
    error: end.error ? { type: end.error, message: end.message ?? '' } : undefined,
    replay: await replayPart(run, end),
  };
  await endRun(ledger, ref.run, { state: end.state, report, ...signReport(report, keys.signing) });
  countRun(ref.job, end.state, report.tables);
}
