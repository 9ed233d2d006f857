import type { TableName } from '../../../plan/catalog.js';
import { decodeRows } from '../../copy/decode.js';
import { RowEncoder } from '../../copy/encode.js';
import { copyIn } from '../../copy/in.js';
import { copyOut } from '../../copy/out.js';
import { sanitize } from '../../errors.js';
import { quoteColumns, quoteIdent, quoteTable } from '../../identifiers.js';
import { execute, query, type Session } from '../../session.js';

/** Values of some rows, a column an array; null is NULL. */
export type Columns = readonly (readonly (string | null)[])[];

/** What becomes of rows in place. */
export interface RowChange {
  readonly unit: TableName;
  /** Columns that are read only, then those that get new values. */
  readonly needs: readonly string[];
  readonly columns: readonly string[];
  /** Only looks. */
  readonly dryRun: boolean;
  /** Of the columns that get new values, these, from the values of `needs` and of `columns`. */
  change(needs: Columns, before: Columns): Columns;
}

/** Those of some columns that hold bytes: their values are read and written as `\x00ff`. */
export async function byteColumns(
  session: Session,
  unit: TableName,
  columns: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await query(
    session,
    `WITH RECURSIVE based (name, type) AS (
       SELECT attname, atttypid FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass($1) AND attname = ANY ($2::text[])
       UNION ALL
       SELECT b.name, t.typbasetype FROM based b JOIN pg_catalog.pg_type t ON t.oid = b.type WHERE t.typtype = 'd')
     SELECT name FROM based WHERE type = 'bytea'::regtype`,
    [quoteTable(unit), columns],
  );
  return new Set(rows.map(({ name }) => name!));
}

const STAGE = 'pg_temp.lethe_rewriting';

/** Rewrites rows of one relation in place. Values travel by COPY: no statement and no parameter holds one. */
export class RowRewriter {
  private readonly encoder = new RowEncoder();

  private constructor(
    private readonly session: Session,
    private readonly work: RowChange,
  ) {}

  static async open(session: Session, work: RowChange): Promise<RowRewriter> {
    if (!work.dryRun) {
      await execute(session, `DROP TABLE IF EXISTS ${STAGE}`);
      await execute(
        session,
        `CREATE TEMP TABLE lethe_rewriting ON COMMIT DELETE ROWS AS
         SELECT ctid AS lethe_tid, ${quoteColumns(work.columns)} FROM ONLY ${quoteTable(work.unit)} WITH NO DATA`,
      );
    }
    return new RowRewriter(session, work);
  }

  /** Rows for which a condition is true, locked and rewritten in a transaction of the caller's. Returns how many changed. */
  async rewrite(condition: string): Promise<number> {
    const changed = await this.read(condition);
    if (changed.rows > 0 && !this.work.dryRun) await this.write(changed.bytes);
    return changed.rows;
  }

  private async read(condition: string): Promise<{ rows: number; bytes: Buffer[] }> {
    const { unit, needs, columns, dryRun } = this.work;
    const names = [...needs, ...columns].map((name) => `${quoteIdent(name)}::text`);
    const select = `SELECT ${['ctid', ...names].join(', ')} FROM ONLY ${quoteTable(unit)} WHERE ${condition}`;
    const reader = copyOut(this.session, `COPY (${select}${dryRun ? '' : ' FOR NO KEY UPDATE'}) TO STDOUT`);
    const bytes: Buffer[] = [];
    let rows = 0;
    let whole = false;
    try {
      for (let chunk = await reader.next(); chunk; chunk = await reader.next()) {
        const block = decodeRows(chunk, 1 + names.length, 1 + names.length);
        const before = block.fields.slice(1 + needs.length);
        const after = this.work.change(block.fields.slice(1, 1 + needs.length), before);
        const skip = new Uint8Array(block.size).fill(1);
        for (let row = 0; row < block.size; row++)
          if (after.some((values, at) => values[row] !== before[at]![row])) skip[row] = 0;
        rows += skip.reduce((count, left) => count + 1 - left, 0);
        if (!dryRun) {
          const fields = [block.fields[0]!, ...after].map((values) => ({ kind: 'values' as const, values }));
          const encoded = this.encoder.encode(block, fields, false, { skip });
          if (encoded.length > 0) bytes.push(Buffer.from(encoded));
        }
        reader.release(chunk);
      }
      whole = true;
    } catch (error) {
      throw sanitize(error, `reading ${quoteTable(unit)}`);
    } finally {
      if (!whole) await reader.drain();
    }
    return { rows, bytes };
  }

  private async write(bytes: readonly Buffer[]): Promise<void> {
    const { session } = this;
    const { unit, columns } = this.work;
    const copy = copyIn(session, `COPY ${STAGE} (lethe_tid, ${quoteColumns(columns)}) FROM STDIN`);
    try {
      for (const part of bytes) await copy.write(part);
      await copy.finish();
    } catch (error) {
      await copy.abort();
      throw sanitize(error, `rewriting rows of ${quoteTable(unit)}`);
    }
    // Row by row through their places: a hash join would read the whole table each time.
    await query(session, 'SET LOCAL enable_hashjoin = off');
    await query(session, 'SET LOCAL enable_mergejoin = off');
    const set = columns.map((name) => `${quoteIdent(name)} = s.${quoteIdent(name)}`).join(', ');
    await query(
      session,
      `UPDATE ONLY ${quoteTable(unit)} AS t SET ${set} FROM ${STAGE} AS s WHERE t.ctid = s.lethe_tid`,
    );
  }
}
