import { afterAll, beforeAll, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import type { RowAudit } from '../../ledger/audit/evidence.js';
import { type AuditFinding, Findings } from '../../ledger/audit/findings.js';
import { fails } from '../../ledger/checks.js';
import type { BatchRecord } from '../../ledger/records.js';
import { auditDocument, auditDocumentSample } from '../../mongo/audit.js';
import { readLedgerOf } from '../../mongo/ledger/records.js';
import { readPins } from '../../mongo/ledger/runs.js';
import { ledgerOf } from '../../mongo/ledger/store.js';
import { loadDocuments } from '../../mongo/load/load.js';
import { planDocuments } from '../../mongo/planning.js';
import { mongo, type TestMongo } from '../harness/servers.js';
import {
  type EndedRun,
  type Ends,
  endRun,
  KEY,
  mongoJob,
  runJob,
  startRun,
  withEnds,
} from './mongo-fixture.js';

interface Person {
  _id: number;
  [field: string]: unknown;
}

const PEOPLE = 300;

let server: TestMongo;
let from: string;
beforeAll(async () => {
  server = await mongo();
  from = server.database('from');
  await people(from).insertMany(
    Array.from({ length: PEOPLE }, (_, at) => ({
      _id: at,
      name: `Ann ${at}`,
      secret: `s${at}`,
      // Every sixtieth has what the rules refuse.
      ...(at % 60 === 7 && { state: 'open' }),
    })),
  );
});
afterAll(() => server?.close());

const people = (database: string) => server.client.db(database).collection<Person>('people');

function copy(fields: string, settings: string, mode = 'replace') {
  const to = server.database('to');
  const ends: Ends = { sourceUrl: server.url(from), destinationUrl: server.url(to) };
  const job = mongoJob(`source: { mongodb: env:SOURCE }
destination: { mongodb: env:DESTINATION, mode: ${mode} }
batchRows: 100
collections:
  ${from}.people: { unlisted: keep, fields: { ${fields} }, ${settings} }
`);
  return { to, ends, job };
}

async function bytes(database: string): Promise<Buffer> {
  const found = await people(database).find({}, { raw: true }).sort({ _id: 1 }).toArray();
  return Buffer.concat(found as unknown as Uint8Array[]);
}

/** Documents that the server transformed by itself, as the ledger counts them. */
async function pushed(database: string): Promise<number> {
  const batches = await server.client.db(database).collection('lethe.batch').find({}).toArray();
  return batches.reduce((sum, { rules }) => sum + (JSON.parse(String(rules)).pushdown ?? 0), 0);
}

const FIELDS = "secret: 'null', state: block";

test('a pushed run leaves what a run of workers leaves, and quarantines the same documents', async () => {
  const workers = copy(FIELDS, 'pushdown: false');
  const plain = await runJob(workers.job, workers.ends);
  const by = copy(FIELDS, 'pushdown: true');
  const run = await runJob(by.job, by.ends);
  expect(run).toMatchObject({ rows: PEOPLE - 5, quarantined: 5 });
  expect(run.checks.filter(fails)).toEqual([]);
  expect(plain).toMatchObject({ rows: PEOPLE - 5, quarantined: 5 });
  expect((await bytes(by.to)).equals(await bytes(workers.to))).toBe(true);
  expect(await pushed(by.to)).toBe(PEOPLE - 5);
  expect(await pushed(workers.to)).toBe(0);
  expect(await auditOf(workers.ends, plain.run)).toMatchObject([
    { kind: 'unchecked', message: expect.stringMatching(/^3 of the batches sent documents to quarantine/) },
  ]);
  // Each batch has a document that a worker read: its digest is of that one alone, and proves nothing of the others.
  const found = await auditOf(by.ends, run.run);
  expect(found.map(({ kind }) => kind)).toEqual(found.map(() => 'unchecked'));
  expect(found).not.toEqual([]);
  await expect(auditOne(by.ends, run)).rejects.toMatchObject({
    type: 'JobInvalid',
    message: expect.stringContaining('people was pushed down'),
  });
});

/** A document of a run whose batches kept digests of documents, as far as workers saw them. */
function auditOne(ends: Ends, { run, plan }: EndedRun): Promise<RowAudit> {
  return withEnds(ends, async (_, destination) => {
    const pins = await readPins(ledgerOf(destination), run);
    const kept = { ...plan, execution: { ...plan.execution, evidence: 'row' as const } };
    return auditDocument({
      source: { url: ends.sourceUrl, elsewhere: false },
      ...{ pins: [{ ...pins, plan: kept }], keys: jobKeys(KEY), run, table: plan.tables[0]!, key: ['1'] },
      quarantine: [],
      find: async () => undefined,
    });
  });
}

/** What an audit finds that reads every batch again. */
function auditOf(ends: Ends, run: string): Promise<AuditFinding[]> {
  return withEnds(ends, async (_, destination) => {
    const { segments, batches } = await readLedgerOf(ledgerOf(destination), run);
    const findings = new Findings();
    const all: BatchRecord[] = [];
    for await (const batch of batches) all.push(batch);
    await auditDocumentSample(
      {
        source: { url: ends.sourceUrl, elsewhere: false },
        ...{ pins: segments.map(({ pins }) => pins), keys: jobKeys(KEY), run, batches: all },
        evidence: async () => undefined,
      },
      findings,
    );
    return findings.list();
  });
}

test('a second attempt of a pushed batch leaves nothing that the source has no more', async () => {
  const { to, ends, job } = copy(FIELDS, 'pushdown: true');
  const started = await startRun(job, ends);
  const own = server.client.db(to).collection<Person>(`lethe.${started.run}.1`);
  // As an attempt that was killed behind its $merge leaves it.
  await own.insertMany([
    { _id: 3, secret: 'of before' },
    { _id: 3.5, secret: 'gone at the source' },
  ]);
  await loadDocuments(started.task, () => undefined, new AbortController().signal);
  expect((await endRun(job, ends, started)).filter(fails)).toEqual([]);
  expect(await people(to).countDocuments()).toBe(PEOPLE - 5);
  expect(await people(to).findOne({ _id: 3 })).toMatchObject({ name: 'Ann 3', secret: null });
});

test('a keyed rule gives the same, whether the server runs its function or workers have to', async () => {
  const workers = copy("secret: hash, state: 'null'", 'pushdown: false');
  await runJob(workers.job, workers.ends);
  const keyed = copy("secret: hash, state: 'null'", 'pushdown: true, allowKeyOnServer: true');
  const run = await runJob(keyed.job, keyed.ends);
  expect(run).toMatchObject({ rows: PEOPLE, quarantined: 0 });
  expect(run.checks.filter(fails)).toEqual([]);
  expect((await bytes(keyed.to)).equals(await bytes(workers.to))).toBe(true);
  // The stand-in knows no $function, and refuses the pipeline.
  expect(await pushed(keyed.to)).toBe(server.kind === 'java' ? 0 : PEOPLE);
});

test.each([
  ['secret: hash', 'pushdown: true', 'replace', 'allowKeyOnServer'],
  ['_id: permute', 'pushdown: true, allowKeyOnServer: true', 'replace', '_id is changed'],
  ["secret: 'null'", 'pushdown: true', 'upsert', 'mode upsert'],
])('the plan refuses %s with %s in mode %s', async (fields, settings, mode, reason) => {
  const { ends, job } = copy(fields, settings, mode);
  const { plan } = await withEnds(ends, (source, destination) => planDocuments(job, source, destination));
  const refused = plan.findings.filter(({ level, code }) => level === 'refusal' && code === 'pushdown');
  expect(refused.map(({ message }) => message)).toEqual([expect.stringContaining(reason)]);
});

test('the plan warns that keys will be on the server', async () => {
  const { ends, job } = copy('secret: hash', 'pushdown: true, allowKeyOnServer: true');
  const { plan } = await withEnds(ends, (source, destination) => planDocuments(job, source, destination));
  const warned = plan.findings.filter(({ level, code }) => level === 'warning' && code === 'pushdown');
  expect(warned.map(({ message }) => message)).toEqual([
    expect.stringContaining('$function'),
    expect.stringContaining('profiler'),
  ]);
});
