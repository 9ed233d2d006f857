import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import {
  Binary,
  BSON,
  BSONRegExp,
  Code,
  Decimal128,
  type Document,
  Double,
  Int32,
  Long,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  UUID,
} from 'mongodb';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { withRetentionText } from '../../job/retention/ofJob.js';
import { fails } from '../../ledger/checks.js';
import { idValue } from '../../mongo/ids.js';
import { sampledSource } from '../../mongo/inspect.js';
import { ledgerOf } from '../../mongo/ledger/store.js';
import { cutCollection, rangeOf } from '../../mongo/load/cut.js';
import { loadDocuments } from '../../mongo/load/load.js';
import { chunksOf } from '../../mongo/load/read.js';
import { planDocuments } from '../../mongo/planning.js';
import { describeUnless, mongo, sharedData, type TestMongo } from '../harness/servers.js';
import {
  checkAgain,
  type EndedRun,
  type Ends,
  endRun,
  KEY,
  mongoJob,
  runJob,
  startRun,
  withEnds,
} from './mongo-fixture.js';

let server: TestMongo;
beforeAll(async () => {
  server = await mongo();
});
afterAll(() => server?.close());

const JOB = `
source: { mongodb: env:SOURCE }
destination: { mongodb: env:DESTINATION }
`;

interface Person {
  _id: number;
  [field: string]: unknown;
}

function newEnds(): Ends & { from: string; to: string } {
  const [from, to] = [server.database('from'), server.database('to')];
  return { from, to, sourceUrl: server.url(from), destinationUrl: server.url(to) };
}

/** Documents as their bytes, in the order of their `_id`s. */
async function bytes(database: string, collection: string): Promise<Buffer[]> {
  const found = await server.client
    .db(database)
    .collection(collection)
    .find({}, { raw: true })
    .sort({ _id: 1 })
    .toArray();
  return (found as unknown as Uint8Array[]).map((document) => Buffer.from(document));
}

async function insertLines(path: string, database: string, collection: string): Promise<Document[]> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line.trim() !== '');
  const documents = lines.map((line) => BSON.EJSON.parse(line, { relaxed: false }) as Document);
  await server.client
    .db(database)
    .collection(collection)
    .insertMany(documents, { promoteValues: false } as object);
  return documents;
}

function failed({ checks }: EndedRun): string[] {
  return checks.filter(fails).map(({ message }) => message);
}

describe('a copy of documents', () => {
  test('keeps the bytes of every type where nothing is transformed, under _ids of every type', async () => {
    const ends = newEnds();
    const values: unknown[] = [
      new Double(1.5),
      new Double(-0),
      new Double(Number.NaN),
      new Double(Number.POSITIVE_INFINITY),
      'text with \u{1F600} and \u0000',
      { nested: { b: new Int32(1), a: new Int32(2) } },
      [new Int32(1), [new Long(2)], { x: null }],
      new Binary(Buffer.from([1, 2, 3]), 0),
      new Binary(Buffer.from([1, 2, 3]), 128),
      new UUID('00112233-4455-6677-8899-aabbccddeeff'),
      new ObjectId('507f1f77bcf86cd799439011'),
      true,
      new Date(0),
      new Date(-8.64e15),
      new Date(8.64e15),
      null,
      new BSONRegExp('^a.*b$', 'im'),
      new Code('return 1'),
      new Int32(-7),
      new Timestamp({ t: 7, i: 9 }),
      Long.fromString('9223372036854775807'),
      Decimal128.fromString('1.10'),
      Decimal128.fromString('NaN'),
      new MinKey(),
      new MaxKey(),
    ];
    const ids: unknown[] = [
      new ObjectId('507f1f77bcf86cd799439011'),
      new Int32(1),
      new Double(1.5),
      Long.fromString('9007199254740993'),
      new Int32(-4),
      'a',
      'ä',
      '',
      new UUID('00112233-4455-6677-8899-aabbccddeeff'),
      new Binary(Buffer.from([9]), 0),
      { a: new Int32(1) },
      true,
      false,
      new Date(5),
      new Timestamp({ t: 1, i: 1 }),
      null,
    ];
    const source = server.client.db(ends.from).collection<Document>('all');
    await source.insertMany(ids.map((id, at) => ({ _id: id, z: at, v: values, a: 'last' })) as Document[]);
    const run = await runJob(mongoJob(`${JOB}unlisted: keep\n`), ends);
    expect(failed(run)).toEqual([]);
    expect(run).toMatchObject({ rows: ids.length, quarantined: 0 });
    const copied = await bytes(ends.to, 'all');
    expect(copied).toHaveLength(ids.length);
    expect(copied).toEqual(await bytes(ends.from, 'all'));
  });

  test('is read as views of what the server sent, or by the driver, and known by the digest of its bytes', async () => {
    const ends = newEnds();
    const source = server.client.db(ends.from).collection<{ _id: number; name: string }>('people');
    await source.insertMany(
      Array.from({ length: 250 }, (_, at) => ({ _id: at, name: `Ann ${'x'.repeat(at)}` })),
    );
    const all = await bytes(ends.from, 'people');
    const cursor = () => source.find({}, { raw: true, sort: { _id: 1 }, batchSize: 120 });
    const read = async (from: Parameters<typeof chunksOf>[0]) => {
      const documents: Buffer[] = [];
      for await (const chunk of chunksOf(from)) for (const one of chunk) documents.push(Buffer.from(one));
      return documents;
    };
    const views = cursor();
    const parsed = vi.spyOn(views, 'readBufferedDocuments');
    expect(await read(views)).toEqual(all);
    expect(parsed).not.toHaveBeenCalled();
    // A driver that keeps its replies otherwise.
    const other = cursor();
    const known = {
      [Symbol.asyncIterator]: () => other[Symbol.asyncIterator](),
      readBufferedDocuments: () => other.readBufferedDocuments(),
    };
    expect(await read(known)).toEqual(all);
    const run = await runJob(
      mongoJob(`${JOB}collections: { ${ends.from}.people: { fields: { name: fullName } } }\n`),
      ends,
    );
    const [batch, ...others] = await server.client
      .db(ends.to)
      .collection('lethe.batch')
      .find({ run: run.run })
      .toArray();
    expect(others).toEqual([]);
    const digest = (documents: readonly Buffer[]) =>
      createHash('sha256').update(Buffer.concat(documents)).digest('hex');
    expect(batch).toMatchObject({
      sourceDigest: digest(all),
      outputDigest: digest(await bytes(ends.to, 'people')),
    });
  });

  test('cuts mixed _ids into partitions and batches that hold each document once', async () => {
    const ends = newEnds();
    const documents = Array.from({ length: 1_500 }, (_, at) => ({
      _id: (at % 3 === 0
        ? at
        : at % 3 === 1
          ? `key-${at}`
          : new ObjectId(at.toString(16).padStart(24, '0'))) as never,
      name: `Ann ${at}`,
    }));
    await server.client.db(ends.from).collection('people').insertMany(documents);
    // One at a time gets few partitions, so that some have several batches.
    const job = mongoJob(`${JOB}concurrency: 1
batchRows: 100
collections:
  ${ends.from}.people: { fields: { name: fullName } }
`);
    const run = await runJob(job, ends);
    expect(failed(run)).toEqual([]);
    expect(run.rows).toBe(1_500);
    const ledger = server.client.db(ends.to);
    const partitions = await ledger.collection('lethe.partition').find({ run: run.run }).toArray();
    expect(partitions.length).toBeGreaterThan(3);
    expect(partitions.every(({ done }) => done === true)).toBe(true);
    const batches = await ledger.collection('lethe.batch').find({ run: run.run }).toArray();
    expect(batches.reduce((sum, { rows }) => sum + Number(rows), 0)).toBe(1_500);
    expect(batches.length).toBeGreaterThan(partitions.length);
    expect(Math.max(...batches.map(({ rows }) => Number(rows)))).toBeLessThanOrEqual(100);
    // Bounds are keys of documents.
    expect(JSON.stringify([partitions, batches])).not.toMatch(/key-\d/);
  });

  test('holds each document once where _ids are UUIDs beside other bytes', async () => {
    const ends = newEnds();
    const id = (at: number) => {
      const bytes = createHash('md5').update(String(at)).digest();
      return at % 4 === 0 ? new Binary(bytes.subarray(at % 16), 0) : new UUID(bytes);
    };
    const source = server.client.db(ends.from).collection<{ _id: Binary; name: string }>('people');
    await source.insertMany(Array.from({ length: 400 }, (_, at) => ({ _id: id(at), name: `Ann ${at}` })));
    const job = mongoJob(`${JOB}batchRows: 100\nunlisted: keep\n`);
    const run = await runJob(job, ends);
    expect(failed(run)).toEqual([]);
    expect(await bytes(ends.to, 'people')).toEqual(await bytes(ends.from, 'people'));
    const batches = await server.client
      .db(ends.to)
      .collection('lethe.batch')
      .find({ run: run.run })
      .toArray();
    expect(batches.reduce((sum, { rows }) => sum + Number(rows), 0)).toBe(400);
    // Some servers compare no UUID with other bytes: there the 300 are one batch.
    const compared = await source.countDocuments({ _id: { $gte: new Binary(Buffer.alloc(0), 0) } });
    const sizes = batches.map(({ rows }) => Number(rows));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(compared === 400 ? 100 : 300);
    expect(sizes.length).toBeGreaterThanOrEqual(compared === 400 ? 4 : 2);
  });

  test.each([
    ['that the server counts', undefined],
    ['that only the pass over them counts', 0],
  ])('is cut by a sample above so many documents %s', async (_, counted) => {
    const ends = newEnds();
    const source = server.client.db(ends.from).collection<{ _id: number; name: string }>('people');
    // So few that the sample holds all of them, and that the stand-in's `$sample` never fails: it sorts by dice.
    await source.insertMany(Array.from({ length: 20 }, (_, at) => ({ _id: at, name: `Ann ${at}` })));
    const job = mongoJob(`${JOB}concurrency: 1\nunlisted: keep\n`);
    const started = await startRun(job, ends);
    const [table] = started.plan.tables;
    const cut = await withEnds(ends, (from, to) =>
      cutCollection(
        {
          ...{ run: started.run, keys: jobKeys(KEY) },
          execution: { ...started.plan.execution, batchRows: 5 },
          table: { ...table!, rows: counted ?? table!.rows },
        },
        from,
        ledgerOf(to),
        10,
      ),
    );
    const borders = cut.map((partition) => rangeOf(jobKeys(KEY), partition).from);
    expect(borders.map((id) => id && idValue(id))).toEqual(
      [null, 5, 10, 15].map((id) => id && new Int32(id)),
    );
    // Where a batch ends is looked for as it begins.
    expect(cut.filter(({ cuts }) => cuts)).toEqual([]);
    const result = await loadDocuments(started.task, () => undefined, new AbortController().signal);
    expect(result).toMatchObject({ rows: 20, quarantined: 0 });
    expect((await endRun(job, ends, started)).filter(fails)).toEqual([]);
    expect(await bytes(ends.to, 'people')).toEqual(await bytes(ends.from, 'people'));
  });

  test('transforms fields, keys that arrays reference, and adds and drops fields', async () => {
    const ends = newEnds();
    const db = server.client.db(ends.from);
    await db
      .collection('accounts')
      .insertMany(
        Array.from({ length: 300 }, (_, at) => ({ account_id: new Int32(1_000 + at), limit: new Int32(at) })),
      );
    await db.collection('customers').insertMany(
      Array.from({ length: 100 }, (_, at) => ({
        username: `user${at}`,
        email: `user${at}@example.org`,
        secret: `s${at}`,
        accounts: [new Int32(1_000 + at), new Int32(1_100 + at)],
        tiers: { [`t${at}`]: { id: `t${at}`, active: true } },
      })),
    );
    // Where nothing stands, nothing is referenced.
    const odd: Document[] = [
      { username: 'a' },
      { username: 'b', accounts: null },
      { username: 'c', accounts: [] },
      { username: 'd', accounts: [null] },
    ];
    await db.collection('customers').insertMany(odd, { promoteValues: false } as object);
    await db.collection('accounts').createIndex({ account_id: 1 }, { unique: true });
    const job = mongoJob(`${JOB}
references: ["${ends.from}.customers.accounts[] -> ${ends.from}.accounts.account_id"]
collections:
  ${ends.from}.accounts: { fields: { account_id: permute, limit: keep } }
  ${ends.from}.customers:
    unlisted: keep
    fields:
      username: username
      email: email
      secret: drop
    derive: { digest: { from: secret, apply: hash } }
`);
    const run = await runJob(job, ends);
    expect(failed(run)).toEqual([]);
    const copy = server.client.db(ends.to);
    const accounts = await copy.collection('accounts').find().toArray();
    const customers = await copy
      .collection('customers')
      .find({ email: { $exists: true } })
      .toArray();
    const known = new Set(accounts.map(({ account_id }) => account_id));
    expect(known.size).toBe(300);
    expect(customers).toHaveLength(100);
    for (const customer of customers) {
      expect(customer.accounts.every((id: number) => known.has(id))).toBe(true);
      expect(customer.secret).toBeUndefined();
      expect(typeof customer.digest).toBe('string');
      expect(customer.email).not.toMatch(/^user\d+@example\.org$/);
    }
    expect([...known].some((id) => id >= 1_000 && id < 1_300)).toBe(false);
    expect((await copy.collection('accounts').indexes()).map(({ name }) => name)).toContain('account_id_1');
    expect(run.checks.find(({ name }) => name === 'constraints')?.message).toContain('200 references');

    const child = customers[3]!;
    await copy.collection('customers').updateOne({ _id: child._id }, { $set: { 'accounts.1': 5 } });
    await copy.collection('accounts').deleteOne({ account_id: customers[7]!.accounts[0] });
    // One value where others have an array of them.
    await copy.collection('customers').updateOne({ accounts: [] }, { $set: { accounts: 1_298 } });
    const again = (await checkAgain(job, ends, run)).filter(({ name }) => name === 'constraints');
    expect(again).toMatchObject([
      {
        ok: false,
        column: 'accounts[]',
        message: expect.stringMatching(
          /^3 of 201 references from .*customers.accounts\[\] to .*account_id lead/,
        ),
      },
    ]);
  });

  test('holds the documents that a filter takes, and a sample of them is transformed again', async () => {
    const ends = newEnds();
    const source = server.client.db(ends.from).collection<{ _id: number }>('users');
    const users = Array.from({ length: 40 }, (_, i) => ({
      _id: i,
      active: i % 2 === 0,
      mail: `u${i}@a.example`,
    }));
    await source.insertMany(users);
    const job = mongoJob(`${JOB}collections:
  ${ends.from}.users:
    where: { active: true }
    fields: { active: keep, mail: email }
`);
    const run = await runJob(job, ends);
    expect(failed(run)).toEqual([]);
    expect(run.rows).toBe(20);
    const told = (checks: typeof run.checks) => checks.find(({ name }) => name === 'recompute');
    expect(told(run.checks)?.message).toMatch(
      /^20 documents were transformed again and are there, byte for byte\./,
    );
    const copy = server.client.db(ends.to).collection<{ _id: number }>('users');
    await copy.updateOne({ _id: 4 }, { $set: { mail: 'nobody@b.example' } });
    const again = told(await checkAgain(job, ends, run));
    expect(again?.message).toMatch(/^1 of 20 documents/);
  });

  test('is searched for what its source knows of people, also when somebody changed it later', async () => {
    const ends = newEnds();
    const FIRST = ['Hildegard', 'Waltraud', 'Ekkehard', 'Gundolf'];
    const LAST = ['Brockdorff', 'Zwirnerlein', 'Quastenberg', 'Mühlenkamper'];
    const person = (at: number) => ({
      _id: at,
      first: FIRST[at % 4]!,
      last: LAST[Math.floor(at / 4) % 4]!,
      email: `somebody.${at}@marker-mail.example`,
      phones: [`+49 30 5550${String(at).padStart(4, '0')}99`],
      tiers: { [`key-of-person-${at}@marker-mail.example`]: { level: at % 3 } },
      note: `note ${at % 7}`,
      age: 20 + (at % 5),
    });
    await server.client
      .db(ends.from)
      .collection<Person>('people')
      .insertMany(Array.from({ length: 60 }, (_, at) => person(at)));
    const job = mongoJob(`${JOB}
checks:
  kAnonymity:
    - { table: ${ends.from}.people, columns: [age], k: 5 }
    - { table: ${ends.from}.people, columns: [age, note], k: 5, severity: warn }
    - { table: ${ends.from}.people, columns: [nothing], k: 2, severity: warn }
collections:
  ${ends.from}.people:
    fields:
      { first: firstName, last: lastName, email: email, phones: phone, 'tiers.*~': hash, tiers.*.level: keep,
        note: keep, age: keep }
`);
    const run = await runJob(job, ends);
    expect(failed(run)).toEqual([]);
    const named = (name: string) => run.checks.filter((check) => check.name === name);
    expect(named('k-anonymity').map(({ ok, observed }) => [ok, observed])).toEqual([
      [true, 12],
      [false, 1],
      [false, undefined],
    ]);
    expect(named('leak-scan')).toMatchObject([{ ok: true }]);
    expect(named('drift').map(({ ok }) => ok)).toEqual([true]);
    expect(named('residual').map(({ ok }) => ok)).toEqual([true]);

    const copy = server.client.db(ends.to).collection<Person>('people');
    const leaks: [string, Partial<Person>][] = [
      ['email', { email: person(1).email }],
      ['note', { note: `please call Somebody.2@MARKER-mail.example today` }],
      ['phones[]', { phones: ['0', person(3).phones[0]] }],
      ['note', { note: `${person(4).first} ${person(4).last} was here` }],
      ['tiers.*', { tiers: { 'key-of-person-5@marker-mail.example': { level: 1 } } }],
      ['note', { note: 'call 030 555 000699, or +4930 5550000699' }],
    ];
    for (const [at, [, change]] of leaks.entries()) await copy.updateOne({ _id: at + 1 }, { $set: change });
    const checks = await checkAgain(job, ends, run);
    const found = checks.filter(({ name, ok }) => name === 'leak-scan' && !ok);
    expect(new Set(found.map(({ table, column }) => `${table} ${column}`))).toEqual(
      new Set(['email', 'note', 'phones[]', 'tiers.*'].map((path) => `${ends.to}.people ${path}`)),
    );
    expect(found.reduce((sum, { observed = 0 }) => sum + observed, 0)).toBeGreaterThanOrEqual(6);
    expect(checks.find(({ name, ok }) => name === 'residual' && !ok)).toMatchObject({ column: 'note' });
    expect(JSON.stringify(checks)).not.toMatch(/arker|Brockdorff|5550/);

    // A sample of none is none, not the whole collection.
    const sizes = await withEnds(ends, async (source, destination) => {
      const of = { keys: jobKeys(KEY), run: run.run, ledger: ledgerOf(destination) };
      const counts = [0, 60].map(async (size) => {
        let documents = 0;
        for await (const chunk of sampledSource(source, of, run.plan.tables[0]!, size))
          documents += chunk.length;
        return documents;
      });
      return Promise.all(counts);
    });
    expect(sizes).toEqual([0, 60]);
  });

  test('refuses fields that nobody decided, and says how many documents it saw', async () => {
    const ends = newEnds();
    await server.client
      .db(ends.from)
      .collection('people')
      .insertMany([{ name: 'Ann' }, { name: 'Bob', hobby: { x: 'chess' } }]);
    const job = mongoJob(`${JOB}collections:\n  ${ends.from}.people: { fields: { name: fullName } }\n`);
    await expect(runJob(job, ends)).rejects.toThrow(/people\.hobby.* is decided by nobody \(\d documents/);
    const wrong = mongoJob(`${JOB}collections:
  ${ends.from}.people: { fields: { name: fullName, 'a..b': hash } }
  ${ends.from}.nobody: { fields: { a: hash } }
`);
    await expect(runJob(wrong, ends)).rejects.toThrow(
      /nobody is decided, but[\s\S]*a\.\.b: as a path it cannot be read/,
    );
  });

  test('a document that a rule refuses goes to quarantine, all others arrive', async () => {
    const ends = newEnds();
    const documents: Document[] = Array.from({ length: 400 }, (_, at) => ({ _id: at, n: 'fine' }));
    documents[390] = { _id: 390, n: 'fine', surprise: 'Ann Miller' };
    await server.client.db(ends.from).collection('people').insertMany(documents);
    const job = mongoJob(`${JOB}unlisted: keep
collections:
  ${ends.from}.people: { unlisted: block, fields: { n: keep } }
`);
    // The sample must not see it: the plan would refuse.
    await server.client
      .db(ends.from)
      .collection('people')
      .deleteOne({ _id: 390 as never });
    const started = await startRun(job, ends);
    await server.client
      .db(ends.from)
      .collection<Person>('people')
      .insertOne({ _id: 390, n: 'fine', surprise: 'Ann Miller' });
    const result = await loadDocuments(started.task, () => undefined, new AbortController().signal);
    expect(result).toMatchObject({ rows: 399, quarantined: 1 });
    expect((await endRun(job, ends, started)).filter(fails)).toEqual([]);
    const [entry] = await server.client
      .db(ends.to)
      .collection('lethe.quarantine')
      .find({ run: started.run })
      .toArray();
    expect(entry).toMatchObject({ code: 'transformer' });
    expect(JSON.stringify(entry)).not.toContain('Miller');
    expect(await server.client.db(ends.to).collection('people').countDocuments()).toBe(399);
  });

  test.each([
    [
      "{ fields: { '*': { retain: ip } } }",
      '',
      'unproved-unique',
      /index email_1: \* \(retain\) may collide/,
    ],
    [
      "{ fields: { '*': { retain: ip }, email: keep } }",
      'accounts',
      'sealed-reference',
      /equal values become/,
    ],
    ['{ unlisted: keep, fields: { _id: { retain: ip } } }', '', 'sealed-id', /known by its _id/],
  ])('is not planned where %s seals what has to stay comparable', async (rules, list, code, message) => {
    const ends = newEnds();
    const from = server.client.db(ends.from);
    await from.collection('people').insertOne({ email: 'ann@shop.test', accounts: [1] });
    await from.collection('people').createIndex({ email: 1 }, { unique: true });
    await from.collection('accounts').insertOne({ number: 1 });
    const text =
      `${JOB}retention: ./r.yaml\ncollections:\n  ${ends.from}.people: ${rules}\n` +
      `  ${ends.from}.accounts: { unlisted: keep }\n` +
      (list === '' ? '' : `references: ["${ends.from}.people.${list}[] -> ${ends.from}.accounts.number"]\n`);
    const job = withRetentionText(mongoJob(text), {
      name: 'r.yaml',
      text:
        'retention:\n  stores: { main: { postgres: env:K, masters: { env: M }, signing: env:G } }\n' +
        '  policies: [{ id: ip, window: 30 }]\n',
    });
    const { plan } = await withEnds(ends, (source, destination) => planDocuments(job, source, destination));
    expect(plan.findings).toContainEqual(
      expect.objectContaining({ level: 'refusal', code, message: expect.stringMatching(message) }),
    );
  });

  test('never writes a database that it reads, nor one that nobody claimed', async () => {
    const ends = newEnds();
    await server.client.db(ends.from).collection('people').insertOne({ name: 'Ann' });
    const job = mongoJob(`${JOB}unlisted: keep\n`);
    await expect(runJob(job, { ...ends, destinationUrl: ends.sourceUrl })).rejects.toMatchObject({
      type: 'DestinationIsSource',
    });
    await server.client.db(ends.to).collection('people').insertOne({ name: 'somebody else' });
    await expect(runJob(job, ends)).rejects.toMatchObject({ type: 'DestinationUnclaimed' });
    expect(await server.client.db(ends.to).collection('people').countDocuments()).toBe(1);
  });

  test('upsert replaces by _id and leaves what it does not know', async () => {
    const ends = newEnds();
    const source = server.client.db(ends.from).collection<Person>('people');
    await source.insertMany([
      { _id: 1, name: 'Ann' },
      { _id: 2, name: 'Bob' },
    ]);
    const job = mongoJob(`
source: { mongodb: env:SOURCE }
destination: { mongodb: env:DESTINATION, mode: upsert }
collections:
  ${ends.from}.people: { fields: { name: firstName } }
`);
    const first = await runJob(job, ends);
    expect(failed(first)).toEqual([]);
    const copy = server.client.db(ends.to).collection<Person>('people');
    await copy.insertOne({ _id: 99, name: 'kept' });
    await source.updateOne({ _id: 2 }, { $set: { name: 'Carla' } });
    const before = await copy.findOne({ _id: 2 });
    const second = await runJob(job, ends);
    expect(failed(second)).toEqual([]);
    expect(await copy.countDocuments()).toBe(3);
    expect((await copy.findOne({ _id: 2 }))?.name).not.toBe(before?.name);
    expect((await copy.findOne({ _id: 99 }))?.name).toBe('kept');
  });
});

const data = sharedData('restaurant.json');
describeUnless(data.missing, 'public data sets', () => {
  const job = (ends: { from: string }, more = '') =>
    mongoJob(`${JOB}${more}
batchRows: 500
collections:
  ${ends.from}.restaurants:
    unlisted: keep
    fields: { name: company, address: { types: { string: street, int: permute } }, postcode: postalCode, URL: hash, _id: permute }
  ${ends.from}.students: { fields: { _id: permute, name: fullName, scores: keep } }
`);
  const load = async (ends: { from: string }) => {
    await insertLines(data.path, ends.from, 'restaurants');
    await insertLines(sharedData('students.json').path, ends.from, 'students');
  };

  test('are copied whole, without a leak, the same in every run of the job', async () => {
    const ends = newEnds();
    await load(ends);
    const one = await runJob(job(ends), ends);
    expect(failed(one)).toEqual([]);
    expect(one).toMatchObject({ rows: 2_748, quarantined: 0 });
    const [restaurants, students] = [await bytes(ends.to, 'restaurants'), await bytes(ends.to, 'students')];
    expect([restaurants.length, students.length]).toEqual([2_548, 200]);
    const text = Buffer.concat([...restaurants, ...students]).toString('latin1');
    expect(text).not.toContain('just-eat.co.uk');
    expect(text).not.toContain('Aurelia Menendez');
    const two = await runJob(job(ends), ends);
    expect(failed(two)).toEqual([]);
    expect(await bytes(ends.to, 'restaurants')).toEqual(restaurants);
    expect(await bytes(ends.to, 'students')).toEqual(students);
  });

  test('cannot be linked between runs where the job says so', async () => {
    const ends = newEnds();
    await load(ends);
    const unlinkable = job(ends, 'consistency: run');
    await runJob(unlinkable, ends);
    const names = async () =>
      new Set(
        (await server.client.db(ends.to).collection('restaurants').find().toArray()).map(({ _id }) =>
          String(_id),
        ),
      );
    const first = await names();
    await runJob(unlinkable, ends);
    const second = await names();
    expect(second.size).toBe(2_548);
    expect([...second].filter((id) => first.has(id))).toEqual([]);
  });
});
