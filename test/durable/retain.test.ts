import { createHash, randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Decimal128, type Document, Double, Int32, Long } from 'mongodb';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.js';
import { openingOf, sealingOf } from '../../activities/sealing.js';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { withCheckedDestination } from '../../cli/validations.js';
import { LetheError } from '../../errors/errors.js';
import { parseJob } from '../../job/load.js';
import { resolveReference } from '../../job/references.js';
import { Findings } from '../../ledger/audit/findings.js';
import { fails, warns } from '../../ledger/checks.js';
import type { BatchRecord } from '../../ledger/records.js';
import type { Pins } from '../../ledger/types.js';
import { auditDocumentSample } from '../../mongo/audit.js';
import { readLedgerOf } from '../../mongo/ledger/records.js';
import { readPins } from '../../mongo/ledger/runs.js';
import { ledgerOf } from '../../mongo/ledger/store.js';
import { copyOut } from '../../postgres/copy/out.js';
import { openRings } from '../../postgres/retention/index.js';
import { query } from '../../postgres/session.js';
import { judgeSealed } from '../../quality/judgeSealed.js';
import { settingsOf } from '../../quality/run.js';
import { type InspectTask, inspectRun } from '../../quality/task.js';
import { addDays, dayAt } from '../../retention/token/day.js';
import { revealObjects } from '../../retention/token/objects.js';
import { Revealer } from '../../retention/token/revealer.js';
import { Keyring } from '../../retention/token/ring.js';
import { revealTexts } from '../../retention/token/text.js';
import { withEnds } from '../engine/mongo-fixture.js';
import { mongo } from '../harness/servers.js';
import { expectWholeLedger } from './compare.js';
import {
  ask,
  committed,
  type Ends,
  failureOf,
  inside,
  openStage,
  runOf,
  type Stage,
  until,
} from './fixture.js';
import { WorkerProcess } from './processes.js';
import { replay } from './replay-fixture.js';
import { type RetainScene, retainScene } from './retain-fixture.js';
import { historiesOf } from './secrets.js';
import { whileCopyWaits } from './stuck.js';

const ROWS = 4_000;
/** Days before today: of policy `ip`, those from the 30th on are over. Midnight may pass while a test goes on. */
const AGE = 'CASE WHEN i % 40 < 26 THEN i % 40 ELSE i % 40 + 10 END';
const ADDRESS = `'10.' || 100 + i % 100 || '.' || 10 + i / 256 || '.' || 100 + i % 128`;
const PLAIN = '10\\.1\\d\\d\\.\\d+\\.\\d+';

const SCHEMA = [
  'CREATE TABLE public.event (id int PRIMARY KEY, at timestamptz, ip varchar(45), line text, prefs jsonb, note text)',
];
const fill = (rows: number) => [
  `INSERT INTO public.event SELECT i, date_trunc('day', now(), 'UTC') - make_interval(days => ${AGE}),
     CASE WHEN i % 7 > 0 THEN ${ADDRESS} END, 'GET /' || i || ' from ' || ${ADDRESS} || ' in 3 ms',
     jsonb_build_object('client', jsonb_build_object('ip', ${ADDRESS}), 'n', i), 'plain note ' || i
   FROM generate_series(1, ${rows}) AS i`,
];
const FILL = fill(ROWS);
const THERE = ['ALTER TABLE public.event ALTER COLUMN ip TYPE text'];
const RULES = `batchRows: 500
tables:
  public.event:
    columns:
      id: keep
      at: keep
      note: keep
      ip: { retain: { policy: ip, date: at } }
      line: { retain: { policy: us, pattern: ipv4 } }
      prefs: { json: { "$.client.ip": { retain: { policy: nu, date: at } }, "$.n": keep } }
`;

interface Row {
  readonly id: string;
  readonly at: string;
  readonly ip: string | null;
  readonly line: string;
  readonly prefs: string;
}

const rowsOf = (side: { readonly url: string }) =>
  ask(
    side,
    `SELECT id, to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS at, ip, line, prefs::text FROM public.event ORDER BY id`,
  ) as unknown as Promise<Row[]>;

/** The tables as who has all keys reads them. */
async function readBack(scene: RetainScene): Promise<Row[]> {
  const keyring = new Keyring(await scene.source.rings());
  const rows = await rowsOf(scene.ends.destination);
  const read = (of: (row: Row) => string | null, context = '') =>
    revealTexts(new Revealer(keyring, context), rows.map(of));
  const [ip, line, prefs] = [
    read((row) => row.ip),
    read((row) => row.line, 'lines'),
    read((row) => row.prefs),
  ];
  return rows.map((row, i) => ({ ...row, ip: ip[i]!, line: line[i]!, prefs: prefs[i]! }));
}

/** What a reader must find of the source: the oldest days are over. */
async function expected(ends: Ends): Promise<Row[]> {
  const first = addDays(dayAt(Date.now()), -29);
  return (await rowsOf(ends.source)).map((row) =>
    row.at >= first
      ? row
      : { ...row, ip: row.ip && '[expired]', prefs: row.prefs.replace(/"10\.[\d.]+"/, 'null') },
  );
}

let stage: Stage;
let scene: RetainScene;
beforeAll(async () => {
  [stage, scene] = await Promise.all([openStage(), retainScene(SCHEMA, FILL, THERE)]);
});
afterAll(async () => {
  await stage?.stop();
  await scene?.end();
});

describe('a sync that seals', () => {
  it('leaves tokens that read back under their keys, and without keys nothing', async () => {
    const { ends } = scene;
    const { run, verdict } = await (await stage.start('events', { file: scene.job(RULES) })).result();
    expect(verdict.checks.filter(({ ok }) => !ok)).toEqual([]);
    expect(verdict).toMatchObject({ ok: true, rows: ROWS, quarantined: [] });
    const told = verdict.checks.find(({ name }) => name === 'sealed')!;
    expect(told.message).toMatch(/values in 3 sealed columns .* were opened, and hold what the source does/);
    expect(Number(/(\d+) were opened/.exec(told.message)![1])).toBeGreaterThan(1_000);
    await expectWholeLedger(ends, run);

    expect(await readBack(scene)).toEqual(await expected(ends));
    const [plain] = await ask(
      ends.destination,
      `SELECT count(*) AS n FROM public.event AS e WHERE e::text ~ '${PLAIN}'`,
    );
    expect(plain?.n).toBe('0');
    const nobody = new Revealer(new Keyring([]));
    const tokens = (await rowsOf(ends.destination)).flatMap(({ ip }) => (ip?.startsWith('lt1.') ? [ip] : []));
    expect(tokens.length).toBeGreaterThan(ROWS / 2);
    expect(new Set(nobody.openAll(tokens).map(({ outcome }) => outcome))).toEqual(new Set(['noKey']));

    const [pins] = await ask(
      ends.destination,
      `SELECT pins -> 'retention' ->> 'hash' AS hash FROM lethe.run`,
    );
    expect(pins?.hash).toBe(createHash('sha256').update(scene.text).digest('hex'));
    expect(await committedDigests(ends)).toEqual(await ledgerDigests(ends));
  });

  it('leaves no value and no key in the histories', async () => {
    const rings = await scene.source.rings();
    const keys = rings.flatMap((ring) => [...ring.keys.values()].map((key) => Buffer.from(key)));
    for (const text of await historiesOf(stage)) {
      expect(text).not.toMatch(new RegExp(PLAIN));
      for (const key of keys) {
        expect(text).not.toContain(key.toString('base64url').slice(0, 40));
        expect(text).not.toContain(key.toString('hex').slice(0, 60));
      }
    }
  });

  it('compares what it finds with what it sealed, and tells rows that hold something else', async () => {
    const { ends } = scene;
    const [row] = await ask(ends.destination, 'SELECT run, pins FROM lethe.run');
    const pins = JSON.parse(row!.pins!) as Pins;
    const run = (statements: readonly string[]) =>
      inside(ends.destination, async (session) => {
        for (const statement of statements) await query(session, statement);
      });
    const judged = async (keys: boolean) => {
      const deps = { resolve: resolveReference } as Dependencies;
      const { sealed } = await openingOf(keys ? resolveReference : unknown, pins);
      const task: InspectTask = {
        ...{ run: row!.run!, applicationName: 'test', plan: pins.plan, runTime: pins.runTime, unsteady: [] },
        ...{ source: { url: ends.source.url }, destination: { url: ends.destination.url }, snapshots: 'now' },
        ...{ jobKey: parseJobKey(ends.key), settings: settingsOf(pins.plan), written: [[1, ROWS]] },
        ...(keys && (await sealingOf(deps, pins))),
        ...sealed,
      };
      const inspection = await inspectRun(task, () => undefined, new AbortController().signal);
      const checks = judgeSealed('fail', inspection, () => 'event');
      return {
        differing: inspection.recomputed.map((table) => table.differing),
        failed: checks.filter(fails).map(({ column, observed }) => [column, observed]),
        warned: checks.filter(warns).map(({ message }) => message),
      };
    };
    const unknown = () => Promise.reject(new LetheError('ReferenceUnresolved', 'There is no such variable.'));
    expect(await judged(true)).toEqual({ differing: [{}], failed: [], warned: [] });
    expect(await judged(false)).toMatchObject({
      failed: [],
      warned: [expect.stringMatching(/None was opened.*not at hand here\. There is no such variable/)],
    });
    const header = (from: string, to: string, id: number) =>
      `UPDATE public.event SET ip = regexp_replace(ip, '${from}', '${to}') WHERE id = ${id} AND ip ~ '${from}'`;
    await run([
      // Plain text, a token of another value, and nothing.
      `UPDATE public.event SET line = 'GET /17 from 10.117.10.117 in 3 ms' WHERE id = 17`,
      'UPDATE public.event SET ip = (SELECT ip FROM public.event WHERE id = 41) WHERE id = 1',
      'UPDATE public.event SET ip = NULL WHERE id = 2',
      // What only looks right: wrong letters, no day, a day to come, another policy; plain leaves of documents.
      `UPDATE public.event SET ip = '10.1.2.3' WHERE id = 81`,
      `UPDATE public.event SET ip = 'see ' || ip WHERE id = 82`,
      header('ip[0-9]{6}', 'ip260231', 83),
      header('ip[0-9]{6}', 'ip990101', 85),
      header('ip([0-9]{6})', 'us\\1', 86),
      `UPDATE public.event SET prefs = jsonb_set(prefs, '{client,ip}', '"10.1.2.3"') WHERE id = 81`,
      `UPDATE public.event SET prefs = jsonb_set(prefs, '{client,ip}', '7') WHERE id = 82`,
      `UPDATE public.event SET line = line || ' via 10.1.2.3, ' || ip WHERE id = 83`,
    ]);
    const told = await judged(true);
    expect(told.differing).toEqual([{ ip: 7, line: 2, prefs: 2 }]);
    expect(told.failed).toEqual([
      ['ip', 2],
      ['ip', 2],
      ['line', 2],
      ['prefs', 2],
    ]);
    expect(told.warned).toEqual([
      expect.stringMatching(/^1 of \d+ values of event\.ip are tokens of a policy/),
    ]);
    expect(JSON.stringify(told)).not.toMatch(new RegExp(PLAIN.replaceAll('\\\\', '\\')));
  });
});

describe('a sync of documents that seals', () => {
  const EVENTS = 120;
  const today = dayAt(Date.now());
  const oldest = addDays(today, -29);
  const dayOf = (i: number) => addDays(today, -(i % 40 < 26 ? i % 40 : (i % 40) + 10));
  const event = (i: number) => ({
    _id: i,
    at: new Date(`${dayOf(i)}T08:00:00Z`),
    tenant: i % 3 === 0 ? 'lines' : 'other',
    ...(i % 7 > 0 && { ip: `10.1.0.${i}` }),
    line: `GET /${i} from 10.2.0.${i} in 3 ms`,
    mail: `person${i}@marker.example`,
    hops: [{ ip: `10.3.0.${i}`, ms: i }, { ip: null }],
    client: {
      name: `agent ${i}`,
      port: new Int32(i),
      load: new Double(i + 0.25),
      seen: Long.fromNumber(i),
      big: Long.fromString('9007199254740993'),
      ok: i % 2 === 0,
      cost: Decimal128.fromString('1.10'),
      tags: [`tag ${i}`],
    },
  });
  const FIELDS = `
      at: keep
      tenant: keep
      ip: { retain: { policy: ip, date: at } }
      line: { retain: { policy: us, pattern: ipv4 } }
      mail: drop
      hops[].ip: { retain: { policy: nu, date: at } }
      hops[].ms: keep
      client: { retain: { policy: { by: tenant, map: { lines: us }, default: ip } } }
      client.name: keep`;
  /** What a reader must find of it. */
  const readable = (i: number) => {
    const { mail, ...rest } = event(i);
    const over = dayOf(i) < oldest;
    const { name, port, load, seen, big, ok, cost, tags } = rest.client;
    return {
      ...rest,
      ...(rest.ip !== undefined && over && { ip: '[expired]' }),
      hops: [{ ip: over ? null : `10.3.0.${i}`, ms: i }, { ip: null }],
      client: {
        ...{ name, port: port.value, load: load.value, seen: Number(seen), big: String(big) },
        ...{ ok, cost: String(cost), tags },
      },
      sealedMail: mail,
    };
  };
  const PLAIN_MAIL = /10\.[123]\.0\.|marker\.example/;

  it('leaves tokens that read back, of any type and depth; a replay seals what waited, and the checks look at it all', async () => {
    const server = await mongo();
    onTestFinished(() => server.close());
    const [from, to] = [server.database('events'), server.database('copy')];
    const events = (database: string) => server.client.db(database).collection<{ _id: number }>('event');
    await events(from).insertMany(Array.from({ length: EVENTS }, (_, i) => event(i)));
    await events(from).updateOne({ _id: 5 }, { $unset: { at: '' } });
    const id = randomUUID().replaceAll('-', '').toUpperCase();
    const env = { [`S_${id}`]: server.url(from), [`D_${id}`]: server.url(to), [`K_${id}`]: scene.ends.key };
    Object.assign(process.env, env);
    const text = `job: documents
source: { mongodb: env:S_${id} }
destination: { mongodb: env:D_${id} }
key: env:K_${id}
retention: ./retention.yaml
batchRows: 100
onFailure: { quarantine: 10 }
collections:
  ${from}.event:
    fields: ${FIELDS}
    derive: { sealedMail: { from: mail, apply: { retain: us } } }
`;
    const file = { name: 'documents.yaml', text, retention: { name: 'retention.yaml', text: scene.text } };
    const handle = await stage.start('documents', { file });
    const { type, message } = await failureOf(handle);
    expect({ type, message }).toMatchObject({ type: 'RowsQuarantined' });
    const run = await runOf(handle);
    const ledger = (name: string) => server.client.db(to).collection(`lethe.${name}`);
    const [waiting] = await ledger('quarantine').find({}).toArray();
    expect(waiting?.message).toMatch(/^ip: .*has no day/);

    await events(from).updateOne({ _id: 5 }, { $set: { at: event(5).at } });
    const { verdict, replayed } = await (await replay(stage, run, { file })).result();
    expect(replayed).toEqual({ copied: 1, gone: 0 });
    expect(verdict).toMatchObject({ ok: true, rows: EVENTS });
    expect(verdict.checks.filter(({ ok }) => !ok)).toEqual([]);
    const told = verdict.checks.find(({ name }) => name === 'sealed')!;
    expect(told.message).toMatch(/values in 6 sealed fields .* were opened, and hold what the source does/);
    expect(Number(/(\d+) were opened/.exec(told.message)![1])).toBeGreaterThan(8 * EVENTS);

    const folder = await mkdtemp(join(tmpdir(), 'lethe-rings-'));
    await writeFile(join(folder, 'retention.yaml'), scene.text);
    const source = await openRings(join(folder, 'retention.yaml'));
    const keyring = new Keyring(await source.rings());
    await Promise.all([source.close(), rm(folder, { recursive: true })]);
    const copied = await events(to).find({}, { promoteValues: true }).sort({ _id: 1 }).toArray();
    expect(JSON.stringify(copied)).not.toMatch(PLAIN_MAIL);
    // What no field dates is of the run's day, also what a replay copied.
    const dated = [5, 8].map((_id) => String((copied[_id] as Document).client.port).slice(0, 12));
    expect(dated[0]).toMatch(/^lt1\.ip/);
    expect(dated[0]).toBe(dated[1]);
    const read = (objects: Document[], context: string, takes: (policy: string) => boolean) =>
      revealObjects(new Revealer(keyring, context), objects, { takes });
    const revealed = read(
      read(copied, '', (policy) => policy !== 'us'),
      'lines',
      (policy) => policy === 'us',
    );
    expect(revealed).toEqual(Array.from({ length: EVENTS }, (_, i) => readable(i)));

    const { job } = parseJob(text, 'documents.yaml');
    const check = async () =>
      (await withCheckedDestination(job!, async (ended) => {
        const [row] = await ended.runs();
        return ended.check(row!, { report: () => undefined, signal: new AbortController().signal });
      }))!;
    expect((await check()).filter(fails)).toEqual([]);
    const change = (_id: number, set: object) => events(to).updateOne({ _id }, { $set: set });
    const tokenOf = (_id: number) => String((copied as Document[]).find((one) => one._id === _id)!.ip);
    await change(41, { ip: '10.1.0.41' });
    await change(42, { 'client.port': new Int32(42) });
    await change(43, { line: 'GET /43 from 10.2.0.43 in 3 ms' });
    await change(44, { ip: tokenOf(44).replace('ip', 'us') });
    await change(45, { 'client.tags.0': tokenOf(45) });
    const found = await check();
    const sealed = found.filter(({ name }) => name === 'sealed');
    expect(sealed.filter(fails).map(({ column, observed }) => [column, observed])).toEqual([
      ['client.*', 1],
      ['ip', 1],
      ['line', 1],
    ]);
    expect(sealed.filter(warns).map(({ column }) => column)).toEqual(['ip']);
    // A token of another value is found where both are opened.
    expect(found.find(({ name, ok }) => name === 'recompute' && !ok)?.message).toMatch(
      /^[45] of 120 documents/,
    );
    expect(JSON.stringify(found)).not.toMatch(PLAIN_MAIL);

    const audited = await withEnds(
      { sourceUrl: server.url(from), destinationUrl: server.url(to) },
      async (_, destination) => {
        const findings = new Findings();
        const batches: BatchRecord[] = [];
        for await (const batch of (await readLedgerOf(ledgerOf(destination), run)).batches)
          if (batch.facts.bounds !== '') batches.push(batch);
        await auditDocumentSample(
          {
            ...{
              run,
              keys: jobKeys(parseJobKey(scene.ends.key)),
              source: { url: server.url(from), elsewhere: false },
            },
            pins: [await readPins(ledgerOf(destination), run)],
            batches,
            evidence: async () => undefined,
          },
          findings,
        );
        return findings.list();
      },
    );
    expect(audited).toMatchObject([
      // The document that was mended.
      { kind: 'changed', message: expect.stringContaining('Batch 0') },
      { kind: 'unchecked', message: expect.stringContaining('has sealed fields') },
    ]);
  });
});

it('a row without a date goes to quarantine, and nothing of it is copied', async () => {
  const own = await retainScene(
    SCHEMA,
    [
      ...FILL,
      'UPDATE public.event SET at = NULL WHERE id = 5',
      `UPDATE public.event SET at = now() + interval '10 days' WHERE id = 6`,
    ],
    THERE,
  );
  const failure = await failureOf(await stage.start('events', { file: own.job(RULES) }));
  expect(failure.type).toBe('RowsQuarantined');
  const reasons = await ask(own.ends.destination, 'SELECT message FROM lethe.quarantine');
  expect(reasons).toHaveLength(2);
  for (const { message } of reasons) expect(message).toMatch(/has no day|has no key for the day of the row/);
  const there = await ask(own.ends.destination, 'SELECT id FROM public.event WHERE id IN (5, 6, 8)');
  expect(there).toEqual([{ id: '8' }]);
  await own.end();
});

it('without a key store nothing is copied', async () => {
  const own = await retainScene(SCHEMA, FILL, THERE);
  await inside(own.keys, (session) => session.client.query('DROP SCHEMA lethe_keys CASCADE'));
  const failure = await failureOf(await stage.start('events', { file: own.job(RULES) }));
  expect(failure.type).toBe('ObjectMissing');
  expect(await ask(own.ends.destination, 'SELECT count(*) AS n FROM public.event')).toEqual([{ n: '0' }]);
  await own.end();
});

it('workers that are killed while they seal leave what a calm run does', async () => {
  const own = await retainScene(SCHEMA, fill(12_000), THERE);
  const far = await openStage({ worker: false });
  const spawn = () => new WorkerProcess(far, own.ends, { env: { ...own.env } });
  const first = spawn();
  await first.ready();
  const rules = RULES.replace('batchRows: 500', 'batchRows: 100\nconcurrency: 1');
  const handle = await far.start('events', { file: own.job(rules), tuning: { heartbeatSeconds: 3 } });
  const result = handle.result();
  result.catch(() => undefined);
  await until('rows move', async () => (await committed(own.ends)) > 0);
  const second = await whileCopyWaits(
    own.ends.destination,
    async () => {
      await first.kill();
      return spawn();
    },
    'public.event',
  );
  const { run, verdict } = await result;
  expect(verdict.ok).toBe(true);
  await expectWholeLedger(own.ends, run);
  expect(await readBack(own)).toEqual(await expected(own.ends));
  expect(await committedDigests(own.ends)).toEqual(await ledgerDigests(own.ends));
  const [again] = await ask(own.ends.destination, 'SELECT count(*) AS n FROM lethe.batch WHERE attempt > 1');
  expect(Number(again?.n)).toBeGreaterThan(0);
  for (const { log } of [first, second]) expect(log).not.toMatch(new RegExp(PLAIN));
  await second.stop();
  await far.stop();
  await own.end();
});

/** Digests of the batches as they are in the destination: batches are ranges of the key, one after the other. */
async function committedDigests(ends: Ends): Promise<string[]> {
  return inside(ends.destination, async (session) => {
    const batches = await ask(
      ends.destination,
      `SELECT rows, sum(rows) OVER (ORDER BY partition, batch) AS upto FROM lethe.batch ORDER BY partition, batch`,
    );
    const digests: string[] = [];
    for (const { rows, upto } of batches) {
      const hash = createHash('sha256');
      const part = `SELECT ip, line, prefs, at, id, note FROM public.event ORDER BY id OFFSET ${Number(upto) - Number(rows)} LIMIT ${rows}`;
      const reader = copyOut(session, `COPY (${part}) TO STDOUT`);
      for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
        hash.update(chunk.bytes);
        reader.release(chunk);
      }
      digests.push(hash.digest('hex'));
    }
    return digests;
  });
}

async function ledgerDigests(ends: Ends): Promise<string[]> {
  const rows = await ask(ends.destination, 'SELECT output_digest FROM lethe.batch ORDER BY partition, batch');
  return rows.map((row) => row.output_digest!);
}
