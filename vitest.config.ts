import { defineConfig } from 'vitest/config';

/**
 * A tier of tests: a folder, what it may take, and whether it uses servers. Tiers run one after the other. `isolate`
 * gives each file a process of its own, which takes seconds of importing for each.
 */
function tier(
  name: string,
  order: number,
  timeout: number,
  { servers, isolate }: { servers: boolean; isolate: boolean },
) {
  return {
    test: {
      name,
      isolate,
      include: [`test/${name}/**/*.test.ts`],
      globalSetup: servers ? ['test/harness/setup.ts'] : [],
      testTimeout: timeout,
      hookTimeout: Math.max(timeout, 120_000),
      sequence: { groupOrder: order },
    },
  };
}

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    reporters: ['default', './test/harness/reporter.ts'],
    projects: [
      tier('pure', 0, 30_000, { servers: false, isolate: false }),
      tier('engine', 1, 60_000, { servers: true, isolate: false }),
      tier('durable', 2, 240_000, { servers: true, isolate: false }),
      tier('whole', 3, 300_000, { servers: true, isolate: false }),
    ],
  },
});
