import { setTimeout as sleep } from 'node:timers/promises';
import type { Db, Document } from 'mongodb';
import { LetheError } from '../errors/errors.js';
import { tableText } from '../plan/catalog.js';
import type { DocumentsPlan } from '../plan/documents/types.js';
import type { Plan, TablePlan } from '../plan/plan.js';
import type { Connection } from './connection.js';
import { driver } from './driver.js';
import { codeText } from './errors.js';
import { checkOwner } from './fence.js';
import { renamedBy } from './ledger/runs.js';
import { type Ledger, ledgerOf } from './ledger/store.js';
import { target } from './load/context.js';

const NAMESPACE_EXISTS = 48;
const NAMESPACE_MISSING = 26;
/** Options of `listCollections` that `create` does not take. */
const NOT_CREATED = ['uuid', 'autoIndexId', 'flags'];
/** Fields of `listIndexes` that `createIndexes` does not take. */
const NOT_INDEXED = ['v', 'ns'];

/**
 * Makes the collections that a run writes into: in `replace` its own, with the source's options and unique indexes; in
 * `upsert` those of the destination that are not there yet. What is there already is left as it is.
 */
export async function makeCollections(connection: Connection, run: string, plan: Plan): Promise<void> {
  const renamed = await renamedBy(ledgerOf(connection), run);
  for (const table of plan.tables) {
    const { schema, name } = target(run, plan.mode, table, renamed);
    const db = connection.client.db(schema);
    const made = await create(db, name, table);
    if (made || plan.mode === 'replace') await makeIndexes(db, name, table, (index) => index.unique === true);
  }
}

/** The indexes that are not unique: built once, over what is there, they cost less than kept up while loading. */
export async function makeOtherIndexes(
  connection: Connection,
  run: string,
  mode: Plan['mode'],
  table: TablePlan,
): Promise<void> {
  const { schema, name } = target(run, mode, table, await renamedBy(ledgerOf(connection), run));
  await makeIndexes(connection.client.db(schema), name, table, (index) => index.unique !== true);
}

async function create(db: Db, name: string, { collection, source }: TablePlan): Promise<boolean> {
  const options = without(parse(collection!.options), NOT_CREATED);
  try {
    await db.command({ create: name, ...options });
    return true;
  } catch (error) {
    const { code } = error as { code?: number };
    if (code === NAMESPACE_EXISTS) return false;
    const known = Object.keys(options);
    if (known.length === 0 || code === undefined) throw error;
    throw new LetheError(
      'DatabaseError',
      `A collection with the options of ${tableText(source)} (${known.join(', ')}) cannot be made here: ${codeText(code)} (code ${code}). The destination must know what the source does.`,
      { code },
    );
  }
}

async function makeIndexes(
  db: Db,
  name: string,
  { collection, source }: TablePlan,
  wanted: (index: Document) => boolean,
): Promise<void> {
  for (const { name: indexName, definition } of collection!.indexes) {
    const index = parse(definition);
    if (!wanted(index)) continue;
    try {
      await db.command({ createIndexes: name, indexes: [without(index, NOT_INDEXED)] });
    } catch (error) {
      const { code } = error as { code?: number };
      if (code === undefined) throw error;
      throw new LetheError(
        'DatabaseError',
        `Index ${indexName} of ${tableText(source)} cannot be built in the destination: ${codeText(code)} (code ${code}).`,
        { code, index: indexName },
      );
    }
  }
}

/** A batch that was on its way when its worker stopped makes its collection anew: it is looked again after so long. */
const LATE_MS = 500;
const MOST_ROUNDS = 20;

/** A collection that a run writes into; its first group is the run. */
const RUN_COLLECTION = /^lethe\.([0-9a-f]{8}-[0-9a-f-]{27})\.\d+$/;

/** The databases that a plan writes. */
export function databasesOfPlan({ tables }: Plan): ReadonlySet<string> {
  return new Set(tables.map(({ destination }) => destination.schema));
}

/** What became of collections that were to go, by their names. */
export interface Dropped {
  readonly dropped: ReadonlySet<string>;
  /** The server would not drop them, to this user. */
  readonly refused: ReadonlySet<string>;
}

/** Removes what runs that are over wrote into and never put in place. `isLeft`: those whose collections go. */
export async function dropLeftovers(
  { client }: Connection,
  databases: Iterable<string>,
  isLeft: (run: string) => boolean,
): Promise<Dropped> {
  const dropped = new Set<string>();
  const refused = new Set<string>();
  for (const schema of databases) {
    const db = client.db(schema);
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const found = (await runCollections(db)).filter(
        ({ run, name }) => isLeft(run) && !refused.has(`${schema}.${name}`),
      );
      if (found.length === 0) break;
      for (const { name } of found) {
        const error = await dropOne(db, name);
        (error ? refused : dropped).add(`${schema}.${name}`);
      }
      await sleep(LATE_MS);
    }
  }
  return { dropped, refused };
}

/** The collections of a database that runs write into. */
export async function runCollections(db: Db): Promise<{ run: string; name: string }[]> {
  const all = await db.listCollections({}, { nameOnly: true }).toArray();
  return all.flatMap(({ name }) => {
    const run = RUN_COLLECTION.exec(name)?.[1];
    return run === undefined ? [] : [{ run, name }];
  });
}

/** What the server said against it; nothing where the collection is gone. */
async function dropOne(db: Db, name: string): Promise<unknown> {
  try {
    await db.collection(name).drop();
  } catch (error) {
    const { code } = error as { code?: number };
    // Without one it is not the server that refused.
    if (code === undefined) throw error;
    return code === NAMESPACE_MISSING ? undefined : error;
  }
  return undefined;
}

/** Puts a run's collections in the place of the old ones, each once, and makes the views anew. Returns warnings. */
export async function putInPlace(
  connection: Connection,
  ledger: Ledger,
  run: string,
  plan: Plan,
): Promise<string[]> {
  if (plan.mode === 'replace') {
    const done = new Set((await ledger.runs.findOne({ _id: run }))?.renamed ?? []);
    // From here on only going on puts things right.
    await ledger.runs.updateOne({ _id: run }, { $set: { placing: true } });
    for (const table of plan.tables) {
      if (done.has(table.id)) continue;
      await checkOwner(ledger, table.destination, run);
      await rename(connection, run, table);
      await ledger.runs.updateOne({ _id: run }, { $addToSet: { renamed: table.id } });
    }
  }
  return makeViews(connection, plan.documents);
}

async function rename({ client }: Connection, run: string, table: TablePlan): Promise<void> {
  const from = target(run, 'replace', table);
  try {
    await client.db('admin').command({
      renameCollection: tableText(from),
      to: tableText(table.destination),
      dropTarget: true,
    });
  } catch (error) {
    // Where it is not there, an attempt renamed it that could not say so any more. Not every server has a code for that.
    const there = await client.db(from.schema).listCollections({}, { nameOnly: true }).toArray();
    if (there.some(({ name }) => name === from.name)) throw error;
  }
}

async function makeViews({ client }: Connection, documents: DocumentsPlan | undefined): Promise<string[]> {
  const warnings: string[] = [];
  for (const { destination, on, options } of documents?.views ?? []) {
    const db = client.db(destination.schema);
    const [there] = await db.listCollections({ name: destination.name }).toArray();
    if (there && there.type !== 'view') {
      warnings.push(
        `${tableText(destination)} is a collection there, so the view of that name was not made.`,
      );
      continue;
    }
    if (there) await db.collection(destination.name).drop();
    try {
      await db.command({ create: destination.name, ...parse(options), viewOn: on });
    } catch (error) {
      const { code } = error as { code?: number };
      if (code === undefined) throw error;
      warnings.push(
        `The view ${tableText(destination)} could not be made: ${codeText(code)} (code ${code}).`,
      );
    }
  }
  return warnings;
}

function parse(text: string): Document {
  return driver().BSON.EJSON.parse(text, { relaxed: false }) as Document;
}

function without(document: Document, names: readonly string[]): Document {
  return Object.fromEntries(Object.entries(document).filter(([name]) => !names.includes(name)));
}
