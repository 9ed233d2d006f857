import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { expect, test } from 'vitest';
import { startTemporal } from '../../embedded/temporal.js';
import { temporal, uniqueTaskQueue } from '../harness/servers.js';

async function withClient<T>(address: string, use: (client: Client) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

async function startIdle(client: Client, workflowId: string): Promise<void> {
  await client.workflow.start('nobodyRunsThis', {
    workflowId,
    taskQueue: uniqueTaskQueue(),
    searchAttributes: { LetheJob: ['shop'], LetheRun: ['r1'], LetheMode: ['replace'] },
  });
}

test('the shared server takes workflows with the search attributes of Lethe, and serves its UI', async () => {
  const { address, uiUrl } = await temporal();
  await withClient(address, async (client) => {
    await startIdle(client, 'shared-1');
    const found = await client.workflow.getHandle('shared-1').describe();
    expect(found.searchAttributes).toMatchObject({ LetheJob: ['shop'], LetheMode: ['replace'] });
    await client.workflow.getHandle('shared-1').terminate();
  });
  expect((await fetch(uiUrl)).status).toBe(200);
});

test('a killed server goes on where it was', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'lethe-test-temporal-'));
  const first = await startTemporal({ dataDir });
  await withClient(first.address, (client) => startIdle(client, 'survivor'));
  await first.kill();
  const port = Number(first.address.split(':')[1]);
  const second = await startTemporal({ dataDir, port });
  const state = await withClient(second.address, (client) =>
    client.workflow.getHandle('survivor').describe(),
  );
  expect(state.status.name).toBe('RUNNING');
  await second.stop();
  await rm(dataDir, { recursive: true });
});
