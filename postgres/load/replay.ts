import { createHash } from 'node:crypto';
import { chainLink } from '../../ledger/chain.js';
import { tableText } from '../../plan/catalog.js';
import { sanitize } from '../errors.js';
import { fence } from '../fence.js';
import { batchTime, finishPartition, nextPartition, openReplayed, recordOutcome } from '../ledger/batches.js';
import {
  countQuarantined,
  countWaiting,
  GONE,
  hashesInQuarantine,
  lockUntried,
  markTried,
  type RetriedRow,
} from '../ledger/quarantine.js';
import type { BatchId } from '../ledger/twins.js';
import { query } from '../session.js';
import type { Loaded } from './batch.js';
import { CarefulLoad } from './careful.js';
import { type TableContext, type TaskContext, tableContext } from './context.js';
import { ancestorsOf, findLink, type Orphan, type ParentLink, readParentKeys } from './parents.js';
import { QuarantineBudget } from './quarantine.js';
import { openRowKey, sealBounds, sealRowKey } from './seals.js';
import type { LoadResult, LoadTable, QuarantinedWork } from './task.js';
import { BatchWatch } from './watch.js';

interface Tried {
  readonly rows: number;
  readonly bytes: number;
  readonly gone: number;
}

/**
 * Tries the quarantined rows of the task's tables again, found at the source by their keys. Constraints are in force
 * meanwhile, so a row either fits or goes back to quarantine with its new reason. A parent that a row needs and that was
 * never copied, since it is newer than the snapshot under which its table was read, is copied first. Some rows at a time,
 * each time in one transaction of the destination with their ledger rows: what a former attempt committed is not tried
 * again.
 */
export async function replayTables(context: TaskContext, work: QuarantinedWork): Promise<LoadResult> {
  const { task, destination } = context;
  const total = { rows: 0, bytes: 0, quarantined: 0, gone: 0, waiting: 0 };
  for (const table of task.tables) {
    const rows = await RowReplay.open(context, work, table);
    for (let tried = await rows.trySome(); tried; tried = await rows.trySome()) {
      total.rows += tried.rows;
      total.bytes += tried.bytes;
      total.gone += tried.gone;
    }
    total.quarantined += await countQuarantined(destination, task.run, table.plan.id);
    total.waiting += await countWaiting(destination, task.run, table.plan.id);
  }
  return total;
}

/** The quarantined rows of one table, and the tables that its rows depend on. */
class RowReplay {
  /** By the table's id. */
  private readonly loaders = new Map<number, TableContext>();
  /** By table and constraint. */
  private readonly links = new Map<string, ParentLink | undefined>();
  /** Keyed hashes of the rows that are being copied: rows may need each other in a circle. */
  private readonly under = new Set<string>();
  /** In the transaction under way. */
  private readonly copied: { readonly watch: BatchWatch; readonly loaded: Loaded }[] = [];

  private constructor(
    private readonly context: TaskContext,
    private readonly work: QuarantinedWork,
    private readonly table: LoadTable,
    private readonly ancestors: readonly LoadTable[],
  ) {}

  static async open(context: TaskContext, work: QuarantinedWork, table: LoadTable): Promise<RowReplay> {
    const { related = [] } = context.task;
    return new RowReplay(context, work, table, await ancestorsOf(context.destination, table.plan, related));
  }

  /** Undefined when none is left. */
  async trySome(): Promise<Tried | undefined> {
    const { destination, task, source } = this.context;
    const loader = await this.loaderOf(this.table);
    this.copied.length = 0;
    await query(destination, 'BEGIN');
    try {
      await this.fenceAll();
      const rows = await lockUntried(destination, task.run, this.table.plan.id, this.work, source.keysAtOnce);
      if (rows.length === 0) {
        await query(destination, 'ROLLBACK');
        return undefined;
      }
      // What is deferred would fail at the commit, when nobody can tell which row it was.
      await query(destination, 'SET CONSTRAINTS ALL IMMEDIATE');
      const gone = await this.copyRows(loader, rows);
      await query(destination, 'COMMIT');
      return { ...this.tellCopied(), gone };
    } catch (error) {
      await query(destination, 'ROLLBACK').catch(() => undefined);
      throw sanitize(error, `replaying rows of ${tableText(this.table.plan.destination)}`);
    }
  }

  private tellCopied(): { rows: number; bytes: number } {
    const { written } = this.context;
    const total = { rows: 0, bytes: 0 };
    for (const { watch, loaded } of this.copied) {
      total.rows += loaded.rows;
      total.bytes += loaded.bytes;
      written.rows += loaded.rows;
      written.bytes += loaded.bytes;
      watch.tell('committed', loaded);
    }
    return total;
  }

  /** In ascending id, as a starter takes them. */
  private async fenceAll(): Promise<void> {
    const epochs = new Map([this.table, ...this.ancestors].map(({ epoch }) => [epoch.id, epoch]));
    for (const epoch of [...epochs.values()].sort((a, b) => a.id - b.id)) {
      await fence(this.context.destination, epoch);
    }
  }

  /** Returns how many of them the source has no more. */
  private async copyRows(loader: TableContext, rows: readonly RetriedRow[]): Promise<number> {
    const { destination, source } = loader;
    const { pass } = this.work;
    const keys = rows.map((row) => keyOf(loader, row));
    // A key that cannot be asked for stays in quarantine.
    const mute = rows.filter((_, i) => keys[i] && !source.knowsKey(keys[i]));
    const asked = keys.filter((key) => key !== undefined && source.knowsKey(key)) as string[][];
    const tried = rows.filter((row) => !mute.includes(row));
    await markTried(destination, ids(mute), pass, null);
    await markTried(destination, ids(tried), pass, 'copied');
    for (const { keyHash } of tried) this.under.add(keyHash);
    const seen = new Set<string>();
    await this.copy(loader, asked, (hash) => seen.add(hash));
    const gone = tried.filter(({ keyHash }) => !seen.has(keyHash));
    await markTried(destination, ids(gone), pass, 'gone');
    this.under.clear();
    return gone.length;
  }

  /** Copies rows of a table by their keys, and what they need; the ledger accounts for them as one batch. */
  private async copy(
    loader: TableContext,
    keys: readonly string[][],
    saw?: (keyHash: string) => void,
  ): Promise<void> {
    const { source, table, ranges, carefulShape } = loader;
    const watch = new BatchWatch(loader, { partition: 0, batch: 0 });
    const opened = await account(loader, this.work);
    const load = new CarefulLoad(loader, opened.id, QuarantineBudget.unlimited(loader), saw);
    for (let at = 0; at < keys.length; at += source.keysAtOnce) {
      await source.setKeys(keys.slice(at, at + source.keysAtOnce));
      await query(source.session, 'SET LOCAL enable_seqscan = off');
      for (const unit of table.plan.units.keys()) {
        await load.read(source.copy(ranges.rowsByKey(carefulShape.select, unit)));
      }
    }
    await this.copyParents(loader, await load.orphans());
    const loaded = await load.finish();
    await source.refuseChanged(table.plan);
    await record(loader, opened, loaded);
    this.copied.push({ watch, loaded });
  }

  /** Copies the parents that rows lack, as far as the source has them and none of them is in quarantine itself. */
  private async copyParents(loader: TableContext, orphans: readonly Orphan[]): Promise<void> {
    for (const constraint of new Set(orphans.map((orphan) => orphan.constraint))) {
      const link = await this.linkOf(loader, constraint);
      if (!link) continue;
      const children = orphans.filter((orphan) => orphan.constraint === constraint).map(({ key }) => key);
      const parent = await this.loaderOf(link.parent);
      const missing = await this.free(parent, await readParentKeys(loader, link, children));
      if (missing.length === 0) continue;
      for (const { hash } of missing) this.under.add(hash);
      await this.copy(
        parent,
        missing.map(({ key }) => key),
      );
      for (const { hash } of missing) this.under.delete(hash);
    }
  }

  /** Without rows that are in quarantine: they are tried in their turn. */
  private async free(
    { keys: jobKeys, task, table, destination }: TableContext,
    keys: readonly string[][],
  ): Promise<{ key: string[]; hash: string }[]> {
    const owner = { run: task.run, table: table.plan.id };
    const hashed = keys.map((key) => ({ key, hash: sealRowKey(jobKeys, owner, key).keyHash }));
    const held = await hashesInQuarantine(
      destination,
      owner.run,
      owner.table,
      hashed.map(({ hash }) => hash),
    );
    return hashed.filter(({ hash }) => !held.has(hash) && !this.under.has(hash));
  }

  private async loaderOf(table: LoadTable): Promise<TableContext> {
    const known = this.loaders.get(table.plan.id) ?? (await tableContext(this.context, table));
    this.loaders.set(table.plan.id, known);
    return known;
  }

  private async linkOf(loader: TableContext, constraint: string): Promise<ParentLink | undefined> {
    const name = JSON.stringify([loader.table.plan.id, constraint]);
    if (!this.links.has(name)) this.links.set(name, await findLink(loader, constraint, this.ancestors));
    return this.links.get(name);
  }
}

/** Where the ledger accounts for rows that are replayed together. */
interface Account {
  readonly id: BatchId;
  /** Of the batch, sealed. */
  readonly bounds: string;
}

/** Undefined for a row that the source had no more when it was removed. */
function keyOf({ keys, task, table }: TableContext, row: RetriedRow): string[] | undefined {
  if (row.message.endsWith(GONE)) return undefined;
  return openRowKey(keys, { run: task.run, table: table.plan.id }, row.key) as string[];
}

async function account(loader: TableContext, work: QuarantinedWork): Promise<Account> {
  const { destination, table, task, keys } = loader;
  const { run } = task;
  const id = { run, partition: await nextPartition(destination, run), batch: 0 };
  const nowhere = { unit: 0, from: [], to: [] };
  const bounds = [
    sealBounds(keys, { run, partition: id.partition }, nowhere),
    sealBounds(keys, id, nowhere),
  ] as const;
  const { generation } = task.snapshot;
  const of = { table: table.plan.id, replay: work.replay, generation, bounds };
  await openReplayed(destination, id, of);
  return { id, bounds: bounds[1] };
}

async function record(
  { destination, table, task }: TableContext,
  { id, bounds }: Account,
  loaded: Loaded,
): Promise<void> {
  const { evidence, ...counts } = loaded;
  const committedAt = await batchTime(destination);
  const facts = { ...counts, generation: task.snapshot.generation, committedAt };
  const evidenceDigest = evidence ? createHash('sha256').update(evidence).digest('hex') : '';
  const covered = { ...id, ...facts, table: table.plan.id, bounds, evidenceDigest };
  const chain = chainLink('', covered);
  await recordOutcome(destination, id, { ...facts, chain, evidence });
  await finishPartition(destination, id.run, id.partition, chain);
}

function ids(rows: readonly RetriedRow[]): string[] {
  return rows.map(({ id }) => id);
}
