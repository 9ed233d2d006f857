import type { Origin } from './again.js';

/** A row of the destination that may have to go. */
export interface Suspect {
  readonly id: number;
  /** Step of the search that found it. */
  readonly layer: number;
  /** Rows of one group cannot stand side by side. */
  readonly group: string;
  readonly image: string;
}

export interface Loser {
  readonly suspect: Suspect;
  /** Of its source row; undefined when the source has none. */
  readonly key: readonly (string | null)[] | undefined;
}

export interface LoserOptions {
  /** All suspects go: orphans. */
  readonly everyRow: boolean;
  /** Pairs of ids that exclude each other, in place of groups. */
  readonly conflicts?: readonly (readonly [number, number])[];
}

/**
 * Which suspects go: walking through them in the order of their source keys, each that clashes with one that stays.
 * So of a group the row with the smallest key stays, whichever batch was first. Rows that the source does not have
 * come last. Rows that are alike in every column share their source rows, one each.
 */
export function chooseLosers(
  suspects: readonly Suspect[],
  origins: readonly Origin[],
  options: LoserOptions,
): Loser[] {
  const byImage = new Map<string, Origin[]>();
  for (const origin of origins) {
    const list = byImage.get(origin.image);
    if (list) list.push(origin);
    else byImage.set(origin.image, [origin]);
  }
  const claimed = suspects.map((suspect) => ({ suspect, origin: byImage.get(suspect.image)?.shift() }));
  claimed.sort(
    (a, b) =>
      (a.origin?.order ?? Number.POSITIVE_INFINITY) - (b.origin?.order ?? Number.POSITIVE_INFINITY) ||
      a.suspect.id - b.suspect.id,
  );
  const stays = options.conflicts ? withoutConflict(options.conflicts) : firstOfGroup();
  return claimed
    .filter(({ suspect }) => options.everyRow || !stays(suspect))
    .map(({ suspect, origin }) => ({ suspect, key: origin?.key }));
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
