import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* `lethe` as a user has it: the built program in a folder of the user's own, on real servers. */

const SCHEMA = `
CREATE TABLE country (id serial PRIMARY KEY, name text NOT NULL);
CREATE TABLE person (
  id serial PRIMARY KEY, first_name text NOT NULL, email text NOT NULL UNIQUE, phone text, notes text,
  boss_id int REFERENCES person, country_id int NOT NULL REFERENCES country, created_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE visit (person_id int NOT NULL REFERENCES person, no int NOT NULL, ip inet, PRIMARY KEY (person_id, no));
CREATE INDEX visit_ip ON visit (ip);`;

const ROWS = `
INSERT INTO country (name) VALUES ('Norway'), ('Peru');
INSERT INTO person (first_name, email, phone, notes, boss_id, country_id)
  SELECT 'Zebulon' || i, 'zebulon' || i || '@secret.example', '+47 22 12 34 ' || 10 + i, 'likes tea ' || i,
         nullif(i / 3, 0), 1 + i % 2 FROM generate_series(1, 60) i;
INSERT INTO visit SELECT 1 + i % 60, i, '10.1.2.3' FROM generate_series(1, 400) i;`;

let source: TestDatabase;
let destination: TestDatabase;
const desk = new Desk();

async function sql<R extends pg.QueryResultRow>(database: TestDatabase, text: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    const result = await client.query<R>(text);
    return result.rows;
  } finally {
    await client.end();
  }
}

/** Rows, constraints and indexes: what must be as it was, or the same in two runs. */
async function contents(database: TestDatabase): Promise<unknown> {
  return [
    await sql(database, 'SELECT * FROM person ORDER BY id'),
    await sql(database, 'SELECT * FROM visit ORDER BY person_id, no'),
    await sql(
      database,
      `SELECT conname, convalidated, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1`,
    ),
    await sql(database, `SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1`),
  ];
}

beforeAll(async () => {
  source = await createDatabase();
  destination = await createDatabase();
  await sql(source, SCHEMA + ROWS);
  await sql(destination, SCHEMA);
  desk.env.PEOPLE_URL = source.url;
  desk.env.COPY_URL = destination.url;
});

afterAll(async () => {
  desk.clear();
  await source?.drop();
  await destination?.drop();
});

describe('lethe', () => {
  it('says what it can do, and what was probably meant', async () => {
    const help = await desk.lethe('--help');
    expect(help).toMatchObject({ code: 0, err: '' });
    for (const name of 'init keygen grants claim plan sync replay restore worker dev runs show cancel explain apply doctor'.split(
      ' ',
    )) {
      expect(help.out).toContain(`  ${name} `);
    }
    expect(await desk.lethe('help', 'sync')).toMatchObject({
      code: 0,
      out: expect.stringContaining('--detach'),
    });
    const explain = await desk.lethe('explain', '--help');
    expect(explain).toMatchObject({
      code: 0,
      out: expect.stringContaining('lethe explain crm-staging.yaml public.customer 42'),
    });
    expect(await desk.lethe('plna', 'x.yaml')).toMatchObject({
      code: 2,
      err: expect.stringContaining('Did you mean plan?'),
    });
    expect(await desk.lethe('sync')).toMatchObject({
      code: 2,
      err: expect.stringContaining("missing required argument 'JOB'"),
    });
    expect(await desk.lethe('sync', 'x.yaml', '--detahc')).toMatchObject({
      code: 2,
      err: expect.stringContaining('--detach'),
    });
  });

  it('makes keys', async () => {
    const { out, code } = await desk.lethe('keygen');
    expect(code).toBe(0);
    expect(Buffer.from(out.trim(), 'base64')).toHaveLength(32);
    expect(await desk.lethe('keygen', '--out', 'key')).toMatchObject({ code: 0, out: '' });
    expect(await desk.lethe('keygen', '--out', 'key')).toMatchObject({
      code: 2,
      err: expect.stringContaining('never overwritten'),
    });
    desk.env.LETHE_KEY = out.trim();
  });
});

describe('what is wrong', () => {
  it('with a job file is said all at once, with exit code 2 and nothing touched', async () => {
    desk.write('bad.yaml', 'job: x\nsorce: {}\ntables: { public.t: { columns: { a: emial } } }\n');
    for (const command of ['plan', 'sync', 'apply']) {
      const { code, out, err } = await desk.lethe(command, 'bad.yaml');
      expect({ code, out }).toEqual({ code: 2, out: '' });
      expect(err).toContain('bad.yaml:2:1  unknown key "sorce" (did you mean "source"?)');
      expect(err).toMatch(/bad\.yaml:3:37 {2}unknown transformer "emial".*"email"/);
      expect(err).not.toMatch(/\n\s+at /);
    }
    const json = await desk.lethe('plan', 'bad.yaml', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ error: { type: 'JobInvalid' } });
  });

  it('with the surroundings gives exit code 3, and shows no password', async () => {
    const job = (url: string) =>
      `job: x\nsource: { postgres: ${url} }\ndestination: { postgres: env:COPY_URL }\nkey: env:LETHE_KEY\n`;
    desk.write('down.yaml', job('env:DOWN_URL'));
    desk.env.DOWN_URL = 'postgres://me:hunter2@127.0.0.1:1/x';
    const down = await desk.lethe('plan', 'down.yaml');
    expect(down).toMatchObject({ code: 3, err: expect.stringContaining('Unreachable') });
    const wrong = new URL(source.url);
    wrong.password = 'hunter2';
    desk.env.DOWN_URL = wrong.href;
    const refused = await desk.lethe('plan', 'down.yaml');
    expect(refused).toMatchObject({ code: 3, err: expect.stringContaining('AuthenticationFailed') });
    expect(down.err + refused.err).not.toContain('hunter2');
    desk.write('unset.yaml', job('env:NOT_SET_ANYWHERE'));
    expect(await desk.lethe('plan', 'unset.yaml')).toMatchObject({
      code: 2,
      err: expect.stringContaining('NOT_SET_ANYWHERE'),
    });
    expect(await desk.lethe('plan', 'nowhere.yaml')).toMatchObject({
      code: 2,
      err: expect.stringContaining('no such file'),
    });
  });
});

describe('from a database to its anonymized copy', () => {
  it('init drafts a job that plan refuses until the rest is decided', async () => {
    const init = await desk.lethe(
      'init',
      'env:PEOPLE_URL',
      '-d',
      'env:COPY_URL',
      '-j',
      'people',
      '-o',
      'people.yaml',
    );
    expect(init).toMatchObject({
      code: 0,
      out: '',
      err: expect.stringContaining('1 column left to decide'),
    });
    expect(await desk.lethe('init', 'env:PEOPLE_URL', '-o', 'people.yaml')).toMatchObject({ code: 2 });
    const plan = await desk.lethe('plan', 'people.yaml');
    expect(plan.code).toBe(2);
    expect(plan.out).toContain('    public.country:\n      columns:\n        name: ');
    const { readFileSync } = await import('node:fs');
    const drafted = readFileSync(`${desk.folder}/people.yaml`, 'utf8');
    const decided = drafted.replace(/^ *# name: .*undecided.*$/m, '      name: keep');
    desk.write('people.yaml', decided);
    expect(await desk.lethe('plan', 'people.yaml')).toMatchObject({
      code: 0,
      out: expect.stringContaining('This plan can run'),
    });
    const json = await desk.lethe('plan', 'people.yaml', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ job: 'people', mode: 'replace' });
    expect(json.out).not.toMatch(/Zebulon|secret\.example/);
  });

  it('plan fits 100 columns, and shows values only when asked', async () => {
    const { out } = await desk.lethe('plan', 'people.yaml');
    expect(out).not.toMatch(/Zebulon|secret\.example/);
    expect(Math.max(...out.split('\n').map((line) => [...line].length))).toBeLessThanOrEqual(100);
    const shown = await desk.lethe('plan', 'people.yaml', '--show-values', '2');
    expect(shown.out).toMatch(/Zebulon/);
  });

  it('doctor, grants and restore look at it', async () => {
    expect(await desk.lethe('doctor', 'people.yaml')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Snapshot'),
    });
    const grants = await desk.lethe('grants', 'people.yaml', '--source-role', 'reader');
    expect(grants).toMatchObject({
      code: 0,
      out: expect.stringContaining('GRANT SELECT ON TABLE "public"."person" TO "reader"'),
    });
    expect(await desk.lethe('restore', 'people.yaml')).toMatchObject({
      code: 0,
      out: expect.stringContaining('Nothing to do'),
    });
    expect(await desk.lethe('runs')).toMatchObject({ code: 0, err: expect.stringContaining('No runs yet') });
  });

  it('sync copies it, on a server of its own; a second run gives the same', async () => {
    const first = await desk.lethe('sync', 'people.yaml');
    expect(first).toMatchObject({ code: 0, out: expect.stringContaining('is complete and valid') });
    const copied = await contents(destination);
    const [{ people = 0, bosses = 0, leaks = 0 } = {}] = await sql<{
      people: number;
      bosses: number;
      leaks: number;
    }>(
      destination,
      `SELECT count(*)::int AS people, count(boss_id)::int AS bosses,
              count(*) FILTER (WHERE p::text ~ 'Zebulon|secret.example|likes tea')::int AS leaks FROM person p`,
    );
    expect({ people, bosses, leaks }).toEqual({ people: 60, bosses: 58, leaks: 0 });
    const second = await desk.lethe('sync', 'people.yaml', '--json');
    expect(second.code).toBe(0);
    expect(JSON.parse(second.out)).toMatchObject({ job: 'people', ok: true, rows: 462 });
    expect(await contents(destination)).toEqual(copied);
    expect(first.out + first.err + second.out + second.err).not.toMatch(/Zebulon|secret\.example/);
    const [, , constraints, indexes] = (await contents(source)) as unknown[][];
    expect((copied as unknown[][]).slice(2)).toEqual([constraints, indexes]);
  });

  it('runs, show, explain and cancel know the runs', async () => {
    const runs = JSON.parse((await desk.lethe('runs', '--json')).out) as { run: string; state: string }[];
    expect(runs.map(({ state }) => state)).toEqual(['complete', 'complete']);
    expect((await desk.lethe('runs')).out).toContain(runs[0]?.run);
    const show = await desk.lethe('show', 'last', '--job', 'people.yaml');
    expect(show).toMatchObject({ code: 0, out: expect.stringContaining('public.person') });
    expect((await desk.lethe('show', runs[1]?.run ?? '', '--json')).out).toContain(runs[1]?.run);
    expect(await desk.lethe('show', 'ffffffff')).toMatchObject({
      code: 2,
      err: expect.stringContaining('UnknownRun'),
    });
    expect(await desk.lethe('cancel', 'last')).toMatchObject({
      code: 1,
      err: expect.stringContaining('complete already'),
    });
    const explain = await desk.lethe('explain', 'people.yaml', 'public.person', '7', '--json');
    const { columns } = JSON.parse(explain.out) as {
      columns: { column: string; before: string; after: string }[];
    };
    const value = (name: string) => columns.find(({ column }) => column === name);
    const [row] = await sql<{ email: string }>(
      destination,
      `SELECT email FROM person WHERE id = ${value('id')?.after}`,
    );
    expect(value('email')).toMatchObject({ before: 'zebulon7@secret.example', after: row?.email });
  });

  it('claim asks before rows of others are overwritten, and never takes a source', async () => {
    const other = await createDatabase();
    try {
      await sql(other, SCHEMA + ROWS);
      desk.env.OTHER_URL = other.url;
      const { readFileSync } = await import('node:fs');
      desk.write(
        'other.yaml',
        readFileSync(`${desk.folder}/people.yaml`, 'utf8').replace('env:COPY_URL', 'env:OTHER_URL'),
      );
      const before = await contents(other);
      expect(await desk.lethe('sync', 'other.yaml')).toMatchObject({
        code: 2,
        err: expect.stringContaining('DestinationUnclaimed'),
      });
      expect(await contents(other)).toEqual(before);
      expect(await desk.lethe('claim', 'env:OTHER_URL')).toMatchObject({
        code: 2,
        err: expect.stringContaining('--yes'),
      });
      expect(await desk.lethe('claim', 'env:PEOPLE_URL', '--yes')).toMatchObject({
        code: 2,
        err: expect.stringContaining('DestinationIsSource'),
      });
      expect(await desk.lethe('claim', 'env:OTHER_URL', '--yes')).toMatchObject({ code: 0 });
      expect(await desk.lethe('doctor', 'other.yaml')).toMatchObject({ code: 0 });
    } finally {
      await other.drop();
    }
  });

  it('a schedule or a detached run needs a server that stays', async () => {
    for (const args of [
      ['apply', 'people.yaml'],
      ['sync', 'people.yaml', '--detach'],
    ]) {
      expect(await desk.lethe(...args)).toMatchObject({
        code: 2,
        err: expect.stringContaining('TEMPORAL_ADDRESS'),
      });
    }
  });

  it('dev is a server that stays, for other commands of the folder', async () => {
    const dev = desk.start('dev');
    await dev.until('Ctrl-C ends it');
    const detached = await desk.lethe('sync', 'people.yaml', '--detach', '--json');
    expect(detached.code).toBe(0);
    expect(JSON.parse(detached.out)).toMatchObject({
      job: 'people',
      workflowId: expect.stringMatching(/^sync:people:/),
    });
    const link = (JSON.parse(detached.out) as { link: string }).link;
    expect((await fetch(new URL('/', link))).status).toBe(200);
    dev.child.kill('SIGINT');
    expect(await dev.result).toMatchObject({ code: 0 });
    // What the worker had to leave goes on with the next sync.
    expect(await desk.lethe('sync', 'people.yaml')).toMatchObject({ code: 0 });
  });
});
