import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { progressOf } from '../../workers/runs.js';
import type { replayFailedBatches } from '../../workflows/replayFailedBatches.js';
import type { syncJob } from '../../workflows/syncJob.js';
import { ask, type Ends, jobFile, until } from '../durable/fixture.js';
import { BROKEN_RULES, MEND_DESTINATION, MEND_SOURCE, openBroken } from '../durable/replay-fixture.js';
import { describeUnless } from '../harness/servers.js';
import { browserMissing } from './browser.js';
import { UiScene } from './ui-scene.js';

/* A run of 60,000 rows that fails with seven of them in quarantine, repaired by a person who knows nothing but the web UI of Temporal. */

const job = `crm-${randomBytes(2).toString('hex')}`;

describeUnless(browserMissing, 'a replay from the web UI of Temporal', () => {
  let ends: Ends;
  let scene: UiScene;

  beforeAll(async () => {
    ends = await openBroken(10_000, 50_000);
    scene = await UiScene.open({ 'crm.yaml': jobFile(ends, BROKEN_RULES, job).text }, ends.env);
  });
  afterAll(async () => {
    await scene?.close();
    await ends?.drop();
  });

  it('makes a failed run green, and copies nothing twice', async () => {
    const { ui, queue, client } = scene;
    const id = `ad-hoc-${job}`;
    await ui.startWorkflow({ id, queue, type: 'syncJob', input: JSON.stringify({ job }) });
    await expect(client.workflow.getHandle(id).result()).rejects.toThrow();
    await ui.openWorkflow(id);
    await ui.page.getByText('public.person: 1 × ').first().waitFor();
    await ui.screenshot('temporal-quarantine');
    const [run] = await ask(ends.destination, 'SELECT run, state FROM lethe.run');
    expect(run?.state).toBe('failed');

    await ask(ends.source, MEND_SOURCE);
    await ask(ends.destination, MEND_DESTINATION);
    const replay = `replay-${job}`;
    await ui.startWorkflow({
      id: replay,
      queue,
      type: 'replayFailedBatches',
      input: JSON.stringify({ run: run!.run }),
      picture: 'temporal-replay',
    });
    const handle = client.workflow.getHandle<typeof replayFailedBatches>(replay);
    expect(await handle.result()).toMatchObject({
      job,
      replayed: { copied: 7, gone: 0 },
      verdict: { ok: true },
    });
    await ui.openWorkflow(replay);
    await ui.page.getByText('Completed').first().waitFor();
    await until('the ledger agrees', async () => {
      const [now] = await ask(ends.destination, 'SELECT state FROM lethe.run');
      return now?.state === 'complete';
    });
    const counts = `SELECT (SELECT count(*) FROM public.person) AS people, (SELECT count(DISTINCT badge) FROM public.person) AS badges,
      (SELECT count(*) FROM public.visit) AS visits`;
    expect(await ask(ends.destination, counts)).toEqual([
      { people: '10000', badges: '10000', visits: '50000' },
    ]);
  });

  it('a run that waits is sent the update replay, and succeeds', async () => {
    await ask(ends.source, 'DELETE FROM public.visit WHERE id > 2000');
    await ask(ends.source, `UPDATE public.person SET account = 'none' WHERE id = 7`);
    const { ui, queue, client, desk } = scene;
    const rules = BROKEN_RULES.replace('{ quarantine: 50 }', '{ quarantine: 50, wait: 4h }');
    desk.write(join('jobs', 'crm.yaml'), jobFile(ends, rules, job).text);
    const id = `waits-${job}`;
    await ui.startWorkflow({ id, queue, type: 'syncJob', input: JSON.stringify({ job }) });
    const handle = client.workflow.getHandle<typeof syncJob>(id);
    const waits = until('it waits', async () => (await progressOf(handle))?.phase === 'waiting', 200_000);
    await Promise.race([waits, handle.result()]);
    await ui.openWorkflow(id, 'User Metadata');
    const details = ui.page.frameLocator('iframe[title=output]');
    await details.getByText('waits for replay until').waitFor();
    await ui.screenshot('temporal-waiting');

    await ask(ends.source, `UPDATE public.person SET account = 'DE89370400440532013000' WHERE id = 7`);
    const described = await ui.send('update', 'replay');
    expect(described).toContain('Tries the rows in quarantine again');
    expect(await handle.result()).toMatchObject({ job, verdict: { ok: true, quarantined: [] } });
    await ui.openWorkflow(id);
    await ui.page.getByText('Completed').first().waitFor();
  });
});
