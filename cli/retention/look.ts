import type { Command } from 'commander';
import type { StoreStatus } from '../../postgres/keystore/status.js';
import { EXIT } from '../exit.js';
import { collect } from '../filter/settings.js';
import { counted, duration, paint, say, sayJson, table } from '../terminal.js';
import { addStoreOptions, openStores, retentionFile, type StoreCommandOptions } from './stores.js';

export function defineStatus(command: Command): void {
  addStoreOptions(command)
    .option('--json', 'print JSON, for monitors')
    .addHelpText(
      'after',
      `
Exit code 1 when somebody has to look: keys are overdue, a policy has no key to seal with, the second copy is missing, …

Examples:
  $ lethe retention status
  $ lethe retention status --json | jq '.[].alarms'`,
    )
    .action(status);
}

async function status(options: StoreCommandOptions): Promise<void> {
  const stores = await openStores(await retentionFile(options), options);
  const all = await Promise.all(stores.map((store) => store.status()));
  if (all.some(({ alarms }) => alarms.length > 0)) process.exitCode = EXIT.failed;
  if (options.json) {
    sayJson(all);
    return;
  }
  for (const one of all) showStatus(one);
}

function showStatus(status: StoreStatus): void {
  const { store, simulated, now, policies, holds, copies, alarms } = status;
  say(`${paint.bold(store)}  ${now}${simulated ? '  simulated' : ''}\n`);
  const rows = policies.map((policy) => [
    policy.id,
    policy.name,
    `${policy.window} days`,
    policy.live === 0 ? 'none' : `${policy.live}, ${policy.oldest} to ${policy.newest}`,
    String(policy.due),
    String(policy.held),
    String(policy.destroyed),
    policy.ended ? 'ended' : policy.removed ? 'no longer in the file' : (policy.grade ?? ''),
  ]);
  const heads = ['policy', 'name', 'window', 'live keys', 'due', 'held', 'destroyed', 'grade'];
  say(
    table(
      heads.map((head) => ({ head })),
      rows,
    ),
  );
  say(
    `\nnext destruction ${status.nextDestruction ?? 'none'}; last ${status.lastDestruction}; last generation ${status.lastGeneration ?? 'none'}`,
  );
  const age = copies.age === undefined ? '' : `, the second ${duration(copies.age)} old`;
  say(`${counted(copies.current, 'current copy', 'current copies')}${age}`);
  for (const { id, policy, from, to, actor, reason } of holds)
    say(`hold ${id}: ${policy} ${from} to ${to}, ${actor}: ${reason}`);
  for (const alarm of alarms) say(`${paint.red('!')} ${alarm}`);
  say();
}

interface VerifyCommandOptions extends StoreCommandOptions {
  readonly dataDir?: string;
  readonly backup: readonly string[];
}

export function defineVerify(command: Command): void {
  addStoreOptions(command)
    .option(
      '--data-dir <dir>',
      "the key store's data directory: heap and WAL are searched for destroyed keys",
    )
    .option(
      '--backup <path>',
      'a base backup, WAL archive or dump that is searched as well; may be repeated',
      collect,
      [],
    )
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Checks the chain and signatures of the receipts, that no key that is due is there in any form, and that the canary of no
destroyed day opens under anything that is left. Exit code 1 when a check fails.

Examples:
  $ lethe retention verify
  $ lethe retention verify --store main --data-dir /var/lib/postgresql/18/main --backup /backups/keys`,
    )
    .action(verify);
}

async function verify(options: VerifyCommandOptions): Promise<void> {
  const { dataDir, backup } = options;
  const found: { store: string; checks: unknown[] }[] = [];
  for (const store of await openStores(await retentionFile(options), options)) {
    const checks = await store.verify({
      ...(dataDir !== undefined && { dataDir }),
      ...(backup.length > 0 && { backups: backup }),
    });
    if (checks.some(({ state }) => state === 'failed')) process.exitCode = EXIT.failed;
    found.push({ store: store.name, checks: [...checks] });
    if (options.json) continue;
    say(paint.bold(store.name));
    for (const { check, state, says } of checks) {
      const mark = state === 'ok' ? paint.green('✓') : state === 'failed' ? paint.red('✗') : paint.dim('–');
      say(`  ${mark} ${check}: ${state === 'not checked' ? 'not checked; ' : ''}${says}`);
    }
  }
  if (options.json) sayJson(found);
}
