import { quoteIdent, quoteLiteral, quoteTable } from '../identifiers.js';
import { type ForeignKeyFacts, PHASE, type Removal } from '../ledger/ddl.js';
import { query, type Session } from '../session.js';
import { oidArray, type Relation } from './relations.js';

interface FoundKey {
  readonly oid: string;
  readonly name: string;
  readonly schema: string;
  readonly table: string;
  readonly definition: string;
  readonly comment: string | null;
  readonly facts: Omit<ForeignKeyFacts, 'outside' | 'definition'> & { readonly relation: string };
  /** Keys of partitions that have a name of their own, deepest first. */
  readonly partitions: readonly {
    schema: string;
    table: string;
    name: string;
    definition: string;
    comment: string | null;
  }[];
  /** Internal triggers of the key that are not in state O: someone switched the key off. */
  readonly triggers: readonly {
    schema: string;
    table: string;
    name: string;
    function: string;
    enabled: string;
  }[];
}

/**
 * The foreign keys from and to the relations, as removals. Keys of partitions come and go with the one of the root; one
 * with a name of its own is put back first, and the root's then takes it over instead of making another.
 */
export async function foreignKeyRemovals(
  session: Session,
  relations: readonly Relation[],
): Promise<Removal[]> {
  const inJob = new Set(relations.map((r) => r.oid));
  const rows = await query(session, FOREIGN_KEYS, [oidArray(inJob)]);
  return rows.map((row) => {
    const key = JSON.parse(String(row.key)) as FoundKey;
    const { relation, ...facts } = key.facts;
    return removal(key, {
      ...facts,
      outside: !inJob.has(relation),
      definition: key.definition.replace(/ NOT VALID$/, ''),
    });
  });
}

function removal(key: FoundKey, facts: ForeignKeyFacts): Removal {
  const add = (k: {
    schema: string;
    table: string;
    name: string;
    definition: string;
    comment: string | null;
  }) => [
    `ALTER TABLE ${quoteTable({ schema: k.schema, name: k.table })} ADD CONSTRAINT ${quoteIdent(k.name)} ${k.definition}`,
    ...(k.comment === null
      ? []
      : [
          `COMMENT ON CONSTRAINT ${quoteIdent(k.name)} ON ${quoteTable({ schema: k.schema, name: k.table })} IS ${quoteLiteral(k.comment)}`,
        ]),
  ];
  return {
    schema: facts.root.schema,
    table: facts.root.name,
    kind: 'foreign key',
    object: key.name,
    drop: [
      `ALTER TABLE ${quoteTable({ schema: key.schema, name: key.table })} DROP CONSTRAINT ${quoteIdent(key.name)}`,
    ],
    restore: [...key.partitions.flatMap(add), ...add(key), ...key.triggers.map(switchTrigger)],
    phase: PHASE.foreignKey,
    facts: { relation: { schema: key.schema, name: key.table }, foreignKey: facts },
  };
}

const SWITCH: Readonly<Record<string, string>> = {
  A: 'ENABLE ALWAYS',
  D: 'DISABLE',
  O: 'ENABLE',
  R: 'ENABLE REPLICA',
};

/** Internal triggers get names from oids, so they are found again by the key that owns them and their function. */
function switchTrigger(t: FoundKey['triggers'][number]): string {
  const relation = quoteLiteral(quoteTable({ schema: t.schema, name: t.table }));
  const body = `
    DECLARE found record;
    BEGIN
      FOR found IN
        SELECT g.tgname, g.tgrelid::regclass AS relation
          FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_constraint c ON c.oid = g.tgconstraint
         WHERE c.conname = ${quoteLiteral(t.name)} AND g.tgrelid = ${relation}::regclass
           AND g.tgfoid = ${quoteLiteral(t.function)}::regprocedure
      LOOP
        EXECUTE format('ALTER TABLE ONLY %s ${SWITCH[t.enabled]} TRIGGER %I', found.relation, found.tgname);
      END LOOP;
    END`;
  return `DO ${quoteLiteral(body)}`;
}

const FOREIGN_KEYS = `
  WITH RECURSIVE key AS (
    SELECT c.* FROM pg_catalog.pg_constraint c
     WHERE c.contype = 'f' AND c.conparentid = 0
       AND (c.conrelid = ANY ($1::oid[]) OR c.confrelid = ANY ($1::oid[]))
  ), tree AS (
    SELECT oid AS top, oid, 0 AS depth FROM key
    UNION ALL
    SELECT t.top, c.oid, t.depth + 1 FROM tree t JOIN pg_catalog.pg_constraint c ON c.conparentid = t.oid
  )
  SELECT jsonb_build_object(
    'oid', k.oid::text,
    'name', k.conname,
    'schema', rn.nspname,
    'table', r.relname,
    'definition', pg_catalog.pg_get_constraintdef(k.oid),
    'comment', pg_catalog.obj_description(k.oid, 'pg_constraint'),
    'facts', jsonb_build_object(
      'relation', k.conrelid::text,
      'schema', rn.nspname,
      'table', r.relname,
      'columns', (SELECT jsonb_agg(a.attname ORDER BY u.n) FROM unnest(k.conkey) WITH ORDINALITY AS u(attnum, n)
                    JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
      'parentSchema', fn.nspname,
      'parentTable', f.relname,
      'parentColumns', (SELECT jsonb_agg(a.attname ORDER BY u.n) FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
                          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum),
      'root', jsonb_build_object('schema', rrn.nspname, 'name', rr.relname),
      'parentRoot', jsonb_build_object('schema', frn.nspname, 'name', fr.relname),
      'operators', (SELECT jsonb_agg(format('OPERATOR(%I.%s)', pn.nspname, o.oprname) ORDER BY u.n)
                      FROM unnest(k.conpfeqop) WITH ORDINALITY AS u(oid, n)
                      JOIN pg_catalog.pg_operator o ON o.oid = u.oid
                      JOIN pg_catalog.pg_namespace pn ON pn.oid = o.oprnamespace),
      'collations', (SELECT jsonb_agg((SELECT format('%I.%I', cn.nspname, co.collname)
                                         FROM pg_catalog.pg_collation co
                                         JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
                                        WHERE co.oid = a.attcollation) ORDER BY u.n)
                       FROM unnest(k.confkey) WITH ORDINALITY AS u(attnum, n)
                       JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum),
      'partitioned', r.relkind = 'p',
      'parentPartitioned', f.relkind = 'p',
      'matchFull', k.confmatchtype = 'f',
      'period', coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false),
      'validated', k.convalidated),
    'partitions', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
               'schema', pn.nspname, 'table', p.relname, 'name', c.conname,
               'definition', pg_catalog.pg_get_constraintdef(c.oid),
               'comment', pg_catalog.obj_description(c.oid, 'pg_constraint')) ORDER BY t.depth DESC, c.oid), '[]')
        FROM tree t
        JOIN pg_catalog.pg_constraint c ON c.oid = t.oid
        JOIN pg_catalog.pg_class p ON p.oid = c.conrelid
        JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
       WHERE t.top = k.oid AND c.confrelid = k.confrelid AND c.conrelid <> k.conrelid
         AND (c.conname <> k.conname OR pg_catalog.obj_description(c.oid, 'pg_constraint') IS NOT NULL)),
    'triggers', (
      SELECT coalesce(jsonb_agg(jsonb_build_object(
               'schema', gn.nspname, 'table', gr.relname, 'name', c.conname,
               'function', g.tgfoid::regprocedure::text, 'enabled', g.tgenabled) ORDER BY g.oid), '[]')
        FROM tree t
        JOIN pg_catalog.pg_constraint c ON c.oid = t.oid
        JOIN pg_catalog.pg_trigger g ON g.tgconstraint = c.oid AND g.tgenabled <> 'O'
        JOIN pg_catalog.pg_class gr ON gr.oid = g.tgrelid
        JOIN pg_catalog.pg_namespace gn ON gn.oid = gr.relnamespace
       WHERE t.top = k.oid))::text AS key
    FROM key k
    JOIN pg_catalog.pg_class r ON r.oid = k.conrelid
    JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
    JOIN pg_catalog.pg_class f ON f.oid = k.confrelid
    JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
    JOIN pg_catalog.pg_class rr ON rr.oid = coalesce(pg_catalog.pg_partition_root(r.oid)::oid, r.oid)
    JOIN pg_catalog.pg_namespace rrn ON rrn.oid = rr.relnamespace
    JOIN pg_catalog.pg_class fr ON fr.oid = coalesce(pg_catalog.pg_partition_root(f.oid)::oid, f.oid)
    JOIN pg_catalog.pg_namespace frn ON frn.oid = fr.relnamespace
   ORDER BY k.oid`;
