import { LetheError } from '../errors/errors.js';
import type { TableName } from '../plan/catalog.js';
import { tableText } from '../plan/catalog.js';
import type { TablePlan } from '../plan/plan.js';
import { type Epoch, fence, readEpochs, registerTables } from '../postgres/fence.js';
import type { Fence } from '../postgres/saga/put-back.js';
import type { OpenRun } from './run.js';

/** The epochs that a run holds, by its tables. */
export interface RunEpochs {
  of(table: TablePlan): Epoch;
  /** For work that writes several tables in one transaction: fences those that the run owns, in ascending id. */
  readonly fence: Fence;
}

/** Reads the epochs of the run's tables: what its writers fence with. */
export async function epochsOf({ session, pins, ref }: OpenRun): Promise<RunEpochs> {
  const tables = pins.plan.tables;
  const ids = await registerTables(
    session,
    tables.map(({ destination }) => destination),
  );
  const held = await readEpochs(session, ref.run);
  const byName = new Map(
    tables.map(({ destination }, index) => [tableText(destination), held.get(ids[index]!)]),
  );
  const owned = (table: TableName) => byName.get(tableText(table));
  return {
    of(table) {
      const epoch = owned(table.destination);
      if (epoch) return epoch;
      throw new LetheError(
        'RunSuperseded',
        `Run ${ref.run} no longer owns ${tableText(table.destination)}: a later run took it over. Nothing more is written by this one.`,
      );
    },
    // What belongs to tables outside the job (their foreign keys to it) is fenced by the tables inside.
    async fence(writer, names) {
      const epochs = names.flatMap((name) => owned(name) ?? []);
      for (const epoch of [...new Set(epochs)].sort((a, b) => a.id - b.id)) await fence(writer, epoch);
    },
  };
}
