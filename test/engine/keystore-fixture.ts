import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseRetention } from '../../job/retention/load.js';
import type { RetentionFile } from '../../job/retention/types.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { query, withSession } from '../../postgres/session.js';
import { addDays, DAY_MS, type Day, dayAt } from '../../retention/token/day.js';
import { Revealer } from '../../retention/token/revealer.js';
import { Keyring } from '../../retention/token/ring.js';
import { Sealer } from '../../retention/token/sealer.js';
import { createDatabase, type PostgresVersion, type TestDatabase } from '../harness/servers.js';

/** Where the time of the simulated stores of tests begins. */
export const START = '2026-03-01';

export interface StageOptions {
  readonly simulated?: boolean;
  readonly copy?: boolean;
  readonly window?: number;
  /** Masters out of an environment variable. */
  readonly env?: boolean;
  /** Default: a new one on the shared server of the version. */
  readonly database?: TestDatabase;
}

/** A key store of its own: a database, folders for masters and copy, and the file that describes it. */
export interface KeyStage {
  readonly database: TestDatabase;
  readonly home: string;
  readonly masters: string;
  readonly copy: string;
  readonly file: RetentionFile;
  readonly store: KeyStore;
  resolve(reference: string): Promise<string>;
  /** Another look at the same store by another file. */
  open(file?: RetentionFile): Promise<KeyStore>;
  sql(text: string, params?: readonly unknown[]): Promise<Record<string, string | null>[]>;
  /** Moves the simulated clock to so many days after the start, at 00:30. */
  goTo(days: number): Promise<void>;
  /** Names of master key files. */
  masterFiles(folder?: string): Promise<string[]>;
  end(): Promise<void>;
}

export async function keyStage(version: PostgresVersion = 18, options: StageOptions = {}): Promise<KeyStage> {
  const database = options.database ?? (await createDatabase(version));
  const home = await mkdtemp(join(tmpdir(), 'lethe-keys-'));
  const masters = join(home, 'masters');
  const copy = join(home, 'copy');
  const values: Record<string, string> = {
    'env:KEYS': database.url,
    'env:SIGNING': randomBytes(32).toString('base64'),
  };
  const file = describeFile({ ...options, masters, copy: options.copy === false ? undefined : copy });
  const resolve = async (reference: string) => values[reference] ?? '';
  const start = Date.parse(`${START}T00:30:00Z`);
  const store = await openKeyStore(file, 'main', resolve, { create: true, start });
  return {
    database,
    home,
    masters,
    copy,
    file,
    store,
    resolve,
    open: (other = file) => openKeyStore(other, 'main', resolve),
    sql: (text, params) =>
      withSession({ url: database.url, role: 'key store', applicationName: 'test' }, (session) =>
        query(session, text, params),
      ),
    goTo: (days) => store.setClock(start + days * DAY_MS),
    async masterFiles(folder = masters) {
      return (await readdir(folder)).filter((name) => name.endsWith('.key')).sort();
    },
    async end() {
      await database.drop();
      await rm(home, { recursive: true, force: true });
    },
  };
}

/** A retention file of one store with the policies `ip` and `us`. */
export function describeFile(
  options: Omit<StageOptions, 'copy'> & { readonly masters: string; readonly copy?: string },
): RetentionFile {
  const parsed = parseRetention(
    `retention:
  stores:
    main:
      postgres: env:KEYS
      ${options.copy === undefined ? '# one copy only' : `copy: ${options.copy}`}
      masters: ${options.env ? '{ env: LETHE_TEST_MASTER }' : `{ file: ${options.masters} }`}
      signing: env:SIGNING
      simulated: ${options.simulated ?? true}
  policies:
    - { id: ip, window: ${options.window ?? 3} }
    - { id: us, window: 30 }
`,
    'retention.yaml',
  );
  if (!parsed.retention) throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.retention;
}

export const day = (days: number): Day => addDays(START, days);

/** Seals a value dated a day, with what the store hands out now. */
export async function sealOn(store: KeyStore, policy: string, date: Day, text = 'secret'): Promise<string> {
  const keyring = new Keyring(await store.rings({ policies: [policy] }));
  return new Sealer({ keyring, policy }).seal(text, date);
}

/** What a reader gets of a token now. */
export async function outcomeOf(store: KeyStore, token: string, actor?: string): Promise<string> {
  const rings = await store.rings({ ...(actor && { actor }) });
  return new Revealer(new Keyring(rings)).open(token).outcome;
}

export const today = (): Day => dayAt(Date.now());
