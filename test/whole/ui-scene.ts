import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { temporal, uniqueTaskQueue } from '../harness/servers.js';
import { TemporalUi } from './browser.js';
import { Desk } from './cli-fixture.js';

/** A worker that knows the jobs of a folder, and a browser at the web UI of its Temporal server. */
export class UiScene {
  private constructor(
    readonly desk: Desk,
    readonly queue: string,
    readonly client: Client,
    readonly ui: TemporalUi,
    private readonly worker: ReturnType<Desk['start']>,
  ) {}

  /** @param jobs Job files by name; they are found as `jobs/<name>` in the desk's folder. */
  static async open(jobs: Record<string, string>, env: Record<string, string>): Promise<UiScene> {
    const desk = new Desk();
    const queue = uniqueTaskQueue('ui');
    const { address, namespace, uiUrl } = await temporal();
    mkdirSync(join(desk.folder, 'jobs'));
    for (const [name, text] of Object.entries(jobs)) desk.write(join('jobs', name), text);
    Object.assign(desk.env, env, {
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      LETHE_JOBS: join(desk.folder, 'jobs'),
    });
    const worker = desk.start('worker', '--task-queue', queue);
    const client = new Client({ connection: await Connection.connect({ address }), namespace });
    await worker.until('Worker on');
    return new UiScene(desk, queue, client, await TemporalUi.open(uiUrl, namespace), worker);
  }

  async close(): Promise<void> {
    await this.ui.close();
    this.worker.child.kill('SIGTERM');
    await this.worker.result;
    await this.client.connection.close();
    this.desk.clear();
  }
}
