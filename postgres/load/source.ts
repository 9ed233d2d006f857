import { LetheError } from '../../errors/errors.js';
import type { TablePlan } from '../../plan/plan.js';
import { readFilenodes, readFingerprint } from '../catalog/fingerprint.js';
import type { Ordering } from '../catalog/operators.js';
import { encodeRows } from '../copy/encode.js';
import { toUtf8 } from '../copy/encoding.js';
import { copyIn } from '../copy/in.js';
import { type CopyChunk, type CopyOut, copyOut } from '../copy/out.js';
import { sanitize } from '../errors.js';
import { openSession, query, type Session, type SessionOptions } from '../session.js';
import { beginUnderSnapshot } from '../snapshot.js';

/** Which bound of a read. `end` is the partition's, `from` and `to` the batch's; `key` holds whole keys of rows. */
export type Side = 'from' | 'to' | 'end' | 'key';

/** Keys that `setKeys` takes at once: as many as make a statement worth its while. */
const KEYS_AT_ONCE = 1_000;

/**
 * A key value as text, as SQL. In a SQL_ASCII database text may not be valid in any encoding that the driver knows, so
 * its bytes travel in hexadecimal.
 */
export function keyText(session: Session, value: string): string {
  return isAscii(session) ? `encode(textsend(${value}::text), 'hex')` : `${value}::text`;
}

/** The value that `keyText` gave, as SQL; still untyped. */
function fromKeyText(session: Session, text: string): string {
  return isAscii(session) ? `convert_from(decode(${text}, 'hex'), 'SQL_ASCII')` : text;
}

function isAscii({ serverEncoding }: Session): boolean {
  return serverEncoding === 'SQL_ASCII';
}

/** A key column with its type, both as SQL. */
export interface KeyColumn {
  readonly sql: string;
  readonly type: string;
  readonly ordering: Ordering;
}

/**
 * The source under one exported snapshot, in one read-only transaction. Bounds are values of keys and must not be
 * logged, so they are neither part of a statement nor its parameters: they wait in a temporary table, filled by COPY,
 * or on a standby, which has no temporary tables, in session settings that came with the startup packet.
 */
export class Source {
  private readonly bounds = new Map<Side, readonly string[]>();

  private constructor(
    private readonly options: SessionOptions,
    private readonly snapshots: readonly string[] | 'now',
    private current: Session,
    private readonly temporary: boolean,
  ) {}

  /** @param snapshots Exported ids, of which any will do; `now`: a state of its own. */
  static async open(options: SessionOptions, snapshots: readonly string[] | 'now'): Promise<Source> {
    const session = await openSource(options);
    try {
      const temporary = !session.inRecovery && (await makeBoundsTable(session));
      await beginUnderSnapshot(session, snapshots);
      return new Source(options, snapshots, session, temporary);
    } catch (error) {
      await session.close();
      throw error;
    }
  }

  get session(): Session {
    return this.current;
  }

  /** Starts reading rows. Errors of the stream are the driver's own. */
  copy(select: string): CopyOut {
    return copyOut(this.current, `COPY (${select}) TO STDOUT`);
  }

  /** The rows in UTF-8; only a SQL_ASCII database gives them as anything else. */
  decode(chunk: CopyChunk): CopyChunk {
    return this.current.encoding === 'UTF8' ? chunk : toUtf8(chunk, this.current.encoding);
  }

  /** Sets a bound of the reads that follow; null: open. */
  async setBound(side: Side, values: readonly string[] | null): Promise<void> {
    const known = this.bounds.get(side);
    if (values === null) {
      this.bounds.delete(side);
      return;
    }
    if (known?.length === values.length && known.every((value, i) => value === values[i])) return;
    this.bounds.set(side, values);
    if (this.temporary) await this.fill(side, values);
    else await this.reopen();
  }

  /** The bound as SQL, a value a key column, typed like it; undefined when it is open. */
  bound(side: Side, key: readonly KeyColumn[]): string[] | undefined {
    if (!this.bounds.has(side)) return undefined;
    return key.map(({ type }, i) =>
      this.temporary
        ? `(SELECT ${fromKeyText(this.current, 'value')} FROM pg_temp.lethe_bound WHERE side = '${side}' AND place = ${i})::${type}`
        : `${fromKeyText(this.current, `current_setting('lethe.${side}_${i}')`)}::${type}`,
    );
  }

  /** How many rows' keys may be given at once; where they travel with a connection, one. */
  get keysAtOnce(): number {
    return this.temporary ? KEYS_AT_ONCE : 1;
  }

  /** Sets the keys of the rows that `amongKeys` means: at most `keysAtOnce`, a text a key column. */
  async setKeys(keys: readonly (readonly string[])[]): Promise<void> {
    const texts = keys.map((key) => key.map((value) => this.toKeyText(value)!));
    if (this.temporary) await this.fill('key', texts.flat());
    else await this.setBound('key', texts[0] ?? []);
  }

  /** False for a key that was read from a SQL_ASCII database and cannot be turned back into its bytes. */
  knowsKey(key: readonly string[]): boolean {
    return key.every((value) => this.toKeyText(value) !== undefined);
  }

  /** Condition that holds for the rows of `setKeys`. */
  amongKeys(key: readonly KeyColumn[]): string {
    const equal = ({ sql, type, ordering }: KeyColumn, value: string) =>
      `${sql} ${ordering.equal} ${fromKeyText(this.current, value)}::${type}`;
    if (!this.temporary) {
      const values = key.map((_, i) => `current_setting('lethe.key_${i}')`);
      return key.map((column, i) => equal(column, values[i]!)).join(' AND ');
    }
    const from = key.map((_, i) => `pg_temp.lethe_bound AS lethe_key_${i}`).join(', ');
    const places = key.map(
      (_, i) =>
        `lethe_key_${i}.side = 'key' AND lethe_key_${i}.place ${i === 0 ? `% ${key.length} = 0` : `= lethe_key_0.place + ${i}`}`,
    );
    const pairs = key.map((column, i) => equal(column, `lethe_key_${i}.value`));
    return `EXISTS (SELECT FROM ${from} WHERE ${[...places, ...pairs].join(' AND ')})`;
  }

  /**
   * Fixes the bound `to` as what the query gives, one row of texts, and returns it; null when it gives none. The
   * values need not travel back to the server.
   */
  async findBound(select: string, width: number): Promise<readonly string[] | null> {
    const places = Array.from({ length: width }, (_, i) => `k${i}`);
    const found = `(${select}) AS found (${places.join(', ')})`;
    const rows = this.temporary
      ? await query(
          this.current,
          `WITH gone AS (DELETE FROM pg_temp.lethe_bound WHERE side = 'to')
           INSERT INTO pg_temp.lethe_bound
           SELECT 'to', place, value FROM ${found}, LATERAL (VALUES ${places.map((p, i) => `(${i}, ${p})`).join(', ')}) AS v (place, value)
           RETURNING place, value`,
        )
      : await query(
          this.current,
          `SELECT unnest(ARRAY[${places.map((p, i) => `set_config('lethe.to_${i}', ${p}, false)`).join(', ')}]) AS value, generate_series(0, ${width - 1}) AS place FROM ${found}`,
        );
    if (rows.length === 0) {
      this.bounds.delete('to');
      return null;
    }
    const values = rows.sort((a, b) => Number(a.place) - Number(b.place)).map((row) => row.value!);
    this.bounds.set('to', values);
    return values;
  }

  /** The batch that follows begins where this one ended: `from` becomes what `to` is. */
  async advance(): Promise<void> {
    const to = this.bounds.get('to');
    if (!to) return;
    this.bounds.set('from', to);
    this.bounds.delete('to');
    if (this.temporary) {
      await query(this.current, `DELETE FROM pg_temp.lethe_bound WHERE side = 'from'`);
      await query(this.current, `UPDATE pg_temp.lethe_bound SET side = 'from' WHERE side = 'to'`);
    } else {
      const moves = to.map(
        (_, i) => `set_config('lethe.from_${i}', current_setting('lethe.to_${i}'), false)`,
      );
      await query(this.current, `SELECT 1 FROM (SELECT ${moves.join(', ')}) AS moved`);
    }
  }

  /**
   * Compares the table with what was planned, as it is now: an ALTER that rewrote it, or a TRUNCATE, makes our older
   * snapshot see no rows, without an error. After a read its lock keeps everything until the transaction ends.
   *
   * @throws LetheError `SourceChanged`.
   */
  async refuseChanged(plan: TablePlan): Promise<void> {
    const [fingerprint, filenodes] = [
      await readFingerprint(this.current, plan.source),
      await readFilenodes(
        this.current,
        plan.units.map(({ oid }) => oid),
      ),
    ];
    const rewritten = plan.units.filter(
      ({ oid, filenode }) =>
        !filenodes.has(oid) || (filenode !== undefined && filenodes.get(oid) !== filenode),
    );
    if (fingerprint === plan.fingerprint && rewritten.length === 0) return;
    const what =
      rewritten.length > 0
        ? `${rewritten[0]!.schema}.${rewritten[0]!.name} was rewritten or emptied (ALTER TABLE, TRUNCATE, VACUUM FULL, CLUSTER)`
        : 'its columns were changed';
    throw new LetheError(
      'SourceChanged',
      `The source table ${plan.source.schema}.${plan.source.name} changed while it was read: ${what}. Start the run again.`,
      { table: `${plan.source.schema}.${plan.source.name}` },
    );
  }

  async close(): Promise<void> {
    await this.current.close();
  }

  /** The value as `keyText` would give it; undefined where its bytes are not known any more. */
  private toKeyText(value: string): string | undefined {
    if (!isAscii(this.current)) return value;
    const encoding = this.current.encoding.toUpperCase();
    // biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII is meant
    if (/^[\x00-\x7f]*$/.test(value) || encoding === 'UTF8') return Buffer.from(value).toString('hex');
    return encoding === 'LATIN1' ? Buffer.from(value, 'latin1').toString('hex') : undefined;
  }

  private async fill(side: Side, values: readonly string[]): Promise<void> {
    await query(this.current, `DELETE FROM pg_temp.lethe_bound WHERE side = '${side}'`);
    try {
      const copy = copyIn(this.current, 'COPY pg_temp.lethe_bound FROM STDIN');
      await copy.write(encodeRows(values.map((value, place) => [side, String(place), value])));
      await copy.finish();
    } catch (error) {
      throw sanitize(error, 'giving the source the bounds of a batch');
    }
  }

  private async reopen(): Promise<void> {
    const startup = Object.fromEntries(
      [...this.bounds].flatMap(([side, values]) => values.map((value, i) => [`lethe.${side}_${i}`, value])),
    );
    await this.current.close();
    this.current = await openSource({ ...this.options, startup });
    await beginUnderSnapshot(this.current, this.snapshots);
  }
}

async function openSource(options: SessionOptions): Promise<Session> {
  const session = await openSession(options);
  // The server would check that everything is UTF-8; what it is, the job says.
  if (isAscii(session)) await query(session, 'SET client_encoding = SQL_ASCII');
  return session;
}

/** False where the role may not: then the bounds travel as on a standby. */
async function makeBoundsTable(session: Session): Promise<boolean> {
  try {
    await query(session, 'BEGIN READ WRITE');
    await query(
      session,
      'CREATE TEMP TABLE lethe_bound (side text, place integer, value text) ON COMMIT PRESERVE ROWS',
    );
    await query(session, 'COMMIT');
    return true;
  } catch (error) {
    await query(session, 'ROLLBACK');
    if (error instanceof LetheError && error.type === 'PermissionDenied') return false;
    throw error;
  }
}
