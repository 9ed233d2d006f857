import type { CheckSettings } from '../../job/types.js';
import { tableText } from '../../plan/catalog.js';
import type { ColumnPlan, Plan, TablePlan } from '../../plan/plan.js';
import { quoteIdent, wholeTable } from '../../postgres/identifiers.js';
import type { InspectedTable } from '../../postgres/inspect/sample.js';
import type { Stage } from '../../postgres/inspect/stage.js';
import { readTexts } from '../../postgres/inspect/texts.js';
import type { Session } from '../../postgres/session.js';
import type { Residual } from '../inspection.js';
import { type PersonalKind, personalKinds } from '../residual.js';
import { type Draws, drawsOf } from './chance.js';
import { documentText, holdsText, roleOf, specsOf } from './identifying.js';
import type { LeakScan } from './leakScan.js';
import { MOST_CHARACTERS } from './words.js';

/** A column of the destination that is searched. */
interface SearchedColumn {
  readonly name: string;
  readonly place: string;
  readonly json: boolean;
  /** Nothing of it was changed: what looks personal in it is. */
  readonly kept: boolean;
  readonly draws: Draws;
  readonly role: 'first' | 'last' | undefined;
}

/** Second pass: searches the texts of a table of the destination, and looks for what is personal in its kept columns. */
export async function lookAtTable(
  destination: Session,
  table: InspectedTable,
  stage: Stage,
  mode: Plan['mode'],
  settings: CheckSettings,
  scan: LeakScan | undefined,
): Promise<Residual[]> {
  const { plan } = table;
  const rows = lookedRows(table, stage, mode);
  const columns = plan.columns
    .filter(({ type }) => holdsText(type))
    .map((column) => searched(plan, column))
    // Of a sample that does not go with that of the source, kept values may come from rows that were not read.
    .filter(({ kept }) => rows.aligned || !kept);
  const residual = settings.residual.severity !== 'off';
  if (columns.length === 0 || (!scan && !residual)) return [];
  const select = `SELECT ${columns.map(beginningOf).join(', ')} FROM ${rows.from}`;
  const counts = columns.map(() => ({ looked: 0, found: {} as Partial<Record<PersonalKind, number>> }));
  const pairs = namePairs(columns);
  for await (const fields of readTexts(destination, select, columns.length)) {
    for (const [at, column] of columns.entries()) {
      for (const value of fields[at]!) {
        if (value === null) continue;
        const text = column.json ? documentText(value) : value;
        scan?.look(text, column.place, column.draws);
        if (residual && column.kept) tally(counts[at]!, text);
      }
    }
    if (scan) lookAtPairs(fields, pairs, scan);
  }
  return columns.flatMap(({ name, kept }, at) =>
    residual && kept ? [{ table: plan.id, column: name, ...counts[at]! }] : [],
  );
}

/** A value as far as it is looked at, cut by the server: it may be as large as memory. */
function beginningOf({ name, json }: SearchedColumn): string {
  const text = `d.${quoteIdent(name)}::text`;
  return json
    ? `CASE WHEN length(${text}) <= ${MOST_CHARACTERS} THEN ${text} END`
    : `left(${text}, ${MOST_CHARACTERS})`;
}

/** The rows of the destination that are looked at, as `d`; `aligned`: they are what the source's sample became. */
export function lookedRows(
  { plan, sample }: InspectedTable,
  stage: Stage,
  mode: Plan['mode'],
): { from: string; aligned: boolean } {
  const whole = `${wholeTable(plan)} AS d`;
  // An `upsert` shares its table with rows that are not Lethe's.
  if (sample.whole && mode === 'replace') return { from: whole, aligned: true };
  const joined = stage.from();
  if (joined !== undefined) return { from: joined, aligned: true };
  return { from: `${whole} LIMIT ${sample.whole ? 'ALL' : sample.rows}`, aligned: sample.whole };
}

function searched(plan: TablePlan, column: ColumnPlan): SearchedColumn {
  const specs = specsOf(column);
  const role = specs.length === 1 ? roleOf(specs[0]!) : 'none';
  return {
    name: column.destination,
    place: `${tableText(plan.destination)}.${column.destination}`,
    json: column.type.kind === 'json' || specs.some(({ name }) => name === 'json'),
    kept: specs.every(({ name }) => name === 'keep'),
    draws: drawsOf(specs),
    role: role === 'first' || role === 'last' ? role : undefined,
  };
}

const NAMES: Draws = { words: true, shapes: false };

interface NamePair {
  readonly first: number;
  readonly last: number;
  readonly place: string;
}

function namePairs(columns: readonly SearchedColumn[]): NamePair[] {
  const of = (role: 'first' | 'last') => columns.flatMap((column, at) => (column.role === role ? [at] : []));
  return of('first').flatMap((first) =>
    of('last').map((last) => ({ first, last, place: `${columns[first]!.place}+${columns[last]!.name}` })),
  );
}

/** First and last name stand in columns of their own: beside each other they identify. */
function lookAtPairs(
  fields: readonly (readonly (string | null)[])[],
  pairs: readonly NamePair[],
  scan: LeakScan,
): void {
  for (const { first, last, place } of pairs) {
    const [a, b] = [fields[first]!, fields[last]!];
    for (let row = 0; row < a.length; row++) {
      if (a[row] != null && b[row] != null) scan.look(`${a[row]} ${b[row]}`, place, NAMES);
    }
  }
}

function tally(count: { looked: number; found: Partial<Record<PersonalKind, number>> }, text: string): void {
  count.looked++;
  for (const kind of personalKinds(text)) count.found[kind] = (count.found[kind] ?? 0) + 1;
}
