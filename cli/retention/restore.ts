import type { Command } from 'commander';
import { resolveReference } from '../../job/references.js';
import { restoreKeyStore } from '../../postgres/keystore/open.js';
import { counted, paint, say } from '../terminal.js';
import { addStoreOptions, retentionFile, type StoreCommandOptions, storeName } from './stores.js';

interface RestoreCommandOptions extends StoreCommandOptions {
  readonly from?: string;
  readonly replace?: boolean;
}

export function define(command: Command): void {
  addStoreOptions(command)
    .option('--from <dir>', "the folder of the second copy (default: the store's `copy:`)")
    .option('--replace', 'overwrite an older state of the same store, such as a restored backup')
    .addHelpText(
      'after',
      `
Backups of a key store open nothing, by design: a lost one comes back from its second copy alone.

Examples:
  $ lethe retention restore --store main
  $ lethe retention restore --from /mnt/other/lethe-keys --replace`,
    )
    .action(run);
}

async function run(options: RestoreCommandOptions): Promise<void> {
  const file = await retentionFile(options);
  const name = storeName(file, options);
  const { from, replace = false } = options;
  const restored = await restoreKeyStore(file, name, resolveReference, {
    replace,
    ...(from !== undefined && { from }),
  });
  say(
    `${paint.green('✓')} ${name}: ${counted(restored.keys, 'day key')} back, each opened; ${counted(restored.tombstones, 'destroyed day')}`,
  );
}
