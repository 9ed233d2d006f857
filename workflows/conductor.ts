import { WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  ChildWorkflowCancellationType,
  ContinueAsNew,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  sleep,
  startChild,
  WorkflowIdReusePolicy,
  workflowInfo,
} from '@temporalio/workflow';
import type { ChildStatus, PreparedRun, ResolvedRun } from '../activities/types.js';
import { type Group, groupsOf, share } from './groups.js';
import type { holdSnapshot } from './holdSnapshot.js';
import { type GroupReport, type Progress, type TableState, type Window, windowSignal } from './messages.js';
import { type Activities, activitiesOf, type Tuning } from './options.js';
import { progressTable } from './progressTable.js';
import type { syncTable } from './syncTable.js';

/** What a run hands itself over continue-as-new. */
export interface Carried {
  readonly resolved: ResolvedRun;
  readonly prepared: PreparedRun;
  readonly tables: readonly TableState[];
  readonly concurrency: number;
  readonly paused: boolean;
  /** Index of the layer under way. */
  readonly layer: number;
  /** Names of groups that run. */
  readonly running: readonly string[];
  /** Names of groups of this layer that are done. */
  readonly done: readonly string[];
  /** Of the last window that was told. */
  readonly order: number;
}

/** Two: the snapshot survives the loss of either. */
const SNAPSHOT_HOLDERS = 2;
/** A table's workflow that nobody hears of for so long is looked up: it may have been terminated. */
const SILENCE = '60 s';

/** Leads the tables of one run through their workflows. Children outlive continue-as-new, so they are known by id. */
export class Conductor {
  continuing = false;
  private phase: Progress['phase'] = 'loading';
  private waitsUntil: string | undefined;
  private paused: boolean;
  private concurrency: number;
  private layer: number;
  private readonly activities: Activities;
  private readonly groups: Group[][];
  private readonly tables: Map<number, TableState>;
  private readonly running: Set<string>;
  private readonly done: Set<string>;
  private failure: { type: string; message: string } | undefined;
  private reports = 0;
  private order: number;
  private readonly warnings: string[];

  constructor(
    private readonly resolved: ResolvedRun,
    private readonly prepared: PreparedRun,
    /** Of the workflow, for its next leg. */
    private readonly input: { readonly tuning?: Tuning; readonly [field: string]: unknown },
    paused: boolean,
    carried?: Carried,
  ) {
    this.groups = groupsOf(prepared);
    this.activities = activitiesOf(input.tuning);
    this.warnings = [...prepared.warnings];
    this.paused = carried?.paused ?? paused;
    this.concurrency = carried?.concurrency ?? prepared.concurrency;
    this.layer = carried?.layer ?? 0;
    this.order = carried?.order ?? 0;
    this.running = new Set(carried?.running);
    this.done = new Set(carried?.done);
    const tables = carried?.tables ?? prepared.tables.map(({ id, name, rows }) => waiting(id, name, rows));
    this.tables = new Map(tables.map((table) => [table.id, table]));
    this.show();
  }

  progress(): Progress {
    return {
      run: this.resolved.ref.run,
      job: this.resolved.ref.job,
      phase: this.phase,
      paused: this.paused,
      concurrency: this.concurrency,
      tables: [...this.tables.values()],
      warnings: this.warnings,
      ...(this.waitsUntil !== undefined && { waitsUntil: this.waitsUntil }),
    };
  }

  enter(phase: Progress['phase']): void {
    this.phase = phase;
    this.show();
  }

  /** @param until ISO 8601, UTC. */
  waitForReplay(until: string): void {
    this.waitsUntil = until;
    this.enter('waiting');
  }

  warn(warnings: readonly string[]): void {
    this.warnings.push(...warnings);
    this.show();
  }

  async pause(paused: boolean): Promise<void> {
    this.paused = paused;
    this.show();
    await this.tellWindows();
  }

  async setConcurrency(partitions: number): Promise<number> {
    this.concurrency = partitions;
    this.show();
    await this.tellWindows();
    return partitions;
  }

  /** A report of a group's workflow. */
  take(report: GroupReport): void {
    this.reports += 1;
    for (const { id, ...table } of report.tables) {
      this.tables.set(id, { ...this.tables.get(id)!, ...table });
    }
    const name = report.group.slice(this.workflowId('').length);
    if (report.ended && !report.ended.ok)
      this.failure ??= { type: report.ended.type, message: report.ended.message };
    if (report.ended && this.running.delete(name)) this.done.add(name);
    this.show();
  }

  async holdSnapshot(): Promise<void> {
    const { ref } = this.resolved;
    await this.start<typeof holdSnapshot>(
      'holdSnapshot',
      'snapshot',
      { ref, root: workflowInfo().workflowId, holders: SNAPSHOT_HOLDERS, tuning: this.input.tuning },
      'snapshot',
    );
    const scope = new CancellationScope();
    const published = scope.run(() => this.activities.control.awaitSnapshot(ref));
    // The holders say why when there will be none.
    published.catch(() => undefined);
    try {
      await Promise.race([published, condition(() => this.failure !== undefined)]);
    } finally {
      scope.cancel();
    }
    this.throwFailure();
  }

  /** Ends the snapshot of an earlier replay that was terminated: the rows may have been mended since. */
  async endFormerSnapshot(): Promise<void> {
    await this.stop(['snapshot']);
  }

  async releaseSnapshot(): Promise<void> {
    await this.cancel('snapshot');
  }

  /** Loads all tables, layer by layer. Throws the first failure after the others were told to stop. */
  async loadTables(): Promise<void> {
    for (; this.layer < this.groups.length; this.layer += 1) {
      await this.loadLayer(this.groups[this.layer]!);
      this.done.clear();
    }
  }

  private async loadLayer(groups: Group[]): Promise<void> {
    const waiting = groups.filter(({ name }) => !this.done.has(name) && !this.running.has(name));
    while (waiting.length > 0 || this.running.size > 0) {
      this.throwFailure();
      await this.continueAsNewWhenFull();
      const free = this.paused ? 0 : Math.max(0, this.concurrency - this.running.size);
      const starting = waiting.splice(0, free);
      if (starting.length > 0) {
        await this.startGroups(starting);
        continue;
      }
      const seen = this.reports;
      const sharing = this.running.size;
      const heard = await condition(
        () =>
          this.reports > seen || (waiting.length > 0 && !this.paused && this.running.size < this.concurrency),
        SILENCE,
      );
      if (!heard) await this.lookUp();
      // Those that go on share what the ended ones leave.
      else if (waiting.length === 0 && this.running.size < sharing) await this.tellWindows();
    }
    this.throwFailure();
  }

  /** Cancels what runs and waits until it has ended, so that nothing writes while the destination is put back. */
  async stopTables(): Promise<void> {
    await this.stop([...this.running]);
    this.running.clear();
  }

  private async stop(names: readonly string[]): Promise<void> {
    const ids = names.map((name) => this.workflowId(name));
    for (let round = 0; ids.length > 0; round += 1) {
      // Again in each round: one that was still being started could not be told.
      await Promise.all(names.map((name) => this.cancel(name)));
      const statuses = await this.activities.control.childStatus(ids);
      const over = statuses.every(({ status }) => !mayRun(status) && (status !== 'missing' || round > 2));
      if (over) break;
      await sleep(Math.min(100 * 2 ** round, 5_000));
    }
  }

  private throwFailure(): void {
    if (this.failure) throw ApplicationFailure.nonRetryable(this.failure.message, this.failure.type);
  }

  /** True for the "error" by which a workflow continues as new. */
  isContinuing(error: unknown): boolean {
    this.continuing = error instanceof ContinueAsNew;
    return this.continuing;
  }

  /** All at once: a round trip each, one after the other, would cost more than small tables take to load. */
  private async startGroups(groups: Group[]): Promise<void> {
    const others = [...this.running];
    for (const { name } of groups) this.running.add(name);
    const window = this.nextWindow();
    await Promise.all(
      groups.map((group) =>
        this.start<typeof syncTable>(
          'syncTable',
          group.name,
          {
            ref: this.resolved.ref,
            root: workflowInfo().workflowId,
            tables: group.tables.map(({ id }) => id),
            names: group.tables.map(({ name }) => name),
            small: group.small,
            window,
            tuning: this.input.tuning,
          },
          group.tables.length === 1 ? group.name : `${group.tables.length} small tables`,
        ),
      ),
    );
    // What changed meanwhile may have been told to workflows that were not there yet.
    await this.tellWindows(this.order === window.order ? others : undefined);
  }

  private async start<W extends (input: never) => Promise<unknown>>(
    type: string,
    name: string,
    input: Parameters<W>[0],
    staticSummary: string,
  ): Promise<void> {
    try {
      await startChild(type, {
        workflowId: this.workflowId(name),
        args: [input],
        staticSummary,
        parentClosePolicy: ParentClosePolicy.ABANDON,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        workflowIdReusePolicy: WorkflowIdReusePolicy.ALLOW_DUPLICATE,
      });
    } catch (error) {
      // After a reset of the root its children still run: they are the ones that are wanted.
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
  }

  /** Deterministic, so that a person finds a table's workflow from its run and the other way round. */
  private workflowId(name: string): string {
    const { job, run, replay } = this.resolved.ref;
    return `${replay === undefined ? 'sync' : 'replay'}:${job}:${run}/${name}`;
  }

  private async cancel(name: string): Promise<void> {
    try {
      await getExternalWorkflowHandle(this.workflowId(name)).cancel();
    } catch {
      // It is closed already.
    }
  }

  private async tellWindows(names: readonly string[] = [...this.running]): Promise<void> {
    const window = this.nextWindow();
    await Promise.all(
      names.map(async (name) => {
        try {
          await getExternalWorkflowHandle(this.workflowId(name)).signal(windowSignal, window);
        } catch {
          // It ended meanwhile; its report says how.
        }
      }),
    );
  }

  private nextWindow(): Window {
    // The time as well, so that after a reset of this workflow the children do not take its word for an old one.
    this.order = Math.max(this.order + 1, Date.now());
    return { partitions: this.paused ? 0 : share(this.concurrency, this.running.size), order: this.order };
  }

  /** Finds out about workflows that ended without a word: terminated, or timed out. */
  private async lookUp(): Promise<void> {
    const statuses = await this.activities.control.childStatus(
      [...this.running].map((name) => this.workflowId(name)),
    );
    for (const { workflowId, status } of statuses) {
      if (mayRun(status)) continue;
      const name = workflowId.slice(this.workflowId('').length);
      if (!this.running.delete(name)) continue;
      if (status === 'completed') this.done.add(name);
      else
        this.failure ??= {
          type: 'RunEnded',
          message: `The workflow of ${name} was ${status}. Start the run again.`,
        };
    }
  }

  private async continueAsNewWhenFull(): Promise<void> {
    const info = workflowInfo();
    const full =
      info.continueAsNewSuggested ||
      info.historyLength > (this.input.tuning?.historyLimit ?? Number.POSITIVE_INFINITY);
    if (!full || CancellationScope.current().consideredCancelled) return;
    await condition(allHandlersFinished);
    await continueAsNew<(input: { carried: Carried }) => Promise<unknown>>({
      ...this.input,
      carried: {
        resolved: this.resolved,
        prepared: this.prepared,
        tables: [...this.tables.values()],
        concurrency: this.concurrency,
        paused: this.paused,
        layer: this.layer,
        running: [...this.running],
        done: [...this.done],
        order: this.order,
      },
    });
  }

  private show(): void {
    setCurrentDetails(progressTable(this.progress()));
  }
}

function mayRun(status: ChildStatus['status']): boolean {
  return status === 'open' || status === 'unknown';
}

function waiting(id: number, name: string, expected: number): TableState {
  return { id, name, expected, rows: 0, quarantined: 0, state: 'waiting' };
}
