import { jobFolder } from '../job/folder.js';
import { knownRetentionFile } from '../job/retention/folder.js';
import { type Cluster, type ClusterOptions, openCluster } from '../workers/cluster.js';
import type { RunningWorker } from '../workers/serve.js';
import { tell } from './terminal.js';

/** Folder of the embedded server's state and of nothing else. */
export const STATE_FOLDER = '.lethe';

export interface TemporalSession {
  readonly cluster: Cluster;
  /** In this process; on a cluster only when asked for. */
  readonly worker?: RunningWorker;
}

export interface TemporalSessionOptions extends Omit<ClusterOptions, 'tell' | 'folder'> {
  /** `embedded`: a worker of our own only where the server is one. `always`, `never`. Default `embedded`. */
  readonly worker?: 'embedded' | 'always' | 'never';
  readonly threads?: number;
}

/** Connects to Temporal, with a worker in this process where nobody else would have one, and closes both after `body`. */
export async function withTemporal<T>(
  options: TemporalSessionOptions,
  body: (session: TemporalSession) => Promise<T>,
): Promise<T> {
  const cluster = await openCluster({ ...options, folder: STATE_FOLDER, tell });
  let worker: RunningWorker | undefined;
  try {
    const wanted = options.worker ?? 'embedded';
    if (wanted === 'always' || (wanted === 'embedded' && cluster.embedded)) {
      const { startWorker } = await import('../workers/serve.js');
      const { client, settings } = cluster;
      worker = await startWorker({
        client,
        settings,
        jobsFolder: jobFolder(),
        retentionFile: knownRetentionFile(),
        threads: options.threads,
        logLevel: logLevel(),
      });
    }
    return await body({ cluster, ...(worker && { worker }) });
  } finally {
    await worker?.stop();
    await cluster.close();
  }
}

function logLevel(): 'ERROR' | 'DEBUG' {
  return process.env.LETHE_DEBUG ? 'DEBUG' : 'ERROR';
}

/** Address of a workflow in the Temporal UI, where that is known. */
export function uiLink(cluster: Cluster, workflowId: string): string | undefined {
  if (!cluster.uiUrl) return undefined;
  const base = cluster.uiUrl.replace(/\/$/, '');
  return `${base}/namespaces/${cluster.settings.namespace}/workflows/${encodeURIComponent(workflowId)}`;
}
