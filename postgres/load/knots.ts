import { rowErrorClass, sanitize } from '../errors.js';
import { quoteIdent, quoteTable } from '../identifiers.js';
import { countWaiting, heldInQuarantine, lockUntried, markTried } from '../ledger/quarantine.js';
import { withPatience } from '../saga/patience.js';
import { execute, query, type Session } from '../session.js';
import { type KeyedCopy, keyOf, type Tried } from './keyedCopy.js';
import { ancestorsOf, readParentKeys } from './parents.js';
import { sealRowKey } from './seals.js';
import type { LoadTable } from './task.js';

/*
 * Tables may reference each other in a circle with keys that are checked at once. Two rows of theirs that need each
 * other then fit only together: a run loads them without the keys, a replay with the keys checked later.
 */

/** Rows in quarantine that need each other, by the table's id. */
type Knot = Map<number, KnotRows>;

interface KnotRows {
  readonly table: LoadTable;
  /** By keyed hash. */
  readonly rows: Map<string, HeldKey>;
}

interface HeldKey {
  readonly id: string;
  readonly key: string[];
}

/** Rows that are looked at in one pass over a table. */
const ROWS = 1_000;

/**
 * Copies rows of a table that wait for rows which, over any number of steps, wait for them: all that can be, else knot by
 * knot. The keys between the tables are deferrable for the length of the transaction only.
 */
export async function copyKnots(copy: KeyedCopy): Promise<Tried> {
  const { context, table, work } = copy;
  const { destination, task } = context;
  const nothing = { rows: 0, bytes: 0, gone: 0 };
  const group = await cycleOf(copy);
  if (group.length === 0 || (await countWaiting(destination, task.run, table.plan.id)) === 0) return nothing;
  try {
    await copy.begin();
    const filter = { pass: work.pass + 1, waiting: true };
    const rows = await lockUntried(destination, task.run, table.plan.id, filter, ROWS);
    const loader = await copy.loaderOf(table);
    const seeds = rows.flatMap((row) => {
      const key = keyOf(loader, row);
      return key && context.source.knowsKey(key) ? [key] : [];
    });
    const keys = await innerKeys(destination, group);
    const all = await knotOf(copy, keys, seeds);
    if (!all) {
      await query(destination, 'ROLLBACK');
      return nothing;
    }
    await withPatience(destination, 'the tables', () => run(destination, keys, ({ defer }) => defer));
    if (!(await tie(copy, all))) {
      for (const seed of seeds) {
        const knot = await knotOf(copy, keys, [seed], true);
        if (knot) await tie(copy, knot);
      }
    }
    await query(destination, 'SET CONSTRAINTS ALL IMMEDIATE');
    await run(destination, keys, ({ restore }) => restore);
    return { ...(await copy.commit()), gone: 0 };
  } catch (error) {
    await query(destination, 'ROLLBACK').catch(() => undefined);
    throw sanitize(error, 'replaying rows that need each other');
  }
}

/** The tables that depend on the table and on which it depends, with itself; none when it is in no circle. */
async function cycleOf({ context, table, ancestors }: KeyedCopy): Promise<LoadTable[]> {
  const group: LoadTable[] = [];
  for (const ancestor of ancestors) {
    const back = await ancestorsOf(context.destination, ancestor.plan, [table]);
    if (back.length > 0) group.push(ancestor);
  }
  return group;
}

/** A foreign key between two tables of a circle. */
interface InnerKey {
  /** Id of the table. */
  readonly child: number;
  readonly name: string;
  readonly defer: string;
  readonly restore: string;
}

async function innerKeys(destination: Session, group: readonly LoadTable[]): Promise<InnerKey[]> {
  const rows = await query(
    destination,
    `WITH job AS (SELECT w.id, w.name::regclass::oid AS rel FROM jsonb_to_recordset($1::jsonb) AS w(id integer, name text))
     SELECT child.id, n.nspname AS schema, c.relname AS table, k.conname AS name, k.condeferrable AS deferrable,
            k.condeferred AS deferred
       FROM pg_constraint k
       JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       JOIN job child ON child.rel = coalesce(pg_partition_root(k.conrelid)::oid, k.conrelid)
       JOIN job parent ON parent.rel = coalesce(pg_partition_root(k.confrelid)::oid, k.confrelid)
      WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY k.oid`,
    [JSON.stringify(group.map(({ plan }) => ({ id: plan.id, name: quoteTable(plan.destination) })))],
  );
  return rows.map((row) => {
    const name = row.name!;
    const alter = `ALTER TABLE ${quoteTable({ schema: row.schema!, name: row.table! })} ALTER CONSTRAINT ${quoteIdent(name)}`;
    const before = row.deferrable === 't' ? 'DEFERRABLE' : 'NOT DEFERRABLE';
    return {
      child: Number(row.id),
      name,
      defer: `${alter} DEFERRABLE INITIALLY DEFERRED`,
      restore: `${alter} ${before} INITIALLY ${row.deferred === 't' ? 'DEFERRED' : 'IMMEDIATE'}`,
    };
  });
}

async function run(
  destination: Session,
  keys: readonly InnerKey[],
  statement: (key: InnerKey) => string,
): Promise<void> {
  await execute(destination, keys.map(statement).join(';\n'));
}

/**
 * The rows with all that they need, as far as that waits in quarantine too; undefined when none of it does.
 *
 * @param whole Undefined also when something that they need is in quarantine for another reason: they cannot come yet.
 */
async function knotOf(
  copy: KeyedCopy,
  keys: readonly InnerKey[],
  seeds: readonly string[][],
  whole = false,
): Promise<Knot | undefined> {
  const knot: Knot = new Map();
  const [first] = await take(copy, knot, copy.table, seeds);
  const next = [{ table: copy.table, fresh: first }];
  let joined = false;
  for (const { table, fresh } of next) {
    const loader = await copy.loaderOf(table);
    for (const { name } of keys.filter(({ child }) => child === table.plan.id)) {
      const link = await copy.linkOf(loader, name);
      if (!link) continue;
      const parents = await readParentKeys(loader, link, fresh);
      const [rows, waiting, others] = await take(copy, knot, link.parent, parents);
      if (whole && others) return undefined;
      joined ||= waiting;
      if (rows.length > 0) next.push({ table: link.parent, fresh: rows });
    }
  }
  return joined ? knot : undefined;
}

/** Adds rows that wait in quarantine. Returns those that are new in the knot, and whether any waits, or is held otherwise. */
async function take(
  { context }: KeyedCopy,
  knot: Knot,
  table: LoadTable,
  keys: readonly string[][],
): Promise<[fresh: string[][], waiting: boolean, others: boolean]> {
  const { destination, task, keys: jobKeys } = context;
  const owner = { run: task.run, table: table.plan.id };
  const hashed = keys.map((key) => ({ key, hash: sealRowKey(jobKeys, owner, key).keyHash }));
  const hashes = hashed.map(({ hash }) => hash);
  const held = await heldInQuarantine(destination, owner.run, owner.table, hashes);
  const known = knot.get(table.plan.id)?.rows ?? new Map<string, HeldKey>();
  knot.set(table.plan.id, { table, rows: known });
  const fresh: string[][] = [];
  for (const { key, hash } of hashed) {
    const row = held.get(hash);
    if (!row?.waiting || known.has(hash)) continue;
    known.set(hash, { id: row.id, key });
    fresh.push(key);
  }
  const states = [...held.values()].map(({ waiting }) => waiting);
  return [fresh, states.includes(true), states.includes(false)];
}

/** Copies the rows of a knot together; false, and nothing is changed, when they still lack something. */
async function tie(copy: KeyedCopy, knot: Knot): Promise<boolean> {
  const { destination } = copy.context;
  await query(destination, 'SET CONSTRAINTS ALL DEFERRED');
  return copy.attempt(async () => {
    for (const { rows } of knot.values()) {
      const held = [...rows.values()].map(({ id }) => id);
      await markTried(destination, held, copy.work.pass, 'copied');
      for (const hash of rows.keys()) copy.under.add(hash);
    }
    for (const { table, rows } of knot.values()) {
      const keys = [...rows.values()].map(({ key }) => key);
      if (keys.length > 0) await copy.copy(await copy.loaderOf(table), keys);
    }
    copy.under.clear();
    try {
      await query(destination, 'SET CONSTRAINTS ALL IMMEDIATE');
      return true;
    } catch (error) {
      if (rowErrorClass(error)) return false;
      throw error;
    }
  });
}
