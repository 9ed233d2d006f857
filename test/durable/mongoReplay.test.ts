import { randomUUID } from 'node:crypto';
import { Int32 } from 'mongodb';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { auditLedger } from '../../ledger/audit/audit.js';
import { withConnection } from '../../mongo/connection.js';
import { readLedgerOf } from '../../mongo/ledger/records.js';
import { openBounds } from '../../mongo/ledger/seals.js';
import { ledgerOf } from '../../mongo/ledger/store.js';
import { progressOf } from '../../workers/runs.js';
import { mongo, type TestMongo } from '../harness/servers.js';
import { type Ends, failureOf, openStage, runOf, type Stage, until } from './fixture.js';
import { WorkerProcess } from './processes.js';
import { replay, replayFailure } from './replay-fixture.js';

interface Person {
  _id: number;
  [field: string]: unknown;
}

const PEOPLE = 400;
/** None of the first batch. */
const BAD = [157, 307, 357];
const KEY = Buffer.alloc(32, 9).toString('base64');

let server: TestMongo;
let stage: Stage;
let worker: WorkerProcess | undefined;
beforeAll(async () => {
  [server, stage] = await Promise.all([mongo(), openStage({ worker: false })]);
});
afterAll(async () => {
  await worker?.stop();
  await stage?.stop();
  await server?.close();
});

const people = (database: string) => server.client.db(database).collection<Person>('people');
const ledger = (database: string, name: string) => server.client.db(database).collection(`lethe.${name}`);

/** People of whom three have what the rules refuse. */
async function newCopy(onFailure: string) {
  const [from, to] = [server.database('people'), server.database('copy')];
  await people(from).insertMany(
    Array.from({ length: PEOPLE }, (_, at) => ({
      _id: at,
      name: BAD.includes(at) ? new Int32(at) : `Marker Person${at}`,
      code: `c${at}`,
    })),
  );
  const id = randomUUID().replaceAll('-', '').toUpperCase();
  const env = { [`S_${id}`]: server.url(from), [`D_${id}`]: server.url(to), [`K_${id}`]: KEY };
  const text = (rule: string) => `job: people
source: { mongodb: env:S_${id} }
destination: { mongodb: env:D_${id} }
key: env:K_${id}
batchRows: 100
onFailure: ${onFailure}
collections:
  ${from}.people: { fields: { _id: permute, name: ${rule}, code: keep } }
`;
  const newWorker = () => new WorkerProcess(stage, { env } as unknown as Ends);
  await worker?.stop();
  worker = newWorker();
  await worker.ready();
  return { from, to, newWorker, file: (rule = 'fullName') => ({ name: 'people.yaml', text: text(rule) }) };
}

async function bytes(database: string): Promise<Buffer> {
  const found = await people(database).find({}, { raw: true }).sort({ _id: 1 }).toArray();
  return Buffer.concat(found as unknown as Uint8Array[]);
}

/** The ledger of a run, its signatures and its rules pass the audit. */
async function audited(to: string, run: string, segments: number): Promise<void> {
  const keys = jobKeys(Buffer.alloc(32, 9));
  await withConnection(
    { url: server.url(to), role: 'destination', applicationName: 'lethe:test' },
    async (connection) => {
      const read = await readLedgerOf(ledgerOf(connection), run);
      expect(read.segments).toHaveLength(segments);
      const findings = await auditLedger(read, {
        trusted: { publicKey: keys.signing.publicKey },
        openBounds: (owner, sealed) => openBounds(keys, { run, ...owner }, sealed),
      });
      expect(findings.list()).toEqual([]);
    },
  );
}

test('documents in quarantine are copied by a replay once they are mended at the source', async () => {
  const copy = await newCopy('{ quarantine: 10 }');
  const handle = await stage.start('people', { file: copy.file() });
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  const run = await runOf(handle);
  expect(await people(copy.to).countDocuments()).toBe(PEOPLE - 3);

  // One is mended, one is gone, one stays as it was.
  await people(copy.from).updateOne({ _id: 357 }, { $set: { name: 'Marker Person357' } });
  await people(copy.from).deleteOne({ _id: 157 });
  const failure = await replayFailure(await replay(stage, run, { file: copy.file() }));
  expect(failure).toMatchObject({ type: 'RowsQuarantined' });
  expect(await people(copy.to).countDocuments()).toBe(PEOPLE - 2);
  expect(await ledger(copy.to, 'quarantine').countDocuments({ run, replayed: { $exists: false } })).toBe(1);

  await people(copy.from).updateOne({ _id: 307 }, { $set: { name: 'Marker Person307' } });
  const { verdict, replayed } = await (await replay(stage, run, { file: copy.file() })).result();
  expect(replayed).toEqual({ copied: 1, gone: 0 });
  expect(verdict).toMatchObject({ ok: true, rows: PEOPLE - 1, quarantined: [] });
  expect(await ledger(copy.to, 'run').findOne({ _id: run as never })).toMatchObject({ state: 'complete' });

  await audited(copy.to, run, 3);

  // As a run leaves it that nothing went wrong in.
  const replayedBytes = await bytes(copy.to);
  expect(replayedBytes.toString('latin1')).not.toContain('Marker');
  await (await stage.start('people', { file: copy.file() })).result();
  expect((await bytes(copy.to)).equals(replayedBytes)).toBe(true);
  expect(await replayFailure(await replay(stage, run, { file: copy.file() }))).toMatchObject({
    type: 'NothingToReplay',
  });
});

test('a run that failed on the way goes on by a corrected job, also on another worker, and does nothing again that is committed', async () => {
  const copy = await newCopy('fail');
  const handle = await stage.start('people', { file: copy.file() });
  expect(await failureOf(handle)).toMatchObject({ type: 'QuarantineLimit' });
  const run = await runOf(handle);
  expect(await people(copy.to).countDocuments()).toBe(0);
  const committed = () => ledger(copy.to, 'batch').find({ run, state: 'committed' }).toArray();
  const before = await committed();
  expect(before.length).toBeGreaterThan(0);

  const corrected = copy.file('{ types: { string: fullName, int: permute } }');
  const going = await replay(stage, run, { file: corrected, tuning: { heartbeatSeconds: 3 } });
  let over = false;
  const result = going.result().finally(() => {
    over = true;
  });
  result.catch(() => undefined);
  await until('it goes on', async () => over || (await committed()).length > before.length, 200_000);
  await worker?.kill();
  worker = copy.newWorker();
  await worker.ready();
  const { verdict } = await result;
  expect(verdict).toMatchObject({ ok: true, rows: PEOPLE, quarantined: [] });
  const after = new Map((await committed()).map((batch) => [String(batch._id), batch]));
  for (const batch of before) expect(after.get(String(batch._id))).toEqual(batch);
  expect(await people(copy.to).countDocuments()).toBe(PEOPLE);
  await audited(copy.to, run, 2);
  expect((await server.client.db(copy.to).listCollections().toArray()).map(({ name }) => name)).not.toContain(
    `lethe.${run}.1`,
  );

  const other = await replayFailure(await replay(stage, run, { file: corrected }));
  expect(other).toMatchObject({ type: 'NothingToReplay' });
});

test('a run that waits succeeds with the replay that it is asked for', async () => {
  const copy = await newCopy('{ quarantine: 10, wait: 1h }');
  const handle = await stage.start('people', { file: copy.file() });
  await until('it waits', async () => (await progressOf(handle))?.phase === 'waiting', 200_000);
  const run = await runOf(handle);
  for (const _id of [157, 307, 357])
    await people(copy.from).updateOne({ _id }, { $set: { name: `Marker Person${_id}` } });
  expect(await handle.executeUpdate('replay')).toEqual({ run, copied: 3, gone: 0 });
  expect((await handle.result()).verdict).toMatchObject({ ok: true, rows: PEOPLE, quarantined: [] });
});
