import { afterAll } from 'vitest';
import { killWorkersLeft } from '../durable/processes.js';
import { closeIdle } from './ask.js';

/* Around each test file, since files share processes: what one has set and started is gone when the next one begins. */

const before = { ...process.env };

afterAll(async () => {
  await killWorkersLeft();
  await closeIdle();
  for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
  Object.assign(process.env, before);
});
