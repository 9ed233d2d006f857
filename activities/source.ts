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
  return withSourceAt(await deps.resolve(run.pins.source.url), run, body, kind);
}

/** As `withSource`, for an address that was resolved before. */
export async function withSourceAt<T>(
  url: string,
  { pins, ref, signal }: OpenRun,
  body: (source: Session) => Promise<T>,
  kind = 'c',
): Promise<T> {
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
