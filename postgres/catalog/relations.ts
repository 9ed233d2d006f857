import type { CatalogLeaf, TableName } from '../../plan/catalog.js';
import { quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';

/** A table, a declared partition root, or a relation below one. */
export interface Relation extends TableName {
  readonly oid: number;
  /** r table, p partitioned, f foreign table. */
  readonly kind: 'r' | 'p' | 'f';
  readonly unlogged: boolean;
  readonly owner: string;
  readonly rowSecurity: 'off' | 'on' | 'forced';
  readonly inherits: readonly TableName[];
  /** Of a relation below a root. */
  readonly parent?: number;
  /** `pg_get_expr(relpartbound)`. */
  readonly bound?: string;
  /** Of `p`: its own partition key. */
  readonly strategy?: 'h' | 'l' | 'r';
  readonly keyColumns: readonly string[];
  readonly keyExpression: boolean;
}

/** A table with everything below it; `relations[0]` is the table itself. */
export interface TableTree {
  readonly relations: readonly Relation[];
}

const OUTSIDE = `n.nspname ~ '^pg_' OR n.nspname IN ('information_schema', 'lethe') OR c.relpersistence = 't'
  OR EXISTS (SELECT FROM pg_depend x WHERE x.classid = 'pg_class'::regclass AND x.objid = c.oid AND x.deptype = 'e')`;

/** Tables and partition roots with their partitions; none of the system's, Lethe's, an extension's or temporary ones. */
export async function readTrees(
  session: Session,
  include: (schema: string, table: string) => boolean,
): Promise<TableTree[]> {
  const rows = await query(
    session,
    `WITH RECURSIVE tree (root, oid, parent, depth) AS (
       SELECT c.oid, c.oid, NULL::oid, 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT (${OUTSIDE})
       UNION ALL
       SELECT t.root, i.inhrelid, t.oid, t.depth + 1 FROM tree t
       JOIN pg_partitioned_table p ON p.partrelid = t.oid JOIN pg_inherits i ON i.inhparent = t.oid)
     SELECT t.root, t.oid, t.parent, n.nspname AS schema, c.relname AS name, c.relkind AS kind,
       c.relpersistence = 'u' AS unlogged, pg_get_userbyid(c.relowner) AS owner,
       CASE WHEN c.relforcerowsecurity AND c.relrowsecurity THEN 'forced' WHEN c.relrowsecurity THEN 'on' ELSE 'off' END AS rls,
       pg_get_expr(c.relpartbound, c.oid) AS bound, p.partstrat AS strategy, p.partexprs IS NOT NULL AS expression,
       (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
          AND (a.attnum = ANY (p.partattrs::int2[]) OR a.attnum::text IN (
            SELECT m[1] FROM regexp_matches(p.partexprs::text, ':varattno (-?\\d+)', 'g') AS m))) AS key_columns,
       (SELECT json_agg(json_build_object('schema', pn.nspname, 'name', pc.relname) ORDER BY i.inhseqno)
          FROM pg_inherits i JOIN pg_class pc ON pc.oid = i.inhparent JOIN pg_namespace pn ON pn.oid = pc.relnamespace
          WHERE i.inhrelid = c.oid AND NOT c.relispartition) AS inherits
     FROM tree t JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
     LEFT JOIN pg_partitioned_table p ON p.partrelid = c.oid
     ORDER BY t.root, t.depth, n.nspname COLLATE "C", c.relname COLLATE "C"`,
  );
  const trees = new Map<string, Relation[]>();
  for (const row of rows) {
    const relation: Relation = {
      oid: Number(row.oid),
      schema: row.schema!,
      name: row.name!,
      kind: row.kind as Relation['kind'],
      unlogged: row.unlogged === 't',
      owner: row.owner!,
      rowSecurity: row.rls as Relation['rowSecurity'],
      inherits: json<TableName[]>(row.inherits) ?? [],
      parent: row.parent === null ? undefined : Number(row.parent),
      bound: row.bound ?? undefined,
      strategy: (row.strategy as Relation['strategy']) ?? undefined,
      keyColumns: json<string[]>(row.key_columns) ?? [],
      keyExpression: row.expression === 't',
    };
    const tree = trees.get(row.root!);
    if (tree) tree.push(relation);
    else if (relation.parent === undefined && include(relation.schema, relation.name)) {
      trees.set(row.root!, [relation]);
    }
  }
  return [...trees.values()].map((relations) => ({ relations }));
}

/** Columns of the keys of a root and all partitioned tables below it, and whether every row finds a partition. */
export function partitionKeyOf(tree: TableTree) {
  const levels = tree.relations.filter((relation) => relation.kind === 'p');
  if (levels.length === 0) return undefined;
  return {
    columns: [...new Set(levels.flatMap((level) => level.keyColumns))],
    expression: levels.some((level) => level.keyExpression),
    takesAny: levels.every((level) => isComplete(level, tree)),
  };
}

function isComplete(level: Relation, tree: TableTree): boolean {
  const bounds = tree.relations.filter((r) => r.parent === level.oid).map((r) => r.bound ?? '');
  if (level.strategy !== 'h') return bounds.includes('DEFAULT');
  // A set of hash partitions is complete when the shares of their moduli add up to one.
  const moduli = bounds.map((bound) => Number(/modulus (\d+)/.exec(bound)?.[1]));
  const common = moduli.reduce((a, b) => Math.max(a, b), 1);
  return moduli.reduce((sum, modulus) => sum + common / modulus, 0) === common;
}

/** Pages below which a table that was never analyzed is counted rather than estimated. */
const TINY_PAGES = 16;
const COUNTED_AT_ONCE = 100;

/** Size and estimated rows of every physical relation, by oid. */
export async function readLeaves(
  session: Session,
  trees: readonly TableTree[],
): Promise<Map<number, CatalogLeaf>> {
  const relations = trees.flatMap((tree) => tree.relations).filter((relation) => relation.kind !== 'p');
  const rows = await query(
    session,
    // Estimated as the planner does: measured pages × density of the last ANALYZE, or what the columns' widths give.
    `SELECT c.oid, s.pages, pg_table_size(c.oid) AS bytes, c.reltuples >= 0 AND c.relpages > 0 AS analyzed,
       pg_relation_filenode(c.oid) AS filenode,
       has_table_privilege(c.oid, 'SELECT') AND NOT c.relrowsecurity
         AND NOT (c.relpersistence = 'u' AND pg_is_in_recovery()) AS countable,
       round(s.pages * CASE WHEN c.reltuples >= 0 AND c.relpages > 0 THEN c.reltuples::float8 / c.relpages ELSE
         8168.0 / (28 + (SELECT coalesce(sum(CASE WHEN a.attlen > 0 THEN a.attlen ELSE 32 END), 0)
                         FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) END) AS rows
     FROM pg_class c CROSS JOIN LATERAL (SELECT coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int AS pages) AS s
     WHERE c.oid = ANY ($1::oid[])`,
    [relations.map((relation) => relation.oid)],
  );
  const facts = new Map(rows.map((row) => [Number(row.oid), row]));
  const tiny = relations.filter((relation) => {
    const row = facts.get(relation.oid);
    return (
      row?.analyzed === 'f' &&
      row.countable === 't' &&
      relation.kind === 'r' &&
      Number(row.pages) <= TINY_PAGES
    );
  });
  const counts = await countRows(session, tiny);
  return new Map(
    relations.map((relation) => {
      const row = facts.get(relation.oid);
      const leaf: CatalogLeaf = {
        schema: relation.schema,
        name: relation.name,
        oid: relation.oid,
        rows: counts.get(relation.oid) ?? Number(row?.rows ?? 0),
        bytes: Number(row?.bytes ?? 0),
        pages: Number(row?.pages ?? 0),
        filenode: row?.filenode ?? undefined,
        foreign: relation.kind === 'f',
      };
      return [relation.oid, leaf];
    }),
  );
}

async function countRows(session: Session, relations: readonly Relation[]): Promise<Map<number, number>> {
  const counts = new Map<number, number>();
  for (let i = 0; i < relations.length; i += COUNTED_AT_ONCE) {
    const rows = await query(
      session,
      relations
        .slice(i, i + COUNTED_AT_ONCE)
        .map(
          (relation) => `SELECT ${relation.oid} AS oid, count(*) AS rows FROM ONLY ${quoteTable(relation)}`,
        )
        .join(' UNION ALL '),
    );
    for (const row of rows) counts.set(Number(row.oid), Number(row.rows));
  }
  return counts;
}

/** A JSON column of a text row. */
export function json<T>(text: string | null | undefined): T | undefined {
  return text == null ? undefined : (JSON.parse(text) as T);
}
