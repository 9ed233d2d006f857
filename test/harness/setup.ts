import type { TestProject } from 'vitest/node';
import { type Broker, startBroker } from './broker.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Base URL of the broker that starts servers on demand. */
    broker: string;
  }
}

/* Each tier runs this, in one process: they share the broker, and the last one to end stops it. */
const shared = globalThis as { letheBroker?: { running: Promise<Broker>; users: number } };

/** vitest's globalSetup of the tiers that use servers. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
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
