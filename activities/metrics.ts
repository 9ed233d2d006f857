import { metricMeter } from '@temporalio/activity';
import type { BatchEnd } from '../postgres/load/task.js';

/*
 * Metrics of our own, beside those of the SDK and served with them. Labels are names of jobs and tables and states, never a
 * value. To be called inside an activity.
 */

/** Counts batches of a job as they end. */
export function batchMetrics(job: string): (ended: BatchEnd) => void {
  const meter = metricMeter;
  const rows = meter.createCounter('lethe_rows_written', 'rows', 'Rows written to destinations');
  const bytes = meter.createCounter(
    'lethe_bytes_written',
    'bytes',
    'Bytes of COPY text written to destinations',
  );
  const quarantined = meter.createCounter('lethe_rows_quarantined', 'rows', 'Rows that went to quarantine');
  const batches = meter.createCounter('lethe_batches', 'batches', 'Batches that ended, by state');
  const seconds = meter.createHistogram('lethe_batch_seconds', 'float', 's', 'Time of a batch');
  const transform = meter.createHistogram(
    'lethe_transform_seconds',
    'float',
    's',
    'Time of a batch in transformers',
  );
  return (ended) => {
    const labels = { job, table: ended.table };
    batches.add(1, { ...labels, state: ended.state });
    if (ended.state === 'failed') return;
    rows.add(ended.rows, labels);
    bytes.add(ended.bytes, labels);
    quarantined.add(ended.quarantined, labels);
    seconds.record(ended.seconds, labels);
    transform.record(ended.transformSeconds, labels);
  };
}

/** Says for how long a holder has held the source's snapshot; 0 when it let go. Seconds. */
export function snapshotAge(job: string, holder: number): (seconds: number) => void {
  const age = metricMeter.createGauge(
    'lethe_snapshot_age_seconds',
    'float',
    's',
    "How long a holder has held the source's snapshot, which keeps vacuum back",
  );
  return (seconds) => age.set(seconds, { job, holder });
}

/** What a run's end says when it came, by state. */
const LAST: Readonly<Record<string, readonly [name: string, description: string]>> = {
  complete: ['lethe_last_complete_timestamp_seconds', 'When a run of the job was last complete'],
  failed: ['lethe_last_failed_timestamp_seconds', 'When a run of the job last failed'],
};

/** Counts a run that ended, says when one was last complete or failed, and how many rows of each table wait in quarantine. */
export function countRun(
  job: string,
  state: string,
  tables: readonly { readonly name: string; readonly quarantined: number }[],
): void {
  metricMeter.createCounter('lethe_runs', 'runs', 'Runs that ended, by state').add(1, { job, state });
  const waiting = metricMeter.createGauge(
    'lethe_quarantine_rows',
    'int',
    'rows',
    'Rows in quarantine when the last run ended',
  );
  for (const { name, quarantined } of tables) waiting.set(quarantined, { job, table: name });
  const last = LAST[state];
  if (last) metricMeter.createGauge(last[0], 'float', 's', last[1]).set(Date.now() / 1000, { job });
}
