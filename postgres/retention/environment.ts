import { LetheError } from '../../errors/errors.js';
import type { Ring } from '../../retention/token/ring.js';
import { startupOptions } from '../session.js';
import { STARTUP_BYTES } from './delivery.js';
import { KEYED_SESSIONS } from './pool.js';
import { ringSettings } from './settings.js';

/**
 * The environment of a program that connects through libpq (psql, pg_dump, psycopg …) and whose sessions are to have the
 * keys of some rings: PGOPTIONS, which libpq puts into the startup packet, and PGAPPNAME.
 *
 * @throws LetheError `RetentionInvalid` when a startup packet has no room for them.
 */
export function keyedEnvironment(rings: readonly Ring[], environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const options = [environment.PGOPTIONS, startupOptions(ringSettings(rings))].filter(Boolean).join(' ');
  const bytes = Buffer.byteLength(options);
  if (bytes > STARTUP_BYTES) {
    const days = rings.reduce((sum, { keys }) => sum + keys.size, 0);
    throw new LetheError(
      'RetentionInvalid',
      `The keys of ${days} days take ${bytes} bytes, and the start of a session has room for ${STARTUP_BYTES}, some 75 days. ` +
        'Ask for fewer: --policy ID for the policies that the queries read, --since yyyy-mm-dd for the days.',
      { days, bytes },
    );
  }
  return { ...environment, PGOPTIONS: options, PGAPPNAME: environment.PGAPPNAME ?? KEYED_SESSIONS };
}
