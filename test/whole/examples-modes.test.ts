import { readFile } from 'node:fs/promises';
import { afterAll, expect, it } from 'vitest';
import { findPgDump } from '../../postgres/schema/pgDump.js';
import { query } from '../../postgres/session.js';
import { describeUnless, sharedData } from '../harness/servers.js';
import { contents, type Ends, fanOuts, openEnds, rowCounts } from './acceptance/databases.js';
import { definitions } from './acceptance/definitions.js';
import { planOf } from './acceptance/leaks.js';
import { makeRoles } from './acceptance/roles.js';
import { jobText, openStage, type Stage, sync, syncWell } from './acceptance/stage.js';

const sakila = sharedData('sakila.sql');
const chinook = sharedData('chinook.sql');

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
    const { destination, source } = pair;
    const roles = await makeRoles(pair);
    drops.push(() => roles.drop());
    for (const [table, state] of Object.entries({
      actor: 'DISABLE',
      city: 'ENABLE ALWAYS',
      staff: 'ENABLE REPLICA',
    }))
      await query(destination, `ALTER TABLE public.${table} ${state} TRIGGER last_updated`);
    const job = jobText(await readFile('examples/sakila/job.yaml', 'utf8'), pair);
    await roles.use();
    expect((await sync(await stage(), job)).error?.type).toBe('PermissionDenied');
    await roles.grant(job);
    const before = await definitions(destination);
    await syncWell(await stage(), job);
    expect(await definitions(destination)).toEqual(before);
    expect(await rowCounts(destination)).toEqual(await rowCounts(source));
    expect(await fanOuts(destination)).toEqual(await fanOuts(source));
    const [role] = await query(
      source,
      'SELECT bool_or(rolsuper OR rolbypassrls) AS mighty FROM pg_roles WHERE rolname = ANY ($1)',
      [[roles.reader, roles.writer, roles.owner]],
    );
    expect(role).toEqual({ mighty: 'f' });
  });
});

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
