import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { to as copyTo } from 'pg-copy-streams';
import { quoteIdent, quoteTable } from '../../../postgres/identifiers.js';
import { openSession, query, type Session } from '../../../postgres/session.js';
import { createDatabase, type PostgresVersion, type TestDatabase } from '../../harness/servers.js';

/** A source and a destination, open for looking at them, with what a job file refers to. */
export interface Ends {
  readonly source: Session;
  readonly destination: Session;
  readonly urls: { readonly source: string; readonly destination: string };
  /** Of the job, base64. */
  readonly key: string;
  /** `file:` references, which a worker that runs already can resolve. */
  readonly references: { readonly source: string; readonly destination: string; readonly key: string };
  /** What the worker finds behind a reference from now on. */
  refer(name: 'source' | 'destination' | 'key', value: string): Promise<void>;
  drop(): Promise<void>;
}

export interface EndsOptions {
  readonly version: PostgresVersion;
  /** SQL file of the source. Default: an empty database. */
  readonly file?: string;
  /** `emptied` (default): the file's tables without their rows. `filled`: with them. `none`: no tables. */
  readonly destination?: 'emptied' | 'filled' | 'none';
  /** Equal names give equal job keys: what a test sees is then the same every time. */
  readonly keyName?: string;
}

export async function openEnds(options: EndsOptions): Promise<Ends> {
  const { version, file, destination: state = 'emptied' } = options;
  const databases = {
    source: await createDatabase(version, file),
    destination: await createDatabase(version, state === 'none' ? undefined : file),
  };
  const key = createHash('sha256')
    .update(options.keyName ?? 'acceptance')
    .digest('base64');
  const folder = await mkdtemp(join(tmpdir(), 'lethe-acceptance-'));
  const refer = (name: string, value: string) => writeFile(join(folder, name), value);
  await refer('source', databases.source.url);
  await refer('destination', databases.destination.url);
  await refer('key', key);
  const [source, destination] = await Promise.all([look(databases.source), look(databases.destination)]);
  if (state === 'emptied') await emptyAll(destination);
  return {
    source,
    destination,
    urls: { source: databases.source.url, destination: databases.destination.url },
    key,
    refer,
    references: {
      source: `file:${join(folder, 'source')}`,
      destination: `file:${join(folder, 'destination')}`,
      key: `file:${join(folder, 'key')}`,
    },
    async drop() {
      await Promise.all([source.close(), destination.close()]);
      await Promise.all([databases.source.drop(), databases.destination.drop()]);
      await rm(folder, { recursive: true });
    },
  };
}

function look({ url }: TestDatabase): Promise<Session> {
  return openSession({ url, role: 'destination', applicationName: 'acceptance' });
}

export interface Table {
  readonly schema: string;
  readonly name: string;
  readonly kind: string;
}

/** Tables that hold rows of their own or of their partitions; those of the ledger on demand. */
export async function tablesOf(session: Session, withLedger = false): Promise<Table[]> {
  const rows = await query(
    session,
    `SELECT n.nspname AS schema, c.relname AS name, c.relkind AS kind
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition
        AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND ($1 OR n.nspname <> 'lethe')
      ORDER BY 1, 2`,
    [withLedger],
  );
  return rows.map(({ schema, name, kind }) => ({ schema: schema!, name: name!, kind: kind! }));
}

/** Whatever triggers say. */
export async function emptyAll(session: Session): Promise<void> {
  const tables = await tablesOf(session);
  if (tables.length === 0) return;
  await query(session, 'SET session_replication_role = replica');
  await query(session, `TRUNCATE ${tables.map(quoteTable).join(', ')}`);
  await query(session, 'RESET session_replication_role');
}

/** `ONLY` for tables whose children are tables of their own. */
export function own(table: Table): string {
  return table.kind === 'p' ? quoteTable(table) : `ONLY ${quoteTable(table)}`;
}

export async function rowCounts(session: Session): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const table of await tablesOf(session)) {
    const [row] = await query(session, `SELECT count(*) AS n FROM ${own(table)}`);
    counts[`${table.schema}.${table.name}`] = Number(row!.n);
  }
  return counts;
}

/** Every table's rows in one order, as COPY prints them. */
export async function contents(session: Session, withLedger = false): Promise<Record<string, string>> {
  const texts: Record<string, string> = {};
  for (const table of await tablesOf(session, withLedger)) {
    texts[`${table.schema}.${table.name}`] = await copyText(
      session,
      `SELECT * FROM ${own(table)} AS "the row" ORDER BY "the row"::text COLLATE "C"`,
    );
  }
  return texts;
}

/** What COPY prints for a query. */
export async function copyText(session: Session, select: string): Promise<string> {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      chunks.push(chunk);
      done();
    },
  });
  await pipeline(session.client.query(copyTo(`COPY (${select}) TO STDOUT`)), sink);
  return Buffer.concat(chunks).toString('utf8');
}

/** A table's rows as texts by column. */
export async function rowsOf(
  session: Session,
  table: Table,
  columns: readonly string[],
): Promise<Record<string, string | null>[]> {
  const list = columns.map((name) => `${quoteIdent(name)}::text`).join(', ');
  return query(session, `SELECT ${list} FROM ${own(table)}`);
}

/** For each foreign key how many parents have how many children, and how many children miss theirs. */
export async function fanOuts(session: Session): Promise<Record<string, string>> {
  const keys = await query(
    session,
    `SELECT k.conname AS name, k.conrelid::regclass::text AS child, c.relkind AS kind,
            k.confrelid::regclass::text AS parent,
            (SELECT string_agg(format('c.%I = p.%I', ca.attname, pa.attname), ' AND ' ORDER BY u.ord)
               FROM unnest(k.conkey, k.confkey) WITH ORDINALITY u(ck, pk, ord)
               JOIN pg_catalog.pg_attribute ca ON ca.attrelid = k.conrelid AND ca.attnum = u.ck
               JOIN pg_catalog.pg_attribute pa ON pa.attrelid = k.confrelid AND pa.attnum = u.pk) AS pairs,
            (SELECT string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ')
               FROM pg_catalog.pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)) AS given
       FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE k.contype = 'f' AND k.conparentid = 0 AND n.nspname <> 'lethe' ORDER BY 2, 1`,
  );
  const found: Record<string, string> = {};
  // Where citext's operators are.
  await query(session, 'SET search_path = public');
  for (const { name, child, kind, parent, pairs, given } of keys) {
    const from = kind === 'p' ? child : `ONLY ${child}`;
    const [row] = await query(
      session,
      `WITH fan AS (SELECT count(c.tableoid) AS n FROM ${parent} p LEFT JOIN ${from} c ON ${pairs}
                     GROUP BY p.tableoid, p.ctid),
            grouped AS (SELECT n, count(*) AS parents FROM fan GROUP BY n)
       SELECT coalesce((SELECT string_agg(n || '×' || parents, ' ' ORDER BY n) FROM grouped), 'none') || ' without '
           || (SELECT count(*) FROM ${from} c
                WHERE ${given} AND NOT EXISTS (SELECT FROM ${parent} p WHERE ${pairs})) AS text`,
    );
    found[`${child} ${name}`] = row!.text!;
  }
  await query(session, `SET search_path = ''`);
  return found;
}
