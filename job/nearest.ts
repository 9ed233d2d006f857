import { distance } from 'fastest-levenshtein';

/**
 * The name of `names` that `word` was most likely meant to be: at most a third of its letters away (two at least),
 * letter case and separators not counted. Undefined when nothing is near.
 */
export function nearest(word: string, names: readonly string[]): string | undefined {
  const fold = (text: string) => text.toLowerCase().replace(/[-_\s]/g, '');
  const wanted = fold(word);
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    const d = distance(wanted, fold(name));
    if (d < bestDistance) {
      best = name;
      bestDistance = d;
    }
  }
  return best;
}

/** ` (did you mean "email"?)`, or the whole list when nothing is near and the list is short, or nothing. */
export function didYouMean(word: string, names: readonly string[]): string {
  const name = nearest(word, names);
  if (name !== undefined) return ` (did you mean "${name}"?)`;
  return names.length > 0 && names.length <= 16 ? ` (known: ${names.join(', ')})` : '';
}
