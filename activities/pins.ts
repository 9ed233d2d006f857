import { isDeepStrictEqual } from 'node:util';
import type { JobKeys } from '../anonymize/keys.js';
import { versions } from '../anonymize/registry.js';
import type { TransformerSpec } from '../anonymize/transformer.js';
import { LetheError } from '../errors/errors.js';
import type { Pins } from '../ledger/types.js';
import type { Plan } from '../plan/plan.js';
import { readIdentity } from '../postgres/catalog/identity.js';
import type { Session } from '../postgres/session.js';

/**
 * Checks that this worker has the key, the destination and the transformers that the run pinned: two workers that
 * differ would silently break every join. The source's identity is checked where a session to it is opened.
 *
 * @throws LetheError `PinMismatch` naming what differs; another worker may fit.
 */
export async function checkPins(session: Session, pins: Pins, keys: JobKeys): Promise<void> {
  const differs: string[] = [];
  if (keys.check !== pins.keyCheck) differs.push('the job key (the `key:` reference gives another key here)');
  const identity = await readIdentity(session);
  if (!isDeepStrictEqual(identity, pins.plan.destination)) {
    differs.push('the destination (its reference leads to another database here)');
  }
  const here = versions(specsOf(pins.plan));
  for (const [name, version] of Object.entries(pins.plan.versions)) {
    if (here[name] !== version)
      differs.push(`${name} (the run pinned ${version}, here it is ${here[name] ?? 'unknown'})`);
  }
  if (differs.length > 0) {
    throw new LetheError(
      'PinMismatch',
      `This worker does not fit the run: it differs in ${differs.join('; ')}. Give all workers the same configuration and version.`,
    );
  }
}

function* specsOf(plan: Plan): Iterable<TransformerSpec> {
  for (const { columns } of plan.tables) {
    for (const { branches } of columns) {
      for (const { apply, otherwise } of branches) {
        yield apply;
        if (otherwise) yield otherwise;
      }
    }
  }
}
