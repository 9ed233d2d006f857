import { isDeepStrictEqual } from 'node:util';
import { jobKeys } from '../anonymize/keys.js';
import { type SealingKeys, withSealing } from '../anonymize/sealing.js';
import { LetheError } from '../errors/errors.js';
import type { CheckSettings } from '../job/types.js';
import type { Plan } from '../plan/plan.js';
import { readIdentity } from '../postgres/catalog/identity.js';
import { Source } from '../postgres/load/source.js';
import { withSession } from '../postgres/session.js';
import { inspect } from './inspect.js';
import type { Inspection, InspectProgress } from './inspection.js';
import type { SealedBy } from './sealed.js';

/**
 * Everything that a thread needs to look at the rows of a run: plain data, so that it can be posted to it. It holds
 * connection URLs and the job key, so it stays inside the process.
 */
export interface InspectTask {
  readonly run: string;
  /** Of both sessions: `lethe:<run>/<letters>/<attempt>`. */
  readonly applicationName: string;
  readonly source: { readonly url: string; readonly encoding?: string };
  readonly destination: { readonly url: string };
  /** 32 bytes. */
  readonly jobKey: Uint8Array;
  /** Day keys, where the job seals: without them what is sealed is not compared. */
  readonly sealing?: SealingKeys;
  /** What sealed values are judged by, where the job seals. */
  readonly sealed?: SealedBy;
  readonly plan: Plan;
  readonly settings: CheckSettings;
  /** ISO 8601, UTC. */
  readonly runTime: string;
  /** Exported ids of the run's snapshot, of which any will do; `now`: the source as it is; `none`: it is not read. */
  readonly snapshots: readonly string[] | 'now' | 'none';
  /** Rows that the run wrote, and the tables that were loaded under more than one state; by plan id. */
  readonly written: readonly (readonly [table: number, rows: number])[];
  readonly unsteady: readonly number[];
  /** The state of the source that the run read, for `now`. */
  readonly changedSince?: string;
}

/** Looks at the rows of a run over sessions of its own: one to each side. */
export async function inspectRun(
  task: InspectTask,
  report: (progress: InspectProgress) => void,
  signal: AbortSignal,
): Promise<Inspection> {
  const { plan, applicationName } = task;
  const keys = withSealing(
    jobKeys(task.jobKey, plan.consistency === 'run' ? task.run : undefined),
    task.sealing,
  );
  const request = {
    plan,
    settings: task.settings,
    keys,
    runTime: task.runTime,
    // A number from the run's id: other blocks in each run.
    seed: Number.parseInt(task.run.replaceAll('-', '').slice(-7), 16),
    written: new Map(task.written),
    unsteady: new Set(task.unsteady),
    ...(task.changedSince !== undefined && { changedSince: task.changedSince }),
    ...(task.sealed && { sealed: task.sealed }),
  };
  const open = { role: 'destination', url: task.destination.url, applicationName, signal } as const;
  return withSession(open, async (destination) => {
    if (task.snapshots === 'none') return inspect(destination, undefined, request, report);
    const { url, encoding } = task.source;
    const source = await Source.open(
      { role: 'source', url, encoding, applicationName, signal },
      task.snapshots,
    );
    try {
      if (!isDeepStrictEqual(await readIdentity(source.session), plan.source)) {
        throw new LetheError(
          'PinMismatch',
          'The source reference leads to another database than the run read. Give all workers the same configuration.',
        );
      }
      return await inspect(destination, source, request, report);
    } finally {
      await source.close();
    }
  });
}
