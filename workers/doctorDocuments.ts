import { LetheError } from '../errors/errors.js';
import type { Job } from '../job/types.js';
import { deploymentsOf, destinationState } from '../mongo/claim.js';
import { type Connection, withConnection } from '../mongo/connection.js';
import { planDocuments } from '../mongo/planning.js';
import type { Check } from './doctor.js';

/** Oldest MongoDB that the installed driver speaks to. */
const OLDEST_MONGO = 4_002;

/** Looks at both ends of a job over MongoDB. Changes nothing, but for a mark that tells two deployments apart. */
export async function* documentChecks(
  job: Job,
  sourceUrl: string,
  destinationUrl: string,
): AsyncGenerator<Check> {
  const found: Check[] = [];
  const at = { applicationName: 'lethe:doctor' };
  try {
    await withConnection({ ...at, url: sourceUrl, role: 'source' }, async (source) => {
      found.push(server('Source', source));
      await withConnection({ ...at, url: destinationUrl, role: 'destination' }, async (destination) => {
        found.push(server('Destination', destination));
        found.push(...(await bothChecks(job, source, destination)));
      });
    });
  } catch (error) {
    const message = error instanceof LetheError ? error.message : 'something unknown went wrong';
    found.push({ name: found.length === 0 ? 'Source' : 'Destination', state: 'wrong', message });
  }
  yield* found;
}

function server(name: string, { serverVersion, replicaSet }: Connection): Check {
  const text = `MongoDB ${Math.floor(serverVersion / 1_000)}.${serverVersion % 1_000}, ${replicaSet === undefined ? 'standalone' : replicaSet === 'sharded' ? 'a sharded cluster' : `replica set ${replicaSet}`}`;
  if (serverVersion < OLDEST_MONGO)
    return { name, state: 'wrong', message: `${text}: Lethe needs 4.2 or newer` };
  return { name, state: replicaSet === undefined ? 'note' : 'ok', message: text };
}

async function bothChecks(job: Job, source: Connection, destination: Connection): Promise<Check[]> {
  const { plan } = await planDocuments(job, source, destination);
  const read = plan.tables.map((table) => table.source.schema);
  const shared =
    (await deploymentsOf(source, destination)) !== 'two' &&
    plan.tables.some((table) => read.includes(table.destination.schema));
  const { state } = await destinationState(destination);
  const refusals = plan.findings.filter(({ level }) => level === 'refusal').length;
  return [
    shared
      ? {
          name: 'Two databases',
          state: 'wrong',
          message: 'the copy would be written where the job reads: give the destination another database',
        }
      : { name: 'Two databases', state: 'ok', message: 'source and destination differ' },
    { name: 'Claim', state: state === 'cloned' ? 'wrong' : 'ok', message: CLAIMS[state] },
    refusals === 0
      ? { name: 'Plan', state: 'ok', message: `${plan.tables.length} collections, nothing refused` }
      : {
          name: 'Plan',
          state: 'wrong',
          message: `refused for ${refusals} reason(s): \`lethe plan\` lists them`,
        },
  ];
}

const CLAIMS = {
  none: 'nobody claimed it: the first run does, if its collections are empty there; else `lethe claim`',
  cloned: 'it carries the claim of another database, of which it is a copy: `lethe claim` allows it',
  claimed: 'claimed',
};
