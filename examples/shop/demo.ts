import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import pg from 'pg';
import { progressView } from '../../cli/print/progress.js';
import { verdictText } from '../../cli/print/run.js';
import { duration, paint, say } from '../../cli/terminal.js';
import { type MongoServer, startMongo } from '../../embedded/mongo.js';
import { type PostgresServer, startPostgres } from '../../embedded/postgres.js';
import { startTemporal, type TemporalServer } from '../../embedded/temporal.js';
import { connectClient, type TemporalSettings } from '../../workers/connection.js';
import { followSync, startSync } from '../../workers/runs.js';
import { startWorker } from '../../workers/serve.js';
import { countsText, foreignKeysText, type Pair, sampleText } from './compare.js';
import { documentsPart } from './documents.js';
import { createShop, createShopSchema } from './shop.js';

/* `npm run demo`: the sample shop, copied and anonymized, on servers that live as long as this process. */

const JOB = fileURLToPath(new URL('job.yaml', import.meta.url));
const began = performance.now();
const servers: (() => Promise<void>)[] = [];
let stopWorker: () => Promise<void> = async () => {};

async function main(): Promise<void> {
  say(paint.bold('Lethe: a shop of 200,000 rows, copied and anonymized\n'));
  // It comes up while the other servers do, and is waited for at the end.
  const mongo = startMongo({ tell: (line) => say(`  ${line}`) });
  mongo.then(({ stop }) => servers.push(stop)).catch(() => {});
  const [postgres, temporal] = await startServers();
  const [source, copy] = await fillDatabases(postgres);
  const client = await serve(temporal, source, copy);
  const link = await sync(client, temporal);
  const good = (await report(source, copy)) && (await documents(mongo, client));
  say(`\nThe run in the Temporal UI: ${paint.cyan(link)}`);
  say(`Done in ${duration((performance.now() - began) / 1000)}.`);
  if (!good) process.exitCode = 1;
  if (process.argv.includes('--keep')) await stay(source, copy);
  else say('Everything ends here; npm run demo -- --keep leaves it running for a look around.');
}

async function startServers(): Promise<[PostgresServer, TemporalServer]> {
  const tell = (line: string) => say(`  ${line}`);
  const starting = [startPostgres({ version: 18 }), startTemporal({ tell })] as const;
  for (const server of starting) {
    server.then((started) => servers.push(started.stop)).catch(() => {});
  }
  const [postgres, temporal] = await Promise.all(starting);
  ready(
    `PostgreSQL 18 on 127.0.0.1:${postgres.port}, Temporal on ${temporal.address}, its UI on ${temporal.uiUrl}`,
  );
  return [postgres, temporal];
}

async function fillDatabases(postgres: PostgresServer): Promise<[source: string, copy: string]> {
  const admin = await connected(postgres.url());
  await admin.query('CREATE DATABASE shop');
  await admin.query('CREATE DATABASE shop_copy');
  await admin.end();
  const [source, copy] = [postgres.url('shop'), postgres.url('shop_copy')];
  await createShop(source);
  await createShopSchema(copy);
  ready('The source is filled, the destination has empty tables');
  return [source, copy];
}

/** A worker in this process; the rows go through its thread pool. */
async function serve(temporal: TemporalServer, source: string, copy: string): Promise<Client> {
  // What the references of the job file name.
  process.env.SHOP_URL = source;
  process.env.SHOP_COPY_URL = copy;
  process.env.LETHE_KEY = randomBytes(32).toString('base64');
  const { address, namespace } = temporal;
  const settings: TemporalSettings = { namespace, connection: { address, tls: false } };
  const client = await connectClient(settings);
  const worker = await startWorker({ client, settings, logLevel: 'ERROR', shutdownGraceSeconds: 5 });
  stopWorker = worker.stop;
  ready('A worker polls the task queue');
  return client;
}

async function sync(client: Client, temporal: TemporalServer): Promise<string> {
  const file = { name: 'job.yaml', text: await readFile(JOB, 'utf8') };
  const handle = await startSync(client, 'shop-copy', { file });
  const link = `${temporal.uiUrl}/namespaces/${temporal.namespace}/workflows/${encodeURIComponent(handle.workflowId)}`;
  ready(`The sync runs; watch it: ${paint.cyan(link)}`);
  const started = performance.now();
  const view = progressView();
  const outcome = await followSync(handle, {
    onProgress: (progress) => view.show({ ...progress, job: 'shop-copy' }),
    onTrouble: (trouble) => view.note(`trying again: ${trouble}`),
  });
  view.end();
  if (!outcome?.ok) throw outcome?.error;
  say(verdictText(outcome.result.verdict));
  ready(`Synced and validated in ${duration((performance.now() - started) / 1000)}`);
  return link;
}

async function report(sourceUrl: string, copyUrl: string): Promise<boolean> {
  const pair: Pair = { source: await connected(sourceUrl), copy: await connected(copyUrl) };
  try {
    say(`\n${paint.bold('Before and after')}\n\n${await sampleText(pair)}`);
    const counts = await countsText(pair);
    say(`${paint.bold('Rows')}\n${counts.text}\n`);
    const keys = await foreignKeysText(pair);
    say(keys.text);
    return counts.equal && keys.valid;
  } finally {
    await pair.source.end();
    await pair.copy.end();
  }
}

/** The same over MongoDB, where a server can be had. */
async function documents(starting: Promise<MongoServer>, client: Client): Promise<boolean> {
  let server: MongoServer;
  try {
    server = await starting;
  } catch (error) {
    say(`\nThe MongoDB part is left out: ${(error as Error).message}`);
    return true;
  }
  const kind = server.kind === 'mongod' ? 'mongod' : 'a stand-in for mongod, in memory';
  say(`\n${paint.bold('The shop as documents')} (MongoDB: ${kind})`);
  const good = await documentsPart(server, client);
  ready('Documents synced and validated');
  return good;
}

function stay(source: string, copy: string): Promise<never> {
  say(`
Still running; Ctrl-C ends it and removes its data.
  source  ${source}
  copy    ${copy}`);
  return new Promise(() => {});
}

async function connected(connectionString: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  return client;
}

function ready(what: string): void {
  say(`${paint.green('✓')} ${what} ${paint.dim(`(${duration((performance.now() - began) / 1000)})`)}`);
}

function fail(error: unknown): void {
  process.exitCode = 1;
  const cause = (error as { cause?: unknown }).cause ?? error;
  console.error(`${paint.red('✗')} ${cause instanceof Error ? cause.message : String(cause)}`);
}

async function stopAll(): Promise<void> {
  await stopWorker().catch(fail);
  await Promise.all(servers.map((stop) => stop().catch(fail)));
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void stopAll().finally(() => process.exit()));
}
await main()
  .catch(fail)
  .finally(stopAll)
  // Handles of the native runtime would keep the process.
  .finally(() => process.exit());
