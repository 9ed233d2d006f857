import { prepareTable } from '../../anonymize/compile.js';
import type { JobKeys } from '../../anonymize/keys.js';
import { BLIND } from '../../anonymize/sealing.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import { decodeRows } from '../copy/decode.js';
import { RowEncoder } from '../copy/encode.js';
import { copyIn } from '../copy/in.js';
import { sanitize } from '../errors.js';
import { quoteColumns } from '../identifiers.js';
import { filterConditions, readParents } from '../load/filter.js';
import { blockRanges, keyRanges, readKeyColumns } from '../load/reads.js';
import { rowShape } from '../load/shape.js';
import type { Source } from '../load/source.js';
import { execute, query, type Session } from '../session.js';
import { createStage, imagesSql } from './suspects.js';

/** A source row that a suspect of the destination came from. */
export interface Origin {
  /** Of the row as it is read now: two hashes. Rows that are alike in every column share one. */
  readonly image: string;
  /** Of its key, alike. */
  readonly keyImage: string;
  /** Place in the source's order of keys. */
  readonly order: number;
  /** Its key columns, or where it lies. Values: they stay in this process, and are sealed before they leave it. */
  readonly key: readonly (string | null)[];
}

export interface AgainOptions {
  readonly keys: JobKeys;
  /** ISO 8601, UTC. */
  readonly runTime: string;
}

/**
 * Reads a table of the source again, under the run's snapshot and in the order of its key, transforms it as the load
 * did, and tells which source rows became, or have the keys of, the suspects of that table in `lethe_suspect`. Only a
 * chunk at a time is in the destination, in a temporary table, with a number in place of its key.
 */
export async function findOrigins(
  session: Session,
  source: Source,
  table: TablePlan,
  options: AgainOptions,
): Promise<Origin[]> {
  const compiled = await prepareTable(
    { columns: table.columns, key: table.key.kind === 'columns' ? table.key.columns : [] },
    { ...options.keys, sealing: BLIND },
    table.columns.map(({ domain, compileType }) => ({ name: domain, type: compileType })),
  );
  const shape = rowShape(table, compiled, options.runTime, true);
  const parents = await readParents(source.session, table.semiJoins);
  const filter = (relation: string) => filterConditions(table, relation, options.runTime, parents);
  const ranges =
    table.key.kind === 'ctid'
      ? blockRanges(table, source, filter)
      : keyRanges(table, await readKeyColumns(source.session, table), source, filter);
  const stage = await Stage.open(session, table, shape.into);
  const origins: Origin[] = [];
  let order = 0;
  for (const unit of table.units.keys()) {
    const select = ranges.rows(shape.select, { unit, from: null, to: null }, 'to', true);
    const reader = source.copy(select);
    try {
      for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
        const block = decodeRows(source.decode(chunk), shape.leading, shape.total);
        const transformed = compiled.transform(shape.chunk(block));
        const skip = new Uint8Array(block.size);
        for (const { row } of transformed.failed) skip[row] = 1;
        const numbers = Array.from({ length: block.size }, (_, row) => String(row));
        const fields = [{ kind: 'values' as const, values: numbers }, ...shape.output(transformed)];
        for (const { row, ...images } of await stage.match(block, fields, shape.rest, skip)) {
          const key = block.fields.slice(0, shape.keys).map((field) => field[row] ?? null);
          origins.push({ ...images, order: order + row, key });
        }
        order += block.size;
        reader.release(chunk);
      }
    } catch (error) {
      await reader.drain();
      throw sanitize(error, `reading ${tableText(table.source)} again`);
    }
  }
  await source.refuseChanged(table);
  await execute(session, 'DROP TABLE pg_temp.lethe_again');
  return origins.sort((a, b) => a.order - b.order);
}

/** The temporary table that takes a chunk and tells which of its rows look like a suspect. */
class Stage {
  private readonly encoder = new RowEncoder();

  private constructor(
    private readonly session: Session,
    private readonly table: TablePlan,
    private readonly into: readonly string[],
  ) {}

  static async open(session: Session, table: TablePlan, into: readonly string[]): Promise<Stage> {
    await createStage(session, table, into);
    return new Stage(session, table, into);
  }

  async match(
    ...[block, fields, rest, skip]: [
      Parameters<RowEncoder['encode']>[0],
      Parameters<RowEncoder['encode']>[1],
      boolean,
      Uint8Array,
    ]
  ): Promise<{ row: number; image: string; keyImage: string }[]> {
    const bytes = this.encoder.encode(block, fields, rest, { skip });
    if (bytes.length === 0) return [];
    const copy = copyIn(
      this.session,
      `COPY pg_temp.lethe_again (lethe_n, ${quoteColumns(this.into)}) FROM STDIN`,
    );
    await copy.write(bytes);
    await copy.finish();
    const rows = await query(
      this.session,
      `SELECT DISTINCT a.n, a.image[1] || '/' || a.image[2] AS image, a.image[3] || '/' || a.image[4] AS key_image
         FROM (SELECT t.lethe_n AS n, ARRAY[${imagesSql(this.table, 't')}] AS image
                 FROM pg_temp.lethe_again t) AS a
         JOIN pg_temp.lethe_suspect s ON s.key_0 = a.image[3] AND s.key_1 = a.image[4]
        WHERE s.table_id = $1::int`,
      [this.table.id],
    );
    await execute(this.session, 'TRUNCATE pg_temp.lethe_again');
    return rows.map((row) => ({ row: Number(row.n), image: row.image!, keyImage: row.key_image! }));
  }
}
