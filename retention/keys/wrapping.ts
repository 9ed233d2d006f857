import { createHash } from 'node:crypto';
import { hkdf } from '../../crypto/hkdf.js';
import { LetheError } from '../../errors/errors.js';
import { type Day, dateOf, dayOf, isDate } from '../token/day.js';
import type { MasterProvider } from './masters.js';

/*
 * A wrapped day key:
 *
 *     "LWK1" ‖ policy (2) ‖ date (6) ‖ destroy_at (8, seconds since 1970, big-endian) ‖ length of id (1) ‖ master id
 *     ‖ nonce (12) ‖ ciphertext (32) ‖ tag (16)
 *
 * AES-256-GCM; everything before the nonce is authenticated with it. The beginning makes every copy of it be found in data
 * files, logs and backups.
 */
const MAGIC = Buffer.from('LWK1');
const FIXED = MAGIC.length + 2 + 6 + 8 + 1;
const SEALED = 12 + 32 + 16;

/** Which day key a wrapped one is. */
export interface WrappedLabel {
  readonly policy: string;
  readonly day: Day;
  /** Milliseconds since 1970, whole seconds. */
  readonly destroyAt: number;
  /** Id of the master that it is wrapped under. */
  readonly master: string;
}

export interface Wrapped extends WrappedLabel {
  /** All of it, as it is stored. */
  readonly bytes: Buffer;
}

/** Wraps a day key (32 bytes) under a master. */
export async function wrapKey(
  masters: MasterProvider,
  key: Uint8Array,
  label: WrappedLabel,
): Promise<Buffer> {
  const header = headerOf(label);
  return Buffer.concat([header, await masters.wrap(label.master, key, header)]);
}

/**
 * The day key that was wrapped.
 * @throws LetheError `KeyStoreTampered` when it belongs elsewhere or was changed, `MasterKeyUnusable`.
 */
export async function unwrapKey(
  masters: MasterProvider,
  bytes: Uint8Array,
  label: WrappedLabel,
): Promise<Buffer> {
  const header = headerOf(label);
  const own = Buffer.from(bytes);
  const key = own.subarray(0, header.length).equals(header)
    ? await masters.unwrap(label.master, own.subarray(header.length), header)
    : undefined;
  if (key?.length === 32) return key;
  throw new LetheError(
    'KeyStoreTampered',
    `The key of policy ${label.policy} and ${label.day} does not open under its master key: one of the two was changed.`,
  );
}

/** The key of a wrapped one that was found somewhere, by any master; undefined where it opens under none. */
export async function tryUnwrap(
  masters: MasterProvider,
  { bytes, master }: Wrapped,
  others: readonly string[],
): Promise<Buffer | undefined> {
  const cut = bytes.length - SEALED;
  for (const id of new Set([master, ...others])) {
    const key = await masters
      .unwrap(id, bytes.subarray(cut), bytes.subarray(0, cut))
      .catch((error: unknown) => ignoreMissing(error));
    if (key) return key;
  }
  return undefined;
}

function ignoreMissing(error: unknown): undefined {
  if (error instanceof LetheError && error.type === 'MasterKeyUnusable') return undefined;
  throw error;
}

/** Every wrapped key in some bytes (raw, or in hexadecimal as dumps in text have it), where it is whole. */
export function* findWrapped(bytes: Buffer): Generator<Wrapped> {
  for (let at = bytes.indexOf(MAGIC); at >= 0; at = bytes.indexOf(MAGIC, at + 1)) {
    const found = readWrapped(bytes.subarray(at));
    if (found) yield found;
  }
  const hex = MAGIC.toString('hex');
  for (let at = bytes.indexOf(hex); at >= 0; at = bytes.indexOf(hex, at + 1)) {
    const text = bytes.subarray(at, at + 2 * LONGEST).toString('latin1');
    const found = readWrapped(Buffer.from(/^[0-9a-f]*/.exec(text)?.[0] ?? '', 'hex'));
    if (found) yield found;
  }
}

/** Most bytes of a wrapped key. */
export const LONGEST = FIXED + 64 + SEALED;

/** Reads what stands at the beginning of some bytes; undefined where it is no wrapped key. */
function readWrapped(bytes: Buffer): Wrapped | undefined {
  const length = bytes.length > FIXED ? FIXED + bytes[FIXED - 1]! + SEALED : Number.POSITIVE_INFINITY;
  if (bytes.length < length) return undefined;
  const policy = bytes.toString('latin1', 4, 6);
  const date = bytes.toString('latin1', 6, 12);
  const seconds = bytes.readBigUInt64BE(12);
  const master = bytes.toString('latin1', FIXED, length - SEALED);
  if (!/^[a-z0-9]{2}$/.test(policy) || !/^\d{6}$/.test(date) || !isDate(date)) return undefined;
  if (seconds > 10n ** 11n || !/^[A-Za-z0-9_-]{1,64}$/.test(master)) return undefined;
  const own = Buffer.from(bytes.subarray(0, length));
  return { policy, day: dayOf(date), destroyAt: Number(seconds) * 1000, master, bytes: own };
}

function headerOf({ policy, day, destroyAt, master }: WrappedLabel): Buffer {
  const time = Buffer.alloc(8);
  time.writeBigUInt64BE(BigInt(Math.floor(destroyAt / 1000)));
  const id = Buffer.from(master, 'latin1');
  return Buffer.concat([MAGIC, Buffer.from(policy + dateOf(day)), time, Buffer.from([id.length]), id]);
}

/** What names a day key without giving anything of it away: 16 bytes in hexadecimal. */
export function fingerprint(key: Uint8Array): string {
  return createHash('sha256').update(hkdf(key, 'lethe/fingerprint')).digest('hex').slice(0, 32);
}
