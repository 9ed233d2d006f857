import { type ExistingCounts, NO_COUNTS } from './counts.js';
import { type Day, isDay } from './day.js';
import { sealJson } from './json.js';
import { type PatternLike, sealMatchesAll } from './matches.js';
import type { Keyring } from './ring.js';
import { type SealAllOptions, Sealer } from './sealer.js';
import { charactersOf, hexOf, sealByteWholes, sealWholes, tokensAmong } from './wholes.js';

/** How the values of a column that is in use are sealed. */
export interface ExistingRule {
  /** Two characters of a–z and 0–9. */
  readonly policy: string;
  readonly context: string;
  readonly pad?: number;
  readonly deterministic: boolean;
  /** What a value becomes whose day is over, where that is asked for. */
  readonly expired: string | null;
  /** Seals matches inside texts; default whole values. */
  readonly pattern?: PatternLike;
  /** Seals these JSONPaths of documents. */
  readonly paths?: readonly string[];
  /** Values are bytes, as PostgreSQL writes them: `\x00ff`. Default false: text. */
  readonly bytes?: boolean;
}

/** What may become of values whose day is over. */
export interface ExpiredDays {
  /** Whether values of such a day become what their policy says of expired ones; else they stay. */
  redacts(day: Day): boolean;
  /** Whether a legal hold keeps the day: then they stay in any case. */
  isHeld(day: Day): boolean;
}

/**
 * Seals values of a column that may hold plain text and tokens. What is a token of ours stays, so does what an
 * expired value was replaced by, and so does every value that cannot be sealed: it is counted.
 *
 * @param days Of each value's row; null where it has none.
 */
export function sealExistingValues(
  keyring: Keyring,
  rule: ExistingRule,
  values: readonly (string | null)[],
  days: readonly (Day | null)[],
  over: ExpiredDays,
): { readonly values: readonly (string | null)[]; readonly counts: ExistingCounts } {
  const { policy, context, pad, deterministic } = rule;
  const sealer = new Sealer({ keyring, policy, context, deterministic, ...(pad && { pad }) });
  const out = [...values];
  const counts = { ...NO_COUNTS };
  const rows = {
    usable: [] as number[],
    expired: [] as number[],
    undated: [] as number[],
    noKey: [] as number[],
  };
  for (const [i, value] of values.entries()) {
    if (value === null || isMarker(rule, value)) continue;
    const day = days[i];
    const found = day && isDay(day) ? keyring.find(policy, day) : 'undated';
    rows[typeof found === 'string' ? found : 'usable'].push(i);
  }
  const texts = (places: readonly number[]) => places.map((i) => values[i]!);
  const apply = (places: readonly number[], options: SealAllOptions) =>
    sealBy(rule, sealer, texts(places), options);

  const sealed = apply(rows.usable, {
    day: rows.usable.map((i) => days[i]!),
    fail: () => counts.refused++,
  });
  for (const [j, i] of rows.usable.entries()) {
    const text = sealed[j]!;
    if (text === null || text === values[i]) continue;
    out[i] = text;
    counts.sealed++;
  }
  const failed = new Set<number>();
  const replaced = apply(rows.expired, {
    day: rows.expired.map((i) => days[i]!),
    expired: rule.expired,
    fail: (j) => failed.add(j),
  });
  counts.refused += failed.size;
  // Nothing is sealed without a day: what would have been is told.
  for (const name of ['undated', 'noKey'] as const)
    apply(rows[name], { day: rows[name].map(() => null), fail: () => counts[name]++ });
  for (const [j, i] of rows.expired.entries()) {
    if (failed.has(j) || replaced[j] === values[i]) continue;
    const day = days[i]!;
    const held = over.isHeld(day);
    const redacts = !held && over.redacts(day);
    if (redacts) out[i] = replaced[j]!;
    counts[held ? 'held' : redacts ? 'redacted' : 'expired']++;
  }
  counts.lookalikes += lookalikes(rule, sealer, values);
  return { values: out, counts };
}

/** A value that was redacted before: it holds nothing that could be sealed. */
function isMarker({ pattern, paths, expired, bytes }: ExistingRule, value: string): boolean {
  if (expired === null || pattern !== undefined || paths !== undefined) return false;
  return value === (bytes ? hexOf(expired) : expired);
}

function sealBy(
  { pattern, paths, expired, bytes }: ExistingRule,
  sealer: Sealer,
  texts: readonly string[],
  options: SealAllOptions,
): readonly (string | null)[] {
  if (paths !== undefined)
    return sealJson(
      sealer,
      texts,
      paths.map((path) => ({ path })),
      { ...options, ...(expired !== null && { stays: expired }) },
    );
  if (pattern !== undefined) return sealMatchesAll(sealer, texts, pattern, options).texts;
  return (bytes ? sealByteWholes : sealWholes)(sealer, texts, options);
}

function lookalikes(
  { pattern, paths, bytes }: ExistingRule,
  sealer: Sealer,
  values: readonly (string | null)[],
): number {
  if (paths !== undefined) return 0;
  if (pattern === undefined) return tokensAmong(sealer, bytes ? values.map(charactersOf) : values).lookalikes;
  return sealMatchesAll(sealer, values, /(?!)/).lookalikes;
}
