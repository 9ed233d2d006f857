import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { claimDestination } from '../../postgres/claim.js';
import { query, withSession } from '../../postgres/session.js';
import { startSync } from '../../workers/runs.js';
import { describeUnless, sharedData } from '../harness/servers.js';
import { jobText, openEnds, openStage, type Stage } from './fixture.js';

const chinook = sharedData('chinook.sql');

describeUnless(chinook.missing, 'chinook', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.stop());

  it('is copied', async () => {
    const ends = await openEnds(18, chinook.path);
    await withSession(
      { url: ends.destination.url, role: 'destination', applicationName: 'test' },
      (session) => claimDestination(session, { by: 'test' }),
    );
    const text = jobText(await readFile('examples/chinook/job.yaml', 'utf8'), ends);
    const handle = await startSync(
      stage.client,
      'chinook',
      { file: { name: 'job.yaml', text } },
      stage.taskQueue,
    );
    const started = Date.now();
    const result = await handle.result();
    console.log(JSON.stringify(result), Date.now() - started);
    const rows = await withSession(
      { url: ends.destination.url, role: 'destination', applicationName: 'test' },
      (session) => query(session, 'select * from public.customer order by 1 limit 3'),
    );
    console.log(rows);
    expect(result.verdict.ok).toBe(true);
    await ends.drop();
  });
});
