import { activityInfo } from '@temporalio/activity';
import { LetheError } from '../errors/errors.js';
import { didYouMean } from '../job/nearest.js';
import { isOpen } from '../ledger/states.js';
import type { RunRef } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import { type Correction, correctPlan } from '../plan/correct.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import { refusePlan } from '../plan/refuse.js';
import { readFilenodes } from '../postgres/catalog/fingerprint.js';
import { readEpochs, registerTables } from '../postgres/fence.js';
import { wholeTable } from '../postgres/identifiers.js';
import {
  findReplay,
  insertReplay,
  readCorrected,
  readReplay,
  readRest,
  type TableRest,
} from '../postgres/ledger/replays.js';
import { readRun } from '../postgres/ledger/runs.js';
import { planJob } from '../postgres/planning.js';
import { query, type Session, withTransaction } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { isAlive } from './open.js';
import { loadingLayers, preparedTable } from './prepare.js';
import { findInput, withRetentionOf } from './resolve.js';
import { type OpenRun, withRun } from './run.js';
import { retentionOfReplay } from './sealing.js';
import { withSource } from './source.js';
import type { BegunReplay, ReplayInput } from './types.js';

/**
 * Opens a failed run again, if it may be replayed: its workflow is then the present one, and what it works by is
 * recorded. Called again by the same execution, it returns what was recorded.
 */
export async function beginReplay(deps: Dependencies, ref: RunRef, input: ReplayInput): Promise<BegunReplay> {
  return withRun(
    deps,
    ref,
    async (started) => {
      const { runId, workflowId } = activityInfo().workflowExecution!;
      const { session } = started;
      const mine = await findReplay(session, ref.run, runId);
      if (mine !== undefined) {
        const { plan } = (await readReplay(session, ref.run, mine.n))!;
        const chosen = await todo(session, ref.run, plan, input);
        const unfinished = await unfinishedOf(session, plan, await readRest(session, ref.run), mine.again);
        return begun(started, { ...ref, replay: mine.n }, plan, chosen, unfinished, []);
      }
      await refuseState(deps, started, workflowId);
      const corrected = await readCorrected(session, ref.run);
      const run = { ...started, pins: { ...started.pins, ...corrected } };
      const chosen = await todo(session, ref.run, run.pins.plan, input);
      const known = [started.pins.jobText, run.pins.jobText];
      const { plan, jobText, warnings, again } = await planReplay(deps, run, input, known, chosen.rest);
      const unfinished = await unfinishedOf(session, run.pins.plan, await readRest(session, ref.run), again);
      const n = await withTransaction(session, async () => {
        await query(session, 'SELECT 1 FROM lethe.run WHERE run = $1 FOR UPDATE', [ref.run]);
        await refuseState(deps, { ...run, row: await readRun(session, ref.run) }, workflowId);
        const { namespace } = deps;
        return insertReplay(session, {
          ...{ run: ref.run, namespace, workflowId, execution: runId },
          ...{ plan, jobText, again },
        });
      });
      return begun(run, { ...ref, replay: n }, plan, chosen, unfinished, warnings);
    },
    { ended: true },
  );
}

/** @throws LetheError when the run's state, or its owner, forbids a replay. */
async function refuseState(deps: Dependencies, { row, session, pins }: OpenRun, own: string): Promise<void> {
  const { run, state, workflowId } = row;
  if (state === 'complete') {
    throw new LetheError(
      'NothingToReplay',
      `Run ${run} is complete: nothing of it is in quarantine, nothing is owed. There is nothing to replay.`,
    );
  }
  if (state === 'cancelled') {
    throw new LetheError(
      'RunEnded',
      `Run ${run} was cancelled, and what it had not loaded whole was emptied. Start a new one: \`lethe sync\`.`,
    );
  }
  const ids = await registerTables(
    session,
    pins.plan.tables.map(({ destination }) => destination),
  );
  const held = await readEpochs(session, run);
  const lost = pins.plan.tables.find((_, i) => !held.has(ids[i]!));
  if (state === 'superseded' || lost) {
    throw new LetheError(
      'RunSuperseded',
      `Run ${run} was superseded, or never began to load: it does not own ${lost ? tableText(lost.destination) : 'its tables'}. Replay the newest run of the job (\`lethe runs\`), or start a new one.`,
    );
  }
  if (isOpen(state) && workflowId !== own && (await isAlive(deps, row))) {
    throw new LetheError(
      'DestinationBusy',
      `Run ${run} is still ${state} (workflow ${workflowId}). Wait for its end, or cancel it: \`lethe cancel ${run}\`.`,
      { run },
    );
  }
}

/** Tables that have to be loaded, by id, and those of them that begin again from their start. */
interface Unfinished {
  readonly loaded: readonly number[];
  readonly again: readonly number[];
}

/**
 * A table whose load was cut short goes on where it stopped, if what it has is still there; a run that fails empties
 * such tables. Without a key single rows cannot be found, so one with rows in quarantine is read again as well.
 *
 * @param corrected Tables that a corrected job treats otherwise in columns on which others depend.
 */
async function unfinishedOf(
  session: Session,
  plan: Plan,
  rest: readonly TableRest[],
  corrected: readonly number[],
): Promise<Unfinished> {
  const byTable = new Map(rest.map((one) => [one.table, one]));
  const loaded: number[] = [];
  const again: number[] = [];
  for (const table of plan.tables) {
    const { complete = false, written = 0, quarantined = 0 } = byTable.get(table.id) ?? {};
    const emptied = written > 0 && (await isEmpty(session, table));
    const keyless = table.key.kind === 'ctid' && (quarantined > 0 || !complete);
    const anew = emptied || keyless || corrected.includes(table.id);
    if (complete && !anew) continue;
    loaded.push(table.id);
    if (anew) again.push(table.id);
  }
  return { loaded, again };
}

async function isEmpty(session: Session, table: TablePlan): Promise<boolean> {
  return (await query(session, `SELECT 1 FROM ${wholeTable(table)} LIMIT 1`)).length === 0;
}

interface Todo {
  /** Tables with rows to try again. */
  readonly rest: readonly TableRest[];
  readonly batches?: { partition: number; batch: number }[];
}

/** The rows that the input means. Rows that wait for a parent always belong to it. */
async function todo(session: Session, run: string, plan: Plan, input: ReplayInput): Promise<Todo> {
  const rest = (await readRest(session, run)).filter(({ quarantined }) => quarantined > 0);
  const names = new Map(plan.tables.map((table) => [tableText(table.source), table.id]));
  const unknown = (input.tables ?? []).filter((name) => !names.has(name));
  if (unknown.length > 0) {
    throw new LetheError(
      'JobInvalid',
      `Run ${run} has no table ${unknown.map((name) => `${name}${didYouMean(name, [...names.keys()])}`).join(', ')}. Tables are named as in the source: schema.table.`,
    );
  }
  const wanted = input.tables && new Set(input.tables.map((name) => names.get(name)!));
  const batches = input.batches?.map((text) => {
    const [partition, batch] = text.split('/').map(Number) as [number, number];
    return { partition, batch };
  });
  if (batches) await refuseUnknownBatches(session, run, batches);
  return {
    rest: rest.filter(({ table, waiting }) => !wanted || wanted.has(table) || waiting > 0),
    ...(batches && { batches }),
  };
}

async function refuseUnknownBatches(
  session: Session,
  run: string,
  batches: readonly { partition: number; batch: number }[],
): Promise<void> {
  const rows = await query(
    session,
    `SELECT DISTINCT partition, batch FROM lethe.quarantine WHERE run = $1 AND partition IS NOT NULL`,
    [run],
  );
  const known = rows.map((row) => `${row.partition}/${row.batch}`);
  const unknown = batches
    .map(({ partition, batch }) => `${partition}/${batch}`)
    .filter((id) => !known.includes(id));
  if (unknown.length === 0) return;
  throw new LetheError(
    'JobInvalid',
    `No row of batch ${unknown.join(', ')} of run ${run} is in quarantine${didYouMean(unknown[0]!, known)}. \`lethe show ${run} --json\` lists the batches.`,
  );
}

interface PlannedReplay {
  readonly plan: Plan;
  readonly jobText: string;
  readonly warnings: string[];
  /** Ids of tables that have to be loaded again. */
  readonly again: readonly number[];
}

/** The run's own plan with the source's files as they are now, or that of a corrected job. */
async function planReplay(
  deps: Dependencies,
  run: OpenRun,
  input: ReplayInput,
  /** Texts of the job that ask for no correction: as it was started, and as it was last corrected. */
  known: readonly string[],
  rest: readonly TableRest[],
): Promise<PlannedReplay> {
  const { pins, session } = run;
  return withSource(deps, run, async (source) => {
    const pinned = await withFilenodes(source, pins.plan);
    const same = { plan: pinned, jobText: pins.jobText, warnings: [], again: [] };
    if (!input.file && !input.job) return same;
    const loaded = await findInput(deps, input);
    const { text } = loaded;
    if (known.includes(text)) return same;
    const job = await withRetentionOf(deps, loaded, input, retentionOfReplay(pins, loaded.job));
    const planned = await planJob(job, source, session, true);
    refusePlan(planned.plan);
    const correction = correctPlan(pinned, planned.plan, planned);
    const { plan, again } = correction;
    const warnings = warningsOf(correction, new Set(rest.map(({ table }) => table)));
    return { plan, jobText: text, warnings, again: [...again.keys()] };
  });
}

/** @param rest Ids of tables with rows that are replayed. */
function warningsOf({ plan, changed, again }: Correction, rest: ReadonlySet<number>): string[] {
  const names = (chosen: (id: number) => boolean) =>
    plan.tables.filter(({ id }) => chosen(id)).map((table) => `${tableText(table.source)}.`);
  const whole = names((id) => again.has(id));
  const some = names((id) => rest.has(id));
  return [
    ...plan.tables.flatMap(({ id, source }) =>
      again.has(id) ? [`${tableText(source)} is loaded again whole: ${again.get(id)}.`] : [],
    ),
    ...changed
      .filter((column) => !whole.some((table) => column.startsWith(table)))
      .map((column) =>
        some.some((table) => column.startsWith(table))
          ? `${column} is treated as the corrected job says in the rows that are replayed; the others keep what they have until the next sync.`
          : `${column} is treated differently in the corrected job, but no row of its table is replayed: the next sync does it.`,
      ),
  ];
}

/** A table may have been rewritten since the run read it; the new snapshot sees its rows all the same. */
async function withFilenodes(source: Session, plan: Plan): Promise<Plan> {
  const oids = plan.tables.flatMap(({ units }) => units.map(({ oid }) => oid));
  const now = await readFilenodes(source, oids);
  return {
    ...plan,
    tables: plan.tables.map((table) => ({
      ...table,
      units: table.units.map((unit) => {
        const filenode = now.get(unit.oid);
        return filenode === undefined || unit.filenode === undefined ? unit : { ...unit, filenode };
      }),
    })),
  };
}

function begun(
  { row: { mode } }: OpenRun,
  ref: RunRef,
  plan: Plan,
  { rest, batches }: Todo,
  { loaded, again }: Unfinished,
  warnings: string[],
): BegunReplay {
  const counts = new Map(rest.map(({ table, quarantined }) => [table, quarantined]));
  for (const table of again) counts.delete(table);
  const loads = new Set(loaded);
  return {
    ref,
    mode,
    prepared: {
      tables: plan.tables
        .filter(({ id }) => loads.has(id) || counts.has(id))
        .map((table) => {
          const prepared = preparedTable(table);
          return loads.has(table.id) ? prepared : { ...prepared, rows: counts.get(table.id)! };
        }),
      layers: loadingLayers(plan, (id) => loads.has(id)),
      concurrency: plan.execution.concurrency,
      warnings,
    },
    again: [...again],
    tables: plan.tables.map(({ id }) => id),
    order: plan.order.map((layer) => layer.filter((id) => counts.has(id))).filter(({ length }) => length > 0),
    ...(batches && { batches }),
  };
}
