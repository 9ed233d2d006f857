import { isOpen } from '../ledger/states.js';
import type { RunRow } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import type { Plan } from '../plan/plan.js';
import { databasesOfPlan, dropLeftovers, putInPlace, runCollections } from './collections.js';
import type { Connection } from './connection.js';
import { checkOwner, ownerOf, release } from './fence.js';
import { listRuns, readNewestPins, supersede } from './ledger/runs.js';
import { type Ledger, ledgerOf } from './ledger/store.js';

/** What a run left in a destination. */
export interface LeftBehind {
  readonly run: string;
  /** Undefined where the ledger does not know the run any more. */
  readonly row: RunRow | undefined;
  /** Collections of its own. */
  readonly collections: readonly string[];
  /**
   * `drop`: nobody needs them. `replay`: the run failed, or a replay of it was stopped, and a replay goes on with them.
   * `finish`: it was stopped while its collections took the place of the old ones, so that some are new and some old.
   * `foreign`: this ledger does not know the run, which may be alive and known to another one.
   */
  readonly way: 'drop' | 'replay' | 'finish' | 'foreign';
}

/** Runs of a ledger that are looked through. */
const LOOKED_AT = 100_000;
/** Runs whose plans are asked for the databases that they wrote. */
const PLANS_LOOKED_AT = 200;

/** What runs left behind in the destination's databases, the newest first. Only reads. */
export async function leftBehind(connection: Connection): Promise<LeftBehind[]> {
  const ledger = ledgerOf(connection);
  const runs = await listRuns(ledger, { limit: LOOKED_AT });
  const found = new Map<string, string[]>(
    runs.filter(({ state }) => isOpen(state)).map(({ run }) => [run, []]),
  );
  const planOf = newestPlans(ledger);
  for (const schema of await databases(connection, ledger, runs, planOf)) {
    for (const { run, name } of await runCollections(connection.client.db(schema)))
      found.set(run, [...(found.get(run) ?? []), `${schema}.${name}`]);
  }
  const rows = new Map(runs.map((row) => [row.run, row]));
  const left: LeftBehind[] = [];
  for (const [run, collections] of found) {
    const row = rows.get(run);
    left.push({ run, row, collections, way: row ? await wayOf(ledger, row, await planOf(run)) : 'foreign' });
  }
  return left.sort((a, b) => (a.run < b.run ? 1 : -1));
}

type PlanOf = (run: string) => Promise<Plan>;

/** What runs go by now, read once each. */
function newestPlans(ledger: Ledger): PlanOf {
  const known = new Map<string, Plan>();
  return async (run) => {
    const plan = known.get(run) ?? (await readNewestPins(ledger, run)).plan;
    known.set(run, plan);
    return plan;
  };
}

/** The ledger's own, those of the collections that runs hold, and those that runs wrote that did not complete. */
async function databases(
  { database }: Connection,
  ledger: Ledger,
  runs: readonly RunRow[],
  planOf: PlanOf,
): Promise<Set<string>> {
  const owned = await ledger.fences.find().toArray();
  const all = new Set([database.databaseName, ...owned.map(({ _id }) => _id.slice(0, _id.indexOf('.')))]);
  for (const { run } of runs.filter(({ state }) => state !== 'complete').slice(0, PLANS_LOOKED_AT)) {
    for (const schema of databasesOfPlan(await planOf(run))) all.add(schema);
  }
  return all;
}

async function wayOf(ledger: Ledger, row: RunRow, plan: Plan): Promise<LeftBehind['way']> {
  const owners = await Promise.all(plan.tables.map(({ destination }) => ownerOf(ledger, destination)));
  if (!owners.every((owner) => owner === row.run)) return 'drop';
  if (isOpen(row.state) && (await isHalfInPlace(ledger, row.run, plan))) return 'finish';
  const replays = isOpen(row.state) ? await ledger.replays.countDocuments({ run: row.run }) : 0;
  return row.state === 'failed' || replays > 0 ? 'replay' : 'drop';
}

/** Its checks had passed, or it had quarantined documents only: nothing else puts collections in their place. */
async function isHalfInPlace({ runs }: Ledger, run: string, { tables }: Plan): Promise<boolean> {
  const { placing = false, renamed = [] } = (await runs.findOne({ _id: run })) ?? {};
  return placing && !tables.every(({ id }) => renamed.includes(id));
}

/** What was put right. */
export interface Cleared {
  /** Collections that were dropped. */
  readonly dropped: number;
  /** Collections that the server would not drop, to this user. */
  readonly refused: readonly string[];
  /** Runs whose collections were put in place to the last. */
  readonly finished: readonly string[];
  /** Collections that belonged to runs which are shut out. */
  readonly released: readonly string[];
}

/**
 * Puts right what runs left behind: shuts out those that are still open, finishes what was half done, and drops what
 * nobody needs. What a replay may go on with stays. Doing it again does nothing. Whoever calls it leaves out what must
 * stay: `foreign` ones, if nobody answers for them.
 */
export async function clearLeft(connection: Connection, left: readonly LeftBehind[]): Promise<Cleared> {
  const ledger = ledgerOf(connection);
  const schemas = new Set(left.flatMap(({ collections }) => collections.map(schemaOf)));
  const finished: string[] = [];
  const released: string[] = [];
  const cleared = new Set<string>();
  for (const { run, row, way } of left) {
    if (way === 'replay') continue;
    cleared.add(run);
    const open = row !== undefined && isOpen(row.state);
    const plan = open ? (await readNewestPins(ledger, run)).plan : undefined;
    if (plan && way === 'finish') {
      for (const { destination } of plan.tables) await checkOwner(ledger, destination, run);
      await putInPlace(connection, ledger, run, plan);
      finished.push(run);
    }
    if (plan) released.push(...(await shutOut(ledger, run, plan)));
    if (row) await ledger.ids.deleteMany({ run });
  }
  const { dropped, refused } = await dropLeftovers(connection, schemas, (run) => cleared.has(run));
  return { dropped: dropped.size, refused: [...refused], finished, released };
}

function schemaOf(collection: string): string {
  return collection.slice(0, collection.indexOf('.'));
}

/** A worker that comes back finds that nothing is its run's any more. */
async function shutOut(ledger: Ledger, run: string, { tables }: Plan): Promise<string[]> {
  await supersede(ledger, run);
  const released: string[] = [];
  for (const { destination } of tables) {
    if (await release(ledger, destination, run)) released.push(tableText(destination));
  }
  return released;
}
