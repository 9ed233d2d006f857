import { mkdirSync, writeFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';

/** What `reports/tests.json` holds after a run; `scripts/test.mjs` prints its last line from it. */
export interface TestSummary {
  passed: number;
  failed: number;
  skipped: number;
  skips: { test: string; reason: string }[];
}

/** Counts tests and keeps why each skipped one was skipped, which vitest's own JSON leaves out. */
export default class SummaryReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
    const summary: TestSummary = { passed: 0, failed: unhandled.length, skipped: 0, skips: [] };
    for (const module of modules) count(module, summary);
    mkdirSync('reports', { recursive: true });
    writeFileSync('reports/tests.json', `${JSON.stringify(summary, null, 2)}\n`);
  }
}

function count(module: TestModule, summary: TestSummary): void {
  // A file that does not load, or a hook that throws, has no failed test of its own.
  const tests = [...module.children.allTests()];
  const failed = tests.filter((test) => test.result().state === 'failed').length;
  if (failed === 0 && module.state() === 'failed') summary.failed += 1;
  summary.failed += failed;
  for (const test of tests) {
    const result = test.result();
    if (result.state === 'passed') summary.passed += 1;
    if (result.state !== 'skipped' && result.state !== 'pending') continue;
    summary.skipped += 1;
    const reason = (result.state === 'skipped' && result.note) || 'no reason given';
    summary.skips.push({ test: `${module.relativeModuleId} > ${test.fullName}`, reason });
  }
}
