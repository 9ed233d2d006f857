import type { SealedTable } from '../../../job/retention/types.js';
import { type TableName, tableText } from '../../../plan/catalog.js';
import { Revealer } from '../../../retention/token/revealer.js';
import type { Keyring } from '../../../retention/token/ring.js';
import { findTokens } from '../../../retention/token/scan.js';
import { sanitize } from '../../errors.js';
import { isLockTimeout } from '../../fence.js';
import { quoteIdent, quoteTable } from '../../identifiers.js';
import { lockNotHad } from '../../saga/patience.js';
import { execute, query, type Session } from '../../session.js';
import { byteColumns } from './rows.js';
import type { ExistingKeys } from './slice.js';

/** So long the rewrite may keep others waiting before it has begun. */
const PATIENCE_MS = 5_000;

/**
 * Writes a table anew with its indexes and statistics, and so gets rid of what sealed rows were before: dead rows, index
 * entries, and the most common values that the planner keeps. Locks the table for everybody while it goes on; while it waits for
 * that lock, everybody else queues behind it, so it does not wait long.
 *
 * @param patienceMs Milliseconds to wait for the lock.
 * @throws LetheError `Unreachable`, which is tried again, when the lock was not to be had.
 */
export async function rewriteTable(
  session: Session,
  table: TableName,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  await execute(session, `SET lock_timeout = ${patienceMs}`);
  try {
    await query(session, `VACUUM (FULL, ANALYZE) ${quoteTable(table)}`);
  } catch (error) {
    const failure = sanitize(error, `rewriting ${quoteTable(table)}`);
    throw isLockTimeout(failure) ? lockNotHad(tableText(table), patienceMs) : failure;
  } finally {
    // A connection that was lost has no settings any more.
    await execute(session, 'SET lock_timeout = 0').catch(() => undefined);
  }
}

/** What a search of a table's files for values that were sealed came to. */
export interface FileCheck {
  /** Values that were looked for; 0 where there was none to look for. */
  readonly looked: number;
  /** Of these, such as still stand in a file in plain. */
  readonly found: number;
  /** Why the files were not searched. */
  readonly unread?: string;
}

const SAMPLE_ROWS = 5_000;
const SAMPLE_VALUES = 200;
/** A shorter value may stand in any file by chance. */
const LEAST_BYTES = 7;
const CHUNK_BYTES = 1 << 20;

/**
 * Searches the files of a relation, of its indexes and of its TOAST table for values that were sealed: some tokens are
 * opened, and what they hold must not be there. Compressed values are not recognized.
 */
export async function checkFiles(
  session: Session,
  { columns }: SealedTable,
  unit: TableName,
  { keyring, policies }: ExistingKeys,
): Promise<FileCheck> {
  const contexts = new Set(Object.values(policies).map(({ context }) => context));
  for (const { context } of Object.values(columns)) if (context !== undefined) contexts.add(context);
  const wanted = new Map<string, Buffer>();
  const bytes = await byteColumns(session, unit, Object.keys(columns));
  for (const name of Object.keys(columns)) {
    const rows = await query(
      session,
      `SELECT ${bytes.has(name) ? `encode(${quoteIdent(name)}, 'escape')` : `${quoteIdent(name)}::text`} AS value FROM ONLY ${quoteTable(unit)} WHERE ${quoteIdent(name)} IS NOT NULL LIMIT ${SAMPLE_ROWS}`,
    );
    const texts = rows.map(({ value }) => value!);
    for (const value of plainValues(texts, keyring, contexts)) {
      if (wanted.size < SAMPLE_VALUES && value.length >= LEAST_BYTES)
        wanted.set(value.toString('hex'), value);
    }
  }
  const values = [...wanted.values()];
  if (values.length === 0) return { looked: 0, found: 0 };
  const unread = await cannotRead(session);
  if (unread) return { looked: 0, found: 0, unread };
  const found = new Set<number>();
  for (const file of await filesOf(session, unit)) await searchFile(session, file, values, found);
  return { looked: values.length, found: found.size };
}

function plainValues(texts: readonly string[], keyring: Keyring, contexts: ReadonlySet<string>): Buffer[] {
  const tokens = texts.flatMap((text) => findTokens(text).map(({ start, end }) => text.slice(start, end)));
  return [...contexts].flatMap((context) =>
    new Revealer(keyring, context)
      .openAll(tokens)
      .flatMap(({ text, bytes }) => bytes ?? (text === undefined ? [] : Buffer.from(text))),
  );
}

/** Reading files of the server is for superusers and those that were granted it. */
async function cannotRead(session: Session): Promise<string | undefined> {
  const [row] = await query(
    session,
    `SELECT has_function_privilege('pg_read_binary_file(text,bigint,bigint,boolean)', 'EXECUTE') AS may`,
  );
  if (row!.may !== 't')
    return 'this role may not read files of the server (pg_read_server_files and EXECUTE on pg_read_binary_file)';
  // What is only in memory is not in the files yet.
  await query(session, 'CHECKPOINT').catch(() => undefined);
  return undefined;
}

async function filesOf(session: Session, unit: TableName): Promise<string[]> {
  const rows = await query(
    session,
    `WITH heap AS (SELECT c.oid, c.reltoastrelid AS toast FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = $1 AND c.relname = $2),
     heaps AS (SELECT oid FROM heap UNION SELECT toast FROM heap WHERE toast <> 0)
     SELECT pg_relation_filepath(o) AS file, ceil(pg_relation_size(o) / (1024.0 ^ 3)) AS segments
     FROM (SELECT oid AS o FROM heaps UNION SELECT i.indexrelid FROM pg_index i JOIN heaps ON heaps.oid = i.indrelid) AS all_files
     WHERE pg_relation_size(o) > 0`,
    [unit.schema, unit.name],
  );
  return rows.flatMap(({ file, segments }) =>
    Array.from({ length: Number(segments) }, (_, i) => (i === 0 ? file! : `${file}.${i}`)),
  );
}

async function searchFile(
  session: Session,
  file: string,
  values: readonly Buffer[],
  found: Set<number>,
): Promise<void> {
  const overlap = Math.max(...values.map(({ length }) => length));
  for (let at = 0; ; at += CHUNK_BYTES) {
    const [row] = await query(
      session,
      `SELECT encode(pg_read_binary_file($1, $2::bigint, $3::bigint, true), 'base64') AS bytes`,
      [file, at, CHUNK_BYTES + overlap],
    );
    const bytes = Buffer.from(row!.bytes ?? '', 'base64');
    for (const [i, value] of values.entries()) if (bytes.includes(value)) found.add(i);
    if (bytes.length < CHUNK_BYTES) return;
  }
}
