import type { TransformerSpec } from '../anonymize/transformer.js';
import type { RetainOptions } from '../anonymize/transformers/retain.js';
import { matcher, type PathState, parsePath } from '../json/path.js';
import { JsonMistake, scanLeaves, unquote } from '../json/text.js';
import { specsOf } from '../plan/effects.js';
import type { ColumnPlan, Plan, TablePlan } from '../plan/plan.js';
import { isSealed, retainsOf } from '../plan/sealing.js';
import { quoteIdent } from '../postgres/identifiers.js';
import { readTexts } from '../postgres/inspect/texts.js';
import { countTokens, type TokenCounts } from '../postgres/inspect/tokens.js';
import type { Session } from '../postgres/session.js';
import { chosenPolicies, type Policy } from '../retention/keys/policy.js';
import { addDays, type Day, dayOf, isDate } from '../retention/token/day.js';
import { HEADER_LENGTH, parseToken } from '../retention/token/format.js';
import { findMatches, patternOf } from '../retention/token/matches.js';
import { findTokens } from '../retention/token/scan.js';
import { MOST_CHARACTERS } from './scan/words.js';

/** What sealed values are judged by: the policies that the run pinned, which hold no key. */
export interface SealedBy {
  /** By id. */
  readonly policies: Readonly<Record<string, Policy>>;
  /** The last day that a value can be dated; none where a key store goes by a clock of its own. */
  readonly last?: Day;
  /** Why no token is opened. */
  readonly unopened?: string;
}

/** Keys exist two days ahead. */
const DAYS_AHEAD = 2;

/** What to judge the sealed values of a run by. Without its policies no marker is known: expired values count as plain. */
export function sealedBy(
  file:
    | {
        readonly policies: Readonly<Record<string, Policy>>;
        readonly stores: Readonly<Record<string, { readonly simulated?: boolean }>>;
      }
    | undefined,
  today: Day,
  unopened?: string,
): SealedBy {
  const simulated = Object.values(file?.stores ?? {}).some((store) => store.simulated);
  return {
    policies: file?.policies ?? {},
    ...(!simulated && { last: addDays(today, DAYS_AHEAD) }),
    ...(unopened !== undefined && { unopened }),
  };
}

/** Values of a sealed column as they can be told without any key. Counts only. */
export interface SealedColumn {
  /** Plan id. */
  readonly table: number;
  /** Of the destination. */
  readonly column: string;
  /** Not NULL. */
  readonly looked: number;
  /** Every row of the table was looked at. */
  readonly every: boolean;
  /** With plain text where a token must be. */
  readonly plain: number;
  /** With a token of a policy that the column has none of. */
  readonly foreign: number;
  /** With a token of a day that no calendar has, or that is still to come. */
  readonly undated: number;
}

/** Which rows of a table are looked at, as `d`. */
export interface SealedRows {
  /** Those of columns that are sealed whole; the server looks. */
  readonly wholes: string | undefined;
  readonly every: boolean;
  /** Those of columns that are sealed in part; we look. */
  readonly parts: string | undefined;
}

/** What a column is sealed by, where that is the same for each of its rows. */
interface Sealed {
  readonly kind: 'whole' | 'pattern' | 'paths';
  /** One, or one a path; undefined where a path is not sealed. */
  readonly rules: readonly (RetainOptions | undefined)[];
  readonly paths: readonly string[];
}

/** Sealed columns of a plan of which nothing can be said without keys: some of their rows are not sealed. */
export function mixedColumns({ tables }: Pick<Plan, 'tables'>): number {
  return tables.flatMap(({ columns }) => columns).filter((column) => isSealed(column) && !sealedHow(column))
    .length;
}

/** Looks for plain text in the sealed columns of a table of the destination. */
export async function lookAtSealed(
  destination: Session,
  plan: TablePlan,
  rows: SealedRows,
  by: SealedBy,
): Promise<SealedColumn[]> {
  const found: SealedColumn[] = [];
  for (const column of plan.columns.filter(isSealed)) {
    const sealed = sealedHow(column);
    const whole = sealed?.kind === 'whole';
    const from = whole ? rows.wholes : rows.parts;
    if (!sealed || from === undefined) continue;
    const tally = new Tally(sealed, by);
    if (whole) tally.takeCounts(await countTokens(destination, from, column.destination, tally.markers));
    else await lookInside(destination, from, column.destination, sealed, tally);
    found.push({ table: plan.id, column: column.destination, every: whole && rows.every, ...tally.counts });
  }
  return found;
}

function sealedHow({ branches }: Pick<ColumnPlan, 'branches'>): Sealed | undefined {
  const specs = specsOf(branches).filter(({ name }) => name !== 'null');
  const [first] = specs;
  if (specs.length === 1 && first?.name === 'json') {
    const paths = Object.keys(first.options).filter((path) => path.startsWith('$'));
    const rules = paths.map((path) => {
      const spec = first.options[path] as TransformerSpec;
      return spec.name === 'retain' ? retainsOf(spec)[0] : undefined;
    });
    return { kind: 'paths', rules, paths };
  }
  if (!specs.every(({ name }) => name === 'retain')) return undefined;
  const rules = specs.flatMap(retainsOf);
  // Whose rows a rule is for is not known here.
  const [pattern, ...others] = [...new Set(rules.map((rule) => rule.pattern))];
  if (others.length > 0) return undefined;
  return { kind: pattern === undefined ? 'whole' : 'pattern', rules, paths: [] };
}

class Tally {
  readonly counts = { looked: 0, plain: 0, foreign: 0, undated: 0 };
  /** What stands for expired values. */
  readonly markers: readonly string[];
  private readonly policies: ReadonlySet<string>;

  constructor(
    { rules }: Sealed,
    private readonly by: SealedBy,
  ) {
    const ids = rules.flatMap((rule) => (rule ? chosenPolicies(rule.policy) : []));
    this.policies = new Set(ids);
    this.markers = [...new Set(ids.flatMap((id) => by.policies[id]?.expired ?? []))];
  }

  /** @param tokens By policy and date: `ip260228`. */
  takeCounts({ tokens, markers, others }: TokenCounts): void {
    this.counts.looked += markers + others;
    this.counts.plain += others;
    for (const [header, count] of tokens) {
      this.counts.looked += count;
      const fault = this.fault(header.slice(0, 2), header.slice(2));
      if (fault) this.counts[fault] += count;
    }
  }

  /** One value, with the policies and dates of its tokens. */
  take(plain: boolean, headers: readonly string[]): void {
    this.counts.looked++;
    const faults = headers.map((header) => this.fault(header.slice(0, 2), header.slice(2)));
    const worst = plain ? 'plain' : (faults.find((fault) => fault === 'plain') ?? faults.find(Boolean));
    if (worst) this.counts[worst]++;
  }

  private fault(policy: string, date: string): 'plain' | 'foreign' | 'undated' | undefined {
    if (!isDate(date)) return 'undated';
    if (this.by.last !== undefined && dayOf(date) > this.by.last) return 'undated';
    return this.policies.has(policy) ? undefined : 'foreign';
  }
}

async function lookInside(
  destination: Session,
  from: string,
  column: string,
  sealed: Sealed,
  tally: Tally,
): Promise<void> {
  const text = `d.${quoteIdent(column)}::text`;
  const select = `SELECT CASE WHEN length(${text}) <= ${MOST_CHARACTERS} THEN ${text} END FROM ${from}`;
  const look = lookerOf(sealed, tally);
  for await (const [values] of readTexts(destination, select, 1))
    for (const value of values!) if (value !== null) look(value);
}

/** Looks at one value after the other. */
function lookerOf(sealed: Sealed, tally: Tally): (value: string) => void {
  const finders = sealed.rules.map((rule) => plainFinder(rule, tally.markers));
  const root = matcher(
    sealed.paths.map((path) => parsePath(path)).filter((path) => typeof path !== 'string'),
  );
  return (value) => {
    const parts = sealed.kind === 'paths' ? leavesOf(value, root) : [{ text: value, rule: 0, bare: false }];
    const found = parts.map(({ text: part, rule, bare }) => finders[rule]!(part, bare));
    tally.take(
      found.some(({ plain }) => plain),
      found.flatMap(({ headers }) => headers),
    );
  };
}

/** Counts what the values of one sealed field are. */
export interface SealedField {
  readonly counts: Pick<SealedColumn, 'looked' | 'plain' | 'foreign' | 'undated'>;
  /** @param text Of a string; null for a value of another type, which a sealed one never is. */
  take(text: string | null): void;
}

/**
 * What looks at the values that a transformer sealed; undefined where nothing can be said of them without keys.
 *
 * @param beside Transformers of the field's other types, whose tokens are strings, too.
 */
export function sealedField(
  apply: TransformerSpec,
  by: SealedBy,
  beside: readonly TransformerSpec[] = [],
): SealedField | undefined {
  const sealed = sealedHow({ branches: [{ rule: '', apply }] });
  if (!sealed) return undefined;
  const tally = new Tally({ ...sealed, rules: [...sealed.rules, ...beside.flatMap(retainsOf)] }, by);
  const look = lookerOf(sealed, tally);
  return {
    counts: tally.counts,
    take: (text) => (text === null ? tally.take(true, []) : look(text)),
  };
}

interface Part {
  readonly text: string;
  readonly rule: number;
  /** A number or boolean of a document. */
  readonly bare: boolean;
}

function leavesOf(document: string, root: PathState): Part[] {
  try {
    return scanLeaves(document, root).flatMap(({ kind, path, start, end }) =>
      path < 0 || kind === 'null' || kind === 'empty'
        ? []
        : [
            {
              text: kind === 'string' ? unquote(document, start, end) : document.slice(start, end),
              rule: path,
              bare: kind !== 'string',
            },
          ],
    );
  } catch (error) {
    if (error instanceof JsonMistake) return [];
    throw error;
  }
}

type Find = (text: string, bare: boolean) => { plain: boolean; headers: readonly string[] };

/** Stands for a token where a pattern looks at what is around it. */
const TOKEN_MARK = '\u{e000}';

/** Finds what is plain in a text that was sealed by a rule, and what its tokens say of themselves. */
function plainFinder(rule: RetainOptions | undefined, markers: readonly string[]): Find {
  if (!rule) return () => ({ plain: false, headers: [] });
  const { pattern } = rule;
  if (pattern === undefined)
    return (text) => {
      const token = parseToken(text);
      return { plain: !token && !markers.includes(text), headers: token ? [headerOf(text)] : [] };
    };
  const matches = patternOf(pattern);
  return (text, bare) => {
    if (bare) return { plain: false, headers: [] };
    const tokens = findTokens(text).filter(({ start, end }) => parseToken(text.slice(start, end)));
    let marked = '';
    let at = 0;
    const gaps: string[] = [];
    for (const { start, end } of tokens) {
      if (start < at) continue;
      gaps.push(text.slice(at, start));
      marked += text.slice(at, start) + TOKEN_MARK;
      at = end;
    }
    gaps.push(text.slice(at));
    // Beside a token a pattern may find what it did not find beside the value.
    const told = new Set(
      findMatches(marked + text.slice(at), matches).filter((match) => !match.includes(TOKEN_MARK)),
    );
    const plain = gaps.some((gap) =>
      findMatches(gap, matches).some((match) => told.has(match) && !markers.includes(match)),
    );
    return { plain, headers: tokens.map(({ start }) => headerOf(text.slice(start))) };
  };
}

/** Policy and date of a token: `ip260228`. */
function headerOf(token: string): string {
  return token.slice(4, HEADER_LENGTH - 1);
}
