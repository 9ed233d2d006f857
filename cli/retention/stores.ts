import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { resolveReference } from '../../job/references.js';
import { loadRetention, retentionPath } from '../../job/retention/load.js';
import type { RetentionFile } from '../../job/retention/types.js';
import type { Generated } from '../../postgres/keystore/generate.js';
import { type KeyStore, openKeyStore } from '../../postgres/keystore/open.js';
import { counted, paint, say } from '../terminal.js';

export interface StoreCommandOptions {
  readonly retention?: string;
  readonly store?: string;
  readonly json?: boolean;
}

/** `--retention` and `--store`. */
export function addStoreOptions(command: Command): Command {
  return command
    .option('--retention <file>', 'the retention file (default: LETHE_RETENTION, or retention.yaml here)')
    .option('--store <name>', 'this key store of the file only');
}

export function retentionFile({ retention }: StoreCommandOptions): Promise<RetentionFile> {
  return loadRetention(retentionPath(retention));
}

/** The key stores that a command is about: all of the file, or `--store`. */
export async function openStores(
  file: RetentionFile,
  { store }: StoreCommandOptions,
  create = false,
): Promise<KeyStore[]> {
  if (store !== undefined && !Object.hasOwn(file.stores, store))
    throw new LetheError(
      'RetentionInvalid',
      `The retention file has no key store "${store}": it has ${Object.keys(file.stores).join(', ')}.`,
    );
  const names = store === undefined ? Object.keys(file.stores) : [store];
  return Promise.all(names.map((name) => openKeyStore(file, name, resolveReference, { create })));
}

/** Day keys that were made in a store. */
export interface MadeIn extends Generated {
  readonly store: string;
}

export function tellMade(done: readonly MadeIn[]): void {
  for (const { store, made, policies } of done)
    say(
      `${paint.green('✓')} ${store}: ${counted(made, 'day key')} made; ${counted(policies.length, 'policy', 'policies')} can be sealed with`,
    );
}

/** The one key store that a command changes: `--store`, that of the policy, or the only one. */
export async function openStore(
  file: RetentionFile,
  options: StoreCommandOptions,
  policy?: string,
): Promise<KeyStore> {
  return openKeyStore(file, storeName(file, options, policy), resolveReference);
}

export function storeName(file: RetentionFile, { store }: StoreCommandOptions, policy?: string): string {
  const names = Object.keys(file.stores);
  const name =
    store ?? (policy && file.policies[policy]?.store) ?? (names.length === 1 ? names[0] : undefined);
  if (name === undefined || !Object.hasOwn(file.stores, name))
    throw new LetheError('RetentionInvalid', `Say which key store is meant: --store ${names.join(' or ')}.`);
  return name;
}
