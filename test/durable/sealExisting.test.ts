import { randomUUID } from 'node:crypto';
import { WorkflowFailedError } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SealInput } from '../../activities/sealTypes.js';
import { resolveReference } from '../../job/references.js';
import { parseRetention } from '../../job/retention/load.js';
import { openKeyStore } from '../../postgres/keystore/open.js';
import { query, type Session } from '../../postgres/session.js';
import { Revealer } from '../../retention/token/revealer.js';
import { Keyring } from '../../retention/token/ring.js';
import { revealTexts } from '../../retention/token/text.js';
import { startSeal } from '../../workers/seals.js';
import type { sealExisting } from '../../workflows/sealExisting.js';
import { ask, inside, openStage, type Stage, until } from './fixture.js';
import { WorkerProcess } from './processes.js';
import { type RetainScene, retainScene } from './retain-fixture.js';
import { historiesOf } from './secrets.js';

const PLAIN = /10\.1\d\d\.\d+\.\d+/;
const ROWS = 3_000;
/** Days before today; of policy `ip`, those from the 30th on are over, and midnight may pass. */
const AGE = 'CASE WHEN i % 40 < 26 THEN i % 40 ELSE i % 40 + 10 END';
const EXPIRED = 2 * (ROWS / 40) * 14;
const SCHEMA = ['CREATE TABLE public.event (id int PRIMARY KEY, at date, ip text, line text, pad text)'];
const fill = (rows = ROWS) => [
  `INSERT INTO public.event SELECT i, current_date - (${AGE}),
     '10.' || 100 + i % 100 || '.' || i / 250 || '.' || i % 250, 'GET /' || i || ' from 10.199.' || i / 250 || '.' || i % 250,
     repeat('x', 400) FROM generate_series(1, ${rows}) AS i`,
];
const TABLES = `  tables:
    public.event:
      date: at
      columns:
        ip: { policy: ip }
        line: { policy: ip, pattern: ipv4, context: lines }
`;

let stage: Stage;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => {
  await stage.stop();
});

const scene = (rows?: number) => retainScene(SCHEMA, fill(rows), [], TABLES);

function input({ text, ends }: RetainScene, more: SealInput = {}): SealInput {
  return { file: { name: 'retention.yaml', text }, database: ends.references.source, ...more };
}

async function seal(own: RetainScene, more?: SealInput) {
  return (await startSeal(stage.client, input(own, more), stage.taskQueue)).result();
}

async function failure(
  own: RetainScene,
  more?: SealInput,
): Promise<{ type?: string | null; message: string }> {
  const error = await seal(own, more).catch((thrown: unknown) => thrown);
  if (!(error instanceof WorkflowFailedError) || !(error.cause instanceof ApplicationFailure)) throw error;
  return { type: error.cause.type, message: error.cause.message };
}

async function rowsOf(
  own: RetainScene,
): Promise<{ plain: number; ip: (string | null)[]; line: (string | null)[] }> {
  const rows = await ask(own.ends.source, 'SELECT ip, line FROM public.event ORDER BY id');
  const keyring = new Keyring(await own.source.rings());
  const read = (values: (string | null)[], context = '') =>
    revealTexts(new Revealer(keyring, context), values);
  return {
    plain: rows.filter(({ ip, line }) => PLAIN.test(`${ip} ${line}`)).length,
    ip: read(rows.map(({ ip }) => ip!)),
    line: read(
      rows.map(({ line }) => line!),
      'lines',
    ),
  };
}

it('seals a live table in place, counts before, and tells what it leaves', async () => {
  const own = await scene();
  const before = await rowsOf(own);
  const [dry] = await seal(own, { dryRun: true });
  expect(dry!.columns.ip).toMatchObject({ sealed: ROWS - EXPIRED / 2, expired: EXPIRED / 2 });
  expect(dry!.end).toBeUndefined();
  expect((await rowsOf(own)).plain).toBe(ROWS);

  const [done] = await seal(own);
  expect(done!.columns.ip).toMatchObject({ sealed: ROWS - EXPIRED / 2, redacted: 0, expired: EXPIRED / 2 });
  expect(done!.end).toMatchObject({ rewritten: true });
  const sealed = await rowsOf(own);
  expect(sealed).toEqual({ ...before, plain: EXPIRED / 2 });

  const wrong = await failure(own, { redactExpired: EXPIRED - 1 });
  expect(wrong).toMatchObject({
    type: 'Unconfirmed',
    message: expect.stringContaining(`--redact-expired ${EXPIRED}`),
  });
  expect((await rowsOf(own)).plain).toBe(EXPIRED / 2);
  const [redacted] = await seal(own, { redactExpired: EXPIRED });
  expect(redacted!.columns.ip).toMatchObject({ sealed: 0, redacted: EXPIRED / 2, expired: 0 });
  expect(redacted!.end).toMatchObject({ rewritten: true, found: 0 });
  expect((await rowsOf(own)).plain).toBe(0);
  for (const text of await historiesOf(stage)) expect(text).not.toMatch(PLAIN);
  await own.end();
});

it('never replaces a value of a day that a legal hold keeps', async () => {
  const own = await scene();
  const [days] = await ask(
    own.ends.source,
    'SELECT min(at)::text AS from, (min(at) + 6)::text AS to FROM public.event',
  );
  const { retention } = parseRetention(own.text, 'retention.yaml');
  const store = await openKeyStore(retention!, 'main', resolveReference);
  const { hold } = await store.hold({
    ...{ policy: 'ip', from: days!.from!, to: days!.to! },
    ...{ actor: 'officer', reason: 'case 1' },
  });
  const [dry] = await seal(own, { dryRun: true });
  expect(dry!.columns.ip).toMatchObject({ expired: EXPIRED / 4, held: EXPIRED / 4 });
  const wrong = await failure(own, { redactExpired: EXPIRED });
  expect(wrong).toMatchObject({ type: 'Unconfirmed' });
  const [done] = await seal(own, { redactExpired: EXPIRED / 2, skipRewrite: true });
  expect(done!.columns.ip).toMatchObject({ redacted: EXPIRED / 4, expired: 0, held: EXPIRED / 4 });
  expect((await rowsOf(own)).plain).toBe(EXPIRED / 4);
  await store.release(hold, 'officer');
  const [after] = await seal(own, { redactExpired: EXPIRED / 2, skipRewrite: true });
  expect(after!.columns.ip).toMatchObject({ redacted: EXPIRED / 4, held: 0 });
  expect((await rowsOf(own)).plain).toBe(0);
  await own.end();
});

it('refuses what may keep plain values, until each is accepted by its name', async () => {
  const own = await scene(100);
  await inside(own.ends.source, async (session) => {
    await query(session, 'CREATE MATERIALIZED VIEW public.report AS SELECT ip FROM public.event');
  });
  const refused = await failure(own);
  expect(refused).toMatchObject({
    type: 'RetentionInvalid',
    message: expect.stringMatching(/materialized view public\.report/),
  });
  expect((await rowsOf(own)).plain).toBe(100);
  const [done] = await seal(own, { accept: ['materialized view public.report'], skipRewrite: true });
  expect(done).toMatchObject({ end: { rewritten: false } });
  expect(done!.columns.ip!.sealed).toBeGreaterThan(0);
  const mistake = await stage.client.workflow
    .execute<typeof sealExisting>('sealExisting', {
      taskQueue: stage.taskQueue,
      workflowId: randomUUID(),
      args: [{ table: 'x', redactExpired: '7' } as unknown as SealInput],
    })
    .catch((thrown: WorkflowFailedError) => (thrown.cause as ApplicationFailure).message);
  expect(mistake).toMatch(/unknown field "table"; "redactExpired" must be the number/);
  await own.end();
});

/** Values in the first pages of a table only; the other pages are there to be read. */
const NARROW = [
  `INSERT INTO public.event SELECT i, current_date, CASE WHEN i <= 500 THEN '10.101.0.' || i % 250 END, 'GET /', repeat('x', 400)
     FROM generate_series(1, ${ROWS}) AS i`,
];

/** A row near the end of a table is held, so that whoever seals it stands there with all before it committed. */
async function whileHeld<T>(
  own: RetainScene,
  id: number,
  body: (session: Session) => Promise<T>,
): Promise<T> {
  return inside(own.ends.source, async (session) => {
    await query(session, 'BEGIN');
    await query(session, `SELECT 1 FROM public.event WHERE id = ${id} FOR UPDATE`);
    return body(session);
  });
}

const isWaitedFor = (own: RetainScene) =>
  until('a row lock is waited for', async () => {
    const [waiting] = await ask(
      own.ends.source,
      `SELECT 1 AS one FROM pg_stat_activity WHERE datname = current_database()
         AND application_name LIKE 'lethe:seal%' AND wait_event_type = 'Lock'`,
    );
    return waiting !== undefined;
  });

it('goes on after its worker is killed, and others may write meanwhile', async () => {
  const [own, narrow] = [await scene(), await retainScene(SCHEMA, NARROW, [], TABLES)];
  const far = await openStage({ worker: false });
  const spawn = () => new WorkerProcess(far, { env: { ...own.env, ...narrow.env } });
  const first = spawn();
  await first.ready();
  const tuning = { heartbeatSeconds: 3 };
  const start = (given: RetainScene) => {
    const watched = { ...input(given), tuning };
    return startSeal(far.client, watched, far.taskQueue);
  };
  let second: WorkerProcess | undefined;
  const [result, later] = await whileHeld(own, 2000, (session) =>
    whileHeld(narrow, 2900, async (other) => {
      const handles = [await start(own), await start(narrow)] as const;
      await Promise.all([isWaitedFor(own), isWaitedFor(narrow)]);
      await first.kill();
      second = spawn();
      await query(session, 'UPDATE public.event SET pad = repeat($1, 500) WHERE id = 2000', ['y']);
      await query(session, 'COMMIT');
      // Behind the pages that this pass goes through, none of which has anything left to be sealed.
      await query(other, `INSERT INTO public.event VALUES (0, current_date, '10.102.0.1', 'GET /', 'late')`);
      await query(other, 'COMMIT');
      return [await handles[0].result(), await handles[1].result()] as const;
    }),
  );
  expect(result[0]!.columns.ip).toMatchObject({ expired: EXPIRED / 2 });
  const { plain, ip } = await rowsOf(own);
  expect(plain).toBe(EXPIRED / 2);
  expect(ip).toEqual(
    Array.from(
      { length: ROWS },
      (_, n) => `10.${100 + ((n + 1) % 100)}.${Math.floor((n + 1) / 250)}.${(n + 1) % 250}`,
    ),
  );
  expect((await rowsOf(narrow)).plain).toBe(0);
  expect(Object.keys(later[0]!.columns).sort()).toEqual(['ip', 'line']);
  expect(later[0]!.notes).toEqual([expect.stringContaining('maybe not all of what was sealed is counted')]);
  for (const { log } of [first, second!]) expect(log).not.toMatch(PLAIN);
  await second!.stop();
  await far.stop();
  await Promise.all([own.end(), narrow.end()]);
});
