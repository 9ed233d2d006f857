import { stringify } from 'yaml';
import { type TableName, tableText } from '../plan/catalog.js';
import { isOurs } from '../plan/documents/build.js';
import { databasesOf, readCatalog } from './catalog.js';
import type { Connection } from './connection.js';
import { adviseFields, type FieldAdvice } from './documents/advise.js';
import { learnFields } from './documents/learn.js';
import { sampleDocuments } from './planning.js';

/** A job file for MongoDB, with what is left to decide. */
export interface DocumentDraft {
  readonly text: string;
  readonly collections: number;
  readonly fields: number;
  /** `database.collection.path`. */
  readonly undecided: readonly string[];
}

export interface DraftOptions {
  readonly job: string;
  /** References. */
  readonly source: string;
  readonly destination: string;
  /** Of `database.collection`. */
  readonly include: (name: string) => boolean;
}

/** Documents of each collection that are looked at. */
const SAMPLE = 400;

/** Drafts a job file from a sample of each collection: names and types of fields, no value. */
export async function draftDocuments(connection: Connection, options: DraftOptions): Promise<DocumentDraft> {
  const { collections } = await readCatalog(connection, await databasesOf(connection));
  const wanted = collections
    .filter((collection) => !isOurs(collection) && options.include(tableText(collection)))
    .sort((a, b) => (tableText(a) < tableText(b) ? -1 : 1));
  const parts: string[] = [];
  const undecided: string[] = [];
  let fields = 0;
  for (const collection of wanted) {
    const { text, open, count } = await draftCollection(connection, collection);
    parts.push(text);
    undecided.push(...open);
    fields += count;
  }
  return { text: [head(options), ...parts, ''].join('\n'), collections: wanted.length, fields, undecided };
}

function head({ job, source, destination }: DraftOptions): string {
  return [
    '# Look at every line: suggestions come from names and types of fields, seen in a sample of the documents.',
    `job: ${job}`,
    `source: { mongodb: ${source} }`,
    `destination: { mongodb: ${destination}, mode: replace }`,
    'key: env:LETHE_KEY # 32 bytes, base64: `lethe keygen`',
    'consistency: job # the same output every run; run: unlinkable between runs',
    'unlisted: block # a field nobody decided on stops the plan',
    'collections:',
  ].join('\n');
}

async function draftCollection(connection: Connection, collection: TableName) {
  const name = tableText(collection);
  const learned = learnFields(await sampleDocuments(connection, collection, SAMPLE));
  const advice = adviseFields(name, learned);
  const lines = advice.map(fieldLine);
  const decided = advice.some(({ spec }) => spec !== undefined);
  const seen = `    # ${learned.documents} documents looked at`;
  return {
    text: [`  ${key(name)}:`, seen, decided ? '    fields:' : '    fields: {}', ...lines].join('\n'),
    open: advice.filter(({ spec }) => spec === undefined).map(({ path }) => `${name}.${path}`),
    count: advice.length,
  };
}

function fieldLine({ path, spec, confidence, reason }: FieldAdvice): string {
  const note = reason.replaceAll('\n', ' ');
  if (spec === undefined) return `      # ${key(path)}: ? # undecided: ${note}`;
  const value = stringify(spec, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
  return `      ${key(path)}: ${value} # ${note}${confidence === 'low' ? ' (a guess)' : ''}`;
}

/** As YAML writes it, with quotes where they are needed. */
function key(name: string): string {
  return stringify({ [name]: 0 }, { lineWidth: 0 }).replace(/: 0\n$/, '');
}
