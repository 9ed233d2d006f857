import type { Origin } from './again.js';

/** A row of the destination that may have to go. */
export interface Suspect {
  readonly id: number;
  /** Step of the search that found it. */
  readonly layer: number;
  /** Rows of one group cannot stand side by side. */
  readonly group: string;
  /** As of an `Origin`. */
  readonly image: string;
  readonly keyImage: string;
}

export interface Loser {
  readonly suspect: Suspect;
  /** Of its source row; undefined when the source has none. */
  readonly key: readonly (string | null)[] | undefined;
  /** The source row is not what it was when it was copied. */
  readonly changed: boolean;
}

export interface LoserOptions {
  /** All suspects go: orphans. */
  readonly everyRow: boolean;
  /** Pairs of ids that exclude each other, in place of groups. */
  readonly conflicts?: readonly (readonly [number, number])[];
}

/**
 * Which suspects go: walking through them in the order of their source keys, each that clashes with one that stays.
 * So of a group the row with the smallest key stays, whichever batch was first. Rows that the source has changed since
 * come after them, and last those that it does not have. Rows that are alike in every column share their source rows,
 * one each.
 */
export function chooseLosers(
  suspects: readonly Suspect[],
  origins: readonly Origin[],
  options: LoserOptions,
): Loser[] {
  const claimed = claim(suspects, origins);
  claimed.sort(
    (a, b) =>
      Number(a.origin === undefined) - Number(b.origin === undefined) ||
      Number(a.changed) - Number(b.changed) ||
      (a.origin?.order ?? 0) - (b.origin?.order ?? 0) ||
      a.suspect.id - b.suspect.id,
  );
  const stays = options.conflicts ? withoutConflict(options.conflicts) : firstOfGroup();
  return claimed
    .filter(({ suspect }) => options.everyRow || !stays(suspect))
    .map(({ suspect, origin, changed }) => ({ suspect, key: origin?.key, changed }));
}

interface Claim {
  readonly suspect: Suspect;
  readonly origin: Origin | undefined;
  readonly changed: boolean;
}

/** Each source row belongs to one suspect: to one that looks like it, else to one that has its key. */
function claim(suspects: readonly Suspect[], origins: readonly Origin[]): Claim[] {
  const taken = new Set<Origin>();
  const taking = (of: (origin: Origin) => string) => {
    const found = new Map<string, Origin[]>();
    for (const origin of origins) {
      if (taken.has(origin)) continue;
      const list = found.get(of(origin));
      if (list) list.push(origin);
      else found.set(of(origin), [origin]);
    }
    return (image: string) => {
      const origin = found.get(image)?.shift();
      if (origin) taken.add(origin);
      return origin;
    };
  };
  const takeAlike = taking(({ image }) => image);
  const alike = suspects.map((suspect) => ({ suspect, origin: takeAlike(suspect.image) }));
  const takeByKey = taking(({ keyImage }) => keyImage);
  return alike.map(({ suspect, origin }) =>
    origin
      ? { suspect, origin, changed: false }
      : { suspect, origin: takeByKey(suspect.keyImage), changed: true },
  );
}

function firstOfGroup(): (suspect: Suspect) => boolean {
  const seen = new Set<string>();
  return ({ group }) => {
    if (seen.has(group)) return false;
    seen.add(group);
    return true;
  };
}

function withoutConflict(pairs: readonly (readonly [number, number])[]): (suspect: Suspect) => boolean {
  const rivals = new Map<number, number[]>();
  for (const [a, b] of pairs) {
    rivals.set(a, [...(rivals.get(a) ?? []), b]);
    rivals.set(b, [...(rivals.get(b) ?? []), a]);
  }
  const kept = new Set<number>();
  return ({ id }) => {
    if (rivals.get(id)?.some((rival) => kept.has(rival))) return false;
    kept.add(id);
    return true;
  };
}
