import { type Signer, signer } from '../../crypto/sign.js';
import { LetheError } from '../../errors/errors.js';
import { didYouMean } from '../../job/nearest.js';
import type { KeyStoreSettings, RetentionFile } from '../../job/retention/types.js';
import { envMasters } from '../../retention/keys/masters/env.js';
import { fileMasters } from '../../retention/keys/masters/file.js';
import type { MasterProvider } from '../../retention/keys/masters.js';
import type { Policy } from '../../retention/keys/policy.js';
import { query, type Session, withSession, withTransaction } from '../session.js';

/** A key store, resolved: what everything in this folder works with. Holds secrets. */
export interface StoreContext {
  /** As the retention file calls it. */
  readonly name: string;
  readonly settings: KeyStoreSettings;
  /** Policies of this store, by id. */
  readonly policies: ReadonlyMap<string, Policy>;
  readonly url: string;
  readonly masters: MasterProvider;
  readonly signer: Signer;
}

/**
 * Resolves the references of a key store; connects to nothing yet.
 *
 * @param resolve Turns a reference (`env:`, `file:`, `exec:`) into its value.
 * @throws LetheError `JobInvalid` where the file has no such store, `ReferenceUnresolved`.
 */
export async function storeContext(
  file: RetentionFile,
  name: string,
  resolve: (reference: string) => Promise<string>,
): Promise<StoreContext> {
  const settings = file.stores[name];
  if (!settings) {
    const names = Object.keys(file.stores);
    throw new LetheError('JobInvalid', `There is no key store "${name}"${didYouMean(name, names)}.`);
  }
  const [url, seed] = await Promise.all([resolve(settings.postgres), resolve(settings.signing)]);
  const policies = Object.values(file.policies).filter(({ store }) => store === name);
  return {
    name,
    settings,
    policies: new Map(policies.map((policy) => [policy.id, policy])),
    url,
    masters:
      'file' in settings.masters ? fileMasters(settings.masters.file) : envMasters(settings.masters.env),
    signer: signer(parseSeed(seed)),
  };
}

function parseSeed(text: string): Buffer {
  const seed = Buffer.from(text.trim(), 'base64');
  if (seed.length === 32) return seed;
  throw new LetheError(
    'JobInvalid',
    'The signing key of a key store is 32 random bytes in base64: `lethe keygen` makes one.',
  );
}

/**
 * A change waits this long for the one before it. Below the five minutes that clocks may differ by, of which one is read
 * after the wait; and nobody waits for ever behind a process that is frozen.
 */
const LOCK_TIMEOUT_MS = 120_000;

/**
 * Opens the key store's database for the length of `body`.
 *
 * @throws LetheError `Unreachable` when another change of the store took longer than two minutes.
 */
export function withStore<T>(context: StoreContext, body: (session: Session) => Promise<T>): Promise<T> {
  const { url } = context;
  const session = {
    role: 'key store',
    applicationName: 'lethe:keys',
    lockTimeoutMs: LOCK_TIMEOUT_MS,
  } as const;
  return withSession({ url, ...session }, body);
}

/**
 * A transaction under the one lock of the key store, durable when it returns: every change. `shared`: together with
 * others that only hand out keys.
 */
export function locked<T>(session: Session, body: () => Promise<T>, shared = false): Promise<T> {
  return withTransaction(session, async () => {
    await query(
      session,
      `SELECT CASE WHEN current_setting('synchronous_commit') IN ('off', 'local')
         THEN set_config('synchronous_commit', 'on', true) END`,
    );
    await query(
      session,
      `SELECT pg_advisory_xact_lock${shared ? '_shared' : ''}(hashtext('lethe_keys/store'))`,
    );
    return body();
  });
}

/** The policy of a store's file. */
export function policyOf({ policies, name }: StoreContext, id: string): Policy {
  const policy = policies.get(id);
  if (policy) return policy;
  throw new LetheError(
    'RetentionInvalid',
    `Key store ${name} has no policy "${id}"${didYouMean(id, [...policies.keys()])}.`,
  );
}
