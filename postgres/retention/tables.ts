import { LetheError } from '../../errors/errors.js';
import type { RetentionFile, SealedTable } from '../../job/retention/types.js';
import { type CatalogTable, tableText } from '../../plan/catalog.js';
import { readCatalog } from '../catalog/read.js';
import { quoteIdent, quoteTable } from '../identifiers.js';
import { query, type Session, withTransaction } from '../session.js';
import { installedRetention, installRetention } from './install.js';
import { refusals } from './refusals.js';
import { sealChecks, sealTrigger } from './sealTrigger.js';
import { maskedView, tableName, viewComment } from './views.js';

/** The part of a retention file that one database is about. */
export type TablesOf = Pick<RetentionFile, 'policies' | 'tables'>;

/** What `install` does to one table, in order. */
export interface TableInstallation {
  /** `schema.table`. */
  readonly table: string;
  readonly view: string;
  readonly statements: readonly string[];
}

/**
 * What the masked views, triggers and checks of a retention file's tables are made with, after it was seen that they can
 * be. Writes nothing.
 *
 * @throws LetheError `RetentionInvalid` with everything that speaks against it, each with the way out.
 */
export async function planTables(session: Session, file: TablesOf): Promise<TableInstallation[]> {
  const wanted = new Set(Object.keys(file.tables));
  const { tables } = await readCatalog(session, {
    include: (schema, name) => wanted.has(`${schema}.${name}`),
  });
  const found = new Map(tables.map((table) => [tableText(table), table]));
  const wrong = [...wanted].filter((name) => !found.has(name)).map((name) => `There is no table ${name}.`);
  for (const [name, table] of found) {
    const sealed = file.tables[name]!;
    wrong.push(...refusals(table, sealed, file.policies, await longestPlain(session, table, sealed)));
    wrong.push(...(await missingRoles(session, name, sealed)), ...(await takenView(session, table, sealed)));
  }
  wrong.push(...(await referring(session, [...found.values()], file.tables)));
  wrong.push(...(await plainCopies(session, file)));
  if (wrong.length > 0) {
    throw new LetheError(
      'RetentionInvalid',
      `This database cannot be set up as the retention file says:\n${wrong.map((text) => `- ${text}`).join('\n')}`,
    );
  }
  const quiet = await quietable(session);
  return [...found].map(([name, table]) => {
    const sealed = file.tables[name]!;
    const roles = sealed.readers.map(quoteIdent).join(', ');
    return {
      table: name,
      view: sealed.view,
      statements: [
        ...maskedView(table, sealed, file.policies),
        ...sealTrigger(table, sealed, file.policies),
        ...sealChecks(table, sealed, file.policies),
        ...(roles === '' ? [] : quiet.map((setting) => `GRANT SET ON PARAMETER ${setting} TO ${roles}`)),
      ],
    };
  });
}

/** Settings that readers must be able to turn off before they are handed keys as bound values; only a superuser grants. */
async function quietable(session: Session): Promise<string[]> {
  if (!session.superuser) return [];
  const rows = await query(
    session,
    `SELECT n AS name FROM unnest($1::text[]) AS n WHERE current_setting(n, true) IS NOT NULL`,
    [['log_parameter_max_length', 'auto_explain.log_parameter_max_length']],
  );
  return rows.map(({ name }) => name!);
}

/** `planTables`, and does it: each table in a transaction of its own. May run again at any time. */
export async function installTables(session: Session, file: TablesOf): Promise<TableInstallation[]> {
  await installRetention(session);
  const plan = await planTables(session, file);
  for (const { statements } of plan) {
    await withTransaction(session, async () => {
      for (const statement of statements) await query(session, statement);
    });
  }
  return plan;
}

/** Bytes of the longest plain value of each sealed column whose length is limited. */
export async function longestPlain(
  session: Session,
  table: CatalogTable,
  sealed: SealedTable,
): Promise<Map<string, number>> {
  const limited = table.columns.filter(
    ({ name, type }) => sealed.columns[name] && type.kind === 'text' && type.maxLength !== undefined,
  );
  if (limited.length === 0) return new Map();
  const known = (await installedRetention(session)) > 0;
  const longest = limited.map(({ name }, i) => {
    const plain = known ? ` FILTER (WHERE NOT lethe.is_token(${quoteIdent(name)}::text))` : '';
    return `max(octet_length(${quoteIdent(name)}::text))${plain} AS c${i}`;
  });
  const [row] = await query(session, `SELECT ${longest.join(', ')} FROM ${quoteTable(table)}`);
  return new Map(limited.map(({ name }, i) => [name, Number(row?.[`c${i}`] ?? 0)]));
}

/** Foreign keys of other tables that need the plain values of sealed columns. */
export async function referring(
  session: Session,
  tables: readonly CatalogTable[],
  sealed: TablesOf['tables'],
): Promise<string[]> {
  const rows = await query(
    session,
    `SELECT k.confrelid AS oid, a.attname AS column, k.conname AS key, n.nspname || '.' || c.relname AS child
     FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = ANY (k.confkey)
     WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid = ANY ($1::oid[]) ORDER BY 1, 3, 2`,
    [tables.map(({ oid }) => oid)],
  );
  return rows.flatMap(({ oid, column, key, child }) => {
    const name = tableText(tables.find((table) => table.oid === Number(oid))!);
    return Object.hasOwn(sealed[name]!.columns, column!)
      ? `${name}.${column}: foreign key ${key} of ${child} refers to it and needs its plain values: drop it.`
      : [];
  });
}

async function missingRoles(session: Session, table: string, { readers }: SealedTable): Promise<string[]> {
  const rows = await query(
    session,
    `SELECT r AS role FROM unnest($1::text[]) AS r WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = r)`,
    [[...readers]],
  );
  return rows.map(
    ({ role }) => `${table}: there is no role ${role}. CREATE ROLE ${quoteIdent(role!)}, or leave it out.`,
  );
}

/** What has the view's name already and is not the view. */
async function takenView(session: Session, table: CatalogTable, sealed: SealedTable): Promise<string[]> {
  const view = tableName(sealed.view);
  const [row] = await query(
    session,
    `SELECT c.relkind AS kind, obj_description(c.oid, 'pg_class') AS comment
     FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = $2
     WHERE n.nspname = $1`,
    [view.schema, view.name],
  );
  if (!row)
    return [
      `The view ${sealed.view} needs a schema ${view.schema}: CREATE SCHEMA ${quoteIdent(view.schema)}.`,
    ];
  if (row.kind === null || (row.kind === 'v' && row.comment === viewComment(table))) return [];
  return [
    `${sealed.view} is there and is not the masked view of ${tableText(table)}: rename it, or name another view.`,
  ];
}

/** Indexes, statistics and materialized views that keep what `lethe.reveal` or a masked view showed. */
async function plainCopies(session: Session, { tables }: TablesOf): Promise<string[]> {
  const views = Object.values(tables).map(({ view }) => view);
  const rows = await query(
    session,
    `WITH RECURSIVE shows (class, oid) AS (
       SELECT 'pg_proc'::regclass::oid, p.oid FROM pg_proc p WHERE p.pronamespace = to_regnamespace('lethe')
         AND p.proname IN ('reveal', 'reveal_any', 'reveal_parts', 'reveal_bytes', 'reveal_json', 'reveal_column', 'reveal_with', 'reveal_inside', 'open_text', 'open_with', 'open_token')
       UNION
       SELECT 'pg_class'::regclass::oid, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE c.relkind = 'v' AND n.nspname || '.' || c.relname = ANY ($1::text[])
       UNION
       SELECT 'pg_class'::regclass::oid, w.ev_class FROM shows s
       JOIN pg_depend d ON d.refclassid = s.class AND d.refobjid = s.oid AND d.classid = 'pg_rewrite'::regclass
       JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> s.oid)
     SELECT 'Materialized view ' || c.oid::regclass::text AS text FROM shows s JOIN pg_class c ON c.oid = s.oid
     WHERE s.class = 'pg_class'::regclass AND c.relkind = 'm'
     UNION
     SELECT 'Index ' || c.oid::regclass::text FROM shows s JOIN pg_depend d ON d.refclassid = s.class AND d.refobjid = s.oid
     JOIN pg_class c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid AND c.relkind IN ('i', 'I')
     WHERE s.class = 'pg_proc'::regclass
     UNION
     SELECT 'Statistics object ' || n.nspname || '.' || x.stxname FROM shows s
     JOIN pg_depend d ON d.refclassid = s.class AND d.refobjid = s.oid AND d.classid = 'pg_statistic_ext'::regclass
     JOIN pg_statistic_ext x ON x.oid = d.objid JOIN pg_namespace n ON n.oid = x.stxnamespace
     WHERE s.class = 'pg_proc'::regclass
     ORDER BY 1`,
    [views],
  );
  return rows.map(({ text }) => `${text} would keep plain values beyond their window: drop it.`);
}
