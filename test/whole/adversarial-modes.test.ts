import { afterAll, describe, expect, it } from 'vitest';
import { findPgDump } from '../../postgres/schema/pgDump.js';
import { query, type Session } from '../../postgres/session.js';
import { contents, type Ends, fanOuts, openEnds, own, rowCounts, tablesOf } from './acceptance/databases.js';
import { definitions } from './acceptance/definitions.js';
import { HOSTILE_JOB } from './acceptance/hostile.js';
import { alignRows, planOf } from './acceptance/leaks.js';
import { jobText, openStage, type Stage, syncWell } from './acceptance/stage.js';

const FILE = 'test/whole/acceptance/hostile.sql';

let opened: Promise<Stage> | undefined;
const stage = () => {
  opened ??= openStage();
  return opened;
};
const drops: (() => Promise<void>)[] = [];
afterAll(async () => {
  for (const drop of drops) await drop();
  await (await opened)?.stop();
});

async function ends(...[options]: Parameters<typeof openEnds>): Promise<Ends> {
  const found = await openEnds(options);
  drops.push(() => found.drop());
  return found;
}

describe('a hostile database, otherwise', () => {
  it('has its schema copied, without what belongs to roles', async (context) => {
    const pgDump = await findPgDump(15).catch((error: Error) => error.message);
    if (typeof pgDump === 'string') return context.skip(pgDump);
    const pair = await ends({ version: 15, file: FILE, destination: 'none' });
    const { run } = await syncWell(
      await stage(),
      jobText(HOSTILE_JOB, pair, { destination: { createSchema: true } }),
    );
    const ofRoles = /^policy |odd\.secured/;
    const lines = async (session: Session) =>
      (await definitions(session)).filter((line) => !ofRoles.test(line));
    expect(await lines(pair.destination)).toEqual(await lines(pair.source));
    expect(await rowCounts(pair.destination)).toEqual(await rowCounts(pair.source));
    const aligned = await alignRows(pair, await planOf(pair, run), run, { 'odd.big': [] });
    expect(aligned).toMatchObject({ missing: {}, leaks: {}, changed: {} });
  });

  it('is updated in place, and its equal rows are not touched', async () => {
    const pair = await ends({ version: 18, file: FILE });
    const { source, destination } = pair;
    const skipped = Object.fromEntries(
      ['heap', 'nothing', 'ruled', 'big'].map((name) => [`odd.${name}`, { skip: true }]),
    );
    const upsert = jobText(
      {
        ...HOSTILE_JOB,
        tables: {
          ...HOSTILE_JOB.tables,
          ...skipped,
          'odd.unique_only': { conflictKey: ['a', 'b'] },
        },
      },
      pair,
      { destination: { mode: 'upsert', deleteMissing: true } },
    );
    const before = await definitions(destination);
    await syncWell(await stage(), upsert);
    expect(await definitions(destination)).toEqual(before);
    const first = await contents(destination);
    const untouched = await versions(destination);

    await query(source, CHANGES);
    const { run } = await syncWell(await stage(), upsert);
    expect(await definitions(destination)).toEqual(before);
    const counts = await rowCounts(source);
    for (const table of Object.keys(skipped)) counts[table] = 0;
    expect(await rowCounts(destination)).toEqual(counts);
    expect(await fanOuts(destination)).toEqual(await fanOuts(source));
    const aligned = await alignRows(pair, await planOf(pair, run), run, { 'odd.big': [] });
    expect(aligned).toMatchObject({ missing: {}, leaks: {}, changed: {} });
    const second = await contents(destination);
    const changed = Object.keys(first).filter((table) => first[table] !== second[table]);
    expect(changed).toEqual(['odd.collated', 'odd.event', 'odd.note', 'odd.person', 'odd.visit']);
    const now = await versions(destination);
    expect(
      Object.keys(now)
        .filter((table) => now[table] !== untouched[table])
        .sort(),
    ).toEqual(changed);
  });
});

/** Deletes parents with children, moves a row to another partition, updates below an expression index. */
const CHANGES = `
  DELETE FROM odd.note WHERE id % 50 = 0;
  DELETE FROM odd.event WHERE id = 301;
  UPDATE odd.event SET v = 'moved' WHERE id = 1000;
  UPDATE odd.collated SET n = n + 1 WHERE a = '1';
  DELETE FROM odd.visit WHERE person_id = 599;
  DELETE FROM odd.person WHERE id = 599;
  UPDATE odd.person SET email = 'anders@firma.example' WHERE id = 30;
  -- Equal to what they were: citext.
  UPDATE odd.tagged SET tag = upper(tag::text) WHERE tag IS NOT NULL`;

/** Which transactions wrote the rows of each table. */
async function versions(session: Session): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const table of await tablesOf(session)) {
    const [row] = await query(
      session,
      `SELECT string_agg(xmin::text, ',' ORDER BY xmin::text) AS xmins FROM ${own(table)}`,
    );
    found[`${table.schema}.${table.name}`] = row!.xmins ?? '';
  }
  return found;
}
