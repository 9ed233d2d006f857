import { quoteIdent, quoteLiteral, quoteTable } from '../identifiers.js';
import { PHASE, type Removal, type UniqueFacts } from '../ledger/ddl.js';
import { query, type Session } from '../session.js';
import { oidArray, type Relation } from './relations.js';

interface FoundIndex {
  readonly oid: string;
  readonly relation: string;
  readonly schema: string;
  readonly name: string;
  /** The partitioned index that it is attached to. */
  readonly parent: string | null;
  readonly partitioned: boolean;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly exclusion: boolean;
  readonly valid: boolean;
  readonly definition: string;
  readonly tablespace: string | null;
  readonly options: readonly string[] | null;
  readonly comment: string | null;
  readonly clustered: boolean;
  readonly replicaIdentity: boolean;
  /** The table's replica identity is its primary key. */
  readonly replicaDefault: boolean;
  readonly published: boolean;
  /** A view, rule, function or the like depends on it: it cannot be dropped without CASCADE. */
  readonly needed: boolean;
  readonly statistics: readonly { readonly column: number; readonly target: number }[];
  readonly extensions: readonly string[];
  readonly unq: Omit<UniqueFacts, 'primary'>;
  readonly constraint: {
    readonly type: 'p' | 'u' | 'x';
    readonly definition: string;
    readonly deferrable: boolean;
    readonly deferred: boolean;
    readonly period: boolean;
    readonly comment: string | null;
    /** Of a partition's: false when it was made through the root, true when it was attached. */
    readonly noInherit: boolean;
    readonly triggers: boolean;
  } | null;
}

/**
 * Primary keys, unique and exclusion constraints and indexes of the relations, as removals. Kept where they are: what a
 * view or rule depends on, invalid ones, the replica identity of a published table (settle could not delete without
 * it), and those of a table for which `worthDropping` says no, but for deferrable constraints.
 */
export async function indexRemovals(
  session: Session,
  relations: readonly Relation[],
  worthDropping: (relation: Relation) => boolean,
): Promise<Removal[]> {
  const byOid = new Map(relations.map((r) => [r.oid, r]));
  const rows = await query(session, INDEXES, [oidArray(byOid.keys())]);
  const found = rows.map((row) => JSON.parse(String(row.found)) as FoundIndex);
  const tree = (index: FoundIndex): FoundIndex[] => [
    index,
    ...found.filter((other) => other.parent === index.oid).flatMap(tree),
  ];
  return found
    .filter((index) => index.parent === null)
    .map(tree)
    .filter((indexes) => !indexes.some(mustStay))
    .filter(([root]) => worthDropping(byOid.get(root!.relation)!) || unchecked(root!))
    .map((indexes) => removal(indexes, byOid));
}

/** Deferrable constraints are checked by triggers, which `session_replication_role = replica` keeps from firing. */
function unchecked(index: FoundIndex): boolean {
  return index.constraint?.deferrable === true;
}

function mustStay(index: FoundIndex): boolean {
  const identifies = index.replicaIdentity || (index.primary && index.replicaDefault);
  return (
    !index.valid || index.needed || (index.published && identifies) || index.constraint?.triggers === true
  );
}

/** Of a tree of attached indexes (or the one index of a plain table), the root first. */
function removal(indexes: readonly FoundIndex[], relations: ReadonlyMap<string, Relation>): Removal {
  const root = indexes[0]!;
  const relation = relations.get(root.relation)!;
  const facts = {
    relation: { schema: relation.schema, name: relation.name },
    covers: indexes.filter((index) => !index.partitioned).map((i) => relations.get(i.relation)!.sql),
  };
  return {
    schema: relation.table.destination.schema,
    table: relation.table.destination.name,
    kind: root.constraint ? 'constraint' : 'index',
    object: root.name,
    drop: [
      root.constraint
        ? `ALTER TABLE ${relation.sql} DROP CONSTRAINT ${quoteIdent(root.name)}`
        : `DROP INDEX ${name(root)}`,
    ],
    restore: [
      ...(madeThroughRoot(indexes) ? recurse(indexes, relations) : assemble(indexes, relations)),
      ...indexes.flatMap((index) => adorn(index, relations.get(index.relation)!)),
    ],
    phase: root.constraint ? PHASE.constraint : PHASE.index,
    facts: root.unique || root.exclusion ? { ...facts, unique: uniqueFacts(root) } : facts,
  };
}

function uniqueFacts(index: FoundIndex): UniqueFacts {
  const facts = { ...index.unq, primary: index.primary };
  return index.unq.operators ? { ...facts, definition: index.definition } : facts;
}

/** A constraint whose partitions got theirs from it, and nothing of their own but perhaps a name. */
function madeThroughRoot(indexes: readonly FoundIndex[]): boolean {
  const [root, ...others] = indexes;
  const place = (index: FoundIndex) => JSON.stringify([index.tablespace, index.options]);
  return (
    root?.constraint != null &&
    others.length > 0 &&
    others.every((index) => index.constraint?.noInherit === false && place(index) === place(root))
  );
}

/** Makes the constraint on the root, which makes those of the partitions, and gives these their names back. */
function recurse(indexes: readonly FoundIndex[], relations: ReadonlyMap<string, Relation>): string[] {
  const root = indexes[0]!;
  const sql = relations.get(root.relation)!.sql;
  const names = indexes.slice(1).map((index) => ({
    relation: relations.get(index.relation)!.sql,
    name: index.name,
  }));
  // In two passes, by way of names that are surely free: a name that one has by chance may be another's.
  const body = `
    DECLARE
      oids oid[]; names text[];
    BEGIN
      WITH RECURSIVE tree AS (
        SELECT ${quoteLiteral(name(root))}::regclass::oid AS oid
        UNION ALL
        SELECT h.inhrelid FROM tree t JOIN pg_catalog.pg_inherits h ON h.inhparent = t.oid
      )
      SELECT array_agg(t.oid), array_agg(w.name) INTO oids, names
        FROM tree t
        JOIN pg_catalog.pg_index i ON i.indexrelid = t.oid
        JOIN pg_catalog.pg_class c ON c.oid = t.oid
        JOIN jsonb_to_recordset(${quoteLiteral(JSON.stringify(names))}) AS w(relation text, name text)
          ON w.relation::regclass = i.indrelid
       WHERE c.relname <> w.name;
      FOR n IN 1 .. coalesce(array_length(oids, 1), 0) LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', oids[n]::regclass, 'lethe_' || oids[n]);
      END LOOP;
      FOR n IN 1 .. coalesce(array_length(oids, 1), 0) LOOP
        EXECUTE format('ALTER INDEX %s RENAME TO %I', oids[n]::regclass, names[n]);
      END LOOP;
    END`;
  return [
    `SET LOCAL default_tablespace = ${quoteLiteral(root.tablespace ?? '')}`,
    `ALTER TABLE ${sql} ADD CONSTRAINT ${quoteIdent(root.name)} ${withOptions(root.constraint!.definition, root.options)}`,
    `DO ${quoteLiteral(body)}`,
  ];
}

/** Makes each one by itself, the root's without its partitions, and attaches them from the leaves up. */
function assemble(indexes: readonly FoundIndex[], relations: ReadonlyMap<string, Relation>): string[] {
  const byOid = new Map(indexes.map((index) => [index.oid, index]));
  const attach = indexes
    .slice(1)
    .reverse()
    .map((index) => `ALTER INDEX ${name(byOid.get(index.parent!)!)} ATTACH PARTITION ${name(index)}`);
  return [...indexes.flatMap((index) => create(index, relations.get(index.relation)!)), ...attach];
}

function name(index: FoundIndex): string {
  return quoteTable({ schema: index.schema, name: index.name });
}

/** A plain constraint is made from its index, whose definition holds the storage parameters that a constraint's lacks. */
function create(index: FoundIndex, relation: Relation): string[] {
  const space = `SET LOCAL default_tablespace = ${quoteLiteral(index.tablespace ?? '')}`;
  const constraint = index.constraint;
  if (!constraint) return [space, index.definition];
  const add = `ALTER TABLE ONLY ${relation.sql} ADD CONSTRAINT ${quoteIdent(index.name)}`;
  if (constraint.type === 'x') return [space, `${add} ${constraint.definition}`];
  if (index.partitioned || constraint.period) {
    return [space, `${add} ${withOptions(constraint.definition, index.options)}`];
  }
  const kind = constraint.type === 'p' ? 'PRIMARY KEY' : 'UNIQUE';
  const deferral = constraint.deferrable
    ? ` DEFERRABLE${constraint.deferred ? ' INITIALLY DEFERRED' : ''}`
    : '';
  return [space, index.definition, `${add} ${kind} USING INDEX ${quoteIdent(index.name)}${deferral}`];
}

/** The definition of a key leaves its storage parameters out; they stand before its deferral. */
function withOptions(definition: string, options: readonly string[] | null): string {
  if (!options) return definition;
  const [, key, deferral] = /^(.*?)((?: DEFERRABLE)?(?: INITIALLY DEFERRED)?)$/s.exec(definition)!;
  const pairs = options.map((text) => {
    const at = text.indexOf('=');
    return `${quoteIdent(text.slice(0, at))} = ${quoteLiteral(text.slice(at + 1))}`;
  });
  return `${key} WITH (${pairs.join(', ')})${deferral}`;
}

function adorn(index: FoundIndex, relation: Relation): string[] {
  const statements: string[] = [];
  if (index.comment !== null)
    statements.push(`COMMENT ON INDEX ${name(index)} IS ${quoteLiteral(index.comment)}`);
  if (index.constraint?.comment != null) {
    statements.push(
      `COMMENT ON CONSTRAINT ${quoteIdent(index.name)} ON ${relation.sql} IS ${quoteLiteral(index.constraint.comment)}`,
    );
  }
  for (const { column, target } of index.statistics) {
    statements.push(`ALTER INDEX ${name(index)} ALTER COLUMN ${column} SET STATISTICS ${target}`);
  }
  for (const extension of index.extensions) {
    statements.push(`ALTER INDEX ${name(index)} DEPENDS ON EXTENSION ${quoteIdent(extension)}`);
  }
  if (index.clustered) statements.push(`ALTER TABLE ${relation.sql} CLUSTER ON ${quoteIdent(index.name)}`);
  if (index.replicaIdentity) {
    statements.push(
      `ALTER TABLE ONLY ${relation.sql} REPLICA IDENTITY USING INDEX ${quoteIdent(index.name)}`,
    );
  }
  return statements;
}

/** New columns of the catalogs (conperiod, indnullsnotdistinct) are read through jsonb, so that older servers lack them quietly. */
const INDEXES = `
  SELECT jsonb_build_object(
    'oid', i.indexrelid::text,
    'relation', i.indrelid::text,
    'schema', n.nspname,
    'name', ic.relname,
    'parent', (SELECT h.inhparent::text FROM pg_catalog.pg_inherits h WHERE h.inhrelid = i.indexrelid),
    'partitioned', ic.relkind = 'I',
    'unique', i.indisunique,
    'primary', i.indisprimary,
    'exclusion', i.indisexclusion,
    'valid', i.indisvalid AND i.indisready AND i.indislive,
    'definition', pg_catalog.pg_get_indexdef(i.indexrelid),
    'tablespace', (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = ic.reltablespace),
    'options', to_jsonb(ic.reloptions),
    'comment', pg_catalog.obj_description(i.indexrelid, 'pg_class'),
    'clustered', i.indisclustered,
    'replicaIdentity', i.indisreplident,
    'replicaDefault', c.relreplident = 'd',
    'published', EXISTS (SELECT 1 FROM pg_catalog.pg_publication_tables p
                          WHERE p.schemaname = tn.nspname AND p.tablename = c.relname),
    'needed', EXISTS (
      SELECT 1 FROM pg_catalog.pg_depend d
       WHERE d.deptype = 'n'
         AND (d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indexrelid
              OR d.refclassid = 'pg_catalog.pg_constraint'::regclass AND d.refobjid = k.oid)
         AND NOT (d.classid = 'pg_catalog.pg_constraint'::regclass
                  AND EXISTS (SELECT 1 FROM pg_catalog.pg_constraint f WHERE f.oid = d.objid AND f.contype = 'f'))),
    'statistics', (SELECT coalesce(jsonb_agg(jsonb_build_object('column', a.attnum, 'target', a.attstattarget)
                                             ORDER BY a.attnum), '[]')
                     FROM pg_catalog.pg_attribute a WHERE a.attrelid = i.indexrelid AND a.attstattarget >= 0),
    'extensions', (SELECT coalesce(jsonb_agg(e.extname), '[]') FROM pg_catalog.pg_depend d
                     JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
                    WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid AND d.deptype = 'x'
                      AND d.refclassid = 'pg_catalog.pg_extension'::regclass),
    'unq', jsonb_build_object(
      'keys', (SELECT jsonb_agg('(' || pg_catalog.pg_get_indexdef(i.indexrelid, g.n, false) || ')'
                       || coalesce((SELECT format(' COLLATE %I.%I', cn.nspname, co.collname)
                                      FROM pg_catalog.pg_collation co
                                      JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                                     WHERE co.oid = i.indcollation[g.n - 1]), '') ORDER BY g.n)
                 FROM generate_series(1, i.indnkeyatts) AS g(n)),
      'operators', (SELECT jsonb_agg(format('OPERATOR(%I.%s)', pn.nspname, o.oprname) ORDER BY u.n)
                      FROM unnest(k.conexclop) WITH ORDINALITY AS u(oid, n)
                      JOIN pg_catalog.pg_operator o ON o.oid = u.oid
                      JOIN pg_catalog.pg_namespace pn ON pn.oid = o.oprnamespace),
      'predicate', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
      'nullsNotDistinct', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)),
    'constraint', CASE WHEN k.oid IS NOT NULL THEN jsonb_build_object(
      'type', k.contype,
      'definition', pg_catalog.pg_get_constraintdef(k.oid),
      'deferrable', k.condeferrable,
      'deferred', k.condeferred,
      'noInherit', k.connoinherit,
      'period', coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false),
      'comment', pg_catalog.obj_description(k.oid, 'pg_constraint'),
      'triggers', EXISTS (SELECT 1 FROM pg_catalog.pg_trigger g WHERE g.tgconstraint = k.oid AND g.tgenabled <> 'O'))
    END)::text AS found
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = ic.relnamespace
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace tn ON tn.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
   WHERE i.indrelid = ANY ($1::oid[])
   ORDER BY i.indexrelid`;
