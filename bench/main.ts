import { parseArgs } from 'node:util';
import { benchDocuments } from './documents.js';
import { benchEngine } from './engine.js';
import { benchFilter } from './filter.js';
import { benchMongo } from './mongo.js';
import { benchRetention } from './retention.js';
import { benchRetentionPostgres } from './retentionPostgres.js';
import { runRounds, type Subject } from './rounds.js';
import { openScene, type Scene } from './scene.js';
import { benchSync } from './sync.js';
import { benchValidate } from './validate.js';

const HELP = `Usage: npm run bench -- sync|workers|engine|validate|retention|reveal|documents|mongo [--rows 1000000] [--rounds 5] [--threads 2]

  sync       a whole \`lethe sync\` (plan, load, indexes, validation) on a running worker and Temporal server
  workers    the same with one worker process, then with two
  engine     the loading of rows alone, into a table with its indexes in place
  validate   the checks at the end of whole runs, beside the copy
  retention  sealing and revealing of values on one core and of lines by the filter, and their memory; then \`reveal\`
  reveal     sealed columns on PostgreSQL, beside encryption by pgcrypto, plain columns, a side table and a daily UPDATE
  documents  fields of MongoDB documents changed in memory, beside decoding them and a copy of their bytes
  mongo      a run over MongoDB beside a raw copy and a copy by the server; --rows documents of about 1 KB

The first three beside \`COPY | COPY\` by psql, in turns, into a table with the same primary key and indexes, on one PostgreSQL
server that is made for it. Prints the median of the rounds: seconds, rows/s, ratio, peak resident memory.
They need psql on PATH. \`retention\` beside AES-256-GCM and HMAC of node:crypto, one value at a time.`;

type Open = (scene: Scene, threads: number) => Promise<Subject>;

/** What is measured, one after the other, on one server. */
const SUBJECTS: Readonly<Record<string, readonly Open[]>> = {
  sync: [benchSync],
  workers: [benchSync, (scene, threads) => benchSync(scene, threads, 2)],
  engine: [benchEngine],
};

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
  if (name === 'retention' && !values.help) {
    benchRetention(Number(values.rows), Number(values.rounds));
    await benchFilter(Number(values.rows), Number(values.rounds), Number(values.threads));
    await benchRetentionPostgres(Number(values.rows), Number(values.rounds));
    return 0;
  }
  if (name === 'reveal' && !values.help) {
    await benchRetentionPostgres(Number(values.rows), Number(values.rounds));
    return 0;
  }
  if (name === 'documents' && !values.help) {
    benchDocuments(Number(values.rounds));
    return 0;
  }
  if (name === 'mongo' && !values.help) {
    await benchMongo(Number(values.rows), Number(values.rounds), Number(values.threads));
    return 0;
  }
  if (values.help || (name !== 'validate' && !Object.hasOwn(SUBJECTS, name))) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const scene = await openScene({ rows: Number(values.rows) });
  try {
    if (name === 'validate') {
      await benchValidate(scene, Number(values.threads), Number(values.rounds));
      return 0;
    }
    for (const open of SUBJECTS[name]!) {
      const subject = await open(scene, Number(values.threads));
      try {
        await runRounds(scene, subject, Number(values.rounds));
      } finally {
        await subject.end();
      }
    }
  } finally {
    await scene.end();
  }
  return 0;
}

process.exitCode = await main();
