import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parseRetention } from '../../job/retention/load.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { progressOf } from '../../workers/runs.js';
import type { syncJob } from '../../workflows/syncJob.js';
import { ask, until } from '../durable/fixture.js';
import { createDatabase, describeUnless, type TestDatabase } from '../harness/servers.js';
import { browserMissing, type TemporalUi } from './browser.js';
import { UiScene } from './ui-scene.js';

/* Runs started, watched and steered by a person who knows nothing but the web UI of Temporal. */

const job = `crm-${randomBytes(2).toString('hex')}`;
const JOB = `job: ${job}
source: { postgres: env:PEOPLE_URL }
destination: { postgres: env:COPY_URL }
key: env:LETHE_KEY
concurrency: 2
batchRows: 100
schedule: { cron: "0 3 * * *", timezone: UTC }
tables:
  public.person: { columns: { id: permute, name: firstName, email: email } }
  public.pet: { columns: { id: keep, name: firstName } }
`;
const SCHEMA = `CREATE TABLE public.person (id int PRIMARY KEY, name text NOT NULL, email text NOT NULL);
CREATE TABLE public.pet (id int PRIMARY KEY, owner int NOT NULL REFERENCES public.person, name text NOT NULL)`;

const KEYS_START = Date.UTC(2026, 2, 10, 12);
const DAY_MS = 86_400_000;
const retention = (name: string, home: string) => `retention:
  stores:
    ${name}:
      postgres: env:UI_KEYS_URL
      masters: { file: ${join(home, 'masters')} }
      copy: ${join(home, 'copy')}
      signing: env:UI_SIGNING
      simulated: true
  policies: [{ id: ip, window: 3 }]
  schedules: { generate: "0 0 29 2 *", destroy: "0 0 29 2 *" }   # not while the test runs
`;

describeUnless(browserMissing, 'in the web UI of Temporal', () => {
  let source: TestDatabase;
  let destination: TestDatabase;
  let scene: UiScene;
  let ui: TemporalUi;
  let queue: string;
  let keys: TestDatabase;
  let keyStore: KeyStore;
  const home = mkdtempSync(join(tmpdir(), 'lethe-ui-'));

  beforeAll(async () => {
    [source, destination, keys] = await Promise.all([createDatabase(), createDatabase(), createDatabase()]);
    await ask(destination, SCHEMA);
    await ask(source, SCHEMA);
    await ask(
      source,
      `INSERT INTO public.person SELECT i, 'Zebulon', 'z' || i || '@zq.example' FROM generate_series(1, 3000) i`,
    );
    await ask(source, `INSERT INTO public.pet SELECT i, i, 'Rex' FROM generate_series(1, 900) i`);
    const store = `k${randomBytes(5).toString('hex')}`;
    const text = retention(store, home);
    const own: Record<string, string> = {
      UI_KEYS_URL: keys.url,
      UI_SIGNING: Buffer.alloc(32, 5).toString('base64'),
    };
    const { retention: file } = parseRetention(text, 'retention.yaml');
    const resolve = async (reference: string) => own[reference.replace('env:', '')] ?? '';
    keyStore = await openKeyStore(file!, store, resolve, { create: true, start: KEYS_START });
    scene = await UiScene.open(
      { 'people.yaml': JOB, 'retention.yaml': text },
      {
        ...own,
        PEOPLE_URL: source.url,
        COPY_URL: destination.url,
        LETHE_KEY: Buffer.alloc(32, 7).toString('base64'),
      },
    );
    ({ ui, queue } = scene);
  });
  afterAll(async () => {
    await scene?.close();
    await source?.drop();
    await destination?.drop();
    await keys?.drop();
    rmSync(home, { recursive: true, force: true });
  });

  it('a start with nothing in the form is one failure that lists the jobs', async () => {
    await ui.startWorkflow({ id: `nothing-${job}`, queue, type: 'syncJob' });
    await ui.openWorkflow(`nothing-${job}`);
    await ui.page.getByText(`Known jobs: ${job}.`).first().waitFor();
    await ui.screenshot('temporal-known-jobs');
  });

  it('a run is started by the name of its job, watched, paused and resumed', async () => {
    const id = `ad-hoc-${job}`;
    const handle = scene.client.workflow.getHandle<typeof syncJob>(id);
    await ui.startWorkflow({
      id,
      queue,
      type: 'syncJob',
      input: JSON.stringify({ job }),
      picture: 'temporal-start',
    });
    // By the API, since a person is not fast enough for a table this small.
    await handle.signal('pause');
    await until('it is loading', async () => (await progressOf(handle))?.phase === 'loading');

    await ui.openWorkflow(id, 'User Metadata');
    // The server renders Markdown in a frame.
    const details = ui.page.frameLocator('iframe[title=output]');
    await details.getByText('public.person').waitFor();
    await details.getByText('paused').waitFor();
    await ui.screenshot('temporal-progress');
    const update = await ui.send('update', 'setConcurrency', '{"partitions": 7}');
    expect(update).toContain('how many partitions are in flight');
    await until('the update has arrived', async () => (await progressOf(handle))?.concurrency === 7);
    const signal = await ui.send('signal', 'resume');
    expect(signal).toContain('Goes on after a pause');

    const { run, verdict } = await handle.result();
    expect(verdict).toMatchObject({ ok: true, rows: 3900 });
    await ui.findWorkflows(`LetheRun="${run}"`);
    await ui.page.getByRole('link', { name: id }).first().waitFor();
    await ui.openWorkflow(id);
    await ui.page.getByText('Completed').first().waitFor();
    await ui.screenshot('temporal-run');
  });

  it('a schedule is triggered, backfilled and paused', async () => {
    expect((await scene.desk.lethe('apply', 'jobs/people.yaml', '--task-queue', queue)).code).toBe(0);
    const id = `sync:${job}`;
    const schedule = scene.client.schedule.getHandle(id);
    await ui.openSchedule(id);
    await ui.trigger();
    const runs = async () => (await schedule.describe()).info.recentActions;
    await until('it was triggered', async () => (await runs()).length === 1);
    const [first] = await runs();
    const { workflowId } = first!.action.workflow;
    expect(await scene.client.workflow.getHandle<typeof syncJob>(workflowId).result()).toMatchObject({
      job,
      verdict: { ok: true },
    });
    await ui.openSchedule(id);
    await ui.page.getByRole('link', { name: workflowId }).first().waitFor();
    await ui.screenshot('temporal-schedule');
    await ui.backfill('01/05/2026');
    await until('it was backfilled', async () => (await runs()).length === 2);
    const { workflow } = (await runs()).find((one) => one.action.workflow.workflowId !== workflowId)!.action;
    expect(workflow.workflowId).toContain('2026-01-05T03:00:00Z');
    expect(await scene.client.workflow.getHandle<typeof syncJob>(workflow.workflowId).result()).toMatchObject(
      {
        verdict: { ok: true, rows: 3900 },
      },
    );
    await ui.page.locator('#schedule-actions-primary-button').click();
    const dialog = ui.page.locator('dialog[open], [role=dialog]').filter({ visible: true });
    await dialog.getByRole('textbox').fill('The source is being moved.');
    await ui.page.getByTestId('confirm-modal-button').filter({ visible: true }).click();
    await until('it is paused', async () => (await schedule.describe()).state.paused);
    await schedule.delete();
  });

  it('day keys are made and destroyed, by name, with nothing in the form, and by the schedule', async () => {
    const { client } = scene;
    const started = async (type: string, input?: string) => {
      const id = `${type}-${randomBytes(3).toString('hex')}`;
      const picture = input && type === 'destroyDayKeys' ? 'temporal-destroy' : undefined;
      await ui.startWorkflow({ id, queue, type, ...(input && { input }), ...(picture && { picture }) });
      return client.workflow.getHandle(id).result();
    };
    const byName = JSON.stringify({ keyStore: keyStore.name });
    expect(await started('generateDayKeys', byName)).toMatchObject([{ keyStore: keyStore.name, made: 3 }]);
    await keyStore.setClock(KEYS_START + 4 * DAY_MS);
    expect(await started('destroyDayKeys')).toMatchObject([{ keyStore: keyStore.name, destroyed: [{}, {}] }]);
    expect(await started('destroyDayKeys', byName)).toMatchObject([{ destroyed: [] }]);
    expect(await started('generateDayKeys')).toMatchObject([{ made: 3 }]);

    const applied = await scene.desk.lethe(
      'retention',
      'apply',
      'jobs/retention.yaml',
      '--task-queue',
      queue,
    );
    expect([applied.code, applied.err]).toEqual([0, '']);
    await keyStore.setClock(KEYS_START + 6 * DAY_MS);
    const id = `destroyDayKeys:${keyStore.name}`;
    const schedule = client.schedule.getHandle(id);
    await ui.openSchedule(id);
    await ui.trigger();
    const runs = async () => (await schedule.describe()).info.recentActions;
    await until('it was triggered', async () => (await runs()).length === 1);
    const [triggered] = await runs();
    const last = client.workflow.getHandle(triggered!.action.workflow.workflowId);
    expect(await last.result()).toMatchObject([{ destroyed: [{ policy: 'ip', day: '2026-03-12' }] }]);
    await ui.openWorkflow(last.workflowId, 'User Metadata');
    const details = ui.page.frameLocator('#user-metadata-current-details');
    await details.getByText('ip 2026-03-12 is gone').waitFor();
    await ui.screenshot('temporal-destroyed');
    const verified = await keyStore.verify();
    expect(verified.filter(({ state }) => state === 'failed')).toEqual([]);
    await Promise.all(
      ['generateDayKeys', 'destroyDayKeys'].map((type) =>
        client.schedule.getHandle(`${type}:${keyStore.name}`).delete(),
      ),
    );
  });
});
