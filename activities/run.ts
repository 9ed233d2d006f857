import { createHash } from 'node:crypto';
import { ApplicationFailure, activityInfo, CancelledFailure, Context, heartbeat } from '@temporalio/activity';
import { type JobKeys, jobKeys, parseJobKey } from '../anonymize/keys.js';
import { LetheError } from '../errors/errors.js';
import { isOpen } from '../ledger/states.js';
import { PARTITION_HEARTBEAT_S } from '../ledger/timing.js';
import type { Pins, RunRef, RunRow } from '../ledger/types.js';
import { migrate } from '../postgres/ledger/migrate.js';
import { readReplay } from '../postgres/ledger/replays.js';
import { readPins, readRun, touchRun } from '../postgres/ledger/runs.js';
import { openSession, query, type Session } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { toFailure } from './failure.js';
import { checkPins } from './pins.js';

/** A run as an activity works on it: its ledger open, its pins checked. */
export interface OpenRun {
  readonly ref: RunRef;
  readonly row: RunRow;
  readonly pins: Pins;
  readonly keys: JobKeys;
  /** To the destination, where the ledger is. */
  readonly session: Session;
  readonly destinationUrl: string;
  readonly signal: AbortSignal;
}

/** The root of a run is looked up this often: Terminate tells nobody. Milliseconds. */
const ROOT_CHECK_MS = 30_000;

/** Pins never change, and a plan can be large: kept per run, for the last few runs. */
const pinsOfRuns = new Map<string, Pins>();
const PINS_KEPT = 8;

/**
 * Opens the ledger of a run for the length of `body`: resolves the references, checks that this worker has what the
 * run pinned, that the run is not over and that its root workflow is open; repeats the last while `body` goes on.
 * `ended: true` lets a run be worked on whose root is closing.
 */
export async function withRun<T>(
  deps: Dependencies,
  ref: RunRef,
  body: (run: OpenRun) => Promise<T>,
  options: { ended?: boolean } = {},
): Promise<T> {
  const watch = new RootWatch(deps);
  try {
    const [destinationUrl, keyText] = await Promise.all([
      deps.resolve(ref.destination),
      deps.resolve(ref.key),
    ]);
    const signal = AbortSignal.any([Context.current().cancellationSignal, watch.signal]);
    const session = await openSession({
      url: destinationUrl,
      role: 'destination',
      applicationName: sessionName(ref.run, 'c'),
      signal,
    });
    try {
      await endFormerSessions(session);
      await migrateOnce(session, destinationUrl);
      const row = await readRun(session, ref.run);
      const pins = await pinsOf(session, ref);
      const keys = jobKeys(parseJobKey(keyText), pins.plan.consistency === 'run' ? ref.run : undefined);
      await checkPins(session, pins, keys);
      if (!options.ended) {
        refuseOver(row);
        await watch.start(row);
        await touchRun(session, ref.run);
      }
      return await body({ ref, row, pins, keys, session, destinationUrl, signal });
    } finally {
      await session.close();
    }
  } catch (error) {
    throw watch.failure ? toFailure(watch.failure) : activityFailure(error);
  } finally {
    watch.stop();
  }
}

/** Ledgers that this process knows to be of its version: a run may have begun under an older one. */
const migrated = new Set<string>();

async function migrateOnce(session: Session, url: string): Promise<void> {
  if (migrated.has(url)) return;
  await migrate(session);
  migrated.add(url);
}

/**
 * Whatever a cancelled activity fails with is the cancellation. A worker that stops gives the work back: another one
 * goes on with it.
 */
function stopped(): CancelledFailure | ApplicationFailure | undefined {
  const { cancellationSignal } = Context.current();
  if (!cancellationSignal.aborted) return undefined;
  const { reason } = cancellationSignal;
  return reason instanceof CancelledFailure && reason.message !== 'WORKER_SHUTDOWN'
    ? new CancelledFailure('cancelled')
    : ApplicationFailure.retryable('The worker stopped; another one goes on.', 'Unreachable');
}

/** Heartbeats while `body` runs, for work whose progress only the server knows (an index build, a count). */
export async function beating<T>(body: () => Promise<T>): Promise<T> {
  heartbeat();
  const timer = setInterval(heartbeat, heartbeatTimeout() / 5);
  try {
    return await body();
  } finally {
    clearInterval(timer);
  }
}

/** Milliseconds of silence after which the present activity is given to another worker. */
export function heartbeatTimeout(): number {
  return activityInfo().heartbeatTimeoutMs ?? PARTITION_HEARTBEAT_S * 1_000;
}

/** What an activity fails with, whatever it met: the cancellation, or a failure that may stand in a history. */
export function activityFailure(error: unknown): Error {
  return stopped() ?? toFailure(error);
}

/**
 * Name of the activity's sessions of one kind (a letter or two), at most 63 bytes; those of its attempts differ in the
 * last part only.
 */
export function sessionName(run: string, kind: string): string {
  const { workflowExecution, activityId, attempt } = activityInfo();
  const unit = createHash('sha256')
    .update(`${workflowExecution?.runId}/${activityId}`)
    .digest('hex')
    .slice(0, 8);
  return `lethe:${run}/${kind}${unit}/${attempt}`;
}

/**
 * Ends the sessions of earlier attempts: a worker that was frozen holds its locks until it wakes, and then would go on
 * beside us.
 */
export async function endFormerSessions(session: Session): Promise<void> {
  if (activityInfo().attempt === 1) return;
  await query(
    session,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND pid <> pg_backend_pid() AND starts_with(application_name, $1)`,
    [session.applicationName.replace(/[^/]+$/, '')],
  );
}

/** A replay has a plan of its own: the run's, with what a corrected job changed. */
async function pinsOf(session: Session, ref: RunRef): Promise<Pins> {
  const id = `${ref.run}/${ref.replay ?? 0}`;
  const known = pinsOfRuns.get(id);
  if (known) return known;
  const pinned = await readPins(session, ref.run);
  const replay = ref.replay === undefined ? undefined : await readReplay(session, ref.run, ref.replay);
  const pins = { ...pinned, ...replay };
  pinsOfRuns.set(id, pins);
  for (const oldest of pinsOfRuns.keys()) {
    if (pinsOfRuns.size <= PINS_KEPT) break;
    pinsOfRuns.delete(oldest);
  }
  return pins;
}

/** @throws LetheError `RunSuperseded` or `RunEnded` when nobody may work on the run any more. */
export function refuseOver(row: RunRow): void {
  if (row.state === 'superseded') {
    throw new LetheError(
      'RunSuperseded',
      `Run ${row.run} was superseded by a later run of the same tables; it writes no more.`,
    );
  }
  if (!isOpen(row.state)) throw new LetheError('RunEnded', `Run ${row.run} is ${row.state} already.`);
}

/** Ends an activity whose run was terminated, at its start or within `ROOT_CHECK_MS`. */
export class RootWatch {
  failure: LetheError | undefined;
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly deps: Dependencies) {}

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  async start(row: RunRow): Promise<void> {
    await this.check(row);
    if (this.failure) throw this.failure;
    this.timer = setInterval(() => void this.check(row), ROOT_CHECK_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async check(row: RunRow): Promise<void> {
    const status = await this.deps
      .workflowStatus(row.workflowId, row.namespace)
      .catch(() => 'unknown' as const);
    if (status === 'open' || status === 'unknown') return;
    this.failure = new LetheError(
      'RunEnded',
      `The workflow of run ${row.run} is ${status}: nothing more is written. A new run, or \`lethe restore\`, puts back what it took away.`,
    );
    this.controller.abort();
  }
}
