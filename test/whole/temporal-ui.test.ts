import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
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

describeUnless(browserMissing, 'in the web UI of Temporal', () => {
  let source: TestDatabase;
  let destination: TestDatabase;
  let scene: UiScene;
  let ui: TemporalUi;
  let queue: string;

  beforeAll(async () => {
    [source, destination] = await Promise.all([createDatabase(), createDatabase()]);
    await ask(destination, SCHEMA);
    await ask(source, SCHEMA);
    await ask(
      source,
      `INSERT INTO public.person SELECT i, 'Zebulon', 'z' || i || '@zq.example' FROM generate_series(1, 3000) i`,
    );
    await ask(source, `INSERT INTO public.pet SELECT i, i, 'Rex' FROM generate_series(1, 900) i`);
    scene = await UiScene.open(
      { 'people.yaml': JOB },
      {
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
    await ui.page.locator('#schedule-actions-menu-button').click();
    await ui.page.getByTestId('trigger-schedule').click();
    await ui.page.getByTestId('confirm-modal-button').filter({ visible: true }).click();
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
});
