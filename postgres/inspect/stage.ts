import type { Sealing } from '../../anonymize/transformer.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import { isSealed } from '../../plan/sealing.js';
import { readOrderings } from '../catalog/operators.js';
import { RowEncoder } from '../copy/encode.js';
import { type CopyIn, copyIn } from '../copy/in.js';
import { sanitize } from '../errors.js';
import { quoteColumns, quoteIdent, quoteTable, wholeTable } from '../identifiers.js';
import { query, type Session } from '../session.js';
import { imageColumns, imageSql } from '../settle/suspects.js';
import type { InspectedTable, SourceRows } from './sample.js';
import { readTexts } from './texts.js';

/**
 * What rows of the source must have become, in a temporary table of the destination with its column types: the server
 * itself then compares them with what is there, and no value leaves it.
 *
 *   open → write … → close → compare, select, orphans → drop
 */
export class Stage {
  private readonly encoders = [new RowEncoder(), new RowEncoder()] as const;
  private turn = 0;
  /** Rows written. */
  rows = 0;

  private constructor(
    private readonly session: Session,
    private readonly table: InspectedTable,
    private readonly name: string,
    /** Condition that `d` is the row that `s` became; undefined where the table has no key. */
    private readonly pair: string | undefined,
    private readonly copy: CopyIn,
  ) {}

  static async open(session: Session, table: InspectedTable): Promise<Stage> {
    const { plan, shape } = table;
    const name = `pg_temp.${quoteIdent(`lethe_check_${plan.id}`)}`;
    await query(session, `DROP TABLE IF EXISTS ${name}`);
    const columns = quoteColumns(shape.into);
    await query(
      session,
      `CREATE TEMP TABLE ${quoteIdent(`lethe_check_${plan.id}`)} AS SELECT ${columns} FROM ${quoteTable(plan.destination)} WITH NO DATA`,
    );
    const pair = await pairCondition(session, plan);
    return new Stage(session, table, name, pair, copyIn(session, `COPY ${name} (${columns}) FROM STDIN`));
  }

  /** Each row that could be transformed. */
  async write({ block, transformed }: SourceRows): Promise<void> {
    const { shape } = this.table;
    const skip = new Uint8Array(block.size);
    for (const { row } of transformed.failed) skip[row] = 1;
    const encoder = this.encoders[this.turn++ % 2]!;
    const bytes =
      shape.leading === 0
        ? Buffer.from(block.bytes)
        : encoder.encode(block, shape.output(transformed), shape.rest, { skip });
    try {
      if (bytes.length > 0) await this.copy.write(bytes);
    } catch (error) {
      throw this.failure(error);
    }
  }

  async close(): Promise<void> {
    try {
      this.rows = await this.copy.finish();
    } catch (error) {
      throw this.failure(error);
    }
    if (this.rows > 1000) await query(this.session, `ANALYZE ${this.name}`);
  }

  async abort(): Promise<void> {
    await this.copy.abort();
  }

  /** Rows can be found again by a key. */
  get keyed(): boolean {
    return this.pair !== undefined;
  }

  /**
   * Rows that are not there; by column, rows that hold something else. Columns of the key are what rows are found by. Tokens
   * are opened here, where the keys are, and what they hold is compared: `opened` counts the values.
   */
  async compare(
    sealing?: Sealing,
  ): Promise<{ missing: number; differing: Record<string, number>; opened: number }> {
    if (this.pair === undefined) return { ...(await this.compareImages()), opened: 0 };
    const { missing, differing } = await this.compareRows(this.pair);
    const sealed = await this.compareSealed(sealing);
    return { missing, differing: { ...differing, ...sealed.differing }, opened: sealed.opened };
  }

  /** `FROM` item: the rows of the destination, as `d`, that those of the stage became. */
  from(limit?: number): string | undefined {
    if (this.pair === undefined) return undefined;
    const stage = limit === undefined ? this.name : `(SELECT * FROM ${this.name} LIMIT ${limit})`;
    return `${stage} AS s JOIN ${wholeTable(this.table.plan)} AS d ON ${this.pair}`;
  }

  async drop(): Promise<void> {
    await query(this.session, `DROP TABLE IF EXISTS ${this.name}`);
  }

  private async compareRows(pair: string) {
    const { plan } = this.table;
    const keys = new Set(keyColumns(plan) ?? []);
    const compared = plan.columns
      .filter((column) => !isSealed(column))
      .map(({ destination }) => destination)
      .filter((name) => !keys.has(name));
    const counts = compared.map((name, i) => {
      const column = quoteIdent(name);
      return `count(*) FILTER (WHERE d.tableoid IS NOT NULL AND s.${column}::text IS DISTINCT FROM d.${column}::text) AS c${i}`;
    });
    const [row] = await query(
      this.session,
      `SELECT ${['count(*) FILTER (WHERE d.tableoid IS NULL) AS missing', ...counts].join(', ')}
         FROM ${this.name} AS s LEFT JOIN ${wholeTable(plan)} AS d ON ${pair}`,
    );
    const differing = compared.map((name, i) => [name, Number(row![`c${i}`])] as const);
    return {
      missing: Number(row!.missing),
      differing: Object.fromEntries(differing.filter(([, rows]) => rows > 0)),
    };
  }

  private async compareSealed(sealing: Sealing | undefined) {
    const names = this.table.plan.columns.filter(isSealed).map(({ destination }) => destination);
    if (names.length === 0 || !sealing?.opened) return { differing: {}, opened: 0 };
    const fields = names.flatMap((name) => [`s.${quoteIdent(name)}::text`, `d.${quoteIdent(name)}::text`]);
    const differing: Record<string, number> = {};
    let opened = 0;
    const select = `SELECT ${fields.join(', ')} FROM ${this.from()!}`;
    for await (const values of readTexts(this.session, select, fields.length)) {
      for (const [i, name] of names.entries()) {
        const [made, there] = [sealing.opened(values[2 * i]!), sealing.opened(values[2 * i + 1]!)];
        const known = made.map((value, row) => value !== undefined && there[row] !== undefined);
        const rows = known.filter((both, row) => both && made[row] !== there[row]).length;
        opened += known.filter((both, row) => both && made[row] !== null && made[row] === there[row]).length;
        if (rows > 0) differing[name] = (differing[name] ?? 0) + rows;
      }
    }
    return { differing, opened };
  }

  /** Without a key: as many rows that look alike in every column, on both sides. */
  private async compareImages() {
    const { plan } = this.table;
    const image = (alias: string) => `ROW(${imageSql(imageColumns(plan), alias)})::text`;
    const [row] = await query(
      this.session,
      `SELECT coalesce(sum(s.n - coalesce(d.n, 0)) FILTER (WHERE s.n > coalesce(d.n, 0)), 0) AS missing
         FROM (SELECT ${image('t')} AS image, count(*) AS n FROM ${this.name} AS t GROUP BY 1) AS s
         LEFT JOIN (SELECT ${image('t')} AS image, count(*) AS n FROM ${wholeTable(plan)} AS t GROUP BY 1) AS d USING (image)`,
    );
    return { missing: Number(row!.missing), differing: {} };
  }

  private failure(error: unknown): Error {
    return sanitize(error, `comparing ${tableText(this.table.plan.destination)}`);
  }
}

/** The key's columns as the destination calls them; undefined where there is none, or it is not written. */
function keyColumns(plan: TablePlan): string[] | undefined {
  if (plan.key.kind === 'ctid') return undefined;
  const names = plan.key.columns.map(
    (name) => plan.columns.find((column) => column.name === name)?.destination,
  );
  return names.every((name) => name !== undefined) ? (names as string[]) : undefined;
}

async function pairCondition(session: Session, plan: TablePlan): Promise<string | undefined> {
  const columns = keyColumns(plan);
  if (!columns) return undefined;
  const orderings = await readOrderings(session, plan.destination, columns);
  return columns
    .map((name, i) => `d.${quoteIdent(name)} ${orderings[i]!.equal} s.${quoteIdent(name)}`)
    .join(' AND ');
}
