import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, expect, it } from 'vitest';
import { findPgDump } from '../../postgres/schema/pgDump.js';
import { query } from '../../postgres/session.js';
import { describeUnless, sharedData } from '../harness/servers.js';
import { contents, type Ends, fanOuts, openEnds, rowCounts } from './acceptance/databases.js';
import { definitions } from './acceptance/definitions.js';
import { planOf } from './acceptance/leaks.js';
import { jobText, openStage, type Stage, sync, syncWell } from './acceptance/stage.js';

const sakila = sharedData('sakila.sql');
const chinook = sharedData('chinook.sql');
const lethe = promisify(execFile);

let opened: Promise<Stage> | undefined;
const stage = () => {
  opened ??= openStage();
  return opened;
};
const drops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const drop of drops.reverse()) await drop();
  await (await opened)?.stop();
});

async function ends(...[options]: Parameters<typeof openEnds>): Promise<Ends> {
  const found = await openEnds(options);
  drops.push(() => found.drop());
  return found;
}

describeUnless(sakila.missing, 'createSchema', () => {
  it('makes the schema in an empty database, and leaves it alone the next time', async (context) => {
    const pgDump = await findPgDump(15).catch((error: Error) => error.message);
    if (typeof pgDump === 'string') return context.skip(pgDump);
    const pair = await ends({ version: 15, file: sakila.path, destination: 'none' });
    const job = jobText(await readFile('examples/sakila/job.yaml', 'utf8'), pair, {
      destination: { createSchema: true },
    });
    await syncWell(await stage(), job);
    expect(await rowCounts(pair.destination)).toEqual(await rowCounts(pair.source));
    expect(await fanOuts(pair.destination)).toEqual(await fanOuts(pair.source));
    expect(await definitions(pair.destination)).toEqual(await definitions(pair.source));
    const first = await contents(pair.destination);
    await syncWell(await stage(), job);
    expect(await contents(pair.destination)).toEqual(first);
  });
});

describeUnless(sakila.missing, 'roles that are no superusers', () => {
  it('run with the grants that `lethe grants` prints, and no more', async () => {
    const pair = await ends({ version: 18, file: sakila.path });
    const suffix = randomBytes(4).toString('hex');
    const [reader, writer, owner] = [`reader_${suffix}`, `writer_${suffix}`, `owner_${suffix}`];
    const { destination, source } = pair;
    await query(destination, `CREATE ROLE ${owner} NOLOGIN`);
    for (const role of [reader, writer]) await query(destination, `CREATE ROLE ${role} LOGIN PASSWORD 'p'`);
    // Before their databases are gone.
    drops.push(() => dropRoles(pair, [reader, writer, owner]));
    await query(destination, ownedBy(owner));
    for (const [table, state] of Object.entries({
      actor: 'DISABLE',
      city: 'ENABLE ALWAYS',
      staff: 'ENABLE REPLICA',
    }))
      await query(destination, `ALTER TABLE public.${table} ${state} TRIGGER last_updated`);
    const before = await definitions(destination);

    const job = jobText(await readFile('examples/sakila/job.yaml', 'utf8'), pair);
    const printed = await grants(job, reader, writer);
    await refer(pair, 'source', reader);
    await refer(pair, 'destination', writer);
    expect((await sync(await stage(), job)).error?.type).toBe('PermissionDenied');

    const [forSource, forDestination] = printed.split(/^(?=-- Destination)/m);
    await query(source, forSource!);
    await query(destination, forDestination!);
    await syncWell(await stage(), job);
    const after = await definitions(destination);
    expect(after.filter((line) => !before.includes(line) && !line.includes(writer))).toEqual([]);
    expect(before.filter((line) => !after.includes(line) && !line.includes(`owner_`))).toEqual([]);
    expect(after.filter((line) => line.startsWith('trigger'))).toEqual(
      before.filter((line) => line.startsWith('trigger')),
    );
    expect(await rowCounts(destination)).toEqual(await rowCounts(source));
    expect(await fanOuts(destination)).toEqual(await fanOuts(source));
    const [role] = await query(
      source,
      'SELECT bool_or(rolsuper OR rolbypassrls) AS mighty FROM pg_roles WHERE rolname = ANY ($1)',
      [[reader, writer, owner]],
    );
    expect(role).toEqual({ mighty: 'f' });
  });
});

async function grants(job: string, reader: string, writer: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'lethe-acceptance-'));
  const file = join(folder, 'job.yaml');
  await writeFile(file, job);
  const args = ['grants', file, '--source-role', reader, '--destination-role', writer];
  const { stdout } = await lethe(process.execPath, ['dist/cli/main.js', ...args]);
  await rm(folder, { recursive: true });
  return stdout;
}

async function refer(pair: Ends, end: 'source' | 'destination', role: string): Promise<void> {
  const url = new URL(pair.urls[end]);
  url.username = role;
  url.password = 'p';
  await pair.refer(end, url.href);
}

async function dropRoles(pair: Ends, roles: string[]): Promise<void> {
  const { source, destination } = pair;
  for (const session of [source, destination])
    await query(session, `DROP OWNED BY ${roles.join(', ')} CASCADE`);
  await query(source, `DROP ROLE ${roles.join(', ')}`);
}

/** Gives everything in the schema public to a role. */
function ownedBy(owner: string): string {
  return `DO $$ DECLARE r record; BEGIN
    FOR r IN SELECT c.oid::regclass AS name, c.relkind FROM pg_class c
              WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
    LOOP EXECUTE format('ALTER TABLE %s OWNER TO ${owner}', r.name); END LOOP;
    FOR r IN SELECT c.oid::regclass AS name FROM pg_class c
              WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S'
    LOOP EXECUTE format('ALTER SEQUENCE %s OWNER TO ${owner}', r.name); END LOOP;
  END $$`;
}

describeUnless(chinook.missing, 'upsert', () => {
  it('follows insertions and updates, and deletions when it is told to', async () => {
    const pair = await ends({ version: 18, file: chinook.path });
    const { source, destination } = pair;
    const example = await readFile('examples/chinook/job.yaml', 'utf8');
    const upsert = (more: object = {}) =>
      jobText(example, pair, { destination: { mode: 'upsert', ...more } });
    const before = await definitions(destination);
    await syncWell(await stage(), upsert());
    expect(await rowCounts(destination)).toEqual(await rowCounts(source));
    const first = await contents(destination);

    await query(source, CHANGES);
    const { run } = await syncWell(await stage(), upsert());
    expect((await planOf(pair, run)).findings.map(({ code }) => code)).toContain('upsert-deletions');
    const left = { 'public.invoice': 1, 'public.invoice_line': 2, 'public.playlist_track': 10 };
    const counts = await rowCounts(source);
    for (const [table, rows] of Object.entries(left)) counts[table]! += rows;
    expect(await rowCounts(destination)).toEqual(counts);
    expect((await contents(destination))['public.customer']).not.toEqual(first['public.customer']);
    expect(await definitions(destination)).toEqual(before);

    await syncWell(await stage(), upsert({ deleteMissing: true }));
    expect(await rowCounts(destination)).toEqual(await rowCounts(source));
    expect(await fanOuts(destination)).toEqual(await fanOuts(source));
    expect(await definitions(destination)).toEqual(before);
    const followed = await contents(destination);
    await syncWell(await stage(), jobText(example, pair));
    expect(await contents(destination)).toEqual(followed);
  });
});

/** A new employee with a customer of theirs who buys; a customer who moves; an invoice that never was. */
const CHANGES = `
  INSERT INTO public.employee (employee_id, last_name, first_name, reports_to) VALUES (100, 'Neu', 'Nina', 2);
  INSERT INTO public.customer (customer_id, first_name, last_name, email, support_rep_id)
    VALUES (1000, 'Änne', 'Øst', 'aenne@example.org', 100);
  INSERT INTO public.invoice (invoice_id, customer_id, invoice_date, total) VALUES (5000, 1000, '2020-02-29', 1.98);
  INSERT INTO public.invoice_line VALUES (9000, 5000, 1, 0.99, 1), (9001, 5000, 2, 0.99, 1);
  UPDATE public.customer SET city = 'Atlantis', address = '1 Deep Street', phone = '+49 30 1234567' WHERE customer_id = 1;
  UPDATE public.employee SET reports_to = 100 WHERE employee_id = 8;
  UPDATE public.track SET unit_price = 7.77 WHERE track_id = 5;
  DELETE FROM public.invoice_line WHERE invoice_id = 1;
  DELETE FROM public.invoice WHERE invoice_id = 1;
  DELETE FROM public.playlist_track WHERE (playlist_id, track_id) IN (SELECT playlist_id, track_id FROM public.playlist_track
    WHERE playlist_id = 1 ORDER BY track_id LIMIT 10)`;
