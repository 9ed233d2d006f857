import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import type { Destruction } from '../../postgres/keystore/destroy.js';
import { collect } from '../filter/settings.js';
import { counted, paint, say, sayJson } from '../terminal.js';
import {
  addStoreOptions,
  type MadeIn,
  openStore,
  openStores,
  retentionFile,
  type StoreCommandOptions,
  tellMade,
} from './stores.js';

export function defineGenerate(command: Command): void {
  addStoreOptions(command)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Run it every hour: what is there already stays, and a run that is late makes up for those that did not happen.

Examples:
  $ lethe retention generate`,
    )
    .action((options: StoreCommandOptions) => generate(options));
}

async function generate(options: StoreCommandOptions): Promise<void> {
  const stores = await openStores(await retentionFile(options), options);
  const done: MadeIn[] = [];
  for (const store of stores) done.push({ store: store.name, ...(await store.generate()) });
  if (options.json) sayJson(done);
  else tellMade(done);
}

interface DestroyCommandOptions extends StoreCommandOptions {
  readonly confirmGap?: boolean;
  readonly policy?: string;
  readonly day: readonly string[];
  readonly actor?: string;
  readonly reason?: string;
  readonly yes?: boolean;
}

export function defineDestroy(command: Command): void {
  addStoreOptions(command)
    .option('--confirm-gap', 'the last run was more than seven days ago, and the time is right')
    .option('--policy <id>', 'before their time: the keys of this policy')
    .option('--day <yyyy-mm-dd>', 'of these days only; may be repeated', collect, [])
    .option('--actor <name>', 'who answers for it')
    .option('--reason <text>', 'why; it goes into the receipt')
    .option('--yes', 'these values can be read by nobody any more, and that is meant')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Run it every day: it finishes what an earlier run left, and destroys the keys of days whose window is over. With --policy it
destroys keys before their time, for ever, also of days that are still needed. Legal holds keep their days in both cases.

Examples:
  $ lethe retention destroy
  $ lethe retention destroy --policy ip --day 2026-03-01 --actor "D. Officer" --reason "order 17" --yes`,
    )
    .action(destroy);
}

async function destroy(options: DestroyCommandOptions): Promise<void> {
  const file = await retentionFile(options);
  const confirmGap = options.confirmGap ?? false;
  if (options.policy !== undefined) {
    const { policy, day: days, actor, reason } = options;
    if (actor === undefined || reason === undefined)
      throw new LetheError(
        'RetentionInvalid',
        'A destruction before its time says who and why: --actor and --reason.',
      );
    const what =
      days.length > 0 ? `policy ${policy} of ${days.join(', ')}` : `policy ${policy}, all days, for good`;
    if (!options.yes)
      throw new LetheError(
        'Unconfirmed',
        `It would destroy the keys of ${what}: no value of these days can be read any more, by anybody. Say --yes if that is meant.`,
      );
    const store = await openStore(file, options, policy);
    const early = { policy, actor, reason, confirmGap, ...(days.length > 0 && { days }) };
    tellDestroyed(options, [{ store: store.name, ...(await store.destroyEarly(early)) }]);
    return;
  }
  const done: (Destruction & { store: string })[] = [];
  for (const store of await openStores(file, options))
    done.push({ store: store.name, ...(await store.destroy({ confirmGap })) });
  tellDestroyed(options, done);
}

function tellDestroyed(
  { json }: StoreCommandOptions,
  done: readonly (Destruction & { store: string })[],
): void {
  if (json) {
    sayJson(done);
    return;
  }
  for (const { store, destroyed, held, grade } of done) {
    const how = grade ? `, grade ${grade.grade}` : '';
    const kept = held.length > 0 ? `; ${counted(held.length, 'day')} held` : '';
    say(`${paint.green('✓')} ${store}: ${counted(destroyed.length, 'day key')} destroyed${how}${kept}`);
    for (const { policy, day } of destroyed) say(`    ${policy} ${day}`);
  }
}

interface ShrinkCommandOptions extends StoreCommandOptions {
  readonly yes?: boolean;
}

export function defineShrink(command: Command): void {
  addStoreOptions(command)
    .option('--yes', 'the days that are lost are meant to be lost')
    .addHelpText(
      'after',
      `
A shorter window in the retention file alone changes nothing, and \`generate\` refuses it: this makes it so. Without --yes it
only lists the days that could not be read any more.

Examples:
  $ lethe retention shrink ip 14
  $ lethe retention shrink ip 14 --yes`,
    )
    .action(shrink);
}

async function shrink(policy: string, window: string, options: ShrinkCommandOptions): Promise<void> {
  const store = await openStore(await retentionFile(options), options, policy);
  const { from, to, lost, done } = await store.shrink(policy, Number(window), options.yes ?? false);
  const days =
    lost.length === 0 ? 'no day is lost' : `${counted(lost.length, 'day')} lost: ${lost.join(', ')}`;
  if (!done)
    throw new LetheError(
      'Unconfirmed',
      `The window of ${policy} would go from ${from} to ${to} days; ${days}. Say --yes if that is meant.`,
    );
  say(
    `${paint.green('✓')} ${policy}: ${from} days before, ${to} now; ${days}. \`lethe retention destroy\` destroys what is due.`,
  );
}
