import { LetheError } from '../../../errors/errors.js';
import type { RetentionFile, SealedTable } from '../../../job/retention/types.js';
import { type CatalogTable, type TableName, tableText } from '../../../plan/catalog.js';
import { readCatalog } from '../../catalog/read.js';
import { query, type Session } from '../../session.js';
import { redactRefusals, refusals } from '../refusals.js';
import { longestPlain, referring } from '../tables.js';

/** A relation that holds rows, and how many pages it has now. */
export interface SealUnit extends TableName {
  readonly pages: number;
}

/** A table that is in use and is to be sealed. */
export interface ExistingTable {
  /** `schema.table`. */
  readonly table: string;
  readonly units: readonly SealUnit[];
  /** What keeps or passes on plain values when rows are sealed: `trigger audit`, `materialized view public.report`. */
  readonly obstacles: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Looks whether tables of a retention file can be sealed in place, or what is sealed in them be redacted. Writes nothing.
 *
 * @param work `redact` asks for less: what stands against new tokens must not keep anybody's old ones.
 * @throws LetheError `RetentionInvalid` with everything that speaks against it, each with the way out.
 */
export async function planExisting(
  session: Session,
  policies: RetentionFile['policies'],
  tables: Readonly<Record<string, SealedTable>>,
  work: 'seal' | 'redact' = 'seal',
): Promise<ExistingTable[]> {
  const found = await readTables(session, Object.keys(tables));
  const wrong = Object.keys(tables)
    .filter((name) => !found.has(name))
    .map((name) => `There is no table ${name} in the database.`);
  for (const [name, table] of found) {
    // The trigger of new rows has its own limits, and they are not ours.
    const sealed = { ...tables[name]!, trigger: false };
    wrong.push(
      ...(work === 'redact'
        ? redactRefusals(table, sealed)
        : refusals(table, sealed, policies, await longestPlain(session, table, sealed))),
    );
    if (table.leaves.some(({ foreign }) => foreign))
      wrong.push(`${name} has partitions that are foreign tables: ${work} them where their rows are.`);
  }
  if (work === 'seal') wrong.push(...(await referring(session, [...found.values()], tables)));
  if (wrong.length > 0) {
    throw new LetheError(
      'RetentionInvalid',
      `These tables cannot be ${work === 'seal' ? 'sealed in place' : 'redacted'}:\n${wrong.map((text) => `- ${text}`).join('\n')}`,
    );
  }
  const planned: ExistingTable[] = [];
  for (const [name, table] of found) {
    planned.push({
      table: name,
      units: await readUnits(session, table),
      obstacles: obstaclesOf(table),
      notes: [...(await publications(session, table)), ...undatedNote(tables[name]!)],
    });
  }
  return planned;
}

async function readTables(session: Session, names: readonly string[]): Promise<Map<string, CatalogTable>> {
  const wanted = new Set(names);
  const { tables } = await readCatalog(session, {
    include: (schema, name) => wanted.has(`${schema}.${name}`),
  });
  return new Map(tables.map((table) => [tableText(table), table]));
}

/** Pages now: the catalog's count is an estimate, and rows that are sealed move to the end. */
async function readUnits(session: Session, table: CatalogTable): Promise<SealUnit[]> {
  const rows = await query(
    session,
    `SELECT n.nspname AS schema, c.relname AS name,
       pg_relation_size(c.oid) / current_setting('block_size')::int AS pages
     FROM unnest($1::oid[]) AS o JOIN pg_class c ON c.oid = o JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY c.oid`,
    [table.leaves.map(({ oid }) => oid)],
  );
  return rows.map(({ schema, name, pages }) => ({ schema: schema!, name: name!, pages: Number(pages) }));
}

/** Triggers, rules and materialized views may keep what a row was before. */
function obstaclesOf(table: CatalogTable): string[] {
  const triggers = [...table.triggers, ...table.leaves.flatMap((leaf) => leaf.triggers ?? [])]
    .filter(({ name, enabled }) => name !== 'lethe_seal' && (enabled === 'O' || enabled === 'A'))
    .filter(({ definition }) => /\bUPDATE\b/.test(definition.slice(0, definition.indexOf(' ON '))))
    .map(({ name }) => `trigger ${name}`);
  const rules = table.rules.filter(({ definition }) => / ON UPDATE /.test(definition));
  const views = table.dependents.filter((text) => text.startsWith('materialized view '));
  return [...new Set([...triggers, ...rules.map(({ name }) => `rule ${name}`), ...views])];
}

async function publications(session: Session, table: CatalogTable): Promise<string[]> {
  const rows = await query(
    session,
    `SELECT DISTINCT pubname AS name FROM pg_publication_tables
     WHERE (schemaname, tablename) IN (SELECT * FROM jsonb_to_recordset($1::jsonb) AS t(schema text, name text)) ORDER BY 1`,
    [JSON.stringify([table, ...table.leaves].map(({ schema, name }) => ({ schema, name })))],
  );
  return rows.map(
    ({ name }) =>
      `Publication ${name} sends the sealed rows on, and with REPLICA IDENTITY FULL the plain ones as well; what subscribers have already stays plain.`,
  );
}

function undatedNote({ date }: SealedTable): string[] {
  return date === undefined
    ? ['The retention file names no date column, so every value is dated the day on which it is sealed.']
    : [];
}
