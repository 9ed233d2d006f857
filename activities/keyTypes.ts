import type { Step } from '../retention/keys/destruction.js';
import type { Destroyed } from '../retention/keys/masters.js';

/* What `generateDayKeys` and `destroyDayKeys` may call. Histories hold names, days and counts: nothing of a key. */

/** Input of `generateDayKeys`: everything is optional for a person at the Temporal UI. */
export interface KeysInput {
  /** Name of a key store in the retention files that the workers know. Default: all of them. */
  keyStore?: string;
  /** Or in this text of a retention file, as the schedules of `lethe retention apply` have it: references only, no secret. */
  file?: { name: string; text: string };
  /** The time that the run is for, ISO 8601; a later one than now counts as now. Default: when its schedule meant it to start. */
  logicalDate?: string;
}

/** Input of `destroyDayKeys`. */
export interface DestroyKeysInput extends KeysInput {
  /** The last destruction was more than seven days ago, and the time is right. Default false. */
  confirmGap?: boolean;
}

/** A key store as activities find it, pinned for the workflow. */
export interface KeyStoreRef {
  keyStore: string;
  file: { name: string; text: string };
}

/** A policy and a UTC day, `yyyy-mm-dd`. */
export interface DayOf {
  policy: string;
  day: string;
}

export interface MadeKeys {
  made: number;
  policies: string[];
}

/** The destruction to go on with; none where nothing is due. */
export interface BegunDestruction {
  destruction?: { id: number; step: Step; unfinished: boolean };
  /** ISO 8601. Left out before what an earlier run left is done. */
  cutoff?: string;
  /** Due, and kept by a hold. */
  held: DayOf[];
}

export interface DestroyedKeys {
  destroyed: DayOf[];
  grade?: Destroyed;
}

/** Of the control queue. Each looks at what is there and does what is missing, so each may be repeated. */
export interface KeyActivities {
  /** The key stores that the input means. Refuses with those that are known. */
  findKeyStores(input: KeysInput): Promise<KeyStoreRef[]>;
  /** Keys of today and the next two days; with `logical` (milliseconds since 1970) also those from that day on. */
  makeDayKeys(ref: KeyStoreRef, logical?: number): Promise<MadeKeys>;
  /** What is to be destroyed next, by the clocks of the database, of Temporal, and `logical`. */
  beginDestruction(
    ref: KeyStoreRef,
    run: { logical?: number; confirmGap?: boolean },
  ): Promise<BegunDestruction>;
  /** One recorded step of a destruction; nothing where it was done already. */
  destroyUpTo(ref: KeyStoreRef, destruction: number, step: Step): Promise<void>;
  /** What a destruction that is done came to. */
  endedDestruction(ref: KeyStoreRef, destruction: number): Promise<DestroyedKeys>;
}
