import type { Document, Filter } from 'mongodb';
import type { JobKeys } from '../anonymize/keys.js';
import { tableText } from '../plan/catalog.js';
import type { TablePlan } from '../plan/plan.js';
import type { PreviewRow, PreviewValue } from '../postgres/preview.js';
import type { Connection } from './connection.js';
import { prepareDocuments } from './documents/compile.js';
import type { DocumentTransform } from './documents/types.js';
import { driver } from './driver.js';
import { sanitize } from './errors.js';
import { whereOf } from './load/context.js';
import { valuesAt } from './paths.js';

export interface DocumentPreviewOptions {
  readonly table: TablePlan;
  readonly keys: JobKeys;
  /** At most so many documents. */
  readonly limit: number;
  /** Only the document with this `_id`, as a text: of whichever type it may be, or extended JSON. */
  readonly key?: string;
}

/** Reads a few documents of the source and transforms them as a run would. Nothing is written. */
export async function previewDocuments(
  { client }: Connection,
  { table, keys, limit, key }: DocumentPreviewOptions,
): Promise<PreviewRow[]> {
  const transform = await prepareDocuments(table.collection!.rules, keys);
  const where = table.collection!.where === undefined ? {} : whereOf(table.collection!.where);
  try {
    const collection = client.db(table.source.schema).collection(table.source.name);
    const filter = key === undefined ? where : ({ _id: { $in: idsOf(key) } } as Filter<Document>);
    const found = collection.find(filter, { raw: true }).limit(limit);
    const documents = (await found.toArray()) as unknown as Uint8Array[];
    const rows: PreviewRow[] = [];
    for (const document of documents) {
      const byId = { _id: driver().BSON.deserialize(document, { promoteValues: false })._id };
      const copied = (await collection.countDocuments({ $and: [byId, where] } as Filter<Document>)) > 0;
      rows.push({ columns: columnsOf(table, transform, document), copied });
    }
    return rows;
  } catch (error) {
    throw sanitize(error, `reading ${tableText(table.source)}`);
  }
}

/** What a text may mean as an `_id`. Numbers of all types are equal to the server. */
export function idsOf(text: string): unknown[] {
  const { BSON, ObjectId, UUID } = driver();
  const ids: unknown[] = [text];
  if (/^[0-9a-f]{24}$/i.test(text)) ids.push(new ObjectId(text));
  if (UUID.isValid(text)) ids.push(new UUID(text));
  if (/^-?\d+$/.test(text)) ids.push(BSON.Long.fromString(text));
  if (/^[[{"]/.test(text)) {
    try {
      ids.push(BSON.EJSON.parse(text));
    } catch {
      // Then it is a text.
    }
  }
  return ids;
}

function columnsOf(table: TablePlan, transform: DocumentTransform, document: Uint8Array): PreviewValue[] {
  const { fields, derive } = table.collection!.rules;
  const { documents, refused } = transform.apply([document]);
  const before = driver().BSON.deserialize(document);
  const [output] = documents;
  const after = output ? driver().BSON.deserialize(output) : undefined;
  const [refusal] = refused;
  const value = (column: string, from: string, rule: string, apply: PreviewValue['branch']['apply']) => ({
    column,
    before: textAt(before, from),
    after: after && textAt(after, column),
    branch: { rule, apply },
    otherwise: false,
    ...(refusal && { refused: `${refusal.path}: ${refusal.reason}` }),
  });
  const derived = derive.map(({ name, from, rule, apply }) => value(name, from, rule, apply));
  return [
    ...fields
      .filter(({ path }) => textAt(before, path) !== null)
      .map(({ path, rule, apply, types }) =>
        value(path, path, rule, types ? { name: 'byType', options: { ...types, else: apply } } : apply),
      ),
    ...derived,
  ];
}

/** The values at a path; null where there is none. */
function textAt(document: Document, path: string): string | null {
  const values = valuesAt(document, path.replace(/~$/, '')).filter((value) => value !== undefined);
  if (values.length === 0) return null;
  return values.map(textOf).join(', ');
}

function textOf(value: unknown): string {
  return typeof value === 'string'
    ? value
    : driver().BSON.EJSON.stringify(value as Document, { relaxed: true });
}
