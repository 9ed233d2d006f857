import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { counted, paint, say } from '../terminal.js';
import { addStoreOptions, openStore, retentionFile, type StoreCommandOptions } from './stores.js';

interface HoldCommandOptions extends StoreCommandOptions {
  readonly actor: string;
  readonly reason: string;
}

export function defineHold(command: Command): void {
  addStoreOptions(command)
    .requiredOption('--actor <name>', 'who may read the days beyond their window, and answers for the hold')
    .requiredOption('--reason <text>', 'why')
    .addHelpText(
      'after',
      `
Keeps the keys of these days from every destruction until it is released. Only the actor reads them beyond their window.

Examples:
  $ lethe retention hold ip 2026-03-01 2026-03-09 --actor "D. Officer" --reason "case 4711"`,
    )
    .action(hold);
}

async function hold(
  policy: string,
  from: string,
  to: string | undefined,
  options: HoldCommandOptions,
): Promise<void> {
  const { actor, reason } = options;
  const store = await openStore(await retentionFile(options), options, policy);
  const held = await store.hold({ policy, from, actor, reason, ...(to !== undefined && { to }) });
  say(`${paint.green('✓')} hold ${held.hold}: ${counted(held.days.length, 'day')} of ${policy} kept`);
  if (held.gone.length > 0) say(paint.yellow(`  too late for ${held.gone.join(', ')}: destroyed before`));
}

export function defineRelease(command: Command): void {
  addStoreOptions(command)
    .requiredOption('--actor <name>', 'who answers for the release')
    .addHelpText(
      'after',
      `
The days go with the next destruction when their window is over.

Examples:
  $ lethe retention release 3 --actor "D. Officer"`,
    )
    .action(release);
}

async function release(hold: string, options: HoldCommandOptions): Promise<void> {
  if (!/^[1-9]\d*$/.test(hold))
    throw new LetheError(
      'RetentionInvalid',
      'A hold is released by its number: see `lethe retention status`.',
    );
  const store = await openStore(await retentionFile(options), options);
  const { policy, from, to } = await store.release(Number(hold), options.actor);
  say(`${paint.green('✓')} hold ${hold} released: ${policy} ${from} to ${to}`);
}
