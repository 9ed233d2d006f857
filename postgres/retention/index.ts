/**
 * Keys out of the key store, and sessions of PostgreSQL that can read and seal: `lethe/retention/postgres`.
 *
 * @example
 * ```ts
 * import { openRings, RetentionPool } from 'lethe/retention/postgres';
 *
 * const source = await openRings('retention.yaml');
 * const pool = await RetentionPool.open({ connection: { connectionString }, source });
 * const { rows } = await pool.query('SELECT ip FROM public.events_readable WHERE at > $1', [since]);
 * await pool.end();
 * await source.close();
 * ```
 */

export type { PolicyChoice, RingRequest } from '../../retention/keys/policy.js';
export type { RingSource } from '../../retention/keys/source.js';
export { openRings } from '../keystore/sources.js';
export { STARTUP_BYTES, setKeys, splitSettings } from './delivery.js';
export { keyedEnvironment } from './environment.js';
export { KEYED_SESSIONS, RetentionPool, type RetentionPoolOptions } from './pool.js';
export { ringSettings } from './settings.js';
