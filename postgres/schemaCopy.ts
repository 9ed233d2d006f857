import { LetheError } from '../errors/errors.js';
import { type TableName, tableText } from '../plan/catalog.js';
import type { Finding } from '../plan/plan.js';
import { sanitize } from './errors.js';
import { quoteIdent } from './identifiers.js';
import { schemaLiterals } from './schema/literals.js';
import { dumpSchema, findPgDump } from './schema/pgDump.js';
import { type SchemaScope, schemaScope } from './schema/scope.js';
import { query, type Session, withSession, withTransaction } from './session.js';

export interface SchemaCopyOptions {
  readonly sourceUrl: string;
  readonly destinationUrl: string;
  /** Tables of the job in the source. Their whole schemas are copied, and what those use. */
  readonly tables: readonly TableName[];
  /** `destination.schemas` of the job: must be empty, definitions cannot be renamed. */
  readonly renames?: Readonly<Record<string, string>>;
  readonly applicationName: string;
  readonly signal?: AbortSignal;
}

export interface SchemaCopy {
  /** False when the destination had all the tables already, and nothing was done. */
  readonly created: boolean;
  readonly schemas: readonly string[];
  readonly extensions: readonly string[];
  /** What the source has and the copy leaves out: `PUBLICATION - all_tables`, … */
  readonly leftOut: readonly string[];
  /** Constants that somebody should look at. */
  readonly findings: readonly Finding[];
}

/**
 * Gives the destination the definitions of the source's schemas, by pg_dump and pg_restore, in one transaction: tables,
 * types, functions, views, indexes, constraints, triggers. A destination that has all the tables is left alone, one
 * that has some is refused, so a retry is safe.
 *
 * Left out: what reaches other servers or holds passwords (subscriptions, publications, servers, user mappings, foreign
 * tables), event triggers, row security policies (they name roles), owners, rights, tablespaces, and extensions that no
 * definition uses.
 */
export async function copySchema(options: SchemaCopyOptions): Promise<SchemaCopy> {
  refuseRenames(options);
  const session = { applicationName: options.applicationName, signal: options.signal };
  return withSession(
    { ...session, url: options.destinationUrl, role: 'destination' },
    async (destination) => {
      const missing = await missingTables(destination, options.tables);
      if (missing.length === 0)
        return { created: false, schemas: [], extensions: [], leftOut: [], findings: [] };
      if (missing.length < options.tables.length) throw someMissing(missing);
      return withSession({ ...session, url: options.sourceUrl, role: 'source' }, (source) =>
        copyInto(source, destination, options),
      );
    },
  );
}

async function copyInto(
  source: Session,
  destination: Session,
  options: SchemaCopyOptions,
): Promise<SchemaCopy> {
  const tool = await findPgDump(Math.floor(source.serverVersion / 10_000));
  const wanted = [...new Set(options.tables.map((table) => table.schema))];
  const scope = await schemaScope(source, wanted);
  const existing = await query(destination, 'SELECT nspname AS name FROM pg_namespace');
  const leftOut: string[] = [];
  const request = { url: options.sourceUrl, ...scope, signal: options.signal };
  const script = await dumpSchema(tool, request, (entries) => {
    const kept = entries.map(
      judgeEntry(
        entries,
        existing.map((row) => row.name!),
      ),
    );
    leftOut.push(...entries.filter((_, i) => kept[i] === 'left out').map(withoutOwner));
    return kept.map((verdict) => verdict === 'kept');
  });
  await apply(destination, script, await extensionSchemas(source, scope));
  return { created: true, ...scope, leftOut, findings: await schemaLiterals(source, scope.schemas) };
}

/** Beginnings of entries that stay behind. */
const LEFT_OUT = [
  'SUBSCRIPTION',
  'PUBLICATION',
  'SERVER',
  'USER MAPPING',
  'FOREIGN DATA WRAPPER',
  'FOREIGN TABLE',
  'EVENT TRIGGER',
  'POLICY',
  'ROW SECURITY',
];

function judgeEntry(entries: readonly string[], existing: readonly string[]) {
  const foreign = entries
    .filter((entry) => entry.startsWith('FOREIGN TABLE '))
    .map((entry) => entry.slice('FOREIGN '.length));
  return (entry: string): 'kept' | 'left out' | 'there' => {
    if (LEFT_OUT.some((kind) => entry.startsWith(`${kind} `))) return 'left out';
    if (foreign.some((table) => entry === table.replace('TABLE ', 'TABLE ATTACH '))) return 'left out';
    if (existing.some((schema) => entry.startsWith(`SCHEMA - ${schema} `))) return 'there';
    // Comments fail on what stays behind, and on what another role owns: schemas that were there, extensions.
    return /^COMMENT .*?(SCHEMA|EXTENSION|POLICY|FOREIGN TABLE|SERVER|EVENT TRIGGER) /.test(entry)
      ? 'there'
      : 'kept';
  };
}

function withoutOwner(entry: string): string {
  return entry.replace(/ \S+$/, '');
}

async function apply(destination: Session, script: string, schemas: readonly string[]): Promise<void> {
  await withTransaction(destination, async () => {
    for (const schema of schemas)
      await query(destination, `CREATE SCHEMA IF NOT EXISTS ${quoteIdent(schema)}`);
    try {
      await destination.client.query(script);
    } catch (error) {
      throw creationFailure(error, script);
    }
  });
}

/** An extension may live in a schema of its own, which pg_dump does not write when schemas are named. */
async function extensionSchemas(source: Session, scope: SchemaScope): Promise<string[]> {
  const rows = await query(
    source,
    `SELECT DISTINCT n.nspname AS name FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace
     WHERE x.extname = ANY ($1::text[]) AND n.nspname <> ALL ($2::text[]) AND n.nspname !~ '^pg_'`,
    [scope.extensions, scope.schemas],
  );
  return rows.map((row) => row.name!);
}

/** Complaints about names, rights and missing files: what they quote are names of the schema. */
const ABOUT_NAMES = /^(42|3F|58P01|0A)/;

function creationFailure(error: unknown, script: string): LetheError {
  const { type, message, details } = sanitize(error, `creating ${entryAt(script, error)} in the destination`);
  const says = (error as { message?: string }).message ?? '';
  return new LetheError(
    type,
    ABOUT_NAMES.test(String(details.code)) ? `${message} The server says: ${says}.` : message,
    details,
  );
}

/** The entry of the script that an error's position lies in. */
function entryAt(script: string, error: unknown): string {
  const position = Number((error as { position?: string }).position ?? Number.NaN);
  const before = Number.isNaN(position) ? '' : script.slice(0, position);
  const [, name, type] = [...before.matchAll(/^-- Name: (.*); Type: (.*); Schema: /gm)].at(-1) ?? [];
  return name && type ? `${type.toLowerCase()} ${name}` : 'the schema';
}

async function missingTables(destination: Session, tables: readonly TableName[]): Promise<TableName[]> {
  const rows = await query(
    destination,
    `SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY ($1::text[])`,
    [tables.map((table) => table.schema)],
  );
  const there = new Set(rows.map((row) => JSON.stringify([row.schema, row.name])));
  return tables.filter((table) => !there.has(JSON.stringify([table.schema, table.name])));
}

function someMissing(missing: readonly TableName[]): LetheError {
  return new LetheError(
    'PlanRefused',
    `createSchema makes all tables or none: the destination has some of the job's tables, but not ${missing.map(tableText).join(', ')}. Create those, or drop the others.`,
  );
}

function refuseRenames({ renames = {} }: SchemaCopyOptions): void {
  const renamed = Object.entries(renames).filter(([from, to]) => from !== to);
  if (renamed.length === 0) return;
  throw new LetheError(
    'PlanRefused',
    `createSchema cannot rename schemas (${renamed.map(([from, to]) => `${from} to ${to}`).join(', ')}): functions and views name them. Create the destination's tables yourself, or leave \`schemas\` out.`,
  );
}
