import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { Desk } from './cli-fixture.js';

/* What an auditor does with `lethe`, as built. */

const SCHEMA =
  'CREATE TABLE person (id int PRIMARY KEY, first_name text NOT NULL, email text NOT NULL, born date);';
const ROWS = `INSERT INTO person SELECT i, 'Zebulon' || i, 'zebulon' || i || '@secret.example', date '1950-01-01' + i
  FROM generate_series(1, 500) i;`;
const JOB = `job: people
source: { postgres: env:PEOPLE_URL }
destination: { postgres: env:COPY_URL }
key: env:LETHE_KEY
evidence: row
batchRows: 100
tables: { public.person: { columns: { id: permute, first_name: firstName, email: email, born: keep } } }
`;

let source: TestDatabase;
let destination: TestDatabase;
const desk = new Desk();

async function sql(database: TestDatabase, text: string): Promise<void> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  await client.query(text).finally(() => client.end());
}

beforeAll(async () => {
  source = await createDatabase();
  destination = await createDatabase();
  await sql(source, SCHEMA + ROWS);
  await sql(destination, SCHEMA);
  const { out } = await desk.lethe('keygen');
  Object.assign(desk.env, { PEOPLE_URL: source.url, COPY_URL: destination.url, LETHE_KEY: out.trim() });
  desk.write('people.yaml', JOB);
  expect(await desk.lethe('sync', 'people.yaml')).toMatchObject({ code: 0 });
});

afterAll(async () => {
  desk.clear();
  await source?.drop();
  await destination?.drop();
});

describe('lethe report', () => {
  it('writes one file that needs nothing else and holds no value', async () => {
    const { code, out } = await desk.lethe('report', 'last', '--job', 'people.yaml', '-o', 'people.html');
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining('people.html') });
    const page = readFileSync(join(desk.folder, 'people.html'), 'utf8');
    expect(page).toContain('500 rows of 1 table were written.');
    expect(page).toContain('Nothing contradicts the ledger.');
    expect(page).toMatch(/<svg[^>]*role="img"/);
    expect(page).not.toMatch(/<script|<link|src=|@import|url\(|https?:(?!\/\/www\.w3\.org)/);
    expect(page).not.toMatch(/Zebulon|secret\.example/i);
    const json = await desk.lethe('report', 'last', '--job', 'people.yaml', '--json');
    const model = JSON.parse(json.out) as {
      tables: { rows: number }[];
      rules: { rule: string; values: number }[];
    };
    expect(model).toMatchObject({
      job: 'people',
      state: 'complete',
      tables: [{ name: 'public.person', rows: 500 }],
    });
    expect(model.rules).toContainEqual({ table: 'public.person', rule: 'columns', values: 1500 });
  });
});

describe('lethe validate', () => {
  const set = `UPDATE person SET email = `;

  it('checks the copy again, says what is wrong with it, and keeps what it found', async () => {
    const good = await desk.lethe('validate', 'people.yaml');
    expect(good).toMatchObject({ code: 0, out: expect.stringMatching(/Run \S+ of people is valid/) });
    await sql(destination, `CREATE TABLE kept AS SELECT id, email FROM person ORDER BY id LIMIT 20`);
    await sql(
      destination,
      `${set}'zebulon' || (id % 500 + 1) || '@secret.example' WHERE id IN (SELECT id FROM kept)`,
    );
    const bad = await desk.lethe('validate', 'people.yaml');
    expect(bad).toMatchObject({
      code: 1,
      out: expect.stringMatching(/✗ Run \S+ of people failed \d+ of \d+ checks/),
    });
    expect(bad.out).toMatch(/✗ 20 values of public\.person\.email .* which identifies/);
    expect(bad.out).toMatch(/✗ Of 500 rows of public\.person .*20 differ in email/);
    const json = await desk.lethe('validate', 'people.yaml', '--json');
    expect({ code: json.code, found: JSON.parse(json.out) as unknown }).toMatchObject({
      code: 1,
      found: { job: 'people', ok: false },
    });
    await sql(destination, `${set}kept.email FROM kept WHERE kept.id = person.id; DROP TABLE kept`);
    expect(await desk.lethe('validate', 'people.yaml')).toMatchObject({ code: 0 });
    const history = await desk.lethe('validate', 'people.yaml', '--history', '--json');
    const records = JSON.parse(history.out) as unknown[];
    expect(records.length).toBeGreaterThanOrEqual(5);
    const all = [good, bad, json, history].map(({ out, err }) => out + err).join('');
    expect(all).not.toMatch(/Zebulon|secret\.example/i);
  });

  it('says what it needs', async () => {
    desk.write('other.yaml', JOB.replace('job: people', 'job: others'));
    const { code, err } = await desk.lethe('validate', 'other.yaml');
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('lethe sync') });
  });
});

describe('lethe audit', () => {
  it('finds nothing in a run as it was left, and one record that is as it was', async () => {
    const plain = await desk.lethe('audit', 'last', '--job', 'people.yaml', '--sample', '100');
    expect(plain).toMatchObject({ code: 0, out: expect.stringContaining('Nothing contradicts the ledger') });
    expect(plain.out).toMatch(/batches with 500 rows read again: \d+ as they were, 0 changed/);
    const row = await desk.lethe('audit', 'last', '--job', 'people.yaml', '--row', 'public.person', '7');
    expect(row).toMatchObject({ code: 0, out: expect.stringContaining('byte by byte, what the run read') });
    const json = await desk.lethe('audit', 'last', '--job', 'people.yaml', '--json');
    expect(JSON.parse(json.out)).toMatchObject({ ok: true, job: 'people', findings: [] });
    expect(plain.out + row.out + json.out).not.toMatch(/Zebulon|secret\.example/i);
  });

  it('says what it cannot check without the job', async () => {
    const { code, out } = await desk.lethe('audit', 'last', '--dest', 'env:COPY_URL');
    expect({ code, out }).toMatchObject({ code: 0, out: expect.stringContaining('Not checked') });
    expect(out).toContain('Without the job key, or --public-key');
    expect(
      await desk.lethe('audit', 'last', '--dest', 'env:COPY_URL', '--row', 'public.person', '7'),
    ).toMatchObject({
      code: 2,
      err: expect.stringContaining('--job FILE'),
    });
  });

  it('tells what was changed at the source since', async () => {
    await sql(source, `UPDATE person SET born = '2000-01-01' WHERE id = 9`);
    const { code, out } = await desk.lethe('audit', 'last', '--job', 'people.yaml', '--sample', '100');
    expect({ code, out }).toMatchObject({
      code: 0,
      out: expect.stringContaining('Changed at the source since'),
    });
    expect(out).toContain('changed or deleted since: 1; changed or put in since: 1.');
    const row = await desk.lethe(
      'audit',
      'last',
      '--job',
      'people.yaml',
      '--row',
      'public.person',
      '9',
      '--json',
    );
    expect(JSON.parse(row.out)).toMatchObject({ ok: true, row: { result: 'different' } });
  });

  it('verifies an exported ledger, and finds what was changed in the file', async () => {
    expect(await desk.lethe('ledger', 'export', 'people.yaml', '-o', 'kept.jsonl')).toMatchObject({
      code: 0,
      out: expect.stringContaining('1 run in kept.jsonl'),
    });
    const text = readFileSync(join(desk.folder, 'kept.jsonl'), 'utf8');
    expect(text).not.toMatch(/Zebulon|secret\.example/i);
    const kept = await desk.lethe('audit', '--file', 'kept.jsonl', '--job', 'people.yaml', '--sample', '100');
    expect(kept).toMatchObject({ code: 0, out: expect.stringContaining('Nothing contradicts the ledger') });
    expect(kept.out).toContain('changed or deleted since: 1; changed or put in since: 1.');
    const row = ['--row', 'public.person', '7'];
    expect(await desk.lethe('audit', '--file', 'kept.jsonl', '--job', 'people.yaml', ...row)).toMatchObject({
      code: 0,
      out: expect.stringContaining('byte by byte, what the run read'),
    });
    desk.write('cut.jsonl', text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1));
    desk.write('edited.jsonl', text.replace('"attempt":1', '"attempt":2'));
    for (const file of ['cut.jsonl', 'edited.jsonl']) {
      const { code, out } = await desk.lethe('audit', '--file', file, '--job', 'people.yaml');
      expect({ code, out }).toMatchObject({
        code: 1,
        out: expect.stringContaining('The file does not fit its last line'),
      });
    }
    expect(await desk.lethe('audit', '--file', 'people.yaml', '--job', 'people.yaml')).toMatchObject({
      code: 2,
    });
  });

  it('names what somebody changed in the ledger, with exit code 1', async () => {
    await sql(destination, 'UPDATE lethe.batch SET rows = rows + 1 WHERE batch = 0');
    const { code, out } = await desk.lethe('audit', 'last', '--job', 'people.yaml');
    expect(code).toBe(1);
    expect(out).toMatch(/✗ Batch 0 of partition 1 does not fit its link/);
    expect(out).toMatch(/public\.person has 50\d rows by its batches, and 500 were signed/);
    const row = await desk.lethe('audit', 'last', '--job', 'people.yaml', '--row', 'public.person', '7');
    expect(row).toMatchObject({ code: 1, err: expect.stringContaining('LedgerTampered') });
    await sql(destination, 'UPDATE lethe.batch SET rows = rows - 1 WHERE batch = 0');
  });
});

describe('lethe ledger prune', () => {
  it('keeps what the destination holds, and removes what is old', async () => {
    expect(await desk.lethe('ledger', 'prune', 'people.yaml')).toMatchObject({ code: 2 });
    expect(await desk.lethe('ledger', 'prune', 'people.yaml', '--keep', 'long')).toMatchObject({ code: 2 });
    expect(await desk.lethe('sync', 'people.yaml')).toMatchObject({ code: 0 });
    await sql(destination, `UPDATE lethe.run SET ended_at = ended_at - interval '1 year'`);
    const dry = await desk.lethe('ledger', 'prune', 'people.yaml', '--keep', '90d', '--dry-run');
    expect(dry).toMatchObject({ code: 0, out: expect.stringContaining('1 run would go') });
    expect(await desk.lethe('ledger', 'prune', 'people.yaml', '--keep-runs', '2')).toMatchObject({
      code: 0,
      out: expect.stringContaining('0 runs removed'),
    });
    expect(await desk.lethe('ledger', 'prune', 'people.yaml', '--keep', '90d')).toMatchObject({
      code: 0,
      out: expect.stringContaining('1 run removed'),
    });
    const left = JSON.parse((await desk.lethe('runs', '--job', 'people.yaml', '--json')).out) as unknown[];
    expect(left).toHaveLength(1);
    expect(await desk.lethe('audit', 'last', '--job', 'people.yaml')).toMatchObject({ code: 0 });
  });
});
