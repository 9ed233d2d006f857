import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/harness/sequence.js';

/**
 * Two tiers of tests that run in the same processes, since each process imports everything again: what a file sets and
 * starts, it must clear away.
 */
function tiers(names: readonly string[], order: number, timeout: number, maxWorkers: number) {
  return {
    test: {
      name: names.at(-1)!,
      isolate: false,
      maxWorkers,
      include: names.map((name) => `test/${name}/**/*.test.ts`),
      globalSetup: ['test/harness/setup.ts'],
      setupFiles: ['test/harness/file.ts'],
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
      tiers(['pure', 'engine'], 0, 60_000, 2),
      // More than a small machine has cores: these tests wait for processes, servers and back-offs.
      tiers(['durable', 'whole'], 1, 300_000, 3),
    ],
  },
});
