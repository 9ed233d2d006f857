import { type JobKeys, jobKeys, parseJobKey } from '../anonymize/keys.js';
import { throwawaySealing } from '../anonymize/sealing.js';
import { LetheError } from '../errors/errors.js';
import { resolveReference } from '../job/references.js';
import type { Job } from '../job/types.js';
import { withConnection } from '../mongo/connection.js';
import { planDocuments } from '../mongo/planning.js';
import { previewDocuments } from '../mongo/preview.js';
import type { Catalog } from '../plan/catalog.js';
import type { TablePlan } from '../plan/plan.js';
import { type Planned, planJob } from '../postgres/planning.js';
import { type PreviewRow, previewRows } from '../postgres/preview.js';
import { withSession } from '../postgres/session.js';

/** Plans a job as a run would, over read-only sessions. */
export async function planOf(job: Job, acceptDomains = false): Promise<Pick<Planned, 'plan' | 'source'>> {
  const [sourceUrl, destinationUrl] = await Promise.all(
    [job.source.url, job.destination.url].map(resolveReference),
  );
  if (!sourceUrl || !destinationUrl) throw new LetheError('Internal', 'A reference resolved to nothing.');
  if (job.engine === 'mongo') return planOfDocuments(job, sourceUrl, destinationUrl);
  const session = (role: 'source' | 'destination', url: string) =>
    ({ url, role, applicationName: 'lethe:plan', readOnly: true, encoding: job.source.encoding }) as const;
  return withSession(session('source', sourceUrl), (source) =>
    withSession(session('destination', destinationUrl), (destination) =>
      planJob(job, source, destination, acceptDomains),
    ),
  );
}

/** Advice on undecided fields comes with the findings, so that no catalog of columns goes with the plan. */
async function planOfDocuments(job: Job, sourceUrl: string, destinationUrl: string) {
  const common = { applicationName: 'lethe:plan' };
  return withConnection({ ...common, url: sourceUrl, role: 'source' }, (source) =>
    withConnection({ ...common, url: destinationUrl, role: 'destination' }, async (destination) => {
      const planned = await planDocuments(job, source, destination);
      const { serverVersion, database } = planned.source;
      const catalog: Catalog = { engine: 'mongo', serverVersion, database, tables: [], sequences: [] };
      return { plan: planned.plan, source: catalog };
    }),
  );
}

/** Rows of a table before and after, as the job of now would do it. */
export async function preview(
  job: Job,
  table: TablePlan,
  options: { limit: number; key?: string[]; run?: string },
): Promise<PreviewRow[]> {
  const [url, key] = [await resolveReference(job.source.url), parseJobKey(await resolveReference(job.key))];
  if (job.engine === 'mongo') {
    const keys = previewKeys(job, key, options.run);
    const [id, ...more] = options.key ?? [];
    if (more.length > 0) throw new LetheError('JobInvalid', 'A document has one key, its _id.');
    return withConnection({ url, role: 'source', applicationName: 'lethe:preview' }, (source) =>
      previewDocuments(source, { table, keys, limit: options.limit, ...(id !== undefined && { key: id }) }),
    );
  }
  return previewRows({
    source: { url, encoding: job.source.encoding },
    table,
    keys: previewKeys(job, key, options.run),
    runTime: new Date().toISOString(),
    limit: options.limit,
    ...(options.key && { key: options.key }),
  });
}

/** Values are sealed with keys of the moment: a look at a job asks no key store for its own. */
function previewKeys(job: Job, key: Uint8Array, run = 'preview'): JobKeys {
  const keys = jobKeys(key, job.consistency === 'run' ? run : undefined);
  const policies = Object.values(job.retention?.read?.file.policies ?? {});
  return { ...keys, sealing: throwawaySealing(policies, new Date().toISOString().slice(0, 10)) };
}
