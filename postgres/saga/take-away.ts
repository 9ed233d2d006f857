import type { TableName } from '../../plan/catalog.js';
import { quoteTable } from '../identifiers.js';
import {
  adoptTaken,
  markTaken,
  type Removal,
  recordTaken,
  type TakenRow,
  takenRows,
  takenTable,
  takenText,
} from '../ledger/ddl.js';
import { execute, query, type Session } from '../session.js';
import { foreignKeyRemovals } from './foreign-keys.js';
import { guardRemovals, type Silence, silence, silenceFor } from './guards.js';
import { indexRemovals } from './indexes.js';
import { withPatience } from './patience.js';
import { jobRelations, type Relation, type SagaTable } from './relations.js';

/** Below this many rows an index costs less to keep than to build again. */
const KEEP_INDEXES_BELOW = 10_000;

/** The part of a plan that the saga reads; a `Plan` is one. */
export interface SagaPlan {
  readonly mode: 'replace' | 'upsert';
  readonly tables: readonly SagaTable[];
  /** Groups of table ids that reference each other in a cycle. */
  readonly cycles: readonly (readonly number[])[];
  readonly execution?: { readonly batchRows: number };
}

export interface TakeAwayOptions {
  /**
   * Tables with fewer (estimated) rows keep their indexes and unique constraints. Default 10,000, but never more than
   * the rows of a batch: so a duplicate is met inside one batch, where the later key loses, as in settle.
   */
  readonly keepIndexesBelow?: number;
  /** Milliseconds to wait for a lock that another session holds. Default 60,000. */
  readonly lockPatienceMs?: number;
  /** Ids of the tables that are loaded, when the others of the plan are left as they are. Default: all. */
  readonly only?: ReadonlySet<number>;
}

export interface TakenAway {
  readonly silence: Silence;
  /** How many things, by kind. */
  readonly taken: Readonly<Record<string, number>>;
  /** Rows of `lethe.ddl` that an earlier run left open and this one owes now. */
  readonly adopted: number;
  /** Tables emptied now, `schema.table`; not those that this run emptied before. */
  readonly emptied: readonly string[];
  /** Foreign keys of tables outside the job that were taken away, `schema.table.constraint`. */
  readonly outside: readonly string[];
}

/**
 * Takes away what stands in the way of a load, writing down in the same transaction how each thing comes back, and
 * empties the tables of a `replace`, once a run.
 *
 * Runs inside the caller's transaction, which has taken the epochs of the plan's tables for `run`: so either all of
 * this happened or nothing did, and a retry that finds the tables emptied by this run leaves them alone.
 *
 * - `replace`: foreign keys from and to the tables, indexes, triggers and rules that would fire, forced row security.
 * - `upsert`: triggers and rules by name, and the foreign keys inside a reference cycle (a self reference is one).
 */
export async function takeAway(
  session: Session,
  run: string,
  plan: SagaPlan,
  options: TakeAwayOptions = {},
): Promise<TakenAway> {
  return withPatience(
    session,
    'the tables',
    () => takeAwayPatiently(session, run, plan, options),
    options.lockPatienceMs,
  );
}

async function takeAwayPatiently(
  session: Session,
  run: string,
  plan: SagaPlan,
  options: TakeAwayOptions,
): Promise<TakenAway> {
  const all = await jobRelations(session, plan.tables);
  const relations = all.filter(({ table }) => options.only?.has(table.id) ?? true);
  if (plan.mode === 'replace') await lockTables(session, relations);
  const way = await silenceFor(session, plan.mode);
  const found = await removals(session, plan, { all, relations }, way, options);
  const { adopted, known } = await adopt(session, run, plan);
  const fresh = found.filter((removal) => !known.has(identity(removal)));
  await recordTaken(session, run, fresh);
  const drops = found
    .toSorted((a, b) => Number(b.kind === 'foreign key') - Number(a.kind === 'foreign key'))
    .flatMap((removal) => removal.drop);
  if (drops.length > 0) await execute(session, drops.join(';\n'));
  // TRUNCATE fires triggers too.
  await silence(session, plan.mode, 'transaction');
  const emptied = plan.mode === 'replace' ? await emptyTables(session, run, relations) : [];
  return {
    silence: way,
    taken: countKinds(found),
    adopted,
    emptied,
    outside: found.filter((removal) => removal.facts.foreignKey?.outside).map(takenText),
  };
}

async function removals(
  session: Session,
  plan: SagaPlan,
  { all, relations }: { readonly all: readonly Relation[]; readonly relations: readonly Relation[] },
  way: Silence,
  options: TakeAwayOptions,
): Promise<Removal[]> {
  const wanted = new Set(relations.map(({ table }) => quoteTable(table.destination)));
  const keys = (await foreignKeyRemovals(session, all)).filter(({ facts: { foreignKey: key } }) =>
    [key!.root, key!.parentRoot].some((table) => wanted.has(quoteTable(table))),
  );
  const guards = await guardRemovals(session, relations, way);
  if (plan.mode === 'upsert') return [...keys.filter(insideCycle(plan)), ...guards];
  const threshold = Math.min(
    options.keepIndexesBelow ?? KEEP_INDEXES_BELOW,
    plan.execution?.batchRows ?? Number.POSITIVE_INFINITY,
  );
  const indexes = await indexRemovals(session, relations, (r) => r.table.rows >= threshold);
  return [...indexes, ...keys, ...guards];
}

/** Foreign keys between tables of one cycle, or from a table to itself: those that `upsert` loads without. */
export function insideCycle(plan: SagaPlan): (thing: Pick<Removal, 'facts'>) => boolean {
  const idOf = new Map(plan.tables.map((t) => [quoteTable(t.destination), t.id]));
  return ({ facts: { foreignKey: key } }) => {
    if (!key || key.outside) return false;
    const child = idOf.get(quoteTable(key.root));
    const parent = idOf.get(quoteTable(key.parentRoot));
    if (child === undefined || parent === undefined) return false;
    return child === parent || plan.cycles.some((ids) => ids.includes(child) && ids.includes(parent));
  };
}

function identity(thing: Pick<TakenRow, 'schema' | 'table' | 'kind' | 'object' | 'facts'>): string {
  return JSON.stringify([takenTable(thing), thing.kind, thing.object]);
}

/**
 * What earlier runs still owe on these tables is this run's debt now. A key that they could only put back NOT VALID is
 * among what is found; it keeps its old row, which remembers that it was valid once.
 */
async function adopt(
  session: Session,
  run: string,
  plan: SagaPlan,
): Promise<{ adopted: number; known: Set<string> }> {
  const rows = (await takenRows(session)).filter((row) => touches(row, plan.tables));
  const owed = rows.filter((row) => row.state === 'owed').map((row) => row.id);
  if (owed.length > 0) await markTaken(session, owed, 'open');
  const others = rows.filter((row) => row.run !== run).map((row) => row.id);
  const adopted = await adoptTaken(session, others, run);
  return { adopted, known: new Set(rows.map(identity)) };
}

/** The thing belongs to one of the tables, or is a foreign key that references one. */
export function touches(row: TakenRow, tables: readonly { readonly destination: TableName }[]): boolean {
  const key = row.facts.foreignKey;
  return tables.some(
    ({ destination: t }) =>
      (t.schema === row.schema && t.name === row.table) ||
      (key !== undefined && t.schema === key.parentRoot.schema && t.name === key.parentRoot.name),
  );
}

/** All at once and before anything is read, so that nothing changes in between and no lock is taken later. */
async function lockTables(session: Session, relations: readonly Relation[]): Promise<void> {
  await execute(session, `LOCK TABLE ${wholeTables(relations)} IN ACCESS EXCLUSIVE MODE`);
}

function wholeTables(relations: readonly Relation[]): string {
  return relations
    .filter((r) => r.depth === 0)
    .map((r) => (r.kind === 'p' ? r.sql : `ONLY ${r.sql}`))
    .join(', ');
}

async function emptyTables(session: Session, run: string, relations: readonly Relation[]): Promise<string[]> {
  const rows = await query(
    session,
    `SELECT w.n, coalesce(bool_or(pg_catalog.pg_relation_size(w.oid) > 0), false) AS filled
       FROM jsonb_to_recordset($1::jsonb) AS w(n integer, oid oid, schema text, name text)
       JOIN lethe.epoch e ON e.schema_name = w.schema AND e.table_name = w.name
      WHERE e.emptied IS DISTINCT FROM $2::uuid
      GROUP BY w.n`,
    [
      JSON.stringify(
        relations.map((r) => ({
          n: r.table.id,
          oid: r.oid,
          schema: r.table.destination.schema,
          name: r.table.destination.name,
        })),
      ),
      run,
    ],
  );
  const pending = new Set(rows.map((row) => Number(row.n)));
  const filled = new Set(rows.filter((row) => row.filled === 't').map((row) => Number(row.n)));
  // Without its foreign keys a table is truncated on its own; TRUNCATE of an empty one would only make new files.
  const full = relations.filter((r) => r.depth === 0 && filled.has(r.table.id));
  if (full.length > 0) await execute(session, `TRUNCATE ${wholeTables(full)}`);
  const tables = relations.filter((r) => r.depth === 0 && pending.has(r.table.id));
  await query(
    session,
    `UPDATE lethe.epoch e SET emptied = $2::uuid
       FROM jsonb_to_recordset($1::jsonb) AS w(schema text, name text)
      WHERE e.schema_name = w.schema AND e.table_name = w.name`,
    [JSON.stringify(tables.map((r) => ({ schema: r.schema, name: r.name }))), run],
  );
  return full.map((r) => `${r.schema}.${r.name}`);
}

function countKinds(removals: readonly Removal[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { kind } of removals) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}
