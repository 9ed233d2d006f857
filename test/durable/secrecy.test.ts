import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../../embedded/process.js';
import { LetheError } from '../../errors/errors.js';
import { query, withSession } from '../../postgres/session.js';
import { progressOf, runError, type SyncHandle, startSync } from '../../workers/runs.js';
import { temporal, uniqueTaskQueue } from '../harness/servers.js';
import { type Ends, openEnds } from './fixture.js';

/*
 * Every way for a row to be refused, in a table whose key is personal data itself; then everything that a run leaves
 * behind outside the destination's own tables is searched for what the source held.
 */

const TABLES = `
CREATE TABLE public.person (
  code text COLLATE "C" PRIMARY KEY, email text NOT NULL, first_name text NOT NULL, last_name text NOT NULL,
  phone text NOT NULL, born date, n integer NOT NULL, note text NOT NULL);
CREATE TABLE public.pet (id text COLLATE "C" PRIMARY KEY, owner text NOT NULL REFERENCES public.person, chip text NOT NULL);`;
const ROWS = `
INSERT INTO public.person
SELECT 'zqkey-' || md5('k' || i),
       CASE WHEN i % 40 = 1 THEN 'zqnone' ELSE '' END || 'zq' || md5('e' || i) || CASE WHEN i % 40 = 1 THEN '' ELSE '@zqmail.example' END,
       'Zq' || left(md5('f' || i), 12), 'Zq' || left(md5('l' || i), 14), '+49 777 ' || (1000000 + i * 7919),
       CASE WHEN i % 40 = 2 THEN 'infinity' ELSE date '1950-01-01' + i END, i, 'zqnote' || md5('n' || i) || repeat('-', i % 60)
  FROM generate_series(1, 400) i;
INSERT INTO public.pet SELECT 'zqpet-' || md5('p' || i), 'zqkey-' || md5('k' || i), 'zqchip' || md5('c' || i / 2)
  FROM generate_series(1, 300) i;`;
/** What the destination asks for beyond the source. */
const STRICTER = `
ALTER TABLE public.person ADD CONSTRAINT not_forty CHECK (n % 40 <> 0);
ALTER TABLE public.person ALTER note TYPE varchar(90);
CREATE UNIQUE INDEX one_chip ON public.pet (chip);`;

const RULES = `
unlisted: block
batchRows: 100
tables:
  public.person:
    accept: [not_forty]
    columns:
      code: { hash: 32 }
      email: email
      first_name: firstName
      last_name: lastName
      phone: phone
      born: { dateShift: 30 }
      n: keep
      note: { js: "(v) => 'n'.repeat(2 * v.length)" }
  public.pet: { accept: [one_chip], columns: { id: { hash: 32 }, chip: keep } }
`;

const CLI = 'dist/cli/main.js';

let folder: string;
let ends: Ends;
let client: Client;
let connection: Connection;
let worker: ChildProcess;
let env: NodeJS.ProcessEnv;
let log = '';
let metricsAt: string;
const taskQueue = uniqueTaskQueue('secrecy');

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lethe-secrecy-'));
  const full = join(folder, 'full.sql');
  const strict = join(folder, 'strict.sql');
  writeFileSync(full, TABLES + ROWS);
  writeFileSync(strict, TABLES + STRICTER);
  ends = await openEnds(18, full, strict);
  const { address, namespace } = await temporal();
  connection = await Connection.connect({ address });
  client = new Client({ connection, namespace });
  env = { ...process.env, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, LETHE_JOBS: folder };
  metricsAt = `127.0.0.1:${await freePort()}`;
  const of = ['--task-queue', taskQueue, '--metrics', metricsAt];
  const args = [CLI, 'worker', ...of, '--threads', '2', '--grace', '1'];
  worker = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [worker.stdout!, worker.stderr!]) {
    stream.on('data', (text: Buffer) => {
      log += text.toString();
    });
  }
  await until('the worker polls', async () => {
    if (worker.exitCode !== null) throw new Error(`The worker ended: ${log}`);
    return log.includes('Worker on');
  });
});
afterAll(async () => {
  const gone = new Promise((resolve) => worker?.once('exit', resolve));
  if (worker && worker.exitCode === null && worker.kill('SIGTERM')) {
    const force = setTimeout(() => worker.kill('SIGKILL'), 20_000);
    await gone;
    clearTimeout(force);
  }
  await connection?.close();
  await ends?.drop();
  rmSync(folder, { recursive: true, force: true });
});

it('no value and no key leaves the databases', async () => {
  const quarantining = await startSync(
    client,
    'secrecy',
    fileOf('onFailure: { quarantine: 10000 }'),
    taskQueue,
  );
  expect(await failureOf(quarantining)).toMatchObject({ type: 'RowsQuarantined' });
  expect(await reasons()).toEqual([
    '23503 pet_owner_fkey',
    '23505 one_chip',
    '23514 not_forty',
    'transformer born',
    'transformer note',
  ]);
  const passed = `SELECT FROM public.person WHERE concat(code, email, first_name, last_name) ~* 'zq(key-|none)?[0-9a-f]{12}'`;
  expect(await ask(ends.destination.url, passed)).toEqual([]);
  const failing = await startSync(client, 'secrecy', fileOf('onFailure: fail'), taskQueue);
  expect(await failureOf(failing)).toMatchObject({ type: 'QuarantineLimit' });
  const cancelled = await cancelMidway();

  const planted = await plantedValues();
  expect(planted.length).toBeGreaterThan(1000);
  const histories = await Promise.all(
    [quarantining, failing, cancelled].map(({ workflowId }) => history(workflowId)),
  );
  const places: Record<string, string> = {
    histories: histories.flat().join('\n'),
    log,
    ledger: await ledger(),
    show: await ofEachRun('show', '--json'),
    report: await ofEachRun('report', '--json'),
    page: await pages(),
    audit: await ofEachRun('audit', '--json'),
    exported: await exported(),
    metrics: await (await fetch(`http://${metricsAt}/metrics`)).text(),
  };
  // Each place is searched for what it does hold as well: else nothing was searched.
  for (const place of ['histories', 'ledger', 'show', 'report', 'page', 'exported']) {
    expect({ place, text: places[place] }).toEqual({ place, text: expect.stringContaining('public.person') });
  }
  expect(places.audit).toContain('"job": "secrecy"');
  expect(places.metrics).toMatch(/^lethe_rows_quarantined\w*\{.*\} [1-9]/m);
  expect(places.histories).toContain('RowsQuarantined');
  expect(places.ledger).toContain('not_forty');
  expect(decoded(Buffer.from(planted[0]!).toString('base64'))).toContain(planted[0]);
  expect(log.length).toBeGreaterThan(100);
  const secrets = [...planted, ...keyForms(), ...[ends.source, ends.destination].map(passwordOf)];
  for (const [place, text] of Object.entries(places)) {
    const whole = `${text}\n${decoded(text)}`;
    expect({ place, found: secrets.filter((secret) => whole.includes(secret)) }).toEqual({
      place,
      found: [],
    });
  }
});

function fileOf(more: string): { file: { name: string; text: string } } {
  const { source, destination, key } = ends.references;
  const text = `job: secrecy
source: { postgres: "${source}" }
destination: { postgres: "${destination}", mode: replace }
key: "${key}"
${RULES}${more}
`;
  writeFileSync(join(folder, 'secrecy.yaml'), text);
  return { file: { name: 'secrecy.yaml', text } };
}

async function failureOf(handle: SyncHandle): Promise<{ type: string; message: string }> {
  const { verdict } = await handle
    .result()
    .catch((error: unknown) => ({ verdict: runError(error, handle.workflowId) }));
  if (verdict instanceof LetheError) return { type: verdict.type, message: verdict.message };
  throw new Error('The run did not fail.');
}

async function cancelMidway(): Promise<SyncHandle> {
  const handle = await startSync(client, 'secrecy', fileOf('onFailure: { quarantine: 10000 }'), taskQueue);
  await handle.signal('pause');
  await until(
    'the run has opened its destination',
    async () => (await progressOf(handle))?.phase === 'loading',
  );
  await handle.signal('resume');
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow();
  const states = await ask(ends.destination.url, 'SELECT state FROM lethe.run ORDER BY started_at');
  expect(states.map(({ state }) => state)).toEqual(['failed', 'failed', 'cancelled']);
  return handle;
}

async function reasons(): Promise<string[]> {
  const rows = await ask(
    ends.destination.url,
    `SELECT DISTINCT concat_ws(' ', code, constraint_name, column_name) AS reason FROM lethe.quarantine ORDER BY 1`,
  );
  return rows.map(({ reason }) => reason!);
}

async function plantedValues(): Promise<string[]> {
  const columns = ['code', 'email', 'first_name', 'last_name', 'phone', 'note'];
  const parts = columns.map((column) => `SELECT ${column} AS value FROM public.person`);
  const all = [...parts, 'SELECT id FROM public.pet', 'SELECT chip FROM public.pet'].join(' UNION ');
  return (await ask(ends.source.url, all)).map(({ value }) => value!);
}

function keyForms(): string[] {
  const bytes = Buffer.from(ends.key, 'base64');
  const texts = (['base64', 'base64url', 'hex', 'latin1'] as const).map((form) => bytes.toString(form));
  return [...texts, bytes.toString('hex').toUpperCase()];
}

const passwordOf = ({ url }: { readonly url: string }) => new URL(url).password;

/** The histories of a workflow and of those it started, as they are exported and with payloads as text. */
async function history(id: string): Promise<string[]> {
  const exported = await client.workflow.getHandle(id).fetchHistory();
  const children = (exported.events ?? []).flatMap(
    (event) => event.startChildWorkflowExecutionInitiatedEventAttributes?.workflowId ?? [],
  );
  const readable = JSON.stringify(exported, (name, value) =>
    name === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
  );
  const below = await Promise.all(children.map(history));
  return [JSON.stringify(exported), readable, ...below.flat()];
}

/** Every row of every table of the `lethe` schema. */
async function ledger(): Promise<string> {
  const { url } = ends.destination;
  const tables = await ask(
    url,
    `SELECT relname FROM pg_class WHERE relnamespace = 'lethe'::regnamespace AND relkind IN ('r', 'p') ORDER BY 1`,
  );
  const texts = await Promise.all(
    tables.map(({ relname }) => ask(url, `SELECT to_jsonb(t)::text AS row FROM lethe."${relname}" t`)),
  );
  // JSON inside JSON escapes quotes only, which no planted value holds.
  return `${texts
    .flat()
    .map(({ row }) => row)
    .join('\n')}`;
}

/** What a command says of each run. */
async function ofEachRun(command: string, ...options: string[]): Promise<string> {
  const rows = await ask(ends.destination.url, 'SELECT run FROM lethe.run ORDER BY started_at');
  const texts = await Promise.all(
    rows.map(({ run }) => lethe(command, run!, '--job', join(folder, 'secrecy.yaml'), ...options)),
  );
  return texts.join('\n');
}

/** The reports as pages. */
async function pages(): Promise<string> {
  const rows = await ask(ends.destination.url, 'SELECT run FROM lethe.run');
  const texts = rows.map(async ({ run }) => {
    const file = join(folder, `${run}.html`);
    await lethe('report', run!, '--job', join(folder, 'secrecy.yaml'), '-o', file);
    return readFileSync(file, 'utf8');
  });
  return (await Promise.all(texts)).join('\n');
}

async function exported(): Promise<string> {
  const file = join(folder, 'ledger.jsonl');
  await lethe('ledger', 'export', join(folder, 'secrecy.yaml'), '-o', file);
  return readFileSync(file, 'utf8');
}

/** What `lethe` prints, whatever its exit code says of the run. */
async function lethe(...args: string[]): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [CLI, ...args], { env }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  return `${stdout}\n${stderr}`;
}

/** What stands in a text in base64 or hexadecimal, as bytes and as UTF-8. */
function decoded(text: string): string {
  const base64 = (text.match(/[A-Za-z0-9+/_-]{12,}/g) ?? []).map((token) => Buffer.from(token, 'base64'));
  const hex = (text.match(/(?:[0-9a-fA-F]{2}){6,}/g) ?? []).map((token) => Buffer.from(token, 'hex'));
  return [...base64, ...hex]
    .map((bytes) => `${bytes.toString('latin1')}\n${bytes.toString('utf8')}`)
    .join('\n');
}

function ask(url: string, sql: string): Promise<Record<string, string | null>[]> {
  const applicationName = `test-${randomUUID()}`;
  return withSession({ url, role: 'destination', applicationName }, (session) => query(session, sql));
}

async function until(what: string, probe: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 120_000;
  while (!(await probe())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
