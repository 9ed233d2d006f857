import type { TablePlan } from '../../plan/plan.js';
import { isSealed } from '../../plan/sealing.js';
import { quoteColumns, quoteIdent, quoteTable, wholeTable } from '../identifiers.js';
import type { ForeignKeyFacts, TakenFacts, UniqueFacts } from '../ledger/ddl.js';
import { execute, query, type Session } from '../session.js';
import { childFrom, orphanCondition, parentFrom, parentPairs } from './orphans.js';

/*
 * Rows of the destination that cannot stay, or not all of them. They are named by their place (tableoid, ctid), which
 * holds while the table is locked, and recognized by images: two hashes of a text, which a row that is read and
 * transformed again has too. Neither leaves the server in a statement or its parameters.
 */

/** Makes the table of suspects, for the length of the transaction. */
export async function createSuspects(session: Session): Promise<void> {
  await execute(
    session,
    `CREATE TEMP TABLE lethe_suspect (
       id integer GENERATED ALWAYS AS IDENTITY, layer integer NOT NULL, table_id integer NOT NULL,
       rel oid NOT NULL, tid tid NOT NULL, grp bigint NOT NULL, image_0 bigint NOT NULL, image_1 bigint NOT NULL,
       key_0 bigint NOT NULL, key_1 bigint NOT NULL
     ) ON COMMIT DROP;
     CREATE TEMP TABLE lethe_conflict (a integer NOT NULL, b integer NOT NULL) ON COMMIT DROP`,
  );
}

/**
 * Images of a row: of all columns that are written, and of its key, by which a row is recognized that the source has
 * changed since it was copied. A table without a key, or with one that is not written, has the first twice.
 */
export function imagesSql(table: TablePlan, alias: string): string {
  const all = imageColumns(table);
  const lasting = table.columns.filter((column) => !isSealed(column));
  const names = new Map(lasting.map(({ name, destination }) => [name, destination]));
  const key = table.key.kind === 'columns' ? table.key.columns.map((name) => names.get(name)) : [];
  const known = key.filter((name) => name !== undefined);
  const usable = known.length > 0 && known.length === key.length;
  return `${imageSql(all, alias)}, ${imageSql(usable ? known : all, alias)}`;
}

/** Columns of the destination by which a row is recognized: those that are written, but for tokens, whose salts are random. */
export function imageColumns(table: TablePlan): string[] {
  return table.columns.filter((column) => !isSealed(column)).map(({ destination }) => destination);
}

/** Two hashes of the columns' text. */
export function imageSql(columns: readonly string[], alias: string): string {
  const row = `ROW(${columns.map((column) => `${alias}.${quoteIdent(column)}`).join(', ')})::text`;
  return `pg_catalog.hashtextextended(${row}, 0), pg_catalog.hashtextextended(${row}, 1)`;
}

/**
 * Rows that a unique index refuses to have side by side, each group whole, into `lethe_suspect`. Groups are as the
 * index's own comparison makes them: its expressions, predicate, collations and treatment of NULL.
 *
 * @param limit Stops after so many.
 */
export async function findDuplicates(
  session: Session,
  table: TablePlan,
  facts: TakenFacts,
  limit: number,
): Promise<void> {
  const unique = facts.unique!;
  const keys = unique.keys.join(', ');
  await query(
    session,
    `INSERT INTO pg_temp.lethe_suspect (layer, table_id, rel, tid, grp, image_0, image_1, key_0, key_1)
     SELECT 0, $1::int, d.rel, d.tid, d.grp, ${imagesSql(table, 't')}
       FROM (SELECT f.* FROM (
               SELECT tableoid AS rel, ctid AS tid, count(*) OVER (PARTITION BY ${keys}) AS n,
                      dense_rank() OVER (ORDER BY ${keys}) AS grp
                 FROM ${relationOf(table, facts)}${where(unique)}) AS f
              WHERE f.n > 1 ORDER BY f.grp, f.rel, f.tid LIMIT $2::bigint) AS d
       JOIN ${relationOf(table, facts)} AS t ON t.tableoid = d.rel AND t.ctid = d.tid`,
    [table.id, limit],
  );
}

/** Rows in pairs that an exclusion constraint refuses, into `lethe_suspect` and `lethe_conflict`. */
export async function findExcluded(
  session: Session,
  table: TablePlan,
  facts: TakenFacts,
  limit: number,
): Promise<void> {
  const unique = facts.unique!;
  const relation = relationOf(table, facts);
  // The same index without its constraint makes the search a matter of seconds; it goes with the transaction's end.
  await query(session, 'SAVEPOINT lethe_index');
  if (unique.definition) {
    await query(session, unique.definition.replace(/^CREATE UNIQUE INDEX/, 'CREATE INDEX'));
  }
  const keys = unique.keys.map((key, i) => `${key} AS k${i}`).join(', ');
  const rows = `(SELECT tableoid AS rel, ctid AS tid, ${keys} FROM ${relation}${where(unique)})`;
  const conflict = unique.operators!.map((operator, i) => `a.k${i} ${operator} b.k${i}`).join(' AND ');
  const pairs = await query(
    session,
    `SELECT a.rel AS a_rel, a.tid AS a_tid, b.rel AS b_rel, b.tid AS b_tid
       FROM ${rows} AS a JOIN ${rows} AS b ON a.rel = b.rel AND a.tid < b.tid AND ${conflict} LIMIT $1::bigint`,
    [limit],
  );
  await query(session, 'ROLLBACK TO lethe_index');
  await query(
    session,
    `WITH pair AS (
       SELECT * FROM jsonb_to_recordset($2::jsonb) AS p(a_rel oid, a_tid tid, b_rel oid, b_tid tid)
     ), suspect AS (
       INSERT INTO pg_temp.lethe_suspect (layer, table_id, rel, tid, grp, image_0, image_1, key_0, key_1)
       SELECT 0, $1::int, s.rel, s.tid, 0, ${imagesSql(table, 't')}
         FROM (SELECT a_rel AS rel, a_tid AS tid FROM pair UNION SELECT b_rel, b_tid FROM pair) AS s
         JOIN ${relation} AS t ON t.tableoid = s.rel AND t.ctid = s.tid
       RETURNING id, rel, tid
     )
     INSERT INTO pg_temp.lethe_conflict
     SELECT a.id, b.id FROM pair p
       JOIN suspect a ON a.rel = p.a_rel AND a.tid = p.a_tid
       JOIN suspect b ON b.rel = p.b_rel AND b.tid = p.b_tid`,
    [table.id, JSON.stringify(pairs)],
  );
}

/** Rows whose parent is not there, into `lethe_suspect`, each a group of its own. */
export async function findOrphans(
  session: Session,
  table: TablePlan,
  key: ForeignKeyFacts,
  limit: number,
): Promise<number> {
  return execute(
    session,
    `INSERT INTO pg_temp.lethe_suspect (layer, table_id, rel, tid, grp, image_0, image_1, key_0, key_1)
     SELECT 0, $1::int, c.tableoid, c.ctid, 0, ${imagesSql(table, 'c')}
       FROM ${childFrom(key)} WHERE ${orphanCondition(key)} LIMIT $2::bigint`,
    [table.id, limit],
  );
}

/** Rows that lose their parent when those of a layer go: another layer. Returns how many. */
export async function findChildren(
  session: Session,
  table: TablePlan,
  parentId: number,
  key: ForeignKeyFacts,
  parentLayer: number,
  layer: number,
  limit: number,
): Promise<number> {
  const set = key.columns.map((column) => `c.${quoteIdent(column)} IS NOT NULL`).join(' AND ');
  return execute(
    session,
    `INSERT INTO pg_temp.lethe_suspect (layer, table_id, rel, tid, grp, image_0, image_1, key_0, key_1)
     SELECT $5::int, $1::int, c.tableoid, c.ctid, 0, ${imagesSql(table, 'c')}
       FROM ${childFrom(key)}
      WHERE ${set}
        AND EXISTS (SELECT 1 FROM ${parentFrom(key)}
                      JOIN pg_temp.lethe_suspect s ON s.rel = p.tableoid AND s.tid = p.ctid
                     WHERE s.table_id = $2::int AND s.layer = $3::int AND ${parentPairs(key)})
        AND NOT EXISTS (SELECT 1 FROM pg_temp.lethe_suspect s WHERE s.rel = c.tableoid AND s.tid = c.ctid)
      LIMIT $4::bigint`,
    [table.id, parentId, parentLayer, limit, layer],
  );
}

/** Deletes suspects of a table by id. Returns how many rows went. */
export async function deleteSuspects(
  session: Session,
  table: TablePlan,
  ids: readonly number[],
): Promise<number> {
  return execute(
    session,
    `DELETE FROM ${wholeTable(table)} AS t USING pg_temp.lethe_suspect s
      WHERE s.table_id = $1::int AND s.id = ANY ($2::int[]) AND t.tableoid = s.rel AND t.ctid = s.tid`,
    [table.id, [...ids]],
  );
}

/** Empty copy of the written columns plus the row's number, for rows that were read again. */
export async function createStage(
  session: Session,
  table: TablePlan,
  into: readonly string[],
): Promise<void> {
  await query(
    session,
    `CREATE TEMP TABLE lethe_again ON COMMIT DROP AS
     SELECT 0::bigint AS lethe_n, ${quoteColumns(into)} FROM ${quoteTable(table.destination)} WITH NO DATA`,
  );
}

function relationOf(table: TablePlan, facts: TakenFacts): string {
  const own = facts.relation ? quoteTable(facts.relation) : quoteTable(table.destination);
  const plain = facts.covers?.length === 1 && facts.covers[0] === own;
  return `${plain ? 'ONLY ' : ''}${own}`;
}

/** Rows that the index holds and that can be equal: NULLs differ from each other unless it says otherwise. */
function where(unique: UniqueFacts): string {
  const conditions = [
    ...(unique.predicate ? [`(${unique.predicate})`] : []),
    ...(unique.nullsNotDistinct ? [] : unique.keys.map((key) => `${key} IS NOT NULL`)),
  ];
  return conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
}
