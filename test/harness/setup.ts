import { spawnSync } from 'node:child_process';
import type { TestProject } from 'vitest/node';
import { type Broker, startBroker } from './broker.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Base URL of the broker that starts servers on demand. */
    broker: string;
  }
}

/* Each project runs this, in one process: they share the broker, and the last one to end stops it. */
const shared = globalThis as { letheBroker?: { running: Promise<Broker>; users: number } };

/** vitest's globalSetup. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  if (project.name === 'whole') buildForProcesses();
  shared.letheBroker ??= { running: startBroker(), users: 0 };
  const mine = shared.letheBroker;
  mine.users += 1;
  project.provide('broker', (await mine.running).url);
  return async () => {
    mine.users -= 1;
    if (mine.users > 0) return;
    shared.letheBroker = undefined;
    await (await mine.running).stop();
  };
}

/** Worker processes, thread pools and the workflow bundle run from dist, not from the sources. */
function buildForProcesses(): void {
  const { status } = spawnSync(process.execPath, ['scripts/build.mjs', '--if-stale'], { stdio: 'inherit' });
  if (status !== 0)
    console.error('The build failed: tests that use dist/ see what came of it, or an older one.');
}
