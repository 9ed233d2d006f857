/* Breaks everything at random while runs go on: `npm run chaos -- --minutes 10 --seed 7`. See test/durable/chaos.test.ts. */
import { spawnSync } from 'node:child_process';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (values.help || !(Number(values.minutes) > 0) || !Number.isInteger(Number(values.seed))) {
  console.log(
    'Usage: npm run chaos -- [--minutes 10] [--seed N]    The seed decides what breaks. Default: a new one.',
  );
  process.exit(values.help ? 0 : 2);
}
console.log(`${values.minutes} minutes of chaos, seed ${values.seed}`);
const vitest = resolve(root, 'node_modules/vitest/vitest.mjs');
const { status } = spawnSync(
  process.execPath,
  [vitest, 'run', 'test/durable/chaos.test.ts', '--disable-console-intercept'],
  {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, LETHE_CHAOS_MINUTES: values.minutes, LETHE_TEST_SEED: values.seed },
  },
);
process.exit(status ?? 1);
