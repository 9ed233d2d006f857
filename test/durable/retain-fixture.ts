import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { resolveReference } from '../../job/references.js';
import { parseRetention } from '../../job/retention/load.js';
import { openKeyStore } from '../../postgres/keystore/open.js';
import { openRingSource } from '../../postgres/keystore/sources.js';
import type { RingSource } from '../../retention/keys/source.js';
import { createDatabase, type TestDatabase } from '../harness/servers.js';
import { type Ends, inside, openEnds } from './fixture.js';

/** Policies of the tests, in a key store that goes by real time. */
export const POLICIES = `
    - { id: ip, window: 30, store: main }
    - { id: us, window: 90, context: lines, store: main }
    - { id: nu, window: 30, expired: null, store: main }`;

/** Databases to sync between, and a key store of its own. */
export interface RetainScene {
  readonly ends: Ends;
  readonly keys: TestDatabase;
  readonly source: RingSource;
  /** Text of the retention file. */
  readonly text: string;
  /** Variables that a worker process needs. */
  readonly env: Readonly<Record<string, string>>;
  job(rules: string): { name: string; text: string; retention: { name: string; text: string } };
  end(): Promise<void>;
}

/**
 * @param schema Of both ends.
 * @param fill Of the source.
 * @param there Of the destination, after `schema`.
 * @param tables Of the retention file, as YAML.
 * @param envMasters Master keys out of the environment: then no path stands in the file.
 */
export async function retainScene(
  schema: readonly string[],
  fill: readonly string[],
  there: readonly string[] = [],
  tables = '',
  envMasters = false,
): Promise<RetainScene> {
  const id = randomUUID().replaceAll('-', '').toUpperCase();
  const [ends, keys] = await Promise.all([openEnds(18, undefined), createDatabase(18)]);
  const home = await mkdtemp(join(tmpdir(), 'lethe-retain-'));
  const own: Record<string, string> = {
    [`KEYS_${id}`]: keys.url,
    [`SIGNING_${id}`]: randomBytes(32).toString('base64'),
  };
  if (envMasters) own[`MASTER_${id}`] = randomBytes(32).toString('base64');
  Object.assign(process.env, own);
  const masters = envMasters ? `{ env: "MASTER_${id}" }` : `{ file: "${join(home, 'masters')}" }`;
  const text = `retention:
  stores:
    main: { postgres: "env:KEYS_${id}", masters: ${masters}, signing: "env:SIGNING_${id}" }
  policies:${POLICIES}
${tables}`;
  const { retention } = parseRetention(text, 'retention.yaml');
  await openKeyStore(retention!, 'main', resolveReference, { create: true });
  const source = openRingSource(retention!, resolveReference);
  const run = (side: TestDatabase, statements: readonly string[]) =>
    inside(side, async (session) => {
      for (const statement of statements) await session.client.query(statement);
    });
  await run(ends.source, [...schema, ...fill]);
  await run(ends.destination, [...schema, ...there]);
  const { references } = ends;
  const head = `job: events
source: { postgres: "${references.source}" }
destination: { postgres: "${references.destination}", mode: replace }
key: "${references.key}"
retention: ./retention.yaml
`;
  return {
    ends,
    keys,
    source,
    text,
    env: { ...ends.env, ...own },
    job: (rules) => ({
      name: 'events.yaml',
      text: `${head}${rules}`,
      retention: { name: 'retention.yaml', text },
    }),
    async end() {
      await source.close();
      for (const name of Object.keys(own)) delete process.env[name];
      await Promise.all([ends.drop(), keys.drop(), rm(home, { recursive: true, force: true })]);
    },
  };
}
