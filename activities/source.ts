import { isDeepStrictEqual } from 'node:util';
import { LetheError } from '../errors/errors.js';
import { readIdentity } from '../postgres/catalog/identity.js';
import { type Session, withSession } from '../postgres/session.js';
import type { Dependencies } from './dependencies.js';
import { endFormerSessions, type OpenRun, sessionName } from './run.js';

/**
 * Opens the source of a run for the length of `body`, and checks that it is the database that the run pinned.
 *
 * @param kind A letter or two in the session's name, for people who look at `pg_stat_activity`.
 */
export async function withSource<T>(
  deps: Dependencies,
  run: OpenRun,
  body: (source: Session) => Promise<T>,
  kind = 'c',
): Promise<T> {
  const { pins, ref, signal } = run;
  const url = await deps.resolve(pins.source.url);
  return withSession(
    {
      url,
      role: 'source',
      applicationName: sessionName(ref.run, kind),
      encoding: pins.source.encoding,
      signal,
    },
    async (source) => {
      await endFormerSessions(source);
      if (!isDeepStrictEqual(await readIdentity(source), pins.plan.source)) {
        throw new LetheError(
          'PinMismatch',
          'This worker does not fit the run: its source reference leads to another database. Give all workers the same configuration.',
        );
      }
      return body(source);
    },
  );
}
