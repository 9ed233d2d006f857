/* Runs the tests (all tiers, or what the arguments say to vitest) and prints the sum as the last line. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const result = join(root, 'reports/tests.json');

rmSync(result, { force: true });
const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const { status } = spawnSync(process.execPath, [vitest, 'run', ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
const nothing = { passed: 0, failed: 1, skipped: 0, skips: [] };
const sum = existsSync(result) ? JSON.parse(readFileSync(result, 'utf8')) : nothing;
for (const { test, reason } of sum.skips) console.log(`skipped: ${test}: ${reason}`);
console.log(`${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
process.exit(sum.failed > 0 ? 1 : (status ?? 1));
