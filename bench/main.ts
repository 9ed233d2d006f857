import { parseArgs } from 'node:util';
import { benchEngine } from './engine.js';
import { runRounds } from './rounds.js';
import { openScene } from './scene.js';
import { benchSync } from './sync.js';

const HELP = `Usage: npm run bench -- sync|engine [--rows 1000000] [--rounds 5] [--threads 2]

  sync    a whole \`lethe sync\` (plan, load, indexes, validation) on a running worker and Temporal server
  engine  the loading of rows alone, into a table with its indexes in place

Each beside \`COPY | COPY\` by psql, in turns, into a table with the same primary key and indexes, on one PostgreSQL
server that is made for it. Prints the median of the rounds: seconds, rows/s, ratio, peak resident memory.
Needs psql on PATH.`;

const SUBJECTS = { sync: benchSync, engine: benchEngine };

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      rows: { type: 'string', default: '1000000' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  const name = positionals[0] ?? '';
  if (values.help || !Object.hasOwn(SUBJECTS, name)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const scene = await openScene({ rows: Number(values.rows) });
  try {
    const subject = await SUBJECTS[name as keyof typeof SUBJECTS](scene, Number(values.threads));
    try {
      await runRounds(scene, subject, Number(values.rounds));
    } finally {
      await subject.end();
    }
  } finally {
    await scene.end();
  }
  return 0;
}

process.exitCode = await main();
