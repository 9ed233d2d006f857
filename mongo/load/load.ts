import { type JobKeys, jobKeys } from '../../anonymize/keys.js';
import { withSealing } from '../../anonymize/sealing.js';
import { LetheError } from '../../errors/errors.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import { type Connection, withConnection } from '../connection.js';
import { prepareDocuments } from '../documents/compile.js';
import { sanitize } from '../errors.js';
import { ledgerOf, type PartitionDocument } from '../ledger/store.js';
import { summarize } from '../ledger/summary.js';
import { compilePushdown, type Pushdown } from '../pushdown/compile.js';
import type { CollectionContext } from './context.js';
import { cutCollection } from './cut.js';
import { loadPartition } from './partition.js';
import type { DocumentsProgress, DocumentsResult, DocumentsTask } from './task.js';

/**
 * Loads the partitions of a task, one after the other, over two connections of its own. What the ledger has as
 * committed is not done again.
 *
 * @throws LetheError `RunSuperseded`, `QuarantineLimit`, `Unreachable`, …
 */
export async function loadDocuments(
  task: DocumentsTask,
  progress: (progress: DocumentsProgress) => void,
  signal: AbortSignal,
): Promise<DocumentsResult> {
  const common = { applicationName: task.applicationName, signal, connections: 2 };
  return withConnection({ ...common, url: task.source.url, role: 'source' }, (source) =>
    withConnection({ ...common, url: task.destination.url, role: 'destination' }, (destination) =>
      loadAll({ task, source, destination, progress, signal }),
    ),
  );
}

interface Ends {
  readonly task: DocumentsTask;
  readonly source: Connection;
  readonly destination: Connection;
  readonly progress: (progress: DocumentsProgress) => void;
  readonly signal: AbortSignal;
}

async function loadAll({ task, source, destination, progress, signal }: Ends): Promise<DocumentsResult> {
  const keys = withSealing(
    jobKeys(task.jobKey, task.consistency === 'run' ? task.run : undefined),
    task.sealing,
  );
  const ledger = ledgerOf(destination);
  let total: DocumentsResult = { rows: 0, bytes: 0, quarantined: 0 };
  for (const table of task.tables) {
    const context: CollectionContext = {
      ...{ task, table, keys, ledger, source, destination, progress, signal },
      transform: await prepareDocuments(table.collection!.rules, keys),
      ...pushdownOf(table, keys),
    };
    try {
      const before = total;
      for (const partition of await partitions(context, task, table)) {
        await loadPartition(context, partition);
        const [done] = await summarize(ledger, task.run, table.id, partition.partition);
        total = plus(total, done);
      }
      if (total === before) progress({ partition: 0, batch: 0, ...total });
    } catch (error) {
      throw sanitize(error, `loading ${tableText(table.source)}`);
    }
  }
  return total;
}

/** A plan with a collection that cannot be pushed down was refused. */
function pushdownOf({ collection }: TablePlan, keys: JobKeys): { pushdown?: Pushdown } {
  if (!collection?.pushdown) return {};
  const compiled = compilePushdown(collection.rules, keys, collection.pushdown);
  return 'pushdown' in compiled ? { pushdown: compiled.pushdown } : {};
}

async function partitions(
  { keys, ledger, source }: CollectionContext,
  { run, work, execution }: DocumentsTask,
  table: TablePlan,
): Promise<PartitionDocument[]> {
  if (work.kind === 'tables') return cutCollection({ run, table, keys, execution }, source, ledger);
  const found = await ledger.partitions
    .find({ run, table: table.id, partition: { $in: [...work.partitions] } })
    .toArray();
  if (found.length > 0) return found;
  throw new LetheError(
    'Internal',
    `The ledger has no partition ${work.partitions.join(', ')} of run ${run}.`,
  );
}

function plus(total: DocumentsResult, more: DocumentsResult | undefined): DocumentsResult {
  return {
    rows: total.rows + (more?.rows ?? 0),
    bytes: total.bytes + (more?.bytes ?? 0),
    quarantined: total.quarantined + (more?.quarantined ?? 0),
  };
}
