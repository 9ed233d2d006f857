import { Int32 } from 'mongodb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { auditLedger } from '../../ledger/audit/audit.js';
import { fails } from '../../ledger/checks.js';
import { auditDocument } from '../../mongo/audit.js';
import { putInPlace } from '../../mongo/collections.js';
import { checkOwner, ownerOf, release, takeOver } from '../../mongo/fence.js';
import { findEvidence } from '../../mongo/ledger/evidence.js';
import { readLedgerOf } from '../../mongo/ledger/records.js';
import { insertReplay } from '../../mongo/ledger/replays.js';
import { type Ledger, ledgerOf } from '../../mongo/ledger/store.js';
import { loadDocuments } from '../../mongo/load/load.js';
import { replayDocuments } from '../../mongo/load/replay.js';
import { clearLeft, leftBehind } from '../../mongo/restore.js';
import { mongo, type TestMongo } from '../harness/servers.js';
import { type Ends, endRun, KEY, mongoJob, runJob, startRun, withEnds } from './mongo-fixture.js';

/* What a second attempt of a batch does about what the first one left, and what the server itself refuses. */

interface Person {
  _id: number;
  [field: string]: unknown;
}

let server: TestMongo;
beforeAll(async () => {
  server = await mongo();
});
afterAll(() => server?.close());

const JOB = 'source: { mongodb: env:SOURCE }\ndestination: { mongodb: env:DESTINATION }\n';

function newEnds(): Ends & { from: string; to: string } {
  const [from, to] = [server.database('from'), server.database('to')];
  return { from, to, sourceUrl: server.url(from), destinationUrl: server.url(to) };
}

const people = (database: string) => server.client.db(database).collection<Person>('people');

/** Stops a load as soon as it has told of so many steps. */
async function interrupted(task: Parameters<typeof loadDocuments>[0], steps: number): Promise<void> {
  const controller = new AbortController();
  let told = 0;
  const progress = () => {
    told += 1;
    if (told === steps) controller.abort();
  };
  await expect(loadDocuments(task, progress, controller.signal)).rejects.toThrow();
}

describe('a second attempt', () => {
  test.each(['replace', 'upsert'])(
    'removes what the first wrote and the source has no more (%s)',
    async (mode) => {
      const ends = newEnds();
      await people(ends.from).insertMany(
        Array.from({ length: 400 }, (_, at) => ({ _id: at, name: `Ann ${at}`, email: `a${at}@example.org` })),
      );
      await people(ends.from).createIndex({ email: 1 }, { unique: true });
      const job = mongoJob(`source: { mongodb: env:SOURCE }
destination: { mongodb: env:DESTINATION, mode: ${mode} }
collections: { ${ends.from}.people: { fields: { _id: permute, name: fullName, email: email } } }
`);
      const started = await startRun(job, ends);
      await interrupted(started.task, 1);
      // Nothing of the batch is committed, and the source goes on: one is gone, another has its address.
      await people(ends.from).deleteOne({ _id: 7 });
      await people(ends.from).updateOne({ _id: 8 }, { $set: { email: 'a7@example.org' } });
      const result = await loadDocuments(started.task, () => undefined, new AbortController().signal);
      expect(result).toMatchObject({ rows: 399, quarantined: 0 });
      expect((await endRun(job, ends, started)).filter(fails)).toEqual([]);
      expect(await people(ends.to).countDocuments()).toBe(399);
    },
  );

  test('does not do again what is committed', async () => {
    const ends = newEnds();
    await people(ends.from).insertMany(
      Array.from({ length: 1_000 }, (_, at) => ({ _id: at, name: `Ann ${at}` })),
    );
    const job = mongoJob(
      `${JOB}batchRows: 100\ncollections: { ${ends.from}.people: { fields: { name: fullName } } }\n`,
    );
    const started = await startRun(job, ends);
    await interrupted(started.task, 5);
    const batches = () =>
      server.client.db(ends.to).collection('lethe.batch').find({ run: started.run, state: 'committed' });
    const before = await batches().toArray();
    expect(before.length).toBeGreaterThan(0);
    await loadDocuments(started.task, () => undefined, new AbortController().signal);
    const after = new Map((await batches().toArray()).map((batch) => [String(batch._id), batch]));
    for (const batch of before) expect(after.get(String(batch._id))).toEqual(batch);
    expect((await endRun(job, ends, started)).filter(fails)).toEqual([]);
  });
});

test('documents that meet in a unique index go to quarantine, by what is safe to say', async () => {
  const ends = newEnds();
  await people(ends.from).insertMany(Array.from({ length: 50 }, (_, at) => ({ _id: at, code: `c${at}` })));
  await people(ends.from).createIndex({ code: 1 }, { unique: true });
  const job = mongoJob(
    `${JOB}collections: { ${ends.from}.people: { accept: [code_1], fields: { code: { constant: same } } } }\n`,
  );
  const run = await runJob(job, ends);
  expect(run).toMatchObject({ rows: 1, quarantined: 49 });
  expect(run.checks.filter(fails)).toEqual([]);
  const entries = await server.client
    .db(ends.to)
    .collection('lethe.quarantine')
    .find({ run: run.run })
    .toArray();
  expect(new Set(entries.map(({ message }) => message)).size).toBe(1);
  expect(entries[0]?.message).toContain('11000');
  expect(JSON.stringify(entries)).not.toContain('same');
});

test.each(['replace', 'upsert'])(
  'a run whose collection was taken over by a later one writes no more (%s)',
  async (mode) => {
    const ends = newEnds();
    await people(ends.from).insertMany(
      Array.from({ length: 300 }, (_, at) => ({ _id: at, name: `Ann ${at}` })),
    );
    const job = mongoJob(`source: { mongodb: env:SOURCE }
destination: { mongodb: env:DESTINATION, mode: ${mode} }
batchRows: 100
collections: { ${ends.from}.people: { fields: { name: keep } } }
`);
    const old = await startRun(job, ends);
    await interrupted(old.task, 2);
    const writes = async () => {
      const parts = server.client.db(ends.to).collection('lethe.partition').find({ run: old.run });
      return (await parts.sort({ _id: 1 }).toArray()).map((part) => Number(part.writes));
    };
    const before = await writes();
    expect(before.length).toBeGreaterThan(0);
    await people(ends.from).updateMany({}, { $set: { name: 'Later' } });
    const later = await runJob(job, ends);
    // A transaction that the old run has open meets a changed fence, in each of its partitions.
    expect(await writes()).toEqual(before.map((count) => count + 1));
    await people(ends.from).updateMany({}, { $set: { name: 'Too late' } });
    await expect(
      loadDocuments(old.task, () => undefined, new AbortController().signal),
    ).rejects.toMatchObject({ type: 'RunSuperseded' });
    expect(later.checks.filter(fails)).toEqual([]);
    expect(await people(ends.to).countDocuments({ name: 'Later' })).toBe(300);
    expect(await people(ends.to).countDocuments()).toBe(300);

    const { destination } = later.plan.tables[0]!;
    const found = await withEnds(ends, async (_, connection) => {
      const ledger = ledgerOf(connection);
      return {
        owner: await ownerOf(ledger, destination),
        taken: [
          await takeOver(ledger, destination, undefined, 'x'),
          await takeOver(ledger, destination, old.run, 'x'),
        ],
        released: [
          await release(ledger, destination, old.run),
          await release(ledger, destination, later.run),
        ],
        after: await ownerOf(ledger, destination),
        refused: await checkOwner(ledger, destination, later.run).catch(({ type }) => type),
      };
    });
    expect(found).toEqual({
      ...{ owner: later.run, taken: [false, false], released: [false, true] },
      ...{ after: undefined, refused: 'RunSuperseded' },
    });
  },
);

test.each([
  ['and said so', true],
  ['and could not say so', false],
])('restore puts the other collections of a run in place that put one there %s', async (_, said) => {
  const ends = newEnds();
  const others = (database: string) => server.client.db(database).collection<Person>('pets');
  for (const collection of [people(ends.from), others(ends.from)])
    await collection.insertMany([{ _id: 1, name: 'new' }, { _id: 2 }]);
  const job = mongoJob(
    `${JOB}collections: { ${ends.from}.people: { fields: { name: keep } }, ${ends.from}.pets: { fields: { name: keep } } }\n`,
  );
  const before = await runJob(job, ends);
  for (const collection of [people(ends.to), others(ends.to)])
    await collection.updateMany({}, { $set: { name: 'old' } });
  const { run, plan, task } = await startRun(job, ends);
  await loadDocuments(task, () => undefined, new AbortController().signal);
  const names = () => Promise.all([people(ends.to), others(ends.to)].map((one) => one.distinct('name')));
  const [halfway, found, cleared, left] = await withEnds(ends, async (_source, destination) => {
    const ledger = ledgerOf(destination);
    await ledger.runs.updateOne({ _id: before.run }, { $set: { state: 'complete' } });
    await putInPlace(destination, ledger, run, { ...plan, tables: plan.tables.slice(0, 1) });
    if (!said) await ledger.runs.updateOne({ _id: run }, { $unset: { renamed: '' } });
    const half = await names();
    const there = await leftBehind(destination);
    return [half, there, await clearLeft(destination, there), await leftBehind(destination)] as const;
  });
  expect(halfway.flat().sort()).toEqual(['new', 'old']);
  expect(found.map((one) => [one.run, one.way])).toEqual([[run, 'finish']]);
  expect(cleared).toMatchObject({ dropped: 0, refused: [], finished: [run] });
  expect([...cleared.released].sort()).toEqual([`${ends.to}.people`, `${ends.to}.pets`]);
  expect(left).toEqual([]);
  for (const of of [people, others]) {
    const documents = (database: string) => of(database).find().sort({ _id: 1 }).toArray();
    expect(await documents(ends.to)).toEqual(await documents(ends.from));
  }
});

test('a copy of a claimed database is not claimed', async () => {
  const ends = newEnds();
  await people(ends.from).insertOne({ _id: 1, name: 'Ann' });
  const job = mongoJob(`${JOB}unlisted: keep\n`);
  await runJob(job, ends);
  const clone = server.database('clone');
  const claim = await server.client.db(ends.to).collection('lethe.claim').find().toArray();
  await server.client.db(clone).collection('lethe.claim').insertMany(claim);
  await expect(runJob(job, { ...ends, destinationUrl: server.url(clone) })).rejects.toMatchObject({
    type: 'DestinationUnclaimed',
  });
});

/** A ledger that is lost for whoever uses it, right after it has taken so many writes. */
function lostAfter(ledger: Ledger, writes: number): Ledger {
  let done = 0;
  const losing = (collection: object) =>
    new Proxy(collection, {
      get(of, name) {
        const member: unknown = Reflect.get(of, name);
        if (typeof member !== 'function') return member;
        const method = member.bind(of) as (...args: unknown[]) => unknown;
        if (!/^(insert|update|replace|delete|findOneAnd)/.test(String(name))) return method;
        return async (...args: unknown[]) => {
          const result = await method(...args);
          done += 1;
          if (done === writes) throw new Error('killed');
          return result;
        };
      },
    });
  const entries = Object.entries(ledger).map(([name, one]) => [name, name === 'db' ? one : losing(one)]);
  return Object.fromEntries(entries) as Ledger;
}

test('a replay that is killed after each of its writes in turn ends as one that is not', async () => {
  const ends = newEnds();
  const bad = [3, 11, 25];
  await people(ends.from).insertMany(
    Array.from({ length: 30 }, (_, at) => ({
      _id: at,
      name: bad.includes(at) ? new Int32(at) : `Ann ${at}`,
    })),
  );
  const job = mongoJob(
    `${JOB}evidence: row\ncollections: { ${ends.from}.people: { fields: { _id: permute, name: fullName } } }\n`,
  );
  const { run, plan, quarantined } = await runJob(job, ends);
  expect(quarantined).toBe(3);
  await people(ends.from).updateMany({ _id: { $in: [3, 11] } }, { $set: { name: 'Ann' } });
  await people(ends.from).deleteOne({ _id: 25 });
  const task = {
    run,
    replay: 1,
    mode: 'replace',
    table: plan.tables[0]!,
    keys: jobKeys(KEY),
    evidence: 'row',
  } as const;
  await withEnds(ends, async (source, destination) => {
    const ledger = ledgerOf(destination);
    const { signal } = new AbortController();
    let kills = 0;
    for (let writes = 1; ; writes += 1) {
      const pass = replayDocuments(task, source, destination, lostAfter(ledger, writes), signal);
      if (
        await pass.then(
          () => true,
          () => false,
        )
      )
        break;
      kills += 1;
    }
    expect(kills).toBeGreaterThan(5);
    const outcomes = (await ledger.quarantine.find({ run }).toArray()).map(({ outcome }) => outcome).sort();
    expect(outcomes).toEqual(['copied', 'copied', 'gone']);
    const batches = await ledger.batches.find({ run, state: 'committed' }).toArray();
    expect(batches.reduce((sum, { rows = 0 }) => sum + rows, 0)).toBe(29);
    const read = await readLedgerOf(ledger, run);
    expect((await auditLedger(read, {})).list().filter(({ kind }) => kind === 'mismatch')).toEqual([]);
  });
  const calm = newEnds();
  await runJob(job, { ...calm, sourceUrl: ends.sourceUrl });
  const bytes = async (database: string) =>
    Buffer.concat(
      (await people(database).find({}, { raw: true }).sort({ _id: 1 }).toArray()) as unknown as Uint8Array[],
    );
  expect((await bytes(ends.to)).equals(await bytes(calm.to))).toBe(true);
});

test('a replay may keep digests of documents where the run kept none, and the ledger is whole', async () => {
  const ends = newEnds();
  await people(ends.from).insertMany(
    Array.from({ length: 30 }, (_, at) => ({ _id: at, name: at === 11 ? new Int32(at) : `Ann ${at}` })),
  );
  const job = mongoJob(`${JOB}collections: { ${ends.from}.people: { fields: { name: fullName } } }\n`);
  const { run, plan } = await runJob(job, ends);
  await people(ends.from).updateOne({ _id: 11 }, { $set: { name: 'Ann' } });
  const [table, keys] = [plan.tables[0]!, jobKeys(KEY)];
  await withEnds(ends, async (source, destination) => {
    const ledger = ledgerOf(destination);
    const task = { run, replay: 1, mode: 'replace', table, keys, evidence: 'row' } as const;
    await replayDocuments(task, source, destination, ledger, new AbortController().signal);
    const read = await readLedgerOf(ledger, run);
    expect((await auditLedger(read, {})).list().filter(({ kind }) => kind === 'mismatch')).toEqual([]);

    const { pins } = read.run;
    const withRows = {
      ...pins,
      plan: { ...plan, execution: { ...plan.execution, evidence: 'row' as const } },
    };
    const auditOne = (key: string) =>
      auditDocument({
        source: { url: ends.sourceUrl, elsewhere: false },
        ...{ pins: [pins, withRows], keys, run, table, key: [key], quarantine: [] },
        find: (id, digest) => findEvidence(ledger, run, id, digest),
      });
    expect(await auditOne('11')).toMatchObject({ result: 'same', place: { row: 0 } });
    // It is as it was, and nothing says so.
    await expect(auditOne('12')).rejects.toMatchObject({ type: 'JobInvalid' });

    // Batches that are read while a replay begins do not belong to the report that was read before.
    await ledger.runs.updateOne(
      { _id: run },
      { $set: { state: 'failed', report: '{}', signature: 'of before' } },
    );
    const batches = async () => {
      const { batches: all } = await readLedgerOf(ledger, run);
      return {
        async drain() {
          for await (const _ of all);
        },
      };
    };
    await (await batches()).drain();
    const before = await batches();
    await insertReplay(ledger, {
      ...{ run, plan, jobText: '', namespace: 'default', workflowId: 'test', execution: 'x' },
    });
    await expect(before.drain()).rejects.toMatchObject({ type: 'DestinationBusy' });
    await (await batches()).drain();
  });
});

describe('what only a real mongod has', () => {
  const REASON = 'needs a mongod: MONGODB_URI, mongod on PATH or MONGOMS_SYSTEM_BINARY';

  test('validators, collation, capped options and views come along', async (context) => {
    if (server.kind === 'java') context.skip(REASON);
    const ends = newEnds();
    const db = server.client.db(ends.from);
    await db.createCollection('people', {
      validator: { name: { $type: 'string' } },
      collation: { locale: 'de', strength: 1 },
    });
    await db.createCollection('log', { capped: true, size: 1_000_000, max: 500 });
    await db.createCollection('names', { viewOn: 'people', pipeline: [{ $project: { name: 1 } }] });
    await people(ends.from).insertOne({ _id: 1, name: 'Ann' });
    await db.collection('log').insertMany([{ line: 'one' }, { line: 'two' }]);
    const run = await runJob(mongoJob(`${JOB}unlisted: keep\n`), ends);
    expect(run.checks.filter(fails)).toEqual([]);
    const made = await server.client.db(ends.to).listCollections({}, { nameOnly: false }).toArray();
    const options = (name: string) =>
      (made.find((one) => one.name === name) as { options?: unknown })?.options;
    expect(options('people')).toMatchObject({
      validator: { name: { $type: 'string' } },
      collation: { locale: 'de' },
    });
    expect(options('log')).toMatchObject({ capped: true, max: 500 });
    expect(options('names')).toMatchObject({ viewOn: 'people' });
  });

  test('a load goes on when the primary steps down', { timeout: 180_000 }, async (context) => {
    if (server.kind === 'java') context.skip(REASON);
    const ends = newEnds();
    await people(ends.from).insertMany(
      Array.from({ length: 5_000 }, (_, at) => ({ _id: at, name: `Ann ${at}` })),
    );
    const job = mongoJob(
      `${JOB}batchRows: 500\ncollections: { ${ends.from}.people: { fields: { name: fullName } } }\n`,
    );
    const calm = newEnds();
    await runJob(job, { ...calm, sourceUrl: ends.sourceUrl });
    const started = await startRun(job, ends);
    let told = 0;
    const progress = () => {
      told += 1;
      if (told !== 3) return;
      const down = { replSetStepDown: 5, secondaryCatchUpPeriodSecs: 0, force: true };
      // The server ends the connection that asked for it.
      server.client
        .db('admin')
        .command(down)
        .catch(() => undefined);
    };
    const attempt = () => loadDocuments(started.task, progress, new AbortController().signal);
    for (let tries = 0; ; tries++) {
      try {
        await attempt();
        break;
      } catch (error) {
        expect(error).toMatchObject({ type: 'Unreachable' });
        expect(tries).toBeLessThan(60);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
      }
    }
    expect((await endRun(job, ends, started)).filter(fails)).toEqual([]);
    const bytes = async (database: string) =>
      Buffer.concat(
        (await people(database)
          .find({}, { raw: true })
          .sort({ _id: 1 })
          .toArray()) as unknown as Uint8Array[],
      );
    expect((await bytes(ends.to)).equals(await bytes(calm.to))).toBe(true);
  });

  test('upsert keeps documents, fence and ledger in one transaction', async (context) => {
    if (server.kind === 'java') context.skip(REASON);
    const ends = newEnds();
    await people(ends.from).insertMany(
      Array.from({ length: 300 }, (_, at) => ({ _id: at, code: `c${at % 299}` })),
    );
    await people(ends.to).createIndex({ code: 1 }, { unique: true });
    const job = mongoJob(`source: { mongodb: env:SOURCE }
destination: { mongodb: env:DESTINATION, mode: upsert }
collections: { ${ends.from}.people: { fields: { code: keep } } }
`);
    const run = await runJob(job, ends);
    expect(run.plan.documents?.transactions).toBe(true);
    expect(run).toMatchObject({ rows: 299, quarantined: 1 });
    expect(run.checks.filter(fails)).toEqual([]);
  });
});
