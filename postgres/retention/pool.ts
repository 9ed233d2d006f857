import pg from 'pg';
import { LetheError } from '../../errors/errors.js';
import type { RingRequest } from '../../retention/keys/policy.js';
import type { RingSource } from '../../retention/keys/source.js';
import { startupOptions } from '../session.js';
import { setKeys, splitSettings } from './delivery.js';
import { ringSettings } from './settings.js';

export interface RetentionPoolOptions {
  /** As for `pg.Pool`. Its `options` stay; `application_name` is ours by default. */
  readonly connection: pg.PoolConfig;
  /** Where keys come from. Closing it is the caller's. */
  readonly source: RingSource;
  /** Which keys. Default: all that the source gives. */
  readonly request?: RingRequest;
  /**
   * `startup`: keys go with the start of each connection. `transaction`: with each transaction, for poolers that drop
   * startup options or share connections. Default `startup`.
   */
  readonly delivery?: 'startup' | 'transaction';
  /** Milliseconds after which the key store is asked whether the keys are still right; at most 60,000, the default. */
  readonly recheckMs?: number;
}

/** Sessions that hold keys are known by the beginning of their application_name. */
export const KEYED_SESSIONS = 'lethe:keys';

const RECHECK_MS = 60_000;

/**
 * Connections in which `lethe.reveal`, `lethe.seal` and masked views have their keys. When a day key was made or
 * destroyed, connections of before are not handed out again; when the key store cannot be asked, none is.
 *
 * @example
 * ```ts
 * const pool = await RetentionPool.open({ connection: { connectionString }, source });
 * const { rows } = await pool.query('SELECT * FROM events_readable WHERE at > $1', [since]);
 * await pool.end();
 * ```
 */
export class RetentionPool {
  private pool!: pg.Pool;
  private settings: Record<string, string> = {};
  private epoch: string | undefined;
  private checkedAt = 0;
  private checking: Promise<void> | undefined;
  private readonly retiring = new Set<Promise<void>>();
  private timer: NodeJS.Timeout | undefined;
  private ended = false;

  private constructor(private readonly options: RetentionPoolOptions) {}

  /** @throws LetheError `Unreachable` when the key store cannot be asked. */
  static async open(options: RetentionPoolOptions): Promise<RetentionPool> {
    const made = new RetentionPool(options);
    await made.recheck();
    made.timer = setInterval(() => void made.fresh().catch(() => undefined), made.recheckMs);
    made.timer.unref();
    return made;
  }

  private get recheckMs(): number {
    return Math.min(this.options.recheckMs ?? RECHECK_MS, RECHECK_MS);
  }

  /** A connection with keys, for delivery `startup`; release it. */
  async connect(): Promise<pg.PoolClient> {
    if (this.options.delivery === 'transaction')
      throw new LetheError(
        'RetentionInvalid',
        'With delivery `transaction`, keys are there inside `transaction` only.',
      );
    await this.fresh();
    return this.pool.connect();
  }

  async query<R extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    params?: unknown[],
  ): Promise<pg.QueryResult<R>> {
    if (this.options.delivery === 'transaction')
      return this.transaction((client) => client.query<R>(text, params));
    await this.fresh();
    return this.pool.query<R>(text, params);
  }

  /** Runs `work` in a transaction that has keys: COMMIT when it returns, ROLLBACK when it throws. */
  async transaction<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
    await this.fresh();
    const client = await this.pool.connect();
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      if (this.options.delivery === 'transaction') await setKeys(client, this.settings, 'transaction');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      await client.query('ROLLBACK').catch((thrown: Error) => {
        broken = thrown;
      });
      throw error;
    } finally {
      client.release(broken);
    }
  }

  /** Ends all connections, those of before included, once they are released. */
  async end(): Promise<void> {
    this.ended = true;
    clearInterval(this.timer);
    await this.checking?.catch(() => undefined);
    await Promise.all([this.pool.end(), ...this.retiring]);
  }

  /** Asks the key store, unless it was asked lately. */
  private async fresh(): Promise<void> {
    if (performance.now() - this.checkedAt < this.recheckMs) return;
    this.checking ??= this.recheck().finally(() => {
      this.checking = undefined;
    });
    await this.checking;
  }

  private async recheck(): Promise<void> {
    const { source, request } = this.options;
    const asked = performance.now();
    const epoch = await source.epoch();
    if (epoch !== this.epoch) {
      this.settings = ringSettings(await source.rings(request));
      const old = this.pool as pg.Pool | undefined;
      if (!this.ended) this.pool = this.start();
      this.epoch = epoch;
      if (old && old !== this.pool) this.retire(old);
    }
    this.checkedAt = asked;
  }

  private retire(old: pg.Pool): void {
    const ending = old.end().catch(() => undefined);
    this.retiring.add(ending);
    void ending.then(() => this.retiring.delete(ending));
  }

  private start(): pg.Pool {
    const { connection, delivery } = this.options;
    const own = connection.options ?? '';
    const { startup, rest } =
      delivery === 'transaction'
        ? { startup: {}, rest: {} }
        : splitSettings(this.settings, Buffer.byteLength(own));
    const pool = new pg.Pool({
      ...connection,
      application_name: connection.application_name ?? KEYED_SESSIONS,
      options: [own, startupOptions(startup)].filter(Boolean).join(' ') || undefined,
      onConnect: async (client) => {
        await connection.onConnect?.(client);
        await setKeys(client, rest);
      },
    });
    // Without a listener, an error on an idle connection would end the process.
    pool.on('error', () => undefined);
    return pool;
  }
}
