import { randomBytes } from 'node:crypto';
import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCatalog } from '../../postgres/catalog/read.js';
import { claimDestination } from '../../postgres/claim.js';
import { type DoctorCheck, type DoctorOptions, examine } from '../../postgres/doctor.js';
import { destinationGrants, sourceGrants } from '../../postgres/grants.js';
import { query, withSession, withTransaction } from '../../postgres/session.js';
import { createDatabase, onVersions, type TestDatabase } from '../harness/servers.js';

const NAME = 'lethe:test/doctor';

const SCHEMA = `
CREATE SCHEMA app;
CREATE SEQUENCE app.free;
CREATE TABLE app.country (code text PRIMARY KEY);
CREATE TABLE app.person (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, code text REFERENCES app.country, number int DEFAULT nextval('app.free'));
CREATE INDEX by_code ON app.person (code);
CREATE TABLE app.visit (day date, person int REFERENCES app.person) PARTITION BY RANGE (day);
CREATE TABLE app.visit_all PARTITION OF app.visit DEFAULT;
CREATE TABLE app.hidden (id int); ALTER TABLE app.hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY first ON app.hidden USING (id = 1);
INSERT INTO app.country VALUES ('DE'); INSERT INTO app.person (code) VALUES ('DE');
INSERT INTO app.visit VALUES ('2024-01-01', 1); INSERT INTO app.hidden VALUES (1), (2);
`;

const as = (url: string, role: string) => {
  const changed = new URL(url);
  [changed.username, changed.password] = [role, 'pw'];
  return changed.href;
};
const on = (url: string, sql: string) =>
  withSession({ url, role: 'destination', applicationName: NAME }, (session) => query(session, sql));
const failed = (checks: readonly DoctorCheck[]) =>
  checks.filter((check) => !check.ok && check.required).map((check) => check.name);
const named = (checks: readonly DoctorCheck[], name: string) => checks.find((check) => check.name === name);

onVersions('a role with the printed grants', (version) => {
  let source: TestDatabase;
  let destination: TestDatabase;
  const role = `lethe_${version}_${randomBytes(4).toString('hex')}`;
  const options = (extra: Partial<DoctorOptions> = {}): DoctorOptions => ({
    sourceUrl: as(source.url, role),
    destinationUrl: as(destination.url, role),
    applicationName: NAME,
    ...extra,
  });
  const catalogOf = (url: string) =>
    withSession({ url, role: 'source', applicationName: NAME }, (session) => readCatalog(session));

  beforeAll(async () => {
    [source, destination] = [await createDatabase(version), await createDatabase(version)];
    await on(source.url, `${SCHEMA}; CREATE ROLE ${role} LOGIN PASSWORD 'pw'; CREATE ROLE ${role}_owner`);
    const owned = ['country', 'person', 'visit', 'visit_all', 'hidden'].map(
      (table) => `ALTER TABLE app.${table} OWNER TO ${role}_owner`,
    );
    await on(
      destination.url,
      `${SCHEMA}; ${owned.join('; ')}; ALTER SEQUENCE app.free OWNER TO ${role}_owner; GRANT USAGE ON SCHEMA app TO ${role}_owner`,
    );
  });
  afterAll(async () => {
    for (const { url } of [source, destination])
      await on(url, `DROP OWNED BY ${role}, ${role}_owner CASCADE`);
    await on(source.url, `DROP ROLE ${role}, ${role}_owner`);
    await source.drop();
    await destination.drop();
  });

  test('lacks them before', async () => {
    const checks = await examine(options());
    expect(failed(checks)).toEqual([
      'source-rights',
      'source-row-security',
      'destination-ledger',
      'destination-rights',
    ]);
    expect(named(checks, 'source-rights')?.fix).toContain('lethe grants');
    for (const check of checks.filter((one) => !one.ok)) expect(check.fix, check.name).toBeTruthy();
  });

  test('can read everything of a source', async () => {
    const catalog = await catalogOf(source.url);
    await on(source.url, sourceGrants({ role, catalog, createSchema: false }));
    await withSession(
      { url: as(source.url, role), role: 'source', applicationName: NAME },
      async (session) => {
        await withTransaction(session, () => query(session, 'CREATE TEMP TABLE bounds (a text)'), {
          readOnly: false,
        });
        for (const [relation, rows] of [
          ['country', 1],
          ['person', 1],
          ['visit_all', 1],
          ['hidden', 2],
        ] as const) {
          expect(await query(session, `SELECT 1 FROM ONLY app.${relation}`), relation).toHaveLength(rows);
        }
        await query(session, 'SELECT last_value FROM app.free');
        expect((await readCatalog(session)).tables.map((t) => t.fingerprint)).toEqual(
          catalog.tables.map((t) => t.fingerprint),
        );
      },
    );
    expect(failed(await examine(options({ destinationUrl: undefined })))).toEqual([]);
  });

  test('can take away and put back in a destination', async () => {
    const catalog = await catalogOf(destination.url);
    const grants = destinationGrants({
      role,
      catalog,
      createSchema: false,
      mode: 'replace',
      deleteMissing: false,
    });
    await on(destination.url, grants);
    await on(
      as(destination.url, role),
      `CREATE SCHEMA lethe; CREATE TABLE lethe.t (a int); DROP SCHEMA lethe CASCADE;
       ALTER TABLE app.visit DROP CONSTRAINT visit_person_fkey; ALTER TABLE app.person DROP CONSTRAINT person_code_fkey;
       DROP INDEX app.by_code; TRUNCATE app.person, app.visit; CREATE INDEX by_code ON app.person (code);
       INSERT INTO app.person (id, code) OVERRIDING SYSTEM VALUE VALUES (1, 'DE'); INSERT INTO app.visit VALUES ('2024-01-01', 1);
       ALTER TABLE app.person ADD CONSTRAINT person_code_fkey FOREIGN KEY (code) REFERENCES app.country;
       ALTER TABLE app.visit ADD CONSTRAINT visit_person_fkey FOREIGN KEY (person) REFERENCES app.person;
       SELECT setval('app.person_id_seq', 5), setval('app.free', 7); CREATE TEMP TABLE staged (a int)`,
    );
    expect(failed(await examine(options()))).toEqual([]);
  });

  test('can upsert with less', async () => {
    const catalog = await catalogOf(destination.url);
    const other = `${role}_up`;
    await on(destination.url, `CREATE ROLE ${other} LOGIN PASSWORD 'pw'`);
    const grants = destinationGrants({
      role: other,
      catalog,
      createSchema: false,
      mode: 'upsert',
      deleteMissing: true,
    });
    expect(grants).not.toContain(`GRANT "${role}_owner"`);
    await on(destination.url, grants);
    await on(
      as(destination.url, other),
      `INSERT INTO app.country VALUES ('DE'), ('FR') ON CONFLICT (code) DO UPDATE SET code = excluded.code;
       DELETE FROM app.country WHERE code = 'FR'; INSERT INTO app.visit VALUES ('2024-01-02', 1);
       SELECT setval('app.free', 9)`,
    );
    const checks = await examine(
      options({ destinationUrl: as(destination.url, other), sourceUrl: undefined, mode: 'upsert' }),
    );
    expect(failed(checks)).toEqual([]);
    expect(
      failed(await examine(options({ destinationUrl: as(destination.url, other), sourceUrl: undefined }))),
    ).toEqual(['destination-rights']);
    await on(destination.url, `DROP OWNED BY ${other} CASCADE; DROP ROLE ${other}`);
  });
});

onVersions('the doctor', (version) => {
  let source: TestDatabase;
  let destination: TestDatabase;
  beforeAll(async () => {
    [source, destination] = [await createDatabase(version), await createDatabase(version)];
  });
  afterAll(async () => {
    await source.drop();
    await destination.drop();
  });
  const run = (extra: Partial<DoctorOptions> = {}) =>
    examine({ sourceUrl: source.url, destinationUrl: destination.url, applicationName: NAME, ...extra });

  test('finds nothing to repair between two databases', async () => {
    const checks = await run();
    expect(failed(checks)).toEqual([]);
    expect(named(checks, 'source-snapshot')?.ok).toBe(true);
    expect(named(checks, 'source-direct')?.ok).toBe(true);
    expect(named(checks, 'two-databases')?.ok).toBe(true);
  });

  test('tells one database from two', async () => {
    expect(failed(await run({ destinationUrl: source.url }))).toEqual(['two-databases']);
  });

  test('goes on when one side cannot be reached', async () => {
    const url = new URL(source.url);
    url.port = '1';
    const checks = await run({ sourceUrl: url.href });
    expect(failed(checks)).toEqual(['source-reachable']);
    expect(named(checks, 'source-reachable')?.fix).toContain('host and port');
    expect(named(checks, 'destination-version')?.ok).toBe(true);
  });

  test('sees the claim, and event triggers', async () => {
    expect(named(await run(), 'destination-claim')).toMatchObject({ ok: false, required: false });
    await withSession(
      { url: destination.url, role: 'destination', applicationName: NAME },
      async (session) => {
        await claimDestination(session, { by: 'Ann', jobs: ['crm'] });
        await query(
          session,
          `CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
         CREATE EVENT TRIGGER watcher ON ddl_command_start EXECUTE FUNCTION public.watch()`,
        );
      },
    );
    const checks = await run({ job: 'crm' });
    expect(named(checks, 'destination-claim')).toMatchObject({ ok: true, message: 'claimed by Ann' });
    expect(named(await run({ job: 'shop' }), 'destination-claim')?.ok).toBe(false);
    expect(named(checks, 'destination-event-triggers')?.message).toContain('watcher');
  });

  test('counts connections', async () => {
    expect(failed(await run({ sourceConnections: 100_000 }))).toEqual(['source-connections']);
  });

  describe('behind an address that leads to several servers', () => {
    let pooler: Server;
    afterAll(() => void pooler.close());

    test('says that snapshots do not pass', async () => {
      // Two addresses that lead to two servers: what the second session sees is not where the snapshot was exported.
      const elsewhere = await createDatabase(version);
      const targets = [new URL(source.url), new URL(elsewhere.url)];
      let turn = 0;
      pooler = createServer((socket) => {
        const target = targets[turn++ % 2]!;
        const upstream = connect(Number(target.port), target.hostname);
        // Both databases are on one server here; the startup packet is redirected by its name.
        socket.once('data', (startup) =>
          upstream.write(redirect(startup, source.name, target.pathname.slice(1))),
        );
        socket.once('data', () => socket.pipe(upstream));
        upstream.pipe(socket);
        for (const end of [socket, upstream])
          end.on('error', () => void [socket.destroy(), upstream.destroy()]);
      });
      await new Promise<void>((resolve) => pooler.listen(0, '127.0.0.1', resolve));
      const url = new URL(source.url);
      url.port = String((pooler.address() as { port: number }).port);
      const checks = await run({ sourceUrl: url.href, destinationUrl: undefined });
      expect(failed(checks)).toEqual(['source-snapshot']);
      expect(named(checks, 'source-snapshot')?.fix).toContain('session mode');
      await elsewhere.drop();
    });
  });
});

/** Names in tests have equal lengths, so the packet's length field stays right. */
function redirect(startup: Buffer, from: string, to: string): Buffer {
  return Buffer.from(startup.toString('latin1').replace(from, to), 'latin1');
}
