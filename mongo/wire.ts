import type { ClientSession, Db, Document } from 'mongodb';
import { LetheError } from '../errors/errors.js';
import { documentSequence, driver } from './driver.js';
import { EXACT, idDocument, type RawId } from './ids.js';

/*
 * Writes that hand the server documents as the bytes they are. The driver's own bulk operations take decoded documents
 * only; its message format has document sequences, which it fills with bytes.
 */

/** Why the server did not take one document. Its message holds values and is left behind. */
export interface WriteError {
  /** Position in what was given. */
  readonly index: number;
  readonly code: number;
  /** Of a duplicate key: the paths of its index. */
  readonly paths?: readonly string[];
}

export interface Written {
  /** Documents that were inserted, matched or deleted. */
  readonly count: number;
  readonly errors: readonly WriteError[];
}

export interface WriteTarget {
  readonly db: Db;
  readonly collection: string;
  /** Of a transaction. */
  readonly session?: ClientSession;
}

/** Most bytes and documents of one command: a server takes 48 MB and 100,000. */
const COMMAND_BYTES = 12 * 1024 * 1024;
const COMMAND_DOCUMENTS = 10_000;

/** Inserts documents in any order; those that fail do not hold up the others. */
export function insertRaw(target: WriteTarget, documents: readonly Uint8Array[]): Promise<Written> {
  return write(target, 'insert', 'documents', documents);
}

/** Replaces the document of each `_id`, or inserts it. */
export function upsertRaw(
  target: WriteTarget,
  documents: readonly { readonly id: RawId; readonly document: Uint8Array }[],
): Promise<Written> {
  return write(
    target,
    'update',
    'updates',
    documents.map(({ id, document }) =>
      raw([
        [3, 'q', idDocument(id)],
        [3, 'u', document],
        [8, 'upsert', Buffer.from([1])],
      ]),
    ),
  );
}

/** Deletes the documents of these `_id`s. */
export function deleteRaw(target: WriteTarget, ids: readonly RawId[]): Promise<Written> {
  return write(
    target,
    'delete',
    'deletes',
    ids.map((id) =>
      raw([
        [3, 'q', idDocument(id)],
        [16, 'limit', Buffer.from([1, 0, 0, 0])],
      ]),
    ),
  );
}

/** A raw document of raw values. */
function raw(fields: readonly (readonly [type: number, name: string, value: Uint8Array])[]): Uint8Array {
  const length = fields.reduce((sum, [, name, value]) => sum + name.length + 2 + value.length, 5);
  const out = Buffer.alloc(length);
  out.writeInt32LE(length, 0);
  let at = 4;
  for (const [type, name, value] of fields) {
    out[at] = type;
    out.write(name, at + 1, 'latin1');
    at += name.length + 2;
    out.set(value, at);
    at += value.length;
  }
  return out;
}

async function write(
  target: WriteTarget,
  command: 'insert' | 'update' | 'delete',
  field: string,
  statements: readonly Uint8Array[],
): Promise<Written> {
  let count = 0;
  const errors: WriteError[] = [];
  for (let first = 0; first < statements.length; ) {
    let [last, bytes] = [first, 0];
    while (last < statements.length && last - first < COMMAND_DOCUMENTS) {
      bytes += statements[last]!.length;
      if (bytes > COMMAND_BYTES && last > first) break;
      last += 1;
    }
    const reply = await send(target, command, field, statements.slice(first, last));
    count += Number(reply.n ?? 0);
    for (const error of (reply.writeErrors ?? []) as Document[]) errors.push(toError(error, first));
    refuseUnsafe(reply);
    first = last;
  }
  return { count, errors };
}

async function send(
  { db, collection, session }: WriteTarget,
  command: string,
  field: string,
  statements: readonly Uint8Array[],
): Promise<Document> {
  return db.command(
    {
      [command]: collection,
      ordered: false,
      // In a transaction only its commit has one.
      ...(!session && { writeConcern: { w: 'majority' } }),
      ...(command === 'insert' && { bypassDocumentValidation: false }),
      [field]: sequence(field, statements),
    },
    { ...(session && { session }) },
  );
}

function toError(error: Document, first: number): WriteError {
  const paths = error.keyPattern
    ? Object.keys(error.keyPattern)
    : // Older servers, and some that speak the protocol, name the index in the message only.
      indexOf(String(error.errmsg ?? ''));
  return { index: first + Number(error.index), code: Number(error.code), ...(paths && { paths }) };
}

/** `… index: email_1 dup key: …`, or `… index: _id_ dup key: …`: only the name of the index is taken. */
function indexOf(message: string): string[] | undefined {
  const name = /index: (?:[^ ]*\$)?([^ ]+) dup key/.exec(message)?.[1];
  return name === undefined ? undefined : [name === '_id_' ? '_id' : name];
}

function refuseUnsafe(reply: Document): void {
  if (!reply.writeConcernError) return;
  throw new LetheError(
    'Unreachable',
    'Not enough members of the replica set took a write; it is tried again. (The members that are away, or w in the URL.)',
    { code: Number(reply.writeConcernError.code ?? 0) },
  );
}

/** Of bytes; with a driver that has no such class the statements are decoded, exactly. */
function sequence(field: string, statements: readonly Uint8Array[]): unknown {
  const made = documentSequence(field);
  if (!made) return statements.map((statement) => driver().BSON.deserialize(statement, EXACT));
  const shown = {};
  for (const statement of statements) made.push(shown, statement);
  return made;
}
