import { expect, it } from 'vitest';
import { parseJobKey } from '../../anonymize/keys.js';
import { fails } from '../../ledger/checks.js';
import { readCorrected } from '../../postgres/ledger/replays.js';
import { readPins, readRun } from '../../postgres/ledger/runs.js';
import { recheck } from '../../quality/recheck.js';
import { settingsOf } from '../../quality/run.js';
import type { Progress } from '../../workflows/messages.js';
import { ask, failureOf, inside, runOf, until } from './fixture.js';
import { audited, BROKEN_RULES, MEND_DESTINATION, MEND_SOURCE, useBrokenStage } from './replay-fixture.js';
import { whileCopyWaits } from './stuck.js';

const at = useBrokenStage();

it('a corrected job replays the rows by its own rules, and may choose no other rows nor begin to seal', async () => {
  const by = await at.open();
  const run = await by.failing();
  const other = BROKEN_RULES.replace('public.visit: {', 'public.visit: { where: "id > 0",');
  const choosing = await by.refused(run, by.file(other));
  expect(choosing).toMatchObject({ type: 'PlanRefused' });
  expect(choosing.message).toMatch(/public\.visit: other rows of it would be copied/);
  const sealing = BROKEN_RULES.replace('note: scramble', 'note: { retain: { policy: ni } }');
  const sealed = await by.refused(run, by.file(`retention: ./retention.yaml\n${sealing}`));
  expect(sealed).toMatchObject({ type: 'PlanRefused' });
  expect(sealed.message).toMatch(/the run pinned none.*lethe sync/);
  expect(await by.states()).toEqual(['failed']);

  await ask(by.ends.destination, MEND_DESTINATION);
  await ask(by.ends.source, `UPDATE public.person SET badge = 'badge 200' WHERE id = 200`);
  const corrected = BROKEN_RULES.replace('[person_badge]', '[person_badge, short]')
    .replace('account: iban', 'account: { iban: { onInvalid: scramble } }')
    .replace('nick: keep', 'nick: { constant: nobody }')
    .replace('born: { dateShift: 90 }', "born: 'null'")
    .replace('rest: block', 'rest: scramble');
  const { replayed } = await (await by.replay(run, by.file(corrected))).result();
  expect(replayed).toEqual({ copied: 7, gone: 0 });
  const rows = await ask(
    by.ends.destination,
    `SELECT count(*) FILTER (WHERE nick = 'nobody') AS nobody, count(*) FILTER (WHERE born IS NULL) AS unborn,
            count(*) AS people FROM public.person`,
  );
  // Six people were replayed, all by the corrected rules; the others keep what they had.
  expect(rows).toEqual([{ nobody: '6', unborn: '6', people: '900' }]);
});

it('a table whose unique index a corrected job touches is loaded again whole, and no other', async () => {
  const by = await at.open();
  const run = await by.failing();
  const corrected = BROKEN_RULES.replace('badge: keep', 'badge: hash');
  await by.mend();
  const before = await by.catalog();
  const handle = await by.replay(run, by.file(corrected));
  const { verdict } = await handle.result();
  expect(verdict).toMatchObject({ ok: true, quarantined: [] });
  const { warnings, tables } = (await handle.query('progress')) as Progress;
  expect(warnings.join()).toMatch(
    /public\.person is loaded again whole: public\.person\.badge .*person_badge/,
  );
  expect(tables.find(({ name }) => name === 'public.person')).toMatchObject({ rows: 900 });
  expect(await by.catalog()).toEqual(before);
  expect((await audited(by.ends, run)).map(({ state }) => state)).toEqual(['failed', 'complete']);
  await by.expectCopied(corrected);
});

it('all tables of a domain that a corrected job changes are loaded again; later replays go by it', async () => {
  const by = await at.open();
  const { ends } = by;
  const run = await by.failing();
  const corrected = BROKEN_RULES.replace('id: permute', 'id: keep');
  expect(await by.refused(run, by.file(corrected))).toMatchObject({ type: 'RowsQuarantined' });
  const ids = 'SELECT min(id) AS id, count(*) AS n FROM public.person';
  expect(await ask(ends.destination, ids)).toEqual([{ id: '1', n: '894' }]);

  await by.mend();
  // With the file that the run was started with, as one has it who did not correct it.
  const { replayed } = await (await by.replay(run)).result();
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
  await by.expectCopied(corrected);
});

it('what upsert wrote cannot be loaded again; it deletes what it follows once nothing is left in quarantine', async () => {
  const by = await at.open();
  const upsert = (rules = BROKEN_RULES) => {
    const { file } = by.file(rules);
    const text = file.text.replace('mode: replace', 'mode: upsert, deleteMissing: true');
    return { file: { ...file, text } };
  };
  await ask(by.ends.source, MEND_SOURCE);
  await ask(by.ends.source, 'UPDATE public.person SET age = 9 WHERE id = 300');
  await (await at.stage.start('crm', upsert())).result();

  await ask(by.ends.source, 'DELETE FROM public.visit WHERE id = 5');
  await ask(by.ends.source, `UPDATE public.person SET account = 'none' WHERE id = 7`);
  const handle = await at.stage.start('crm', upsert());
  expect(await failureOf(handle)).toMatchObject({ type: 'RowsQuarantined' });
  const visits = 'SELECT count(*) AS n FROM public.visit';
  expect(await ask(by.ends.destination, visits)).toEqual([{ n: '1200' }]);

  const run = await runOf(handle);
  const refused = await by.refused(run, upsert(BROKEN_RULES.replace('badge: keep', 'badge: hash')));
  expect(refused).toMatchObject({ type: 'PlanRefused' });
  expect(refused.message).toMatch(/public\.person\.badge .*unique index person_badge/);

  await ask(by.ends.source, `UPDATE public.person SET account = 'DE89370400440532013000' WHERE id = 7`);
  const { replayed, verdict } = await (await by.replay(run, upsert())).result();
  expect(replayed).toEqual({ copied: 1, gone: 0 });
  expect(verdict.ok).toBe(true);
  expect(await ask(by.ends.destination, visits)).toEqual([{ n: '1199' }]);
});

/** Of tables that are cut into partitions. */
const cut = (onFailure: string) =>
  BROKEN_RULES.replace('onFailure: { quarantine: 50 }', `batchRows: 300\nonFailure: ${onFailure}`);

it('a run that stopped at the limit is finished: what it had not loaded whole is loaded', async () => {
  const by = await at.open();
  const rules = cut('{ quarantine: 2 }');
  const run = await by.failing(rules, 'QuarantineLimit');
  await by.mend();
  const before = await by.catalog();
  const { verdict } = await (await by.replay(run, by.file(rules))).result();
  expect(verdict.ok).toBe(true);
  expect(await by.catalog()).toEqual(before);
  expect(await by.states(run)).toEqual(['complete']);
  await by.expectCopied(cut('{ quarantine: 50 }'));
});

it('one that stops at the limit again may be tried again, with a limit that the job file raises', async () => {
  const by = await at.open();
  const run = await by.failing(cut('fail'), 'QuarantineLimit');
  expect(await by.refused(run, by.file(cut('fail')))).toMatchObject({ type: 'QuarantineLimit' });
  const raised = by.file(cut('{ quarantine: 50 }'));
  expect(await by.refused(run, raised)).toMatchObject({ type: 'RowsQuarantined' });
  await by.mend();
  const { replayed } = await (await by.replay(run, raised)).result();
  expect(replayed.copied).toBe(7);
  expect(await by.states(run)).toEqual(['complete']);
  await by.expectCopied(cut('{ quarantine: 50 }'));
});

it('a run whose workflow was terminated goes on from its last batches, over several legs', async () => {
  const by = await at.open(900, 18_000);
  await by.mend();
  const rules = cut('{ quarantine: 50 }');
  const before = await by.catalog();
  const handle = await by.start(rules);
  const run = await runOf(handle);
  const committed = () =>
    ask(
      by.ends.destination,
      `SELECT partition, batch, attempt FROM lethe.batch WHERE run = $1 AND state = 'committed' ORDER BY 1, 2`,
      [run],
    );
  await until('some batches are there', async () => (await committed().catch(() => [])).length > 5);
  // It stands still, and is still under way, when it is terminated.
  await whileCopyWaits(by.ends.destination, () => handle.terminate(), 'public.person, public.visit');
  const done = await committed();
  const replayed = await by.replay(run, { ...by.file(rules), tuning: { historyLimit: 25 } });
  expect((await replayed.result()).verdict.ok).toBe(true);
  // Visibility lags behind.
  await until('it went over several legs', async () => {
    const query = `WorkflowId = '${replayed.workflowId}'`;
    let legs = 0;
    for await (const _ of at.stage.client.workflow.list({ query })) legs += 1;
    return legs > 1;
  });
  const all = await committed();
  expect(all.length).toBeGreaterThan(done.length);
  // What was committed is not done again.
  expect(all).toEqual(expect.arrayContaining(done));
  expect(await by.catalog()).toEqual(before);
  expect(await by.states(run)).toEqual(['complete']);
  await by.expectCopied(rules);
});

it('a table without a key is read again whole', async () => {
  const by = await at.open();
  for (const database of [by.ends.source, by.ends.destination]) {
    await ask(database, 'CREATE TABLE public.note (body text, person_id bigint REFERENCES public.person)');
  }
  await ask(
    by.ends.source,
    `INSERT INTO public.note SELECT 'note ' || md5(i::text), i FROM generate_series(1, 900) i`,
  );
  await ask(
    by.ends.destination,
    `ALTER TABLE public.note ADD CONSTRAINT seen CHECK (body <> 'note ' || md5('9'))`,
  );
  const rules = `${cut('{ quarantine: 50 }')}  public.note: { columns: { body: keep } }\n`;
  const run = await by.failing(rules);
  await by.mend();
  await ask(by.ends.destination, 'ALTER TABLE public.note DROP CONSTRAINT seen');
  const { replayed, verdict } = await (await by.replay(run, by.file(rules))).result();
  expect(verdict.ok).toBe(true);
  // Those of the other tables; the notes were loaded.
  expect(replayed.copied).toBe(7);
  expect(await ask(by.ends.destination, 'SELECT count(*) AS n FROM public.note')).toEqual([{ n: '900' }]);
});
