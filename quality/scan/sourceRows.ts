import { tableText } from '../../plan/catalog.js';
import { type InspectedTable, readSource, type SourceRows } from '../../postgres/inspect/sample.js';
import type { Source } from '../../postgres/load/source.js';
import { documentText, type Extractor, extractors, type RowValues } from './identifying.js';
import type { LeakScan } from './leakScan.js';
import { MOST_CHARACTERS } from './words.js';

const known = new WeakMap<InspectedTable, Extractor[]>();

function extractorsOf(table: InspectedTable): Extractor[] {
  let found = known.get(table);
  if (!found) {
    found = extractors(table.plan, table.compiled.writes);
    known.set(table, found);
  }
  return found;
}

function noValues(): RowValues {
  return { first: [], last: [], value: [] };
}

function clear({ first, last, value }: RowValues, kept: string[]): void {
  first.length = 0;
  last.length = 0;
  value.length = 0;
  kept.length = 0;
}

/** First pass over rows of the source: what was changed in them is what the destination must not have. */
export function learnRows(table: InspectedTable, { block, transformed }: SourceRows, scan: LeakScan): void {
  const takers = extractorsOf(table);
  if (takers.length === 0) return;
  const columns = columnsOf(table, block);
  const row = noValues();
  const kept: string[] = [];
  for (let i = 0; i < block.size; i++) {
    for (const { column, written, take } of takers) {
      const before = columns(column)[i];
      if (before != null && before.length <= MOST_CHARACTERS)
        take(before, transformed.columns[written]![i] ?? null, row, kept);
    }
    scan.learn(row);
    clear(row, kept);
  }
}

/** Third pass, over all rows of the source: who has what is suspected, and whether it was kept somewhere. */
export async function confirmTable(source: Source, table: InspectedTable, scan: LeakScan): Promise<void> {
  const { plan, compiled } = table;
  const takers = extractorsOf(table);
  const name = tableText(plan.source);
  const names = takers.filter(({ names: isName }) => isName).map(({ column }) => column);
  const untouched = compiled.reads.filter((column) => !compiled.writes.includes(column));
  for await (const { block, transformed } of readSource(source, table, table.sample.all)) {
    const columns = columnsOf(table, block);
    const row = noValues();
    const kept: string[] = [];
    for (let i = 0; i < block.size; i++) {
      const people = noValues();
      for (const { column, written, take } of takers) {
        const before = columns(column)[i];
        if (before == null || before.length > MOST_CHARACTERS) continue;
        take(before, transformed.columns[written]![i] ?? null, row, kept);
        if (row.value.length > 0)
          scan.confirm({ first: [], last: [], value: row.value }, `${name}.${column}`);
        for (const text of kept) scan.confirmKept(text);
        people.first.push(...row.first);
        people.last.push(...row.last);
        clear(row, kept);
      }
      if (people.first.length > 0) scan.confirm(people, `${name}.${names.join('+')}`);
      for (const column of untouched) {
        const value = columns(column)[i];
        if (value != null) scan.confirmKept(value.slice(0, MOST_CHARACTERS));
      }
      if (table.shape.rest) scan.confirmKept(restOf(table, block, i));
    }
  }
}

function columnsOf({ shape }: InspectedTable, block: SourceRows['block']) {
  return shape.chunk(block).column;
}

/** The columns that nothing was taken out of, as one text. */
function restOf(
  { shape }: InspectedTable,
  { bytes, starts, ends }: SourceRows['block'],
  row: number,
): string {
  const from = starts[row * (shape.leading + 1) + shape.leading]!;
  const to = Math.min(ends[row]! - 1, from + MOST_CHARACTERS);
  return documentText(bytes.toString('utf8', from, to).replaceAll('\\\\', '\\'));
}
