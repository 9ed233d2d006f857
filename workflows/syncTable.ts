import {
  ApplicationFailure,
  CancellationScope,
  ContinueAsNew,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { PartitionResult } from '../activities/types.js';
import type { RunRef } from '../ledger/types.js';
import { describeFailure } from './failures.js';
import { type GroupReport, reportSignal, type TableReport, type Window, windowSignal } from './messages.js';
import { activitiesOf, type Tuning } from './options.js';

/** Input of `syncTable`: one large table, or several small ones that share an activity. */
export interface SyncTableInput {
  ref: RunRef;
  /** Workflow id of the run's root, which gets the reports. */
  root: string;
  tables: number[];
  /** Table names, for people. */
  names: string[];
  small: boolean;
  window: Window;
  tuning?: Tuning;
  /** Carried over a continue-as-new. */
  carried?: { rows: number; quarantined: number };
}

/**
 * Loads and settles its tables. A large table goes partition by partition in a sliding window; which partitions are
 * left to do is asked of the ledger, so that a new attempt, or the next leg after continue-as-new, does only those.
 */
export async function syncTable(input: SyncTableInput): Promise<void> {
  const { data, longControl } = activitiesOf(input.tuning);
  const totals = { rows: 0, quarantined: 0, ...input.carried };
  const report = reporter(input, totals);
  let window = input.window;
  setHandler(
    windowSignal,
    (next) => {
      if (next.order > window.order) window = next;
    },
    {
      description: 'Sets how many partitions may be in flight at once; 0 pauses. Sent by the run.',
    },
  );
  setCurrentDetails(input.names.map((name) => `- ${name}`).join('\n'));
  try {
    await condition(() => window.partitions > 0);
    await report('loading');
    if (input.small) {
      await data.anonymizeTables.executeWithOptions({ summary: summaryOf(input.names) }, [
        input.ref,
        input.tables,
      ]);
    } else {
      while (await loadPartitions(input, totals, () => window, report)) {
        // What was read of it counts no more.
        totals.rows = 0;
        totals.quarantined = 0;
      }
    }
    await report('settling');
    const settled = await longControl.settleTables.executeWithOptions({ summary: summaryOf(input.names) }, [
      input.ref,
      input.tables,
    ]);
    await report('done', {
      tables: settled.map((table) => ({ ...table, state: 'done' })),
      ended: { ok: true },
    });
  } catch (error) {
    if (isCancellation(error) || error instanceof ContinueAsNew) throw error;
    const failure = describeFailure(error);
    await report('failed', { ended: { ok: false, ...failure } });
    throw ApplicationFailure.nonRetryable(failure.message, failure.type);
  }
}

type Report = (state: TableReport['state'], more?: Partial<GroupReport>) => Promise<void>;

/** Of a large table, as far as is known. */
interface Totals {
  rows: number;
  quarantined: number;
}

/** True when the table has to be loaded again from its start; each time it has lost a snapshot, which bounds them. */
async function loadPartitions(
  input: SyncTableInput,
  totals: Totals,
  window: () => Window,
  report: Report,
): Promise<boolean> {
  const [table] = input.tables as [number];
  const { control, data } = activitiesOf(input.tuning);
  const load = data.anonymizePartition;
  const queue = await control.cutTable.executeWithOptions({ summary: `cut ${input.names[0]}` }, [
    input.ref,
    table,
  ]);
  const all = queue.length;
  let active = 0;
  let finished = 0;
  let reported = 0;
  let failure: unknown;

  const scope = new CancellationScope();
  const launch = (partition: number) => {
    active += 1;
    const summary = `${input.names[0]} · partition ${partition}`;
    void scope
      .run(() => load.executeWithOptions({ summary }, [input.ref, partition]))
      .then((result: PartitionResult) => {
        totals.rows += result.rows;
        totals.quarantined += result.quarantined;
      })
      .catch((error) => {
        failure ??= error;
      })
      .finally(() => {
        active -= 1;
        finished += 1;
      });
  };
  const draining = () => failure !== undefined || historyFull(input);
  while (queue.length > 0 || active > 0) {
    while (queue.length > 0 && active < window().partitions && !draining()) launch(queue.shift()!);
    if (failure !== undefined) scope.cancel();
    if (active === 0 && draining()) break;
    const seen = finished;
    await condition(
      () => finished > seen || (!draining() && queue.length > 0 && active < window().partitions),
    );
    if (finished - reported >= Math.max(1, all / 20)) {
      reported = finished;
      await report('loading');
    }
  }
  if (failure !== undefined) {
    if (describeFailure(failure).type === 'TableRestarts') return true;
    throw failure;
  }
  if (queue.length > 0) {
    await continueAsNew<typeof syncTable>({ ...input, window: window(), carried: totals });
  }
  return false;
}

function historyFull(input: SyncTableInput): boolean {
  const info = workflowInfo();
  return (
    info.continueAsNewSuggested ||
    info.historyLength > (input.tuning?.historyLimit ?? Number.POSITIVE_INFINITY)
  );
}

/** Tells the root by workflow id, without a run id: the root may have continued as new, or be gone. */
function reporter(input: SyncTableInput, totals: Totals): Report {
  const group = workflowInfo().workflowId;
  const root = getExternalWorkflowHandle(input.root);
  return async (state, more) => {
    const tables = input.tables.map((id) => ({ id, ...totals, state }));
    try {
      await root.signal(reportSignal, { group, tables, ...more });
    } catch (error) {
      if (isCancellation(error)) throw error;
      // The root is closed: the activities notice it themselves and end the run.
    }
  };
}

function summaryOf(names: string[]): string {
  const text = names.join(', ');
  return text.length <= 120 ? text : `${text.slice(0, 100)}… (${names.length} tables)`;
}
