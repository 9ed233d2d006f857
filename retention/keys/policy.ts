import type { Day } from '../token/day.js';

/** How well a destroyed master key is gone, best first. */
export type Grade = 'erased' | 'pending' | 'bestEffort' | 'none';

/** A retention policy as its file declares it, defaults filled in. */
export interface Policy {
  /** Two characters of a–z and 0–9; part of every token. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  /** Days that a value stays readable, counted from the UTC day that it is dated. */
  readonly window: number;
  /** Name of the key store that holds its day keys. */
  readonly store: string;
  /** Label that its tokens are bound to. Default empty. */
  readonly context: string;
  /** What stands where an expired value is read: null, or a text. Default `[expired]`. */
  readonly expired: string | null;
  /** Equal values of one day give equal tokens, for ever. Default false. */
  readonly deterministic: boolean;
  /** Values are filled up to a multiple of so many bytes. Default: not. */
  readonly pad?: number;
  /** `verify` fails below it. Default `bestEffort`. */
  readonly requireGrade: Grade;
}

/** One policy for all rows, or one by the value of a column of the row. */
export type PolicyChoice =
  | string
  | {
      /** Column of the same row (or field of the same line). */
      readonly by: string;
      /** Its value as text → policy. */
      readonly map: Readonly<Record<string, string>>;
      /** For every other value. Without it such a row is refused. */
      readonly default?: string;
    };

/** Policies that a choice may lead to. */
export function chosenPolicies(choice: PolicyChoice): string[] {
  if (typeof choice === 'string') return [choice];
  return [...new Set([...Object.values(choice.map), ...(choice.default ? [choice.default] : [])])];
}

/** What a reader asks a key store for. */
export interface RingRequest {
  /** Default: every policy of the store. */
  readonly policies?: readonly string[];
  /** Leaves out the keys of older days. */
  readonly since?: Day;
  /** Who reads: a hold's actor gets the keys of the days that the hold keeps beyond their window. */
  readonly actor?: string;
}
