import type { JobKeys } from '../../anonymize/keys.js';
import type { Bounds } from '../../ledger/types.js';

/** Whose bounds: a partition's, or one batch's in it. */
export interface BoundsOwner {
  readonly run: string;
  readonly partition: number;
  readonly batch?: number;
}

/** Bounds hold key values, which may be personal data: only the job key opens them, and only in their own place. */
export function sealBounds(keys: JobKeys, owner: BoundsOwner, bounds: Bounds): string {
  return keys.ledger.seal(JSON.stringify([bounds.unit, bounds.from, bounds.to]), contextOf(owner));
}

/** Throws `LedgerTampered` when the text was changed, moved, or written under another key. */
export function openBounds(keys: JobKeys, owner: BoundsOwner, sealed: string): Bounds {
  const [unit, from, to] = JSON.parse(keys.ledger.open(sealed, contextOf(owner))) as [
    number,
    string[] | null,
    string[] | null,
  ];
  return { unit, from, to };
}

function contextOf({ run, partition, batch }: BoundsOwner): string {
  return batch === undefined
    ? `run ${run}, partition ${partition}`
    : `run ${run}, partition ${partition}, batch ${batch}`;
}

/** A quarantined row's source key as the ledger holds it, and the keyed hash by which it is found again. */
export function sealRowKey(
  keys: JobKeys,
  owner: { readonly run: string; readonly table: number },
  key: readonly (string | null)[],
): { key: string; keyHash: string } {
  const text = JSON.stringify(key);
  return {
    key: keys.ledger.seal(text, rowContext(owner)),
    keyHash: keys.digest(`table ${owner.table}, row ${text}`),
  };
}

/** Throws `LedgerTampered` when the text was changed, moved, or written under another key. */
export function openRowKey(
  keys: JobKeys,
  owner: { readonly run: string; readonly table: number },
  sealed: string,
): (string | null)[] {
  return JSON.parse(keys.ledger.open(sealed, rowContext(owner))) as (string | null)[];
}

function rowContext({ run, table }: { readonly run: string; readonly table: number }): string {
  return `run ${run}, table ${table}, quarantined row`;
}
