import { LetheError } from '../errors/errors.js';
import { REPLAY_PASSES } from '../ledger/states.js';
import { tableText } from '../plan/catalog.js';
import { lastPass } from '../postgres/ledger/quarantine.js';
import { countAlone, readRest } from '../postgres/ledger/replays.js';
import { quarantineLimit } from '../postgres/load/quarantine.js';
import type { Fence } from '../postgres/saga/put-back.js';
import { quietTables } from '../postgres/saga/quiet.js';
import { withTransaction } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { load } from './load.js';
import type { OpenRun } from './run.js';

/** Its passes come behind those of a replay; a row is tried once in each. */
const FIRST_PASS = REPLAY_PASSES / 2;

/**
 * For a run whose tables were read under several states of the source, since its snapshot was lost under way: copies the
 * rows that were refused or removed for want of a parent, each with its parent, as the source has them now; those that it
 * has no more stay removed. Constraints are in force again. Returns what was done, as sentences.
 *
 * @throws LetheError `QuarantineLimit` when more rows than the job allows are left without a parent.
 */
export async function reunite(deps: Dependencies, run: OpenRun, fence: Fence): Promise<string[]> {
  const { session, ref, pins } = run;
  const { tables } = pins.plan;
  const before = await unsettled(run);
  if (before.size > 0) {
    await withTransaction(session, async () => {
      await fence(
        session,
        tables.map(({ destination }) => destination),
      );
      await quietTables(session, ref.run, tables);
    });
    await tryAll(deps, run, before);
  }
  const after = await unsettled(run);
  for (const table of tables.filter(({ id }) => after.has(id))) {
    const { used, limit } = await quarantineLimit(session, ref.run, table, pins.plan.execution);
    if (used <= limit) continue;
    throw new LetheError(
      'QuarantineLimit',
      `More than ${limit} rows of ${tableText(table.source)} cannot be written: their tables were read under different states of the source, and it does not have their parents any more. Run the job again, or raise the limit of \`onFailure\`.`,
      { table: tableText(table.source), limit },
    );
  }
  return sentences(run);
}

/** In passes, parents first, until one brings nothing. A later attempt tries again what was left when the one before ended. */
async function tryAll(deps: Dependencies, run: OpenRun, first: ReadonlySet<number>): Promise<void> {
  const replay = run.ref.replay ?? 0;
  const passes = replay * REPLAY_PASSES;
  const begin = Math.max(passes + FIRST_PASS, (await lastPass(run.session, run.ref.run)) + 1);
  let left = first;
  for (let pass = begin; pass < passes + REPLAY_PASSES && left.size > 0; pass += 1) {
    let moved = 0;
    for (const table of run.pins.plan.order.flat().filter((id) => left.has(id))) {
      const work = { kind: 'rows', replay, pass, waiting: true } as const;
      const { rows, gone = 0 } = await load(deps, run, [table], work);
      moved += rows + gone;
    }
    if (moved === 0) break;
    left = await unsettled(run);
  }
}

/** Tables with rows that wait for a parent, or that the source had no more, or otherwise, when they were removed. */
async function unsettled({ session, ref }: OpenRun): Promise<Set<number>> {
  const rest = await readRest(session, ref.run);
  return new Set(rest.filter(({ waiting, outdated }) => waiting + outdated > 0).map(({ table }) => table));
}

async function sentences({ session, ref, pins }: OpenRun): Promise<string[]> {
  const counts = await countAlone(session, ref.run, ref.replay ?? 0);
  const names = new Map(pins.plan.tables.map((table) => [table.id, tableText(table.source)]));
  const list = (of: 'along' | 'gone') =>
    counts
      .filter((count) => count[of] > 0)
      .map((count) => `${names.get(count.table)} ${count[of]}`)
      .join(', ');
  const [along, gone] = [list('along'), list('gone')];
  const why = 'The tables were read under different states of the source';
  return [
    ...(along ? [`${why}: rows that others reference were copied from the later one (${along}).`] : []),
    ...(gone ? [`${why}: rows without a parent that the later one has no more were removed (${gone}).`] : []),
  ];
}
