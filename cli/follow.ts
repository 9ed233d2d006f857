import type { Followable, RunOutcome } from '../workers/runs.js';
import type { Progress } from '../workflows/messages.js';
import { progressView } from './print/progress.js';
import type { TableCount } from './print/run.js';
import { type TemporalSession, uiLink } from './session.js';
import { tell } from './terminal.js';

/** How a run, or a replay of one, ended while it was followed. */
export interface Followed<R> {
  readonly outcome: RunOutcome<R>;
  /** As it last told. */
  readonly last: Progress | undefined;
  readonly tables: readonly TableCount[];
  readonly seconds: number;
  /** To the Temporal UI, where that is known. */
  readonly link: string | undefined;
}

/**
 * Shows on stderr how a workflow of ours goes on, to its end; undefined, with exit code 130, when somebody pressed
 * Ctrl-C. On a server of our own that cancels it first.
 */
export async function followToEnd<R>(
  { cluster, worker }: TemporalSession,
  handle: Followable<R>,
  { job, taskQueue }: { readonly job: string; readonly taskQueue: string | undefined },
): Promise<Followed<R> | undefined> {
  const { followSync, pollers } = await import('../workers/runs.js');
  const began = Date.now();
  // Before anything is printed: who reads it may press Ctrl-C at once.
  const interrupt = onInterrupt(cluster.embedded && !cluster.shared, () => handle.cancel());
  const link = uiLink(cluster, handle.workflowId);
  tell(`${handle.workflowId}${link ? `\n${link}` : ''}`);
  if (!worker && (await pollers(cluster.client, cluster.settings.namespace, taskQueue)) === 0) {
    tell(
      `No worker asks for tasks of queue ${taskQueue}: start one with \`lethe worker\`; the run waits for it.`,
    );
  }
  const view = progressView();
  let last: Progress | undefined;
  const lost = worker?.ended.then(() => undefined);
  const following = followSync(handle, {
    signal: interrupt.signal,
    onProgress: (progress) => {
      last = { ...progress, job };
      view.show(last);
    },
    onTrouble: (trouble) => view.note(`trying again: ${trouble}`),
  });
  const outcome = await Promise.race([following, ...(lost ? [lost] : [])]);
  view.end();
  interrupt.done();
  if (!outcome) {
    tell(`No longer following. The run goes on: lethe cancel ${last?.run ?? handle.workflowId}`);
    process.exitCode = 130;
    return undefined;
  }
  const tables = last?.tables.map(({ name, rows, quarantined }) => ({ name, rows, quarantined })) ?? [];
  return { outcome, last, tables, seconds: (Date.now() - began) / 1000, link };
}

/** Ctrl-C: cancels a run whose server is ours, and stops following any other. A second one ends at once. */
function onInterrupt(cancels: boolean, cancel: () => Promise<unknown>) {
  const stop = new AbortController();
  let asked = false;
  const handler = () => {
    if (asked) process.exit(130);
    asked = true;
    if (!cancels) return stop.abort();
    tell('\nCancelling; what was taken away is put back. Ctrl-C again leaves at once.');
    cancel().catch(() => stop.abort());
  };
  process.on('SIGINT', handler).on('SIGTERM', handler);
  return {
    signal: stop.signal,
    done: () => {
      process.off('SIGINT', handler).off('SIGTERM', handler);
    },
  };
}
