import { defineConfig } from 'vitest/config';

/**
 * A tier of tests: a folder, what it may take, and whether it uses servers. Tiers run one after the other. The files of a
 * tier share two processes, since each would import everything again: what a file sets and starts, it must clear away.
 */
function tier(name: string, order: number, timeout: number, { servers }: { servers: boolean }) {
  return {
    test: {
      name,
      isolate: false,
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
    maxWorkers: 2,
    reporters: ['default', './test/harness/reporter.ts'],
    projects: [
      tier('pure', 0, 30_000, { servers: false }),
      tier('engine', 1, 60_000, { servers: true }),
      tier('durable', 2, 240_000, { servers: true }),
      tier('whole', 3, 300_000, { servers: true }),
    ],
  },
});
