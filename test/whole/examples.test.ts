import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { query, type Session } from '../../postgres/session.js';
import { describeUnless, type PostgresVersion, sharedData } from '../harness/servers.js';
import { contents, copyText, type Ends, fanOuts, openEnds, rowCounts } from './acceptance/databases.js';
import { definitions } from './acceptance/definitions.js';
import { chinook, type Example, sakila } from './acceptance/examples.js';
import {
  alignRows,
  foundIn,
  type Identity,
  identities,
  planOf,
  recordedLeaks,
  secretsOf,
} from './acceptance/leaks.js';
import { histories, jobText, openStage, type Stage, syncWell } from './acceptance/stage.js';

let opened: Promise<Stage> | undefined;
const stage = () => {
  opened ??= openStage();
  return opened;
};
afterAll(async () => (await opened)?.stop());

/** What the first run on a version wrote, for comparison with the other version. */
const written = new Map<string, Record<string, string>>();

for (const example of [sakila, chinook]) {
  for (const version of [18, 15] as const) {
    const { path, missing } = sharedData(example.sql);
    describeUnless(missing, `${example.name} on PostgreSQL ${version}`, () => suite(example, version, path));
  }
}

function suite(example: Example, version: PostgresVersion, path: string): void {
  let ends: Ends;
  let job: string;
  let run: string;
  let workflowId: string;
  let before: string[];
  let identity: Identity;

  beforeAll(async () => {
    job = await readFile(example.job, 'utf8');
    ends = await openEnds({ version, file: path, keyName: example.name });
    before = await definitions(ends.destination);
    const result = await syncWell(await stage(), jobText(job, ends));
    ({ run, workflowId } = result);
    expect(result.verdict.checks.filter((check) => !check.ok)).toEqual([]);
    identity = await identities(ends, await planOf(ends, run), example.identifying);
  }, 300_000);
  afterAll(() => ends?.drop());

  it('has as many rows in every table', async () => {
    expect(await rowCounts(ends.destination)).toEqual(await rowCounts(ends.source));
  });

  it('leaves every constraint, index, trigger, rule and view as it was', async () => {
    const after = await definitions(ends.destination);
    expect(after).toEqual(before);
    expect(after).toEqual(await definitions(ends.source));
    expect(before.filter((line) => line.startsWith('constraint')).length).toBeGreaterThan(10);
  });

  it('gives every foreign key the same fan-out, and no orphan', async () => {
    const fans = await fanOuts(ends.destination);
    expect(fans).toEqual(await fanOuts(ends.source));
    for (const [key, fan] of Object.entries(fans)) expect(`${key}: ${fan}`).toMatch(/ without 0$/);
  });

  it.each(Object.entries(example.joins))('joins as before: %s', async (_, select) => {
    const text = await copyText(ends.destination, select);
    expect(text).toEqual(await copyText(ends.source, select));
    expect(text).not.toBe('');
  });

  it('returns no input as its own output', async () => {
    const aligned = await alignRows(ends, await planOf(ends, run), run, example.keys);
    expect(aligned.compared).toBeGreaterThan(1000);
    expect(aligned).toMatchObject({ missing: {}, leaks: {}, changed: {} });
    expect(await recordedLeaks(ends, run)).toEqual({});
  });

  it('has no identifying value anywhere in the destination', async () => {
    const source = Object.values(await contents(ends.source)).join('\n');
    expect(foundIn(source, identity.values)).toHaveLength(identity.values.size);
    expect(identity.values.size).toBeGreaterThan(100);
    const dump = Object.values(await contents(ends.destination, true)).join('\n');
    expect(foundIn(dump, [...identity.values, ...identity.names])).toEqual([]);
    const chance = foundIn(dump, identity.drawable);
    console.log(
      `${example.name}: ${chance.length} of ${identity.drawable.size} drawable names came out by chance`,
    );
    for (const secret of secretsOf(ends)) expect(dump.includes(secret)).toBe(false);
  });

  it('has no identifying value and no secret in workflow histories and logs', async () => {
    const recorded = await histories(await stage(), workflowId);
    expect(recorded).toContain(ends.references.destination);
    for (const text of [recorded, (await stage()).logs()]) {
      expect(foundIn(text, everything(identity))).toEqual([]);
      for (const secret of secretsOf(ends)) expect(text.includes(secret)).toBe(false);
    }
  });

  it('gives the same bytes on every version', async () => {
    const here = await contents(ends.destination);
    const there = written.get(example.name) ?? here;
    written.set(example.name, there);
    expect(differing(here, there)).toEqual([]);
  });

  if (version === 18) {
    it('gives the same bytes again with consistency: job', async () => {
      const first = await contents(ends.destination);
      await syncWell(await stage(), jobText(job, ends));
      expect(differing(await contents(ends.destination), first)).toEqual([]);
      expect(await definitions(ends.destination)).toEqual(before);
    });

    it('gives runs with consistency: run no key in common beyond chance', async () => {
      const samples = [await unlinkable(ends.destination, example)];
      for (let round = 0; round < 2; round++) {
        await syncWell(await stage(), jobText(job, ends, { consistency: 'run' }));
        samples.push(await unlinkable(ends.destination, example));
      }
      expect(await fanOuts(ends.destination)).toEqual(await fanOuts(ends.source));
      for (const [a, b] of [
        [0, 1],
        [0, 2],
        [1, 2],
      ] as const) {
        example.unlinkable.forEach(({ select, range }, at) => {
          const [one, other] = [samples[a]![at]!, samples[b]![at]!];
          const expected = (one.size * other.size) / range;
          const common = [...one].filter((value) => other.has(value)).length;
          expect(common, select).toBeLessThanOrEqual(expected + 6 * Math.sqrt(expected) + 2);
        });
      }
    });
  }

  it('lets the application go on inserting', async () => {
    for (const sql of example.inserts) await query(ends.destination, sql);
  });
}

function everything({ values, names, drawable }: Identity): string[] {
  return [...values, ...names, ...drawable];
}

/** Names of tables whose texts differ. */
function differing(a: Record<string, string>, b: Record<string, string>): string[] {
  expect(Object.keys(a)).toEqual(Object.keys(b));
  return Object.keys(a).filter((table) => a[table] !== b[table]);
}

async function unlinkable(session: Session, example: Example): Promise<Set<string>[]> {
  const sets: Set<string>[] = [];
  for (const { select } of example.unlinkable) {
    const rows = await query(session, select);
    sets.push(new Set(rows.map((row) => Object.values(row)[0]!)));
  }
  return sets;
}
