import { createHash } from 'node:crypto';
import { chainLink } from '../../ledger/chain.js';
import { fence } from '../fence.js';
import { batchTime, finishPartition, nextPartition, openReplayed, recordOutcome } from '../ledger/batches.js';
import { GONE, heldInQuarantine, type RetriedRow } from '../ledger/quarantine.js';
import type { BatchId } from '../ledger/twins.js';
import { query } from '../session.js';
import type { Loaded } from './batch.js';
import { CarefulLoad } from './careful.js';
import { type TableContext, type TaskContext, tableContext } from './context.js';
import { ancestorsOf, findLink, type Orphan, type ParentLink, readParentKeys } from './parents.js';
import { QuarantineBudget } from './quarantine.js';
import { openRowKey, sealBounds, sealRowKey } from './seals.js';
import type { LoadTable, QuarantinedWork } from './task.js';
import { BatchWatch } from './watch.js';

/** What became of rows that were tried again. */
export interface Tried {
  readonly rows: number;
  readonly bytes: number;
  /** The source has them no more. */
  readonly gone: number;
}

/** Rows of one table are copied by their keys, with rows of the tables that they depend on. */
export class KeyedCopy {
  /** Keyed hashes of the rows that are being copied: rows may need each other in a circle. */
  readonly under = new Set<string>();
  /** By the table's id. */
  private readonly loaders = new Map<number, TableContext>();
  /** By table and constraint. */
  private readonly links = new Map<string, ParentLink | undefined>();
  /** In the transaction under way. */
  private readonly copied: { readonly watch: BatchWatch; readonly loaded: Loaded }[] = [];

  private constructor(
    readonly context: TaskContext,
    readonly work: QuarantinedWork,
    readonly table: LoadTable,
    /** The tables that it depends on, over any number of steps; with it in cycles. */
    readonly ancestors: readonly LoadTable[],
  ) {}

  static async open(context: TaskContext, work: QuarantinedWork, table: LoadTable): Promise<KeyedCopy> {
    const { related = [] } = context.task;
    return new KeyedCopy(context, work, table, await ancestorsOf(context.destination, table.plan, related));
  }

  /** First in a transaction: no other worker may write the tables. In ascending id, as a starter takes them. */
  async begin(): Promise<void> {
    this.copied.length = 0;
    await query(this.context.destination, 'BEGIN');
    const epochs = new Map([this.table, ...this.ancestors].map(({ epoch }) => [epoch.id, epoch]));
    for (const epoch of [...epochs.values()].sort((a, b) => a.id - b.id)) {
      await fence(this.context.destination, epoch);
    }
  }

  /** Last in it. Returns what was copied. */
  async commit(): Promise<{ rows: number; bytes: number }> {
    const { written, destination } = this.context;
    await query(destination, 'COMMIT');
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

  /** Does it in a savepoint; what it copied is not there when it gives false. */
  async attempt(body: () => Promise<boolean>): Promise<boolean> {
    const { destination } = this.context;
    const before = this.copied.length;
    const loaders = new Set(this.loaders.keys());
    await query(destination, 'SAVEPOINT lethe_some');
    const done = await body();
    if (!done) {
      await query(destination, 'ROLLBACK TO SAVEPOINT lethe_some');
      this.copied.length = before;
      // What those made since keep in the destination is gone.
      for (const id of this.loaders.keys()) if (!loaders.has(id)) this.loaders.delete(id);
    }
    await query(destination, 'RELEASE SAVEPOINT lethe_some');
    return done;
  }

  /** Copies rows of a table by their keys, and what they need; the ledger accounts for them as one batch. */
  async copy(
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
      const kin = await readParentKeys(loader, link, children);
      const parents = new Map(kin.map((one) => [JSON.stringify(one.parent), one.parent]));
      const missing = await this.free(parent, [...parents.values()]);
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
    const held = await heldInQuarantine(
      destination,
      owner.run,
      owner.table,
      hashed.map(({ hash }) => hash),
    );
    return hashed.filter(({ hash }) => !held.has(hash) && !this.under.has(hash));
  }

  async loaderOf(table: LoadTable): Promise<TableContext> {
    const known = this.loaders.get(table.plan.id) ?? (await tableContext(this.context, table));
    this.loaders.set(table.plan.id, known);
    return known;
  }

  /** The parents by a foreign key of a table; undefined where they cannot be found. */
  async linkOf(loader: TableContext, constraint: string): Promise<ParentLink | undefined> {
    const name = JSON.stringify([loader.table.plan.id, constraint]);
    if (!this.links.has(name)) this.links.set(name, await findLink(loader, constraint, this.ancestors));
    return this.links.get(name);
  }
}

/** Undefined for a row that the source had no more when it was removed. */
export function keyOf({ keys, task, table }: TableContext, row: RetriedRow): string[] | undefined {
  if (row.message.endsWith(GONE)) return undefined;
  return openRowKey(keys, { run: task.run, table: table.plan.id }, row.key) as string[];
}

/** Where the ledger accounts for rows that are replayed together. */
interface Account {
  readonly id: BatchId;
  /** Of the batch, sealed. */
  readonly bounds: string;
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
