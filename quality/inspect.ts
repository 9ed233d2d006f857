import type { JobKeys } from '../anonymize/keys.js';
import type { CheckSettings } from '../job/types.js';
import { type TableName, tableText } from '../plan/catalog.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import { wholeTable } from '../postgres/identifiers.js';
import { countOrphans, invalidConstraints, smallGroups } from '../postgres/inspect/constraints.js';
import {
  countChanged,
  type InspectedTable,
  type InspectOptions,
  inspectedTable,
  readSource,
  snapshotText,
  unchangedSince,
} from '../postgres/inspect/sample.js';
import { Stage } from '../postgres/inspect/stage.js';
import type { Source } from '../postgres/load/source.js';
import { readingAllRows } from '../postgres/rowSecurity.js';
import type { Session } from '../postgres/session.js';
import { limit, sampleSizes } from './budget.js';
import { distributionsOf } from './distributions.js';
import type {
  Distribution,
  Groups,
  Inspection,
  InspectProgress,
  Recomputed,
  Residual,
  SealedInspection,
} from './inspection.js';
import { LeakScan } from './scan/leakScan.js';
import { confirmTable, learnRows } from './scan/sourceRows.js';
import { lookAtTable, lookedRows } from './scan/texts.js';
import { lookAtSealed, mixedColumns, type SealedBy, type SealedColumn, type SealedRows } from './sealed.js';

export interface InspectRequest {
  readonly plan: Pick<Plan, 'tables' | 'mode' | 'versions'>;
  readonly settings: CheckSettings;
  readonly keys: JobKeys;
  /** ISO 8601, UTC. */
  readonly runTime: string;
  /** Which blocks are sampled. */
  readonly seed: number;
  /** Rows that the run wrote, by plan id. */
  readonly written: ReadonlyMap<number, number>;
  /** Plan ids of tables that were loaded under more than one state of the source. */
  readonly unsteady: ReadonlySet<number>;
  /** State of the source that the run read: rows that changed since are left out. Absent: the source is in it. */
  readonly changedSince?: string;
  /** What sealed values are judged by, where the run sealed any. */
  readonly sealed?: SealedBy;
}

/**
 * Looks at the rows of a finished run on both sides: reads a sample of the source and transforms it again, compares that
 * with the destination, searches the destination for values of the source, and counts. Memory is bounded by the sets of
 * the leak scan and a few chunks; the sample lies in temporary tables of the destination.
 *
 * @param destination A session outside a transaction, or in one that will be rolled back.
 * @param source Undefined where the source cannot be read any more: what needs it is left out.
 */
export async function inspect(
  destination: Session,
  source: Source | undefined,
  request: InspectRequest,
  report: (progress: InspectProgress) => void = () => undefined,
): Promise<Inspection> {
  const tables = request.plan.tables.map((table) => table.destination);
  return readingAllRows(destination, tables, () => inspectAll(destination, source, request, tables, report));
}

async function inspectAll(
  destination: Session,
  source: Source | undefined,
  request: InspectRequest,
  tables: readonly TableName[],
  report: (progress: InspectProgress) => void,
): Promise<Inspection> {
  const { settings } = request;
  const rows = source
    ? await inspectRows(destination, source, request, report)
    : await inspectAlone(destination, request);
  report({ phase: 'constraints', done: 0, of: 1 });
  return {
    ...rows,
    constraints: await invalidConstraints(destination, tables),
    orphans: await countOrphans(destination, tables, settings.constraints.rows, request.seed),
    groups: await groupsOf(destination, request),
  };
}

type RowFindings = Pick<
  Inspection,
  'snapshot' | 'unread' | 'recomputed' | 'leaks' | 'residual' | 'distributions' | 'sealed'
>;

/** Without the source: what can be told of the destination alone. */
async function inspectAlone(destination: Session, { plan, sealed }: InspectRequest): Promise<RowFindings> {
  const unread = 'no state of the source is held any more';
  const columns: SealedColumn[] = [];
  for (const table of sealed ? plan.tables : [])
    columns.push(...(await lookAtSealed(destination, table, sealedRows(table, plan.mode), sealed!)));
  return {
    ...{ recomputed: [], residual: [], distributions: [], unread },
    ...(sealed && { sealed: { columns, mixed: mixedColumns(plan), opened: 0, unopened: unread } }),
  };
}

/** An `upsert` shares its table with rows that are not Lethe's: there the rows of the sample are looked at. */
function sealedRows(plan: TablePlan, mode: Plan['mode'], sample?: string): SealedRows {
  const every = mode === 'replace';
  return { wholes: every ? `${wholeTable(plan)} AS d` : sample, every, parts: sample };
}

async function inspectRows(
  destination: Session,
  source: Source,
  request: InspectRequest,
  report: (progress: InspectProgress) => void,
): Promise<RowFindings> {
  const { plan, settings, keys, written } = request;
  // A table may have no column, or generated ones only: then there is nothing to look at.
  const tables = plan.tables.filter(({ columns }) => columns.length > 0);
  const sizes = sampleSizes(
    tables.map(({ id }) => written.get(id) ?? 0),
    settings,
  );
  const looked = tables.map(({ id }, at) => Math.min(sizes[at]!, written.get(id) ?? 0));
  const { rare, minLength } = settings.leaks;
  const scan =
    settings.leaks.severity === 'off'
      ? undefined
      : new LeakScan({ plan, keys, rows: looked.reduce((sum, count) => sum + count, 0), rare, minLength });
  const options: InspectOptions = {
    keys,
    runTime: request.runTime,
    seed: request.seed,
    ...(request.changedSince !== undefined && {
      unchanged: await unchangedSince(source, request.changedSince),
    }),
  };
  const steps = tables.length;
  const staged: { table: InspectedTable; stage: Stage }[] = [];
  const recomputed: Recomputed[] = [];
  const residual: Residual[] = [];
  const distributions: Distribution[] = [];
  const sealed: SealedColumn[] = [];
  for (const [done, tablePlan] of tables.entries()) {
    report({ phase: 'source', table: tableText(tablePlan.source), done, of: steps });
    const table = await inspectedTable(source, tablePlan, sizes[done]!, options);
    const stage = await fill(destination, source, table, scan);
    // Later on, a source may have been rebuilt; under the run's snapshot it would show no rows.
    if (request.changedSince === undefined) await source.refuseChanged(tablePlan);
    staged.push({ table, stage });
    if (settings.recompute.severity === 'off' || (!stage.keyed && !table.sample.whole)) continue;
    const unsteady = request.unsteady.has(tablePlan.id);
    const changed = await countChanged(source, table);
    recomputed.push({
      table: tablePlan.id,
      rows: stage.rows,
      ...(await stage.compare(keys.sealing)),
      changed,
      unsteady,
    });
  }
  for (const [done, { table, stage }] of staged.entries()) {
    report({ phase: 'destination', table: tableText(table.plan.source), done, of: steps });
    residual.push(...(await lookAtTable(destination, table, stage, plan.mode, settings, scan)));
    if (request.sealed) {
      const rows = sealedRows(table.plan, plan.mode, lookedRows(table, stage, plan.mode).from);
      sealed.push(...(await lookAtSealed(destination, table.plan, rows, request.sealed)));
    }
    if (settings.drift.severity !== 'off') {
      const rows = limit(settings.drift.rows);
      distributions.push(...(await distributionsOf(destination, source, table, stage, rows)));
    }
    await stage.drop();
  }
  if (scan?.settle()) {
    for (const [done, { table }] of staged.entries()) {
      report({ phase: 'suspects', table: tableText(table.plan.source), done, of: steps });
      await confirmTable(source, table, scan);
    }
  }
  return {
    snapshot: await snapshotText(source),
    recomputed,
    residual,
    distributions,
    ...(scan && { leaks: scan.result() }),
    ...(request.sealed && { sealed: sealedInspection(request, sealed, recomputed) }),
  };
}

function sealedInspection(
  { plan, settings, sealed: by }: InspectRequest,
  columns: readonly SealedColumn[],
  recomputed: readonly Recomputed[],
): SealedInspection {
  const off = settings.recompute.severity === 'off' ? 'checks.recompute is off' : undefined;
  const unopened = by?.unopened ?? off;
  return {
    columns,
    mixed: mixedColumns(plan),
    opened: recomputed.reduce((sum, { opened }) => sum + opened, 0),
    ...(unopened !== undefined && { unopened }),
  };
}

/** Reads the sample of a table, and lays what it must have become beside the destination. */
async function fill(
  destination: Session,
  source: Source,
  table: InspectedTable,
  scan: LeakScan | undefined,
): Promise<Stage> {
  const stage = await Stage.open(destination, table);
  try {
    for await (const rows of readSource(source, table, table.sample.from)) {
      await stage.write(rows);
      if (scan) learnRows(table, rows, scan);
    }
    await stage.close();
    return stage;
  } catch (error) {
    await stage.abort();
    throw error;
  }
}

async function groupsOf(destination: Session, { plan, settings }: InspectRequest): Promise<Groups[]> {
  const found: Groups[] = [];
  for (const [check, { table, columns, k }] of settings.kAnonymity.entries()) {
    const named = plan.tables.find((one) => tableText(one.source) === table);
    const names = named && destinationColumns(named, columns);
    if (!named || !names) continue;
    found.push({ check, ...(await smallGroups(destination, wholeTable(named), names, k)) });
  }
  return found;
}

/** Undefined when one of them is not written. */
function destinationColumns(table: TablePlan, columns: readonly string[]): string[] | undefined {
  const names = columns.map((name) => table.columns.find((column) => column.name === name)?.destination);
  return names.every((name) => name !== undefined) ? (names as string[]) : undefined;
}
