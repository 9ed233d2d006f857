import type { SealedColumn, SealedTable } from '../../../job/retention/types.js';
import type { TableName } from '../../../plan/catalog.js';
import type { Policy } from '../../../retention/keys/policy.js';
import { addCounts, type ExistingCounts, NO_COUNTS } from '../../../retention/token/counts.js';
import { type Day, dayOfText } from '../../../retention/token/day.js';
import { type ExpiredDays, sealExistingValues } from '../../../retention/token/existing.js';
import { patternOf } from '../../../retention/token/matches.js';
import type { Keyring } from '../../../retention/token/ring.js';
import { type Session, withTransaction } from '../../session.js';
import { byteColumns, type Columns, RowRewriter } from './rows.js';

/** What the rows of a table are sealed with. */
export interface ExistingKeys {
  readonly keyring: Keyring;
  readonly policies: Readonly<Record<string, Policy>>;
  /** Of values whose table has no date column. */
  readonly today: Day;
  /** Legal holds that are in force. */
  readonly holds: readonly HeldDays[];
}

/** Days of a policy, both included. */
export interface HeldDays {
  readonly policy: string;
  readonly from: Day;
  readonly to: Day;
}

/** Which days of a policy are over. */
export interface Expiry {
  /** The oldest day that is not. */
  readonly first: Day;
  /** Later days whose keys were destroyed before their time. */
  readonly gone: readonly Day[];
}

export interface SealMode {
  /** Only counts. */
  readonly dryRun: boolean;
  /** Values whose day is over become what their policy says of expired ones; else they stay plain. */
  readonly redact: boolean;
  /** By policy: only these days, as they were when the count was confirmed. Default: all that are over. */
  readonly expiry?: Readonly<Record<string, Expiry>>;
}

/** By column. */
export type ColumnCounts = Readonly<Record<string, ExistingCounts>>;

/** How far a range of pages is done: nothing of a value. */
export interface SealProgress {
  /** The page to go on with. */
  readonly next: number;
  /** Of the pages before. */
  readonly counts: ColumnCounts;
}

/** Pages of one transaction: few rows are locked at a time, and not for long. */
const SLICE_PAGES = 128;
/** No policy has this id. */
const NOBODY = '';

/**
 * Seals the rows that lie in a range of pages of one relation, some pages a transaction. Rows that move meanwhile are met
 * again: what is sealed already stays, so a range may be done any number of times.
 *
 * @param range First page, and the one after the last.
 * @param ended Called after each transaction.
 * @param former How far an earlier attempt came, which is gone on with.
 */
export async function sealPages(
  session: Session,
  table: SealedTable,
  unit: TableName,
  [from, to]: readonly [number, number],
  keys: ExistingKeys,
  mode: SealMode,
  ended: (progress: SealProgress) => void = () => undefined,
  former?: SealProgress,
): Promise<ColumnCounts> {
  const bytes = await byteColumns(session, unit, Object.keys(table.columns));
  const sealing = new TableSealing(table, bytes, keys, mode, former?.counts);
  const { needs, columns, counts } = sealing;
  const rows = await RowRewriter.open(session, {
    ...{ unit, needs, columns, dryRun: mode.dryRun },
    change: (needed, before) => sealing.seal(needed, before),
  });
  for (let page = former?.next ?? from; page < to; page += SLICE_PAGES) {
    const next = Math.min(to, page + SLICE_PAGES);
    await withTransaction(session, () => rows.rewrite(`ctid >= '(${page},0)' AND ctid < '(${next},0)'`));
    ended({ next, counts: { ...counts } });
  }
  return counts;
}

class TableSealing {
  readonly counts: Record<string, ExistingCounts> = {};
  readonly columns: readonly string[];
  /** Columns that rows are dated and judged by. */
  readonly needs: readonly string[];

  constructor(
    private readonly table: SealedTable,
    private readonly bytes: ReadonlySet<string>,
    private readonly keys: ExistingKeys,
    private readonly mode: SealMode,
    former: ColumnCounts = {},
  ) {
    this.columns = Object.keys(table.columns);
    const deciders = Object.values(table.columns).flatMap(({ policy }) =>
      typeof policy === 'string' ? [] : [policy.by],
    );
    this.needs = [...new Set([...(table.date === undefined ? [] : [table.date]), ...deciders])];
    for (const column of this.columns) this.counts[column] = former[column] ?? NO_COUNTS;
  }

  seal(needed: Columns, before: Columns): Columns {
    const need = (name: string) => needed[this.needs.indexOf(name)]!;
    const { date } = this.table;
    const days = date === undefined ? undefined : need(date).map((text) => dayOfText(text));
    return this.columns.map((name, at) => {
      const how = this.table.columns[name]!;
      const values = before[at]!;
      const after = [...values];
      for (const [id, rows] of byPolicy(how, values, need)) {
        if (id === NOBODY) {
          this.add(name, { ...NO_COUNTS, refused: rows.length });
          continue;
        }
        const done = sealExistingValues(
          this.keys.keyring,
          { ...ruleOf(how, this.keys.policies[id]!), bytes: this.bytes.has(name) },
          rows.map((row) => values[row]!),
          rows.map((row) => (days ? days[row]! : this.keys.today)),
          this.expiredOf(id),
        );
        for (const [i, row] of rows.entries()) after[row] = done.values[i]!;
        this.add(name, done.counts);
      }
      return after;
    });
  }

  private expiredOf(id: string): ExpiredDays {
    const { redact, expiry } = this.mode;
    const holds = this.keys.holds.filter(({ policy }) => policy === id);
    const own = expiry?.[id];
    return {
      isHeld: (day) => holds.some(({ from, to }) => day >= from && day <= to),
      redacts: (day) =>
        redact && (!expiry || (own !== undefined && (day < own.first || own.gone.includes(day)))),
    };
  }

  private add(name: string, counts: ExistingCounts): void {
    this.counts[name] = addCounts(this.counts[name]!, counts);
  }
}

/** Rows with a value, by policy: `NOBODY` of those for which none is said, whose values stay plain. */
function byPolicy(
  { policy }: SealedColumn,
  values: readonly (string | null)[],
  need: (name: string) => readonly (string | null)[],
): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  const deciders = typeof policy === 'string' ? undefined : need(policy.by);
  const of = (row: number) => {
    if (typeof policy === 'string') return policy;
    const decider = deciders![row] ?? '';
    return Object.hasOwn(policy.map, decider) ? policy.map[decider]! : (policy.default ?? NOBODY);
  };
  for (const [row, value] of values.entries()) {
    if (value === null) continue;
    const id = of(row);
    const rows = groups.get(id);
    if (rows) rows.push(row);
    else groups.set(id, [row]);
  }
  return groups;
}

function ruleOf(how: SealedColumn, policy: Policy) {
  const { id, context, pad, deterministic, expired } = policy;
  return {
    policy: id,
    context: how.context ?? context,
    deterministic,
    expired,
    ...(pad && { pad }),
    ...(how.pattern !== undefined && { pattern: patternOf(how.pattern) }),
    ...(how.paths && { paths: how.paths }),
  };
}
