import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/harness/sequence.js';

interface Tier {
  readonly servers: boolean;
  /** Processes at once. More than the machine has cores where tests wait for processes, servers and back-offs. */
  readonly maxWorkers: number;
}

/**
 * A tier of tests: a folder, what it may take, and whether it uses servers. Tiers run one after the other. The files of a
 * tier share few processes, since each would import everything again: what a file sets and starts, it must clear away.
 */
function tier(name: string, order: number, timeout: number, { servers, maxWorkers }: Tier) {
  return {
    test: {
      name,
      isolate: false,
      maxWorkers,
      include: [`test/${name}/**/*.test.ts`],
      globalSetup: servers ? ['test/harness/setup.ts'] : [],
      setupFiles: servers ? ['test/harness/file.ts'] : [],
      testTimeout: timeout,
      hookTimeout: Math.max(timeout, 120_000),
      sequence: { groupOrder: order },
    },
  };
}

export default defineConfig({
  test: {
    pool: 'forks',
    sequence: { sequencer: LongestFirst },
    reporters: ['default', './test/harness/reporter.ts'],
    projects: [
      tier('pure', 0, 30_000, { servers: false, maxWorkers: 2 }),
      tier('engine', 1, 60_000, { servers: true, maxWorkers: 2 }),
      tier('durable', 2, 240_000, { servers: true, maxWorkers: 3 }),
      tier('whole', 3, 300_000, { servers: true, maxWorkers: 3 }),
    ],
  },
});
