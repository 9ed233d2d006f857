import type { JobKeys } from '../../anonymize/keys.js';
import { LetheError } from '../../errors/errors.js';
import type { TableName } from '../../plan/catalog.js';
import type { Plan, TablePlan } from '../../plan/plan.js';
import { wholeTable } from '../identifiers.js';
import { type TakenRow, takenRows } from '../ledger/ddl.js';
import { CHANGED, GONE, insertQuarantine, type QuarantinedRow } from '../ledger/quarantine.js';
import { quarantineLimit } from '../load/quarantine.js';
import { sealRowKey } from '../load/seals.js';
import type { Source } from '../load/source.js';
import { silence } from '../saga/guards.js';
import type { Fence } from '../saga/put-back.js';
import { execute, query, type Session, withTransaction } from '../session.js';
import { findOrigins } from './again.js';
import { chooseLosers, type Loser, type Suspect } from './losers.js';
import {
  createSuspects,
  deleteSuspects,
  findChildren,
  findDuplicates,
  findExcluded,
  findOrphans,
} from './suspects.js';

/** What removing rows from a loaded table needs. */
export interface Removing {
  readonly run: string;
  readonly fence: Fence;
  readonly plan: Plan;
  readonly keys: JobKeys;
  /** ISO 8601, UTC. */
  readonly runTime: string;
  /** Opens the source under the run's snapshot, or under a later one of the run; undefined when there is none. */
  openSource(): Promise<Source | undefined>;
  /**
   * Tables were read under several snapshots: orphans, of any number, are removed, and copied again with their parents
   * later. Default false.
   */
  readonly orphansComeBack?: boolean;
}

/** What goes from one table, found in one step. */
interface Layer {
  readonly table: TablePlan;
  readonly number: number;
  /** The constraint that its rows violate. */
  readonly constraint: string;
  readonly code: '23505' | '23P01' | '23503';
}

/**
 * Removes the rows that keep an index or foreign key from being put back, and records them as quarantined, in one
 * transaction: of duplicates all but the one with the smallest source key, and orphans with everything that references
 * them. Their keys are found by reading their tables again. Only for `replace`: `upsert` shares its tables with rows
 * that are not Lethe's.
 *
 * @returns False, having changed nothing, when more would have to go than the job allows, when the rows belong to a
 * table outside the job, or when they cannot be read again.
 */
export async function removeViolators(session: Session, removing: Removing, row: TakenRow): Promise<boolean> {
  const { plan } = removing;
  const table = tableOf(plan, { schema: row.schema, name: row.table });
  if (plan.mode !== 'replace' || !table || row.facts.foreignKey?.period) return false;
  const source = await removing.openSource();
  if (!source) return false;
  const tooMany = new LetheError('QuarantineLimit', `Too many rows violate ${row.object}.`);
  try {
    await withTransaction(session, async () => {
      if (!(await new Removal(session, removing, source).run(row, table))) throw tooMany;
    });
    return true;
  } catch (error) {
    if (error === tooMany) return false;
    throw error;
  } finally {
    await source.close();
  }
}

class Removal {
  private readonly layers: Layer[] = [];
  private readonly budgets = new Map<number, number>();

  constructor(
    private readonly session: Session,
    private readonly removing: Removing,
    private readonly source: Source,
  ) {}

  async run(row: TakenRow, table: TablePlan): Promise<boolean> {
    const { fence, plan } = this.removing;
    await fence(
      this.session,
      plan.tables.map(({ destination }) => destination),
    );
    await this.lock(table);
    await createSuspects(this.session);
    await silence(this.session, this.removing.plan.mode, 'transaction');
    if (row.facts.foreignKey && this.removing.orphansComeBack) {
      for (const { id } of plan.tables) this.budgets.set(id, ALL);
    }
    const within = row.facts.foreignKey ? await this.findLost(row, table) : await this.findRivals(row, table);
    if (!within) return false;
    const losers: Loser[] = [];
    for (const table of new Set(this.layers.map((layer) => layer.table))) {
      const some = await this.quarantine(table);
      if (!some) return false;
      losers.push(...some);
    }
    // Children first: a key that is back already holds at every step.
    for (const { table, number } of this.layers.toReversed()) {
      const ids = losers.filter(({ suspect }) => suspect.layer === number).map(({ suspect }) => suspect.id);
      await deleteSuspects(this.session, table, ids);
    }
    return true;
  }

  /** From then on nobody else moves a row of the table. */
  private async lock(table: TablePlan): Promise<void> {
    await execute(this.session, `LOCK TABLE ${wholeTable(table)} IN SHARE ROW EXCLUSIVE MODE`);
  }

  private async findRivals(row: TakenRow, table: TablePlan): Promise<boolean> {
    const budget = await this.budget(table);
    // Of a group of n rows n - 1 go, so the rows of all groups are at most twice as many as those that go.
    const limit = Math.min(2 * budget + 2, ALL);
    if (row.facts.unique?.operators) await findExcluded(this.session, table, row.facts, limit);
    else await findDuplicates(this.session, table, row.facts, limit);
    const code = row.facts.unique?.operators ? '23P01' : '23505';
    this.layers.push({ table, number: 0, constraint: row.object, code });
    return true;
  }

  /** Orphans, and layer by layer what would become one; each step looks only at children of the rows before. */
  private async findLost(row: TakenRow, table: TablePlan): Promise<boolean> {
    const found = await findOrphans(
      this.session,
      table,
      row.facts.foreignKey!,
      (await this.budget(table)) + 1,
    );
    if (found > (await this.budget(table))) return false;
    this.layers.push({ table, number: 0, constraint: row.object, code: '23503' });
    const keys = await this.cascadingKeys();
    for (let at = 0; at < this.layers.length; at++) {
      const parent = this.layers[at]!;
      for (const { key, child } of keys.get(parent.table.id) ?? []) {
        await this.lock(child);
        const budget = await this.budget(child);
        const layer = this.layers.length;
        const more = await findChildren(
          this.session,
          child,
          parent.table.id,
          key.facts.foreignKey!,
          parent.number,
          layer,
          budget + 1,
        );
        if (more === 0) continue;
        if ((await this.countSuspects(child)) > budget) return false;
        this.layers.push({ table: child, number: layer, constraint: key.object, code: '23503' });
      }
    }
    return true;
  }

  /** The run's foreign keys between tables of the job, back or not, by the id of the table that they reference. */
  private async cascadingKeys(): Promise<Map<number, { key: TakenRow; child: TablePlan }[]>> {
    const { run, plan } = this.removing;
    const keys = new Map<number, { key: TakenRow; child: TablePlan }[]>();
    for (const row of await takenRows(this.session, { run, restored: true })) {
      const facts = row.facts.foreignKey;
      if (!facts || facts.period) continue;
      const child = tableOf(plan, facts.root);
      const parent = tableOf(plan, facts.parentRoot);
      if (child && parent) keys.set(parent.id, [...(keys.get(parent.id) ?? []), { key: row, child }]);
    }
    return keys;
  }

  /** Records the rows of a table that have to go, and returns them; undefined when they are too many. */
  private async quarantine(table: TablePlan): Promise<Loser[] | undefined> {
    const suspects = await this.suspects(table);
    const origins = await findOrigins(this.session, this.source, table, this.removing);
    const own = this.layers.filter((layer) => layer.table === table);
    const losers = chooseLosers(suspects, origins, {
      everyRow: own[0]!.code === '23503',
      conflicts: own[0]!.code === '23P01' ? await this.conflicts() : undefined,
    });
    if (losers.length > (await this.budget(table))) return undefined;
    const { run, keys } = this.removing;
    const rows = losers.map(({ key, suspect, changed }): QuarantinedRow => {
      const layer = own.find(({ number }) => number === suspect.layer)!;
      // A row that the source has no more, after a snapshot was lost, has no key: its place stands for it.
      const sealed = sealRowKey(
        keys,
        { run, table: table.id },
        key ?? [`gone/${layer.constraint}/${suspect.id}`],
      );
      return { ...sealed, ...reasonOf(layer, key === undefined ? GONE : changed ? CHANGED : undefined) };
    });
    await insertQuarantine(this.session, { run, partition: null, batch: null }, table.id, rows);
    return losers;
  }

  private async suspects(table: TablePlan): Promise<Suspect[]> {
    const rows = await query(
      this.session,
      `SELECT id, layer, grp, image_0 || '/' || image_1 AS image, key_0 || '/' || key_1 AS key_image
         FROM pg_temp.lethe_suspect
        WHERE table_id = $1::int ORDER BY id`,
      [table.id],
    );
    return rows.map((row) => ({
      id: Number(row.id),
      layer: Number(row.layer),
      group: row.grp!,
      image: row.image!,
      keyImage: row.key_image!,
    }));
  }

  private async conflicts(): Promise<[number, number][]> {
    const rows = await query(this.session, 'SELECT a, b FROM pg_temp.lethe_conflict');
    return rows.map((row) => [Number(row.a), Number(row.b)]);
  }

  private async countSuspects(table: TablePlan): Promise<number> {
    const [row] = await query(
      this.session,
      'SELECT count(*) AS n FROM pg_temp.lethe_suspect WHERE table_id = $1::int',
      [table.id],
    );
    return Number(row?.n);
  }

  /** How many more rows of the table may go to quarantine, as the job says. */
  private async budget(table: TablePlan): Promise<number> {
    const known = this.budgets.get(table.id);
    if (known !== undefined) return known;
    const { run, plan } = this.removing;
    const { used, limit } = await quarantineLimit(this.session, run, table, plan.execution);
    const left = Math.max(0, Math.min(limit, ALL) - used);
    this.budgets.set(table.id, left);
    return left;
  }
}

/** More than anybody would read through, and few enough to keep in memory. */
const ALL = 1_000_000;

function reasonOf(
  { constraint, code }: Layer,
  since: typeof GONE | typeof CHANGED | undefined,
): Pick<QuarantinedRow, 'code' | 'constraint' | 'message' | 'waitsForParent'> {
  const why = {
    '23505': `Another row has the same value under ${constraint}.`,
    '23P01': `Another row excludes it under ${constraint}.`,
    '23503': `The row that it references by ${constraint} is not in the destination.`,
  }[code];
  return {
    code,
    constraint,
    message: since ? `${why} ${since}` : why,
    waitsForParent: since !== GONE && code === '23503',
  };
}

function tableOf(plan: Plan, name: TableName): TablePlan | undefined {
  return plan.tables.find(({ destination: t }) => t.schema === name.schema && t.name === name.name);
}
