import { LetheError } from '../../errors/errors.js';
import type { Bounds } from '../../ledger/types.js';
import type { ReadUnit, TablePlan } from '../../plan/plan.js';
import { compareRows, readOrderings } from '../catalog/operators.js';
import { quoteTable } from '../identifiers.js';
import { query, type Session } from '../session.js';
import { keyFields } from './shape.js';
import { type KeyColumn, keyText, type Side, type Source } from './source.js';

/** The key columns of a table with their types and comparisons, as SQL. */
export async function readKeyColumns(session: Session, plan: TablePlan): Promise<KeyColumn[]> {
  if (plan.key.kind === 'ctid') return [];
  const { columns } = plan.key;
  const rows = await query(
    session,
    `SELECT attname AS name, format_type(atttypid, atttypmod) AS type FROM pg_attribute
     WHERE attrelid = $1::oid AND attname = ANY ($2::name[])`,
    [plan.units[0]!.oid, columns],
  );
  const types = new Map(rows.map((row) => [row.name!, row.type!]));
  const quoted = keyFields(plan);
  const orderings = await readOrderings(session, plan.units[0]!, columns);
  return columns.map((name, i) => ({
    sql: quoted[i]!,
    type: types.get(name)!,
    ordering: orderings[i]!,
  }));
}

/** Statements over a range of one unit of a table. */
export interface RangeReader {
  /** Columns of a range; `to` names the side of the source's bounds that ends it. */
  rows(select: string, bounds: Bounds, upper: Side, ordered?: boolean): string;
  /** Columns of the rows of a unit whose keys `Source.setKeys` was given. */
  rowsByKey(select: string, unit: number): string;
  /** Fixes the end of the batch that begins at the source's bound `from`; null when it is the last. */
  nextBound(bounds: Bounds, batchRows: number): Promise<readonly string[] | null>;
}

/** Reads by key: bounds are the source's own, compared by it. Costs the same for each row, wherever the range lies. */
export function keyRanges(
  plan: TablePlan,
  key: readonly KeyColumn[],
  source: Source,
  filter: (relation: string) => string[],
): RangeReader {
  const columns = key.map(({ sql }) => sql).join(', ');
  const compare = (than: 'atLeast' | 'less', side: Side) => {
    const values = source.bound(side, key);
    if (!values) return [];
    const sides = [key.map(({ sql }) => sql), than, values, key.map(({ ordering }) => ordering)] as const;
    return [compareRows(...sides)];
  };
  const range = (upper: Side) => [...compare('atLeast', 'from'), ...compare('less', upper)];
  return {
    rows(select, { unit }, upper, ordered = false) {
      const relation = quoteTable(plan.units[unit]!);
      const conditions = [...range(upper), ...filter(relation)];
      return `SELECT ${select} FROM ONLY ${relation}${where(conditions)}${ordered ? ` ORDER BY ${columns}` : ''}`;
    },
    rowsByKey(select, unit) {
      const relation = quoteTable(plan.units[unit]!);
      const conditions = [source.amongKeys(key), ...filter(relation)];
      return `SELECT ${select} FROM ONLY ${relation}${where(conditions)} ORDER BY ${columns}`;
    },
    async nextBound({ unit }, batchRows) {
      const relation = quoteTable(plan.units[unit]!);
      // Named apart from the columns: ORDER BY would take an output column of the same name, and sort numbers as text.
      const texts = key.map(({ sql }, i) => `${keyText(source.session, sql)} AS lethe_bound_${i}`).join(', ');
      await query(source.session, 'SET LOCAL enable_seqscan = off');
      return source.findBound(
        `SELECT ${texts} FROM ONLY ${relation}${where(range('end'))} ORDER BY ${columns} OFFSET ${batchRows} LIMIT 1`,
        key.length,
      );
    },
  };
}

/** Reads by place, for tables without a key: bounds are block numbers, which tell nothing. */
export function blockRanges(
  plan: TablePlan,
  source: Source,
  filter: (relation: string) => string[],
): RangeReader {
  return {
    rows(select, { unit, from, to }, _upper, ordered = false) {
      const relation = quoteTable(plan.units[unit]!);
      const conditions = [
        ...(from ? [`ctid >= '(${block(from)},0)'::tid`] : []),
        ...(to ? [`ctid < '(${block(to)},0)'::tid`] : []),
        ...filter(relation),
      ];
      return `SELECT ${select} FROM ONLY ${relation}${where(conditions)}${ordered ? ' ORDER BY ctid' : ''}`;
    },
    rowsByKey() {
      throw new LetheError(
        'Internal',
        `${plan.source.schema}.${plan.source.name} has no key to find single rows by.`,
      );
    },
    async nextBound({ unit, from, to }, batchRows) {
      const relation = plan.units[unit]!;
      const [row] = await query(
        source.session,
        `SELECT pg_relation_size($1::oid::regclass) / current_setting('block_size')::bigint AS pages`,
        [relation.oid],
      );
      const pages = Number(row?.pages ?? 0);
      const rowsPerPage = Math.max(1, relation.rows / Math.max(1, relation.pages));
      const next = (from ? block(from) : 0) + Math.max(1, Math.ceil(batchRows / rowsPerPage));
      return next < Math.min(to ? block(to) : pages, pages) ? [String(next)] : null;
    },
  };
}

/** Rows of a batch: fewer where rows are wide, so that no batch moves more than about so many bytes. */
export function batchSize(unit: ReadUnit, batchRows: number): number {
  const width = unit.rows > 0 ? unit.bytes / unit.rows : 0;
  return Math.max(1, Math.min(batchRows, width > 0 ? Math.floor(BATCH_BYTES / width) : batchRows));
}

const BATCH_BYTES = 256 << 20;

function where(conditions: readonly string[]): string {
  return conditions.length > 0 ? ` WHERE ${conditions.join(' AND ')}` : '';
}

function block(bound: readonly string[]): number {
  return Number(bound[0]);
}
