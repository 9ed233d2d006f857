import { isDeepStrictEqual } from 'node:util';
import type { JobKeys } from '../anonymize/keys.js';
import { LetheError } from '../errors/errors.js';
import type { Pins } from '../ledger/types.js';
import type { Connection } from '../mongo/connection.js';
import { isDatabase, readIdentity as readDocumentIdentity } from '../mongo/identity.js';
import { versionsOf } from '../plan/pins.js';
import { readIdentity } from '../postgres/catalog/identity.js';
import type { Session } from '../postgres/session.js';

/**
 * Checks that this worker has the key, the destination and the transformers that the run pinned: two workers that
 * differ would silently break every join. The source's identity is checked where a session to it is opened.
 *
 * @throws LetheError `PinMismatch` naming what differs; another worker may fit.
 */
export async function checkPins(session: Session, pins: Pins, keys: JobKeys): Promise<void> {
  refuseMisfit(isDeepStrictEqual(await readIdentity(session), pins.plan.destination), pins, keys);
}

/** The same over MongoDB. */
export async function checkDocumentPins(destination: Connection, pins: Pins, keys: JobKeys): Promise<void> {
  refuseMisfit(isDatabase(await readDocumentIdentity(destination), pins.plan.destination), pins, keys);
}

function refuseMisfit(sameDestination: boolean, pins: Pins, keys: JobKeys): void {
  const differs: string[] = [];
  if (keys.check !== pins.keyCheck) differs.push('the job key (the `key:` reference gives another key here)');
  if (!sameDestination) differs.push('the destination (its reference leads to another database here)');
  const here = versionsOf(pins.plan.tables);
  for (const [name, version] of Object.entries(pins.plan.versions)) {
    if (here[name] !== version)
      differs.push(`${name} (the run pinned ${version}, here it is ${here[name] ?? 'unknown'})`);
  }
  if (differs.length === 0) return;
  throw new LetheError(
    'PinMismatch',
    `This worker does not fit the run: it differs in ${differs.join('; ')}. Give all workers the same configuration and version.`,
  );
}
