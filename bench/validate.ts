import { query } from '../postgres/session.js';
import { type Scene, withUrl } from './scene.js';
import { benchSync } from './sync.js';

interface Times {
  /** Seconds: the whole run as its ledger has it, and its validation. */
  readonly run: number;
  readonly validation: number;
}

/** Whole runs, each with its validation: what the checks cost beside the copy. */
export async function benchValidate(scene: Scene, threads: number, rounds: number): Promise<void> {
  const subject = await benchSync(scene, threads);
  const measured: Times[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      await subject.run();
      const times = await newestTimes(scene);
      measured.push(times);
      console.log(`  round ${round}: ${line(times)}`);
    }
  } finally {
    await subject.end();
  }
  const [middle] = measured.sort((a, b) => share(a) - share(b)).slice((measured.length - 1) >> 1);
  console.log(`${scene.rows.toLocaleString('en')} rows, median of ${rounds}: ${line(middle!)}`);
}

async function newestTimes(scene: Scene): Promise<Times> {
  return withUrl(scene.destination, 'destination', async (session) => {
    const [row] = await query(
      session,
      `SELECT extract(epoch FROM r.ended_at - r.started_at) AS run, c.seconds AS validation
         FROM lethe.run r JOIN lethe.check_result c USING (run) ORDER BY r.started_at DESC LIMIT 1`,
    );
    return { run: Number(row!.run), validation: Number(row!.validation) };
  });
}

function share({ run, validation }: Times): number {
  return validation / (run - validation);
}

function line(times: Times): string {
  const copy = times.run - times.validation;
  return `copy ${copy.toFixed(2)} s, validation ${times.validation.toFixed(2)} s, ${(100 * share(times)).toFixed(1)} % of the copy`;
}
