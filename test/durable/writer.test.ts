import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { query } from '../../postgres/session.js';
import { progressOf } from '../../workers/runs.js';
import {
  ask,
  type Ends,
  failureOf,
  inside,
  jobFile,
  openEnds,
  openStage,
  pause,
  type Stage,
  until,
} from './fixture.js';

/*
 * A source that is written all the time: every transaction keeps `customer.orders` equal to the number of the customer's
 * orders, so a copy of one moment, and no other, has that too.
 */

const TABLES = `
CREATE TABLE public.customer (id bigint PRIMARY KEY, email text NOT NULL, orders integer NOT NULL, pad text);
CREATE TABLE public.purchase (
  id bigint PRIMARY KEY, customer_id bigint NOT NULL REFERENCES public.customer, note text, pad text);
CREATE INDEX ON public.purchase (customer_id);`;
const ROWS = `
INSERT INTO public.customer SELECT i, 'c' || i || '@mail.example', 3, repeat('x', 300) FROM generate_series(1, 12000) i;
INSERT INTO public.purchase
SELECT i, 1 + (i - 1) / 3, 'note ' || i, repeat('y', 300) FROM generate_series(1, 36000) i;
ANALYZE;`;
const RULES = `
unlisted: keep
batchRows: 500
concurrency: 2
tables:
  public.customer: { columns: { id: permute, email: email } }
  public.purchase: { columns: { id: permute, note: scramble } }
`;
/** Customers come and go with their purchases, and purchases by themselves: most at the ends of the key ranges. */
const WRITES = [
  `WITH c AS (INSERT INTO public.customer SELECT max(id) + 1, 'n@mail.example', 2, 'x' FROM public.customer RETURNING id)
   INSERT INTO public.purchase SELECT (SELECT max(id) FROM public.purchase) + n, c.id, 'new', 'y' FROM c, generate_series(1, 2) n`,
  `WITH c AS (SELECT id FROM public.customer WHERE orders < 9 ORDER BY random() LIMIT 5),
        p AS (INSERT INTO public.purchase
              SELECT (SELECT max(id) FROM public.purchase) + row_number() OVER (), c.id, 'more', 'y' FROM c RETURNING customer_id)
   UPDATE public.customer SET orders = orders + 1 FROM p WHERE id = p.customer_id`,
  `WITH c AS (SELECT id FROM public.customer ORDER BY random() LIMIT 3),
        p AS (DELETE FROM public.purchase WHERE customer_id IN (SELECT id FROM c))
   UPDATE public.customer SET orders = 0 WHERE id IN (SELECT id FROM c)`,
  'DELETE FROM public.customer WHERE id IN (SELECT id FROM public.customer WHERE orders = 0 LIMIT 2)',
];

let stage: Stage;
let folder: string;
let ends: Ends;
let writer: { stop(): Promise<number> };

beforeAll(async () => {
  stage = await openStage();
  folder = mkdtempSync(join(tmpdir(), 'lethe-writer-'));
  writeFileSync(join(folder, 'full.sql'), TABLES + ROWS);
  writeFileSync(join(folder, 'empty.sql'), TABLES);
  ends = await openEnds(18, join(folder, 'full.sql'), join(folder, 'empty.sql'));
  writer = startWriter(ends);
});
afterAll(async () => {
  await writer?.stop();
  await stage?.stop();
  await ends?.drop();
  rmSync(folder, { recursive: true, force: true });
});

/** Writes until stopped; says how many transactions there were. */
function startWriter({ source }: Ends): { stop(): Promise<number> } {
  let on = true;
  let count = 0;
  const work = inside(source, async (session) => {
    for (; on; count++) {
      await query(session, WRITES[count % WRITES.length]!);
      await pause(2);
    }
  });
  return {
    stop: async () => {
      on = false;
      await work;
      return count;
    },
  };
}

const torn = `SELECT count(*) AS n FROM public.customer c
 WHERE orders <> (SELECT count(*) FROM public.purchase p WHERE p.customer_id = c.id)`;

it('is copied as it was at one moment', async () => {
  const { verdict } = await (await stage.start('writer', { file: jobFile(ends, RULES, 'writer') })).result();
  expect(verdict.ok).toBe(true);
  expect(await ask(ends.destination, torn)).toEqual([{ n: '0' }]);
  expect(await ask(ends.source, torn)).toEqual([{ n: '0' }]);
});

it('is copied with valid references when its snapshot is lost under way', async () => {
  const file = jobFile(ends, RULES, 'writer');
  const handle = await stage.start('writer', { file, tuning: { heartbeatSeconds: 3 } });
  await until('rows move', async () => {
    const progress = await progressOf(handle);
    return progress?.tables.some(({ rows }) => rows > 0);
  });
  await ask(
    ends.source,
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'lethe:%/s%'`,
  );
  const { type, message } = await failureOf(handle);
  expect(['none', 'RowsQuarantined'], message).toContain(type);
  const keys = `SELECT conname, convalidated AS valid FROM pg_constraint WHERE contype = 'f' AND conname = 'purchase_customer_id_fkey'`;
  expect(await ask(ends.destination, keys)).toEqual([{ conname: 'purchase_customer_id_fkey', valid: 't' }]);
  const generations =
    'SELECT count(DISTINCT generation) AS n FROM lethe.batch WHERE run = (SELECT max(run::text)::uuid FROM lethe.run)';
  expect(await ask(ends.destination, generations)).toEqual([{ n: '2' }]);
  expect(await writer.stop()).toBeGreaterThan(100);
});
