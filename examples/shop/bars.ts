import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import cliProgress from 'cli-progress';
import { count } from '../../cli/terminal.js';
import { type Progress, progressQuery } from '../../workflows/messages.js';
import type { syncJob } from '../../workflows/syncJob.js';

/** Shows a bar for each table until the run ends; where nobody watches, a line whenever the phase changes. */
export async function followRun(client: Client, workflowId: string): Promise<void> {
  const handle = client.workflow.getHandle<typeof syncJob>(workflowId);
  let ended = false;
  const result = handle.result().finally(() => {
    ended = true;
  });
  const view = process.stdout.isTTY ? new Bars() : new Lines();
  // The run's end is judged below, where its result is awaited.
  result.catch(() => {});
  while (!ended) {
    const progress = await handle.query(progressQuery).catch(() => undefined);
    if (progress) view.show(progress);
    await Promise.race([sleep(200), result.catch(() => {})]);
  }
  const last = await handle.query(progressQuery).catch(() => undefined);
  if (last) view.show(last);
  view.end();
  await result;
}

class Bars {
  private readonly all = new cliProgress.MultiBar({
    format: '  {name} {bar} {rows} rows  {state}',
    barsize: 30,
    hideCursor: true,
    fps: 8,
    barCompleteChar: '█',
    barIncompleteChar: '░',
  });
  private readonly bars = new Map<number, cliProgress.SingleBar>();

  show({ tables }: Progress): void {
    const wide = Math.max(0, ...tables.map(({ name }) => name.length));
    for (const { id, name, rows, expected, state } of tables) {
      const total = state === 'done' ? Math.max(rows, 1) : Math.max(expected, rows, 1);
      const shown = { name: name.padEnd(wide), rows: count(rows).padStart(9), state };
      const bar = this.bars.get(id) ?? this.all.create(total, 0, shown);
      this.bars.set(id, bar);
      bar.setTotal(total);
      bar.update(state === 'done' ? total : rows, shown);
    }
  }

  end(): void {
    this.all.stop();
  }
}

class Lines {
  private phase = '';

  show({ phase, tables }: Progress): void {
    const rows = tables.reduce((sum, table) => sum + table.rows, 0);
    const done = tables.filter(({ state }) => state === 'done').length;
    const line = `${phase}: ${done} of ${tables.length} tables, ${count(rows)} rows`;
    if (phase === this.phase) return;
    this.phase = phase;
    console.log(`  ${line}`);
  }

  end(): void {}
}
