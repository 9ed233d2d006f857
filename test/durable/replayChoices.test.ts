import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { parseJobKey } from '../../anonymize/keys.js';
import { fails } from '../../ledger/checks.js';
import { readCorrected } from '../../postgres/ledger/replays.js';
import { readPins, readRun } from '../../postgres/ledger/runs.js';
import { recheck } from '../../quality/recheck.js';
import { settingsOf } from '../../quality/run.js';
import type { Progress } from '../../workflows/messages.js';
import { catalogText } from '../engine/saga-fixture.js';
import { ask, type Ends, failureOf, inside, jobFile, openStage, runOf, type Stage } from './fixture.js';
import {
  audited,
  BROKEN_RULES,
  contents,
  MEND_DESTINATION,
  MEND_SOURCE,
  openBroken,
  replay,
  replayFailure,
} from './replay-fixture.js';

let stage: Stage;
let ends: Ends;
beforeAll(async () => {
  stage = await openStage();
});
afterAll(async () => {
  await stage?.stop();
});
beforeEach(async () => {
  ends = await openBroken(900, 1_200);
});
afterEach(async () => {
  await ends?.drop();
});

/** Runs the job, which fails because of its seven rows. */
async function failing(rules = BROKEN_RULES): Promise<string> {
  const handle = await stage.start('crm', { file: jobFile(ends, rules) });
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  return runOf(handle);
}

const file = (rules = BROKEN_RULES) => ({ file: jobFile(ends, rules) });

async function left(): Promise<string[]> {
  const rows = await ask(
    ends.destination,
    `SELECT code, coalesce(constraint_name, column_name) AS about FROM lethe.quarantine
      WHERE replayed_at IS NULL ORDER BY 1, 2`,
  );
  return rows.map(({ code, about }) => `${code} ${about}`);
}

async function outcomes(): Promise<string[]> {
  const rows = await ask(ends.destination, 'SELECT outcome FROM lethe.quarantine ORDER BY outcome');
  return rows.map(({ outcome }) => String(outcome));
}

it('what is not mended stays in quarantine, and the run stays failed until nothing is left', async () => {
  const run = await failing();
  const before = await contents(ends);
  const first = await replayFailure(await replay(stage, run, file()));
  expect(first.type).toBe('RowsQuarantined');
  expect(first.message).toContain('public.person: 1 × Refused by the destination: SQLSTATE 23514');
  expect(await left()).toHaveLength(7);
  expect(await contents(ends)).toEqual(before);

  await ask(ends.source, MEND_SOURCE);
  const second = await replayFailure(await replay(stage, run, file()));
  expect(second.type).toBe('RowsQuarantined');
  expect(await left()).toEqual(['23514 mortal']);

  await ask(ends.destination, MEND_DESTINATION);
  const third = await (await replay(stage, run, file())).result();
  expect(third.replayed).toEqual({ copied: 1, gone: 0 });
  expect(await outcomes()).toEqual(Array(7).fill('copied'));
  const counts = 'SELECT (SELECT count(*) FROM person) AS person, (SELECT count(*) FROM visit) AS visit';
  const qualified = counts.replaceAll('FROM ', 'FROM public.').replaceAll('public.(', '(');
  expect(await ask(ends.destination, qualified)).toEqual([{ person: '900', visit: '1200' }]);
});

it('only rows of the tables and batches that were chosen, and such as wait for a parent', async () => {
  const run = await failing();
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  const visit = await replayFailure(await replay(stage, run, { ...file(), tables: ['public.visit'] }));
  expect(visit.type).toBe('RowsQuarantined');
  expect(await left()).toHaveLength(7);
  const unknown = await replayFailure(await replay(stage, run, { ...file(), tables: ['public.vist'] }));
  expect(unknown).toMatchObject({ type: 'JobInvalid' });
  expect(unknown.message).toContain('did you mean "public.visit"?');
  const nowhere = await replayFailure(await replay(stage, run, { ...file(), batches: ['99/0'] }));
  expect(nowhere).toMatchObject({ type: 'JobInvalid' });
  const [batch] = await ask(
    ends.destination,
    `SELECT partition || '/' || batch AS id FROM lethe.quarantine WHERE partition IS NOT NULL LIMIT 1`,
  );
  const { replayed } = await (await replay(stage, run, { ...file(), batches: [batch!.id!] })).result();
  expect(replayed).toEqual({ copied: 7, gone: 0 });
});

it('rows that the source has no more are closed as gone', async () => {
  const run = await failing();
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  await ask(ends.source, 'DELETE FROM public.visit WHERE person_id = 200; ');
  await ask(ends.source, 'DELETE FROM public.person WHERE id IN (200, 300)');
  const { replayed, verdict } = await (await replay(stage, run, file())).result();
  expect(replayed).toEqual({ copied: 4, gone: 3 });
  expect(verdict.ok).toBe(true);
  expect(await outcomes()).toEqual([...Array(4).fill('copied'), ...Array(3).fill('gone')]);
});

it('a corrected job replays the rows by its own rules', async () => {
  const run = await failing();
  await ask(ends.destination, MEND_DESTINATION);
  await ask(ends.source, `UPDATE public.person SET badge = 'badge 200' WHERE id = 200`);
  const corrected = BROKEN_RULES.replace('[person_badge]', '[person_badge, short]')
    .replace('account: iban', 'account: { iban: { onInvalid: scramble } }')
    .replace('nick: keep', 'nick: { constant: nobody }')
    .replace('born: { dateShift: 90 }', "born: 'null'")
    .replace('rest: block', 'rest: scramble');
  const { replayed } = await (await replay(stage, run, file(corrected))).result();
  expect(replayed).toEqual({ copied: 7, gone: 0 });
  const rows = await ask(
    ends.destination,
    `SELECT count(*) FILTER (WHERE nick = 'nobody') AS nobody, count(*) FILTER (WHERE born IS NULL) AS unborn,
            count(*) AS people FROM public.person`,
  );
  // Six people were replayed, all by the corrected rules; the others keep what they had.
  expect(rows).toEqual([{ nobody: '6', unborn: '6', people: '900' }]);
});

it('a corrected job may not choose other rows', async () => {
  const run = await failing();
  const other = BROKEN_RULES.replace('public.visit: {', 'public.visit: { where: "id > 0",');
  const refused = await replayFailure(await replay(stage, run, file(other)));
  expect(refused).toMatchObject({ type: 'PlanRefused' });
  expect(refused.message).toMatch(/public\.visit: other rows of it would be copied/);
  const [row] = await ask(ends.destination, 'SELECT state FROM lethe.run');
  expect(row).toEqual({ state: 'failed' });
});

it('a corrected job may not begin to seal', async () => {
  const run = await failing();
  const rules = BROKEN_RULES.replace('note: scramble', 'note: { retain: { policy: ni } }');
  const corrected = file(`retention: ./retention.yaml\n${rules}`);
  const refused = await replayFailure(await replay(stage, run, corrected));
  expect(refused).toMatchObject({ type: 'PlanRefused' });
  expect(refused.message).toMatch(/the run pinned none.*lethe sync/);
});

/** The destination is what a new run of such rules makes of it. */
async function expectCopied(rules: string): Promise<void> {
  const found = await contents(ends);
  await (await stage.start('crm', file(rules))).result();
  expect(found).toEqual(await contents(ends));
}

const catalog = () => inside(ends.destination, catalogText);

it('a table whose unique index a corrected job touches is loaded again whole, and no other', async () => {
  const run = await failing();
  const corrected = BROKEN_RULES.replace('badge: keep', 'badge: hash');
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  const before = await catalog();
  const handle = await replay(stage, run, file(corrected));
  const { verdict } = await handle.result();
  expect(verdict).toMatchObject({ ok: true, quarantined: [] });
  const { warnings, tables } = (await handle.query('progress')) as Progress;
  expect(warnings.join()).toMatch(
    /public\.person is loaded again whole: public\.person\.badge .*person_badge/,
  );
  expect(tables.find(({ name }) => name === 'public.person')).toMatchObject({ rows: 900 });
  expect(await catalog()).toEqual(before);
  expect((await audited(ends, run)).map(({ state }) => state)).toEqual(['failed', 'complete']);
  await expectCopied(corrected);
});

it('all tables of a domain that a corrected job changes are loaded again; later replays go by it', async () => {
  const run = await failing();
  const corrected = BROKEN_RULES.replace('id: permute', 'id: keep');
  const first = await replayFailure(await replay(stage, run, file(corrected)));
  expect(first).toMatchObject({ type: 'RowsQuarantined' });
  const ids = 'SELECT min(id) AS id, count(*) AS n FROM public.person';
  expect(await ask(ends.destination, ids)).toEqual([{ id: '1', n: '894' }]);

  await ask(ends.source, MEND_SOURCE);
  await ask(ends.destination, MEND_DESTINATION);
  // With the file that the run was started with, as one has it who did not correct it.
  const { replayed } = await (await replay(stage, run, file())).result();
  expect(replayed).toEqual({ copied: 7, gone: 0 });
  expect((await audited(ends, run)).map(({ state }) => state)).toEqual(['failed', 'failed', 'complete']);
  const checks = await inside(ends.destination, async (session) => {
    // As `lethe validate` does it.
    const pins = { ...(await readPins(session, run)), ...(await readCorrected(session, run)) };
    return recheck(session, {
      ...{ row: await readRun(session, run), pins, settings: settingsOf(pins.plan) },
      ...{ sourceUrl: ends.source.url, destinationUrl: ends.destination.url, jobKey: parseJobKey(ends.key) },
      ...{ report: () => undefined, signal: new AbortController().signal },
    });
  });
  expect(checks.filter(({ name, ok }) => name === 'recompute' && !ok)).toEqual([]);
  expect(checks.filter(fails)).toEqual([]);
  await expectCopied(corrected);
});

it('what upsert wrote cannot be loaded again: the columns are named', async () => {
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.source, 'UPDATE public.person SET age = 999 WHERE id = 300');
  const upsert = (rules: string) => {
    const made = jobFile(ends, rules);
    return { ...made, text: made.text.replace('mode: replace', 'mode: upsert') };
  };
  const handle = await stage.start('crm', { file: upsert(BROKEN_RULES) });
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  const corrected = upsert(BROKEN_RULES.replace('badge: keep', 'badge: hash'));
  const refused = await replayFailure(await replay(stage, await runOf(handle), { file: corrected }));
  expect(refused).toMatchObject({ type: 'PlanRefused' });
  expect(refused.message).toMatch(/public\.person\.badge .*unique index person_badge/);
});

it('an upsert that follows deletions does so once nothing is left in quarantine', async () => {
  await ask(ends.source, MEND_SOURCE);
  await ask(ends.source, 'UPDATE public.person SET age = 9 WHERE id = 300');
  const upsert = { ...jobFile(ends, BROKEN_RULES) };
  upsert.text = upsert.text.replace('mode: replace', 'mode: upsert, deleteMissing: true');
  await (await stage.start('crm', { file: upsert })).result();

  await ask(ends.source, 'DELETE FROM public.visit WHERE id = 5');
  await ask(ends.source, `UPDATE public.person SET account = 'none' WHERE id = 7`);
  const handle = await stage.start('crm', { file: upsert });
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  const visits = 'SELECT count(*) AS n FROM public.visit';
  expect(await ask(ends.destination, visits)).toEqual([{ n: '1200' }]);

  await ask(ends.source, `UPDATE public.person SET account = 'DE89370400440532013000' WHERE id = 7`);
  const { replayed, verdict } = await (await replay(stage, await runOf(handle), { file: upsert })).result();
  expect(replayed).toEqual({ copied: 1, gone: 0 });
  expect(verdict.ok).toBe(true);
  expect(await ask(ends.destination, visits)).toEqual([{ n: '1199' }]);
});
