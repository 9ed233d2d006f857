import { uuidv7 } from 'uuidv7';
import { jobKeys } from '../anonymize/keys.js';
import { startMongo } from '../embedded/mongo.js';
import { parseJob } from '../job/load.js';
import type { Job } from '../job/types.js';
import type { Pins } from '../ledger/types.js';
import { openForWriting } from '../mongo/claim.js';
import { makeCollections, putInPlace } from '../mongo/collections.js';
import { type Connection, withConnection } from '../mongo/connection.js';
import { ownerOf, takeOver } from '../mongo/fence.js';
import { advanceRun, insertRun } from '../mongo/ledger/runs.js';
import { ledgerOf } from '../mongo/ledger/store.js';
import { cutCollection } from '../mongo/load/cut.js';
import type { DocumentsProgress, DocumentsTask } from '../mongo/load/task.js';
import { planDocuments } from '../mongo/planning.js';
import { insertRaw } from '../mongo/wire.js';
import { refusePlan } from '../plan/refuse.js';
import { createPool, type Pool } from '../workers/pool.js';
import { sampleDocument } from './documents.js';
import { MemoryWatch, processorTime } from './memory.js';
import { median } from './rounds.js';

const KEY = Buffer.alloc(32, 7);
const JOB = `job: bench
source: { mongodb: env:SOURCE }
destination: { mongodb: env:DESTINATION }
key: env:KEY
collections:
  shop.customers:
    fields: { email: email, name.last: lastName, phone: scramble, address.street: street, '*': keep }
`;

interface Ends {
  readonly url: (database: string) => string;
  readonly source: Connection;
  readonly destination: Connection;
  /** Where the server is our own. */
  readonly serverPid?: number;
}

/**
 * A run over MongoDB beside a raw copy (`find` raw, `insert` raw, by one connection) and a copy by the server itself
 * (`$merge`), in turns, on MONGODB_URI or a server that is made for it (the stand-in without its oplog, which would keep
 * every round in memory). Prints medians, by the clock and by processor time of both processes (which other work on the
 * machine changes less), and the peak of resident memory in each fifth of Lethe's rounds.
 */
export async function benchMongo(documents: number, rounds: number, threads: number): Promise<void> {
  const own = process.env.MONGODB_URI
    ? undefined
    : await startMongo({ tell: console.log, heapGigabytes: 9, oplog: false });
  const base = process.env.MONGODB_URI ?? patient(own!.url());
  const url = (database: string) => base.replace(/^(mongodb(?:\+srv)?:\/\/[^/?]+)\/?[^?]*/, `$1/${database}`);
  const pool = createPool({ threads });
  const name = { applicationName: 'lethe:bench' };
  try {
    await withConnection({ ...name, url: url('shop'), role: 'source' }, (source) =>
      withConnection({ ...name, url: url('shop_copy'), role: 'destination' }, async (destination) => {
        console.log(`server: ${own?.kind ?? 'MONGODB_URI'}, version ${source.serverVersion / 1000}`);
        const bytes = await fill(source, documents);
        const ends = { url, source, destination, ...(own && { serverPid: own.pid() }) };
        await measure(ends, pool, { documents, bytes, rounds });
      }),
    );
  } finally {
    await pool.close();
    await own?.stop();
  }
}

/** A heap full of documents is collected for so long that a driver would give the server up. */
function patient(url: string): string {
  return `${url}${url.includes('?') ? '&' : '?'}connectTimeoutMS=120000&serverSelectionTimeoutMS=120000`;
}

async function fill({ database }: Connection, documents: number): Promise<number> {
  const customers = { db: database, collection: 'customers' };
  if ((await database.collection('customers').estimatedDocumentCount()) > 0)
    throw new Error('shop.customers is there already: the benchmark needs a server without it');
  let bytes = 0;
  for (let from = 0; from < documents; from += 5_000) {
    const some = Array.from({ length: Math.min(5_000, documents - from) }, (_, i) =>
      sampleDocument(from + i),
    );
    for (const document of some) bytes += document.length;
    await insertRaw(customers, some);
  }
  return bytes;
}

interface Size {
  readonly documents: number;
  readonly bytes: number;
  readonly rounds: number;
}

async function measure(ends: Ends, pool: Pool, { documents, bytes, rounds }: Size): Promise<void> {
  const memory = new MemoryWatch(process.pid);
  const ways: readonly (readonly [string, () => Promise<void>])[] = [
    ['raw copy (find, insert)', () => rawCopy(ends)],
    ['copy by the server ($merge)', () => serverCopy(ends)],
    ['lethe, 4 fields', () => letheCopy(ends, pool, fifths(documents, memory, peaks))],
  ];
  const peaks: number[][] = [];
  const times = ways.map((): Time[] => []);
  console.log(
    `${documents.toLocaleString('en')} documents, ${Math.round(bytes / 1e6)} MB, ${rounds} rounds in turns`,
  );
  for (let round = 1; round <= rounds; round++) {
    for (const [at, [name, run]] of ways.entries()) {
      await ends.destination.database.dropDatabase();
      times[at]!.push(await timed(ends, run));
      const copied = await ends.destination.database.collection('customers').countDocuments();
      if (copied !== documents) throw new Error(`${name} copied ${copied} documents`);
    }
    const shown = ways.map(([name], at) => `${name} ${timeText(times[at]!.at(-1)!)}`);
    console.log(`  round ${round}: ${shown.join(', ')}`);
    console.log(
      `    memory of this process in fifths of Lethe's: ${peaks.at(-1)!.map(megabytes).join(', ')}`,
    );
  }
  memory.end();
  for (const [at, [name]] of ways.entries()) {
    const middle = (of: (time: Time) => number) => median(times[at]!.map(of));
    const ratio = (of: (time: Time) => number) =>
      median(times[at]!.map((time, i) => of(time) / of(times[0]![i]!))).toFixed(2);
    const rate = Math.round(bytes / 1e6 / middle(({ seconds }) => seconds));
    const cpu = ({ own, server }: Time) => own + server;
    console.log(
      `${name.padEnd(30)} ${timeText({ seconds: middle(({ seconds }) => seconds), own: middle(({ own }) => own), server: middle(({ server }) => server) })}  ${rate} MB/s  ratio ${ratio(({ seconds }) => seconds)}, by processor time ${ratio(cpu)}`,
    );
  }
}

/** Seconds: by the clock, and processor time of this process and of the server. */
interface Time {
  readonly seconds: number;
  readonly own: number;
  readonly server: number;
}

async function timed({ serverPid }: Ends, run: () => Promise<void>): Promise<Time> {
  const server = () => (serverPid === undefined ? Number.NaN : processorTime(serverPid));
  const [start, own, there] = [performance.now(), processorTime(process.pid), server()];
  await run();
  return {
    seconds: (performance.now() - start) / 1_000,
    own: processorTime(process.pid) - own,
    server: server() - there,
  };
}

function timeText({ seconds, own, server }: Time): string {
  return `${seconds.toFixed(1)} s (CPU ${own.toFixed(1)} + ${server.toFixed(1)} s of the server)`;
}

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

/** Gets documents as they are written, and notes the peak of memory in each fifth of them. */
function fifths(documents: number, memory: MemoryWatch, peaks: number[][]): (rows: number) => void {
  const mine: number[] = [];
  peaks.push(mine);
  memory.window();
  let written = 0;
  return (rows) => {
    written += rows;
    while (mine.length < Math.floor((written * 5) / documents)) mine.push(memory.window());
  };
}

async function rawCopy({ source, destination }: Ends): Promise<void> {
  const cursor = source.database.collection('customers').find({}, { raw: true, batchSize: 2_000 });
  const into = { db: destination.database, collection: 'customers' };
  // As many at once as Lethe inserts, read as the driver reads.
  let some: Uint8Array[] = [];
  for await (const first of cursor) {
    some.push(...([first, ...cursor.readBufferedDocuments()] as unknown as Uint8Array[]));
    if (some.length < 4_000) continue;
    await insertRaw(into, some);
    some = [];
  }
  await insertRaw(into, some);
}

async function serverCopy({ source, destination }: Ends): Promise<void> {
  const into = { db: destination.database.databaseName, coll: 'customers' };
  await source.database
    .collection('customers')
    .aggregate([{ $merge: { into } }])
    .toArray();
}

/** What the activities of a run do one after the other: plan, claim, load in threads, rename. */
async function letheCopy(
  { source, destination, url }: Ends,
  pool: Pool,
  written: (rows: number) => void,
): Promise<void> {
  const job = jobOf();
  const { plan } = await planDocuments(job, source, destination);
  refusePlan(plan);
  await openForWriting(source, destination, {
    job: job.job,
    collections: plan.tables.map((table) => table.destination),
    sourceDatabases: ['shop'],
  });
  const run = uuidv7();
  const ledger = ledgerOf(destination);
  const keys = jobKeys(KEY);
  const pins: Pins = {
    ...{ keyCheck: keys.check, plan, jobText: JOB, runTime: new Date().toISOString() },
    ...{ source: { url: job.source.url }, snapshot: job.source.snapshot },
  };
  const { mode } = plan;
  await insertRun(ledger, {
    ...{ run, job: job.job, mode, pins },
    namespace: 'default',
    workflowId: 'bench',
  });
  for (const table of plan.tables)
    await takeOver(ledger, table.destination, await ownerOf(ledger, table.destination), run);
  await makeCollections(destination, run, plan);
  await advanceRun(ledger, run, 'loading');
  const [table] = plan.tables;
  const partitions = await cutCollection(
    { run, table: table!, keys, execution: plan.execution },
    source,
    ledger,
  );
  await Promise.all(
    partitions.map(({ partition }) => {
      const task: DocumentsTask = {
        ...{ run, applicationName: 'lethe:bench', jobKey: new Uint8Array(KEY) },
        source: { url: url('shop') },
        destination: { url: url('shop_copy') },
        ...{ consistency: plan.consistency, mode, execution: plan.execution, tables: plan.tables },
        documents: plan.documents!,
        work: { kind: 'partitions', partitions: [partition] },
      };
      let before = 0;
      const progress = ({ rows }: DocumentsProgress) => {
        // Of the batch that is under way.
        written(rows < before ? rows : rows - before);
        before = rows;
      };
      return pool.loadDocuments(task, progress, new AbortController().signal);
    }),
  );
  await putInPlace(destination, ledger, run, plan);
}

function jobOf(): Job {
  const { job, mistakes } = parseJob(JOB, 'bench.yaml');
  if (!job) throw new Error(mistakes.map(({ message }) => message).join('\n'));
  return job;
}
