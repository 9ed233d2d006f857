import type { JobKeys } from '../../anonymize/keys.js';
import type { Bounds } from '../../ledger/types.js';
import { idFromText, idText, type RawId } from '../ids.js';
import { type IdRange, rangeFromText, rangeText } from '../ranges.js';

/** Whose bounds or ids: a partition's, or one batch's in it. */
export interface Owner {
  readonly run: string;
  readonly partition: number;
  readonly batch?: number;
}

/** Bounds hold `_id`s, which may be personal data: only the job key opens them, and only in their own place. */
export function sealRange(keys: JobKeys, owner: Owner, range: IdRange): string {
  return keys.ledger.seal(rangeText(range), contextOf(owner));
}

/** Throws `LedgerTampered` when the text was changed, moved, or written under another key. */
export function openRange(keys: JobKeys, owner: Owner, sealed: string): IdRange {
  return rangeFromText(keys.ledger.open(sealed, contextOf(owner)));
}

/** A range as an audit compares it: its borders with the type that they are of. */
export function openBounds(keys: JobKeys, owner: Owner, sealed: string): Bounds {
  const { bracket, from, to } = openRange(keys, owner, sealed);
  return { unit: 0, from: from && [bracket, idText(from)], to: to && [bracket, idText(to)] };
}

export function sealIds(keys: JobKeys, owner: Owner, ids: readonly RawId[]): string {
  return keys.ledger.seal(ids.map(idText).join(' '), `${contextOf(owner)}, ids`);
}

export function openIds(keys: JobKeys, owner: Owner, sealed: string): RawId[] {
  const text = keys.ledger.open(sealed, `${contextOf(owner)}, ids`);
  return text === '' ? [] : text.split(' ').map(idFromText);
}

/** A quarantined document's source `_id` as the ledger holds it, and the keyed hash by which it is found again. */
export function sealKey(
  keys: JobKeys,
  owner: { readonly run: string; readonly table: number },
  id: RawId | undefined,
): { key: string; keyHash: string } {
  const text = id ? idText(id) : '';
  return {
    key: keys.ledger.seal(text, keyContext(owner)),
    keyHash: keys.digest(`table ${owner.table}, document ${text}`),
  };
}

/** The `_id` of a quarantined document; undefined where it had none. */
export function openKey(
  keys: JobKeys,
  owner: { readonly run: string; readonly table: number },
  sealed: string,
): RawId | undefined {
  const text = keys.ledger.open(sealed, keyContext(owner));
  return text === '' ? undefined : idFromText(text);
}

function keyContext({ run, table }: { readonly run: string; readonly table: number }): string {
  return `run ${run}, table ${table}, quarantined document`;
}

function contextOf({ run, partition, batch }: Owner): string {
  const place = `run ${run}, partition ${partition}`;
  return batch === undefined ? place : `${place}, batch ${batch}`;
}
