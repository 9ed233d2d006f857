import type { Grade } from './policy.js';

/** How well a destroyed master key is gone. */
export interface Destroyed {
  readonly grade: Grade;
  /** ISO 8601: until then a `pending` destruction can be taken back. */
  readonly until?: string;
}

/**
 * Where master keys live. Day keys are stored wrapped by a master only, and a day key is destroyed by wrapping all others
 * under a new master and destroying the old one. Ids are `[A-Za-z0-9_-]{1,64}` and are never used twice.
 */
export interface MasterProvider {
  /** Makes the master of that id, durably; nothing where it is there already. */
  create(id: string): Promise<void>;
  /** Seals bytes (a day key) under a master, bound to `context`. Throws `MasterKeyUnusable` where it is not there. */
  wrap(id: string, bytes: Uint8Array, context: Uint8Array): Promise<Buffer>;
  /**
   * What `wrap` sealed; undefined where master, context or bytes do not fit. Throws `MasterKeyUnusable` where the master
   * is not there.
   */
  unwrap(id: string, sealed: Uint8Array, context: Uint8Array): Promise<Buffer | undefined>;
  /** Destroys a master, also one that is gone already. */
  destroy(id: string): Promise<Destroyed>;
  /** Ids of all masters that exist. */
  list(): Promise<readonly string[]>;
  /** Whether the master is there and can be used; where it is not, why: `MasterKeyUnusable`. */
  check(id: string): Promise<void>;
  /** A provider of the same masters in a folder of the second copy, where masters can be copied at all. */
  copyTo?(folder: string): CopiedMasters;
}

/** Master keys of a second copy. */
export interface CopiedMasters {
  /** Copies a master there, durably. */
  put(id: string): Promise<void>;
  /** Brings a master from there back to where masters live; nothing where it is there already. */
  bringBack(id: string): Promise<void>;
  /** The masters there, as a provider. */
  readonly masters: MasterProvider;
}
