import { sameDatabase } from './catalog/identity.js';
import { check, type DoctorCheck } from './doctor/check.js';
import { checkDestination } from './doctor/destination.js';
import { checkSource } from './doctor/source.js';
import type { DoctorOptions } from './doctor/types.js';
import { openSession, type Session, type SessionOptions } from './session.js';

export type { DoctorCheck, DoctorOptions };

/**
 * Looks at everything a job needs of its databases and says how to repair what is missing. Never throws for what it
 * finds, writes nothing; a side that cannot be reached gives one failed check.
 */
export async function examine(options: DoctorOptions): Promise<DoctorCheck[]> {
  const checks: DoctorCheck[] = [];
  const common = { applicationName: options.applicationName };
  const source = await reach(checks, options.sourceUrl, {
    ...common,
    role: 'source',
    encoding: options.encoding,
  });
  const destination = await reach(checks, options.destinationUrl, { ...common, role: 'destination' });
  try {
    if (source) checks.push(...(await checkSource(source, options)));
    if (destination) checks.push(...(await checkDestination(destination, options)));
    if (source && destination)
      checks.push(await check('two-databases', () => checkDistinct(source, destination)));
  } finally {
    await source?.close();
    await destination?.close();
  }
  return checks;
}

async function reach(
  checks: DoctorCheck[],
  url: string | undefined,
  options: Omit<SessionOptions, 'url'>,
): Promise<Session | undefined> {
  if (url === undefined) return undefined;
  let session: Session | undefined;
  checks.push(
    await check(`${options.role}-reachable`, async () => {
      session = await openSession({ ...options, url });
      return { ok: true, message: 'connected' };
    }),
  );
  return session;
}

async function checkDistinct(source: Session, destination: Session) {
  return (await sameDatabase(source, destination))
    ? {
        ok: false,
        message: 'source and destination are the same database',
        fix: 'Give the destination another URL.',
      }
    : { ok: true, message: 'source and destination are two databases' };
}
