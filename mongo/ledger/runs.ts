import { LetheError } from '../../errors/errors.js';
import { statesBefore } from '../../ledger/states.js';
import type { Pins, RunRow, RunState } from '../../ledger/types.js';
import type { Plan } from '../../plan/plan.js';
import type { Ledger, RunDocument } from './store.js';

/** Records a new run, once: a second call with the same id changes nothing. */
export async function insertRun(
  { runs }: Ledger,
  run: Pick<RunRow, 'run' | 'job' | 'mode' | 'namespace' | 'workflowId'> & { pins: Pins },
): Promise<void> {
  const now = new Date();
  const { job, mode, namespace, workflowId } = run;
  await runs.updateOne(
    { _id: run.run },
    {
      $setOnInsert: {
        ...{ job, mode, namespace, workflowId },
        state: 'planned',
        pins: JSON.stringify(run.pins),
        startedAt: now,
        seenAt: now,
      },
    },
    { upsert: true },
  );
}

export async function findRun({ runs }: Ledger, run: string): Promise<RunRow | undefined> {
  const found = await runs.findOne({ _id: run });
  return found ? toRow(found) : undefined;
}

/** @throws LetheError `UnknownRun` when the ledger has no such run. */
export async function readRun(ledger: Ledger, run: string): Promise<RunRow> {
  const found = await findRun(ledger, run);
  if (!found) throw unknownRun(run);
  return found;
}

/** What the run pinned when it started, which never changes; with what a replay changed where one is named. */
export async function readPins({ runs, replays }: Ledger, run: string, replay?: number): Promise<Pins> {
  const found = await runs.findOne({ _id: run });
  if (!found) throw unknownRun(run);
  const pins = JSON.parse(found.pins) as Pins;
  const segment = replay === undefined ? null : await replays.findOne({ _id: `${run}/${replay}` });
  return segment ? { ...pins, plan: JSON.parse(segment.plan) as Plan, jobText: segment.jobText } : pins;
}

/** What the run goes by since its newest replay, if it had one: a corrected job may have changed the plan. */
export async function readNewestPins(ledger: Ledger, run: string): Promise<Pins> {
  const [newest] = await ledger.replays.find({ run }).sort({ n: -1 }).limit(1).toArray();
  return readPins(ledger, run, newest?.n);
}

/** Plan ids of the run's collections that took the place of the old ones. */
export async function renamedBy({ runs }: Ledger, run: string): Promise<readonly number[]> {
  return (await runs.findOne({ _id: run }, { projection: { renamed: 1 } }))?.renamed ?? [];
}

/** The newest runs first; of one job, or of all. */
export async function listRuns({ runs }: Ledger, filter: { job?: string; limit: number }): Promise<RunRow[]> {
  const found = await runs
    .find(filter.job === undefined ? {} : { job: filter.job })
    .sort({ startedAt: -1 })
    .limit(filter.limit)
    .toArray();
  return found.map(toRow);
}

/**
 * Moves a run to a state, and says that its owner was seen.
 *
 * @throws LetheError `RunSuperseded` or `RunEnded` when its present state does not lead there.
 */
export async function advanceRun(ledger: Ledger, run: string, to: RunState): Promise<void> {
  const { matchedCount } = await ledger.runs.updateOne(
    { _id: run, state: { $in: statesBefore(to) } },
    { $set: { state: to, seenAt: new Date() } },
  );
  if (matchedCount > 0) return;
  const { state } = await readRun(ledger, run);
  if (state === 'superseded') {
    throw new LetheError(
      'RunSuperseded',
      `Run ${run} was superseded by a later run of the same collections; it writes no more.`,
    );
  }
  throw new LetheError('RunEnded', `Run ${run} is ${state} already and cannot become ${to}.`);
}

/** The owner of the run is alive. */
export async function touchRun({ runs }: Ledger, run: string): Promise<void> {
  await runs.updateOne({ _id: run }, { $set: { seenAt: new Date() } });
}

/** Ends a run that another one has taken over. */
export async function supersede({ runs }: Ledger, run: string): Promise<void> {
  await runs.updateOne(
    { _id: run, state: { $in: statesBefore('superseded') } },
    { $set: { state: 'superseded', endedAt: new Date() } },
  );
}

/** Ends a run with its report and the signature over it. Ending it again the same way changes nothing. */
export async function endRun(
  { runs }: Ledger,
  run: string,
  end: { state: RunState; report: unknown; signature: string; publicKey: string },
): Promise<void> {
  const { state, report, signature, publicKey } = end;
  await runs.updateOne(
    { _id: run, state: { $in: statesBefore(state) } },
    {
      $set: {
        state,
        endedAt: new Date(),
        seenAt: new Date(),
        report: JSON.stringify(report),
        signature,
        publicKey,
      },
    },
  );
}

function unknownRun(run: string): LetheError {
  return new LetheError(
    'UnknownRun',
    `This destination's ledger has no run ${run}. \`lethe runs\` lists the known ones.`,
  );
}

function toRow(found: RunDocument): RunRow {
  const { job, mode, state, namespace, workflowId } = found;
  return {
    run: found._id,
    ...{ job, mode, state, namespace, workflowId },
    startedAt: found.startedAt.toISOString(),
    seenAt: found.seenAt.toISOString(),
    silentSeconds: Math.max(0, (Date.now() - found.seenAt.getTime()) / 1000),
    ...(found.endedAt && { endedAt: found.endedAt.toISOString() }),
    ...(found.report !== undefined && { report: JSON.parse(found.report) as unknown }),
  };
}
