import type { Command } from 'commander';
import { jobInvalid } from '../../job/load.js';
import { parseRetention, readRetentionText, retentionPath } from '../../job/retention/load.js';
import type { RetentionFile } from '../../job/retention/types.js';
import type { Applied } from '../../workers/schedule.js';
import { withTemporal } from '../session.js';
import { paint, say, sayJson } from '../terminal.js';
import { addStoreOptions, type MadeIn, openStores, type StoreCommandOptions, tellMade } from './stores.js';

interface ApplyOptions extends StoreCommandOptions {
  readonly schedules: boolean;
  readonly remove?: boolean;
  readonly taskQueue: string;
}

export function define(command: Command): void {
  addStoreOptions(command)
    .option('--no-schedules', 'leave Temporal alone: something of yours runs generate and destroy')
    .option('--remove', 'take the schedules away, and do nothing else')
    .option('--task-queue <name>', "the workers' task queue", 'lethe')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Creates the key stores of the retention file where they are missing, takes over its policies, makes the keys of today and the
two days after, and creates or updates two schedules for each store on the Temporal cluster: generateDayKeys and
destroyDayKeys. The schedules keep the file as it is now: apply again after changing it. A paused schedule stays paused.

Examples:
  $ TEMPORAL_ADDRESS=temporal:7233 lethe retention apply retention.yaml
  $ lethe retention apply --store main --no-schedules`,
    )
    .action(apply);
}

interface Loaded {
  readonly name: string;
  readonly text: string;
  readonly retention: RetentionFile;
}

async function apply(given: string | undefined, options: ApplyOptions): Promise<void> {
  const file = await load(given ?? retentionPath(options.retention));
  if (!options.schedules) return tell(options, await made(file, options), []);
  const otherwise =
    'Without Temporal: --no-schedules, and run generate and destroy from a scheduler of yours.';
  await withTemporal({ worker: 'never', lasting: true, otherwise }, async ({ cluster: { client } }) => {
    const { applyKeySchedules, removeKeySchedules } = await import('../../workers/keySchedules.js');
    if (options.remove) {
      for (const keyStore of storeNames(file, options)) {
        const ids = await removeKeySchedules(client, keyStore);
        say(ids.length > 0 ? `${paint.green('✓')} ${ids.join(', ')} gone` : `${keyStore} has no schedules.`);
      }
      return;
    }
    const done = await made(file, options);
    const schedules: Applied[] = [];
    for (const keyStore of storeNames(file, options)) {
      const ref = { keyStore, file: { name: file.name, text: file.text } };
      schedules.push(...(await applyKeySchedules(client, file.retention, ref, options.taskQueue)));
    }
    tell(options, done, schedules);
  });
}

async function load(name: string): Promise<Loaded> {
  const text = await readRetentionText(name);
  const { retention, mistakes } = parseRetention(text, name);
  if (!retention) throw jobInvalid(name, mistakes);
  return { name, text, retention };
}

function storeNames({ retention }: Loaded, { store }: ApplyOptions): string[] {
  return store === undefined ? Object.keys(retention.stores) : [store];
}

async function made({ retention }: Loaded, options: ApplyOptions): Promise<MadeIn[]> {
  const done: MadeIn[] = [];
  for (const store of await openStores(retention, options, true))
    done.push({ store: store.name, ...(await store.generate()) });
  return done;
}

function tell({ json }: ApplyOptions, stores: readonly MadeIn[], schedules: readonly Applied[]): void {
  if (json) {
    sayJson({ stores, schedules });
    return;
  }
  tellMade(stores);
  for (const { id, action, paused, next } of schedules)
    say(
      `${paint.green('✓')} Schedule ${id} ${action}${paused ? ', paused' : `; next ${next[0] ?? 'never'}`}`,
    );
}
