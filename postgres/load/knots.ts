import { components } from '../../plan/graph.js';
import { rowErrorClass, sanitize } from '../errors.js';
import { quoteIdent, quoteTable } from '../identifiers.js';
import { countWaiting, heldInQuarantine, lockUntried, markTried } from '../ledger/quarantine.js';
import { withPatience } from '../saga/patience.js';
import { execute, query, type Session } from '../session.js';
import { type KeyedCopy, keyOf, type Tried } from './keyedCopy.js';
import { ancestorsOf, type Kinship, readParentKeys } from './parents.js';
import { sealRowKey } from './seals.js';
import type { LoadTable } from './task.js';

/*
 * Tables may reference each other in a circle with keys that are checked at once. Two rows of theirs that need each
 * other then fit only together: a run loads them without the keys, a replay with the keys checked later.
 */

/** Rows of one table that are looked at in a pass. */
const ROWS = 1_000;

/**
 * Copies rows of a table that wait for rows which, over any number of steps, wait for them, and rows that wait for these.
 * All of them at once, else knot by knot. The keys between the tables are deferrable for the length of the transaction
 * only.
 */
export async function copyKnots(copy: KeyedCopy): Promise<Tried> {
  const { context, table } = copy;
  const { destination, task } = context;
  const nothing = { rows: 0, bytes: 0, gone: 0 };
  const group = await cycleOf(copy);
  if (group.length === 0 || (await countWaiting(destination, task.run, table.plan.id)) === 0) return nothing;
  try {
    await copy.begin();
    const keys = await innerKeys(destination, group);
    const knots = knotsOf(await waitingRows(copy, keys));
    if (knots.length === 0) {
      await query(destination, 'ROLLBACK');
      return nothing;
    }
    await withPatience(destination, 'the tables', () => run(destination, keys, ({ defer }) => defer));
    if (!(await tie(copy, knots.flat()))) for (const knot of knots) await tie(copy, knot);
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

/** A row that waits in quarantine. */
interface WaitingRow {
  readonly table: LoadTable;
  readonly key: string[];
  readonly id: string;
  /** Others that wait, which it needs; itself is none of them. */
  readonly needs: Set<WaitingRow>;
  /** It needs also what is in quarantine for a reason of its own. */
  hopeless: boolean;
}

/** Rows of the table that wait, and what they need, over any number of steps. */
async function waitingRows(copy: KeyedCopy, keys: readonly InnerKey[]): Promise<WaitingRow[]> {
  const { context, table, work } = copy;
  const known = new Map<string, WaitingRow>();
  const filter = { pass: work.pass + 1, waiting: true };
  const rows = await lockUntried(context.destination, context.task.run, table.plan.id, filter, ROWS);
  const loader = await copy.loaderOf(table);
  const asked = rows.flatMap((row) => {
    const key = keyOf(loader, row);
    return key && context.source.knowsKey(key) ? [key] : [];
  });
  const next = [{ table, fresh: await take(copy, known, table, asked) }];
  for (const { table, fresh } of next) {
    const loader = await copy.loaderOf(table);
    for (const { name } of keys.filter(({ child }) => child === table.plan.id)) {
      const link = await copy.linkOf(loader, name);
      if (!link) continue;
      const kin = await readParentKeys(
        loader,
        link,
        fresh.map(({ key }) => key),
      );
      const more = await take(
        copy,
        known,
        link.parent,
        kin.map(({ parent }) => parent),
      );
      if (more.length > 0) next.push({ table: link.parent, fresh: more });
      await join(copy, known, table, link.parent, kin);
    }
  }
  return [...known.values()];
}

/** Adds those of the rows that wait in quarantine; returns the new ones. */
async function take(
  copy: KeyedCopy,
  known: Map<string, WaitingRow>,
  table: LoadTable,
  keys: readonly string[][],
): Promise<WaitingRow[]> {
  const hashed = keys.map((key) => ({ key, hash: hashOf(copy, table, key) }));
  const held = await heldOf(
    copy,
    table,
    hashed.map(({ hash }) => hash),
  );
  const fresh: WaitingRow[] = [];
  for (const { key, hash } of hashed) {
    const row = held.get(hash);
    if (!row?.waiting || known.has(hash)) continue;
    const waiting = { table, key, id: row.id, needs: new Set<WaitingRow>(), hopeless: false };
    known.set(hash, waiting);
    fresh.push(waiting);
  }
  return fresh;
}

/** Notes who needs whom. */
async function join(
  copy: KeyedCopy,
  known: Map<string, WaitingRow>,
  child: LoadTable,
  parent: LoadTable,
  kin: readonly Kinship[],
): Promise<void> {
  const parents = kin.map((one) => hashOf(copy, parent, one.parent));
  const held = await heldOf(copy, parent, parents);
  for (const [i, one] of kin.entries()) {
    const row = known.get(hashOf(copy, child, one.child));
    const needed = known.get(parents[i]!);
    if (!row || needed === row) continue;
    if (needed) row.needs.add(needed);
    else if (held.has(parents[i]!)) row.hopeless = true;
  }
}

/** A name of the row: different ones in different tables. */
function hashOf({ context: { keys, task } }: KeyedCopy, table: LoadTable, key: readonly string[]): string {
  return sealRowKey(keys, { run: task.run, table: table.plan.id }, key).keyHash;
}

function heldOf({ context: { destination, task } }: KeyedCopy, table: LoadTable, hashes: readonly string[]) {
  return heldInQuarantine(destination, task.run, table.plan.id, hashes);
}

/** Rows that may come in, those that need each other together, and after those that they need. */
function knotsOf(rows: readonly WaitingRow[]): WaitingRow[][] {
  const tied = new Set<WaitingRow>();
  return components(rows, ({ needs }) => [...needs]).filter((knot) => {
    const others = knot.flatMap(({ needs }) => [...needs].filter((needed) => !knot.includes(needed)));
    const fits =
      knot.every(({ hopeless }) => !hopeless) &&
      others.every((needed) => tied.has(needed)) &&
      // A single row that needs no such rows waits for what nobody has.
      (knot.length > 1 || others.length > 0);
    if (fits) for (const row of knot) tied.add(row);
    return fits;
  });
}

/** Copies rows together; false, and nothing is changed, when they still lack something. */
async function tie(copy: KeyedCopy, rows: readonly WaitingRow[]): Promise<boolean> {
  const { destination } = copy.context;
  await query(destination, 'SET CONSTRAINTS ALL DEFERRED');
  return copy.attempt(async () => {
    await markTried(
      destination,
      rows.map(({ id }) => id),
      copy.work.pass,
      'copied',
    );
    for (const { table, key } of rows) copy.under.add(hashOf(copy, table, key));
    for (const id of new Set(rows.map(({ table }) => table.plan.id))) {
      const own = rows.filter(({ table }) => table.plan.id === id);
      const loader = await copy.loaderOf(own[0]!.table);
      await copy.copy(
        loader,
        own.map(({ key }) => key),
      );
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
