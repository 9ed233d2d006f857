import type { Client } from '@temporalio/client';
import type { MetricMeter } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
import type { KeyStoreRef } from '../activities/keyTypes.js';
import { resolveReference } from '../job/references.js';
import { listRetention } from '../job/retention/folder.js';
import { parseRetention } from '../job/retention/load.js';
import { openKeyStore } from '../postgres/keystore/open.js';
import type { StoreStatus } from '../postgres/keystore/status.js';
import { scheduledKeyStores } from './keySchedules.js';

/** Key stores are looked at so often. Milliseconds. */
const EVERY_MS = 60_000;

export interface WatchOptions {
  readonly client: Client;
  readonly jobsFolder?: string;
  readonly retentionFile?: string;
}

/**
 * Publishes how key stores stand, until stopped: those that this worker knows from files, and those that schedules bring. It
 * looks by itself, so what is overdue is told also when nothing runs.
 */
export function watchKeyStores(options: WatchOptions): { stop(): void } {
  const publish = keyStoreGauges(Runtime.instance().metricMeter);
  let looking = false;
  const look = async () => {
    if (looking) return;
    looking = true;
    try {
      for (const ref of await knownKeyStores(options)) publish(ref.keyStore, await statusOf(ref));
    } finally {
      looking = false;
    }
  };
  void look();
  const timer = setInterval(() => void look(), EVERY_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}

/** What cannot be listed now is listed the next time. */
async function knownKeyStores({ client, jobsFolder, retentionFile }: WatchOptions): Promise<KeyStoreRef[]> {
  const files = await listRetention(jobsFolder, retentionFile).catch(() => []);
  const scheduled = await scheduledKeyStores(client).catch(() => []);
  const known = files.flatMap(({ file, text, retention }) =>
    Object.keys(retention?.stores ?? {}).map((keyStore) => ({ keyStore, file: { name: file, text } })),
  );
  return [...new Map([...known, ...scheduled].map((ref) => [ref.keyStore, ref])).values()];
}

/** Undefined where the store cannot be read from here. */
async function statusOf({ keyStore, file }: KeyStoreRef): Promise<StoreStatus | undefined> {
  const { retention } = parseRetention(file.text, file.name);
  if (!retention) return undefined;
  try {
    return await (await openKeyStore(retention, keyStore, resolveReference)).status();
  } catch {
    return undefined;
  }
}

/** Sets the gauges of a key store; without a status, that it cannot be read. */
export function keyStoreGauges(meter: MetricMeter): (store: string, status: StoreStatus | undefined) => void {
  const gauge = (name: string, unit: string, description: string) =>
    meter.createGauge(`lethe_keys_${name}`, 'float', unit, description);
  const readable = gauge('readable', '', 'Whether this worker could read the key store: 1 or 0');
  const overdue = gauge(
    'overdue_seconds',
    's',
    'For how long the oldest due and unheld day key has been due',
  );
  const live = gauge('live_days', 'days', 'Days that can be read');
  const due = gauge('due_days', 'days', 'Days that are due, still there, and not held');
  const held = gauge('held_days', 'days', 'Days whose keys a hold keeps');
  const destroyed = gauge('destroyed_days', 'days', 'Days whose keys were destroyed');
  const holds = gauge('holds', 'holds', 'Legal holds in force');
  const copies = gauge('copies', 'copies', 'Current copies of the key store: 1 or 2');
  const alarms = gauge('alarms', 'alarms', 'What `lethe retention status` says somebody has to look at');
  const last = gauge('last_destruction_timestamp_seconds', 's', 'Up to when keys were destroyed');
  return (store, status) => {
    readable.set(status ? 1 : 0, { store });
    if (!status) return;
    for (const policy of status.policies) {
      const labels = { store, policy: policy.id };
      overdue.set(policy.overdueSeconds, labels);
      live.set(policy.live, labels);
      due.set(policy.due, labels);
      held.set(policy.held, labels);
      destroyed.set(policy.destroyed, labels);
    }
    holds.set(status.holds.length, { store });
    copies.set(status.copies.current, { store });
    alarms.set(status.alarms.length, { store });
    last.set(Date.parse(status.lastDestruction) / 1000, { store });
  };
}
