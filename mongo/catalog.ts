import type { Document } from 'mongodb';
import type {
  CatalogCollection,
  CatalogDocumentIndex,
  CatalogView,
  DocumentCatalog,
} from '../plan/documents/types.js';
import type { Connection } from './connection.js';
import { driver } from './driver.js';
import { readIdentity } from './identity.js';

/** Databases that belong to the server. */
const SYSTEM = new Set(['admin', 'local', 'config']);

/** What a job may copy: the database of the URL, or all of them, and those that the job names besides. */
export async function databasesOf(
  { client, database, named }: Connection,
  mentioned: readonly string[] = [],
): Promise<string[]> {
  if (named) return [...new Set([database.databaseName, ...mentioned])];
  const { databases } = await client.db('admin').admin().listDatabases({ nameOnly: true });
  return databases.map(({ name }) => name).filter((name) => !SYSTEM.has(name));
}

/** Reads collections, views, their options and indexes, and estimates of their sizes. */
export async function readCatalog(
  connection: Connection,
  databases: readonly string[],
): Promise<DocumentCatalog> {
  const collections: CatalogCollection[] = [];
  const views: CatalogView[] = [];
  for (const schema of databases) {
    const db = connection.client.db(schema);
    for (const info of await db.listCollections({}).toArray()) {
      const { name, type, options = {} } = info as Document & { name: string };
      if (name.startsWith('system.')) continue;
      if (type === 'view') {
        views.push({ schema, name, on: String(options.viewOn), options: extendedJson(options) });
      } else {
        collections.push(await readCollection(connection, schema, name, options));
      }
    }
  }
  return {
    serverVersion: connection.serverVersion,
    database: await readIdentity(connection),
    transactions: connection.replicaSet !== undefined,
    collections,
    views,
  };
}

async function readCollection(
  { client }: Connection,
  schema: string,
  name: string,
  options: Document,
): Promise<CatalogCollection> {
  const collection = client.db(schema).collection(name);
  const rows = await collection.estimatedDocumentCount();
  const stats = await client
    .db(schema)
    .command({ collStats: name })
    .catch((): Document => ({}));
  return {
    schema,
    name,
    rows,
    // Where the server does not say: about a kilobyte each.
    bytes: Number(stats.size ?? rows * 1_000),
    capped: options.capped === true,
    options: extendedJson(options),
    indexes: (await collection.indexes()).map(toIndex),
  };
}

function toIndex(index: Document): CatalogDocumentIndex {
  return {
    name: String(index.name),
    paths: Object.keys(index.key),
    unique: index.unique === true,
    definition: extendedJson(index),
  };
}

/** Canonical extended JSON: every type comes back as it was. */
function extendedJson(value: Document): string {
  return driver().BSON.EJSON.stringify(value, { relaxed: false });
}
