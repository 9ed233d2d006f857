import { LetheError } from '../../errors/errors.js';
import type { RetentionFile } from '../../job/retention/types.js';
import type { Step } from '../../retention/keys/destruction.js';
import type { RingSource } from '../../retention/keys/source.js';
import { query } from '../session.js';
import { locked, type StoreContext, storeContext, withStore } from './context.js';
import { createStore, migrateKeys } from './create.js';
import {
  type DestroyRequest,
  type Destruction,
  destroyDue,
  destroyEarly,
  type EarlyRequest,
  rotateMaster,
} from './destroy.js';
import { ensureDayKeys, type Generated, generateDayKeys } from './generate.js';
import { type Held, type Hold, type HoldRequest, holdDays, readHolds, releaseHold } from './holds.js';
import { failRedactions, type RedactionEntry, recordRedactions } from './receipts.js';
import { type Restored, restoreStore } from './restore.js';
import { readRings } from './rings.js';
import { changed, readStore } from './rows.js';
import { type Shrunk, shrinkWindow } from './shrink.js';
import { readStatus, type StoreStatus } from './status.js';
import {
  beginDue,
  destroyUpTo,
  type EndedDestruction,
  endedDestruction,
  type NextDestruction,
} from './stepwise.js';
import { type Verified, type VerifyOptions, verifyStore } from './verify.js';

/** A key store: what readers and sealers get their rings from, and what its operator does. */
export interface KeyStore extends RingSource {
  /** As the retention file calls it. */
  readonly name: string;
  /** Makes the keys of today and the two days after; `logical` in milliseconds since 1970. */
  generate(logical?: number): Promise<Generated>;
  /** Destroys what is due. */
  destroy(request?: DestroyRequest): Promise<Destruction>;
  /** What `destroy` does, step by step: which destruction to go on with, … */
  beginDestruction(request?: DestroyRequest): Promise<NextDestruction>;
  /** … doing it up to a step, … */
  destroyUpTo(destruction: number, step: Step): Promise<void>;
  /** … and what came of it. */
  endedDestruction(destruction: number): Promise<EndedDestruction>;
  /** Destroys a policy, or days of it, before their time. */
  destroyEarly(request: EarlyRequest): Promise<Destruction>;
  /** A fresh master key for all. */
  rotate(request?: DestroyRequest): Promise<Destruction>;
  hold(request: HoldRequest): Promise<Held>;
  release(hold: number, actor: string): Promise<Hold>;
  /** Those in force. */
  holds(): Promise<readonly Hold[]>;
  /** Looks what a shorter window takes away, or, confirmed, makes it so. */
  shrink(policy: string, window: number, confirmed?: boolean): Promise<Shrunk>;
  /** Receipts of redactions that are about to be committed, all or none; gives back their numbers. */
  recordRedactions(entries: readonly RedactionEntry[]): Promise<readonly number[]>;
  /** Receipts that say of others that their redactions failed. */
  failRedactions(receipts: readonly number[]): Promise<void>;
  status(): Promise<StoreStatus>;
  verify(options?: VerifyOptions): Promise<readonly Verified[]>;
  /** Milliseconds since 1970 of the store: of its database, or of its own clock where it is simulated. */
  now(): Promise<number>;
  /** Moves the time of a simulated store, forward only. Milliseconds since 1970. */
  setClock(time: number): Promise<void>;
}

export interface OpenOptions {
  /** Makes the store where it is missing. Default false: `ObjectMissing`. */
  readonly create?: boolean;
  /** Where the time of a simulated store begins that is made now, milliseconds since 1970. Default 2026-01-01. */
  readonly start?: number;
}

/**
 * Opens a key store of a retention file. Each call connects for itself, so there is nothing to keep alive, and `close` costs
 * nothing.
 *
 * @param resolve Turns a reference (`env:`, `file:`, `exec:`) into its value: `resolveReference` of job/references.
 * @example
 * ```ts
 * const file = await loadRetention();
 * const store = await openKeyStore(file, 'main', resolveReference);
 * const days = await store.ensureDayKeys('ip', ['2026-03-01']);
 * const keyring = new Keyring(await store.rings({ policies: ['ip'] }));
 * ```
 */
export async function openKeyStore(
  file: RetentionFile,
  name: string,
  resolve: (reference: string) => Promise<string>,
  options: OpenOptions = {},
): Promise<KeyStore> {
  const context = await storeContext(file, name, resolve);
  await withStore(context, async (session) => {
    if (options.create) return createStore(session, context, options.start);
    await migrateKeys(session, context);
    await readStore(session, context);
  });
  return {
    name,
    epoch: () => withStore(context, async (session) => (await readStore(session, context)).epoch),
    rings: (request) => readRings(context, request),
    ensureDayKeys: (policy, days) => ensureDayKeys(context, policy, days),
    close: async () => undefined,
    generate: (logical) => generateDayKeys(context, logical),
    destroy: (request) => destroyDue(context, request),
    beginDestruction: (request) => beginDue(context, request),
    destroyUpTo: (destruction, step) => destroyUpTo(context, destruction, step),
    endedDestruction: (destruction) => endedDestruction(context, destruction),
    destroyEarly: (request) => destroyEarly(context, request),
    rotate: (request) => rotateMaster(context, request),
    hold: (request) => holdDays(context, request),
    holds: () => withStore(context, readHolds),
    release: (hold, actor) => releaseHold(context, hold, actor),
    shrink: (policy, window, confirmed) => shrinkWindow(context, policy, window, confirmed),
    recordRedactions: (entries) => recordRedactions(context, entries),
    failRedactions: (receipts) => failRedactions(context, receipts),
    status: () => readStatus(context),
    verify: (options) => verifyStore(context, options),
    now: () => withStore(context, async (session) => (await readStore(session, context)).now),
    setClock: (time) => setClock(context, time),
  };
}

/** Brings a lost key store back from its second copy; see `restoreStore`. */
export async function restoreKeyStore(
  file: RetentionFile,
  name: string,
  resolve: (reference: string) => Promise<string>,
  options: { readonly from?: string; readonly replace?: boolean } = {},
): Promise<Restored> {
  return restoreStore(await storeContext(file, name, resolve), options.from, options.replace);
}

function setClock(context: StoreContext, time: number): Promise<void> {
  return withStore(context, async (session) => {
    const store = await readStore(session, context);
    if (!store.simulated)
      throw new LetheError(
        'RetentionInvalid',
        `Key store ${context.name} goes by real time: its clock is not set.`,
      );
    if (time < store.now)
      throw new LetheError('RetentionInvalid', 'The clock of a simulated store goes forward only.');
    await locked(session, async () => {
      await query(session, 'UPDATE lethe_keys.store SET clock = to_timestamp($1::float8)', [time / 1000]);
      await changed(session, true);
    });
  });
}
