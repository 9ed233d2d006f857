import type { CatalogCheck, CatalogForeignKey, CatalogTrigger } from '../../plan/catalog.js';
import { query, type Session } from '../session.js';
import { json } from './relations.js';

/** What a relation has of its own: what a partition inherits from its root stands at the root. */
export interface Constraints {
  readonly foreignKeys: CatalogForeignKey[];
  readonly checks: CatalogCheck[];
  readonly triggers: CatalogTrigger[];
  readonly rules: { readonly name: string; readonly definition: string }[];
}

export async function readConstraints(
  session: Session,
  relations: readonly number[],
): Promise<Map<number, Constraints>> {
  const found = new Map<number, Constraints>(
    relations.map((oid) => [oid, { foreignKeys: [], checks: [], triggers: [], rules: [] }]),
  );
  await readKeysAndChecks(session, relations, found);
  await readTriggersAndRules(session, relations, found);
  return found;
}

async function readKeysAndChecks(
  session: Session,
  relations: readonly number[],
  found: Map<number, Constraints>,
) {
  const rows = await query(
    session,
    // Columns pair by their position in conkey and confkey: attribute numbers may run in any order on either side.
    `SELECT k.conrelid AS rel, k.oid, k.conname AS name, k.contype AS type, pg_get_constraintdef(k.oid) AS definition,
       k.condeferrable AS deferrable, k.convalidated AND coalesce(to_jsonb(k) ->> 'conenforced', 'true') = 'true' AS validated,
       k.confmatchtype = 'f' AS match_full, n.nspname AS ref_schema, c.relname AS ref_name,
       (SELECT json_agg(a.attname ORDER BY p.i) FROM unnest(k.conkey) WITH ORDINALITY AS p (num, i)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = p.num) AS columns,
       (SELECT json_agg(a.attname ORDER BY p.i) FROM unnest(k.confkey) WITH ORDINALITY AS p (num, i)
          JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = p.num) AS ref_columns
     FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
     LEFT JOIN pg_class c ON c.oid = k.confrelid LEFT JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE k.conrelid = ANY ($1::oid[]) AND k.contype IN ('f', 'c') AND k.conparentid = 0
       AND (k.contype = 'f' OR k.conislocal OR NOT t.relispartition)
     ORDER BY k.conrelid, k.conname COLLATE "C"`,
    [relations],
  );
  for (const row of rows) {
    const common = {
      name: row.name!,
      columns: json<string[]>(row.columns) ?? [],
      definition: row.definition!,
      validated: row.validated === 't',
    };
    const own = found.get(Number(row.rel));
    if (row.type === 'c') own?.checks.push(common);
    else {
      own?.foreignKeys.push({
        ...common,
        oid: Number(row.oid),
        references: { schema: row.ref_schema!, name: row.ref_name! },
        referencedColumns: json<string[]>(row.ref_columns) ?? [],
        deferrable: row.deferrable === 't',
        matchFull: row.match_full === 't',
      });
    }
  }
}

async function readTriggersAndRules(
  session: Session,
  relations: readonly number[],
  found: Map<number, Constraints>,
) {
  const rows = await query(
    session,
    `SELECT tgrelid AS rel, 'trigger' AS type, tgname AS name, tgenabled AS enabled, pg_get_triggerdef(oid) AS definition
     FROM pg_trigger WHERE tgrelid = ANY ($1::oid[]) AND NOT tgisinternal AND tgparentid = 0
     UNION ALL
     SELECT ev_class, 'rule', rulename, ev_enabled, pg_get_ruledef(oid) FROM pg_rewrite WHERE ev_class = ANY ($1::oid[])
     ORDER BY 1, 3`,
    [relations],
  );
  for (const row of rows) {
    const own = found.get(Number(row.rel));
    if (row.type === 'rule') own?.rules.push({ name: row.name!, definition: row.definition! });
    else {
      own?.triggers.push({
        name: row.name!,
        enabled: row.enabled as CatalogTrigger['enabled'],
        definition: row.definition!,
      });
    }
  }
}
