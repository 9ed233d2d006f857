import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { LetheError } from '../../errors/errors.js';
import { listJobs } from '../folder.js';
import { formatMistakes } from '../load.js';
import { didYouMean } from '../nearest.js';
import { isRecord } from '../rules.js';
import { readSource } from '../source.js';
import { type ParsedRetention, parseRetention, readRetentionText, retentionPath } from './load.js';
import type { RetentionFile } from './types.js';

/** A retention file that a worker knows, with its mistakes where it has any. */
export interface KnownRetention extends ParsedRetention {
  readonly file: string;
  readonly text: string;
}

/** A key store, and the file that describes it. */
export interface KnownKeyStore {
  readonly keyStore: string;
  readonly file: { readonly name: string; readonly text: string };
  readonly retention: RetentionFile;
}

/** The retention file that a worker knows beside its job folder: `LETHE_RETENTION`, else `retention.yaml` here if there is one. */
export function knownRetentionFile(environment: NodeJS.ProcessEnv = process.env): string | undefined {
  const path = retentionPath(undefined, environment);
  return environment.LETHE_RETENTION || existsSync(path) ? path : undefined;
}

/**
 * The retention files of a job folder (those that begin with `retention:`), and the one that is named.
 *
 * @param folder Of job files; none where there is no such folder.
 * @param named Path of a further file, as `LETHE_RETENTION` gives it.
 */
export async function listRetention(
  folder: string | undefined,
  named: string | undefined,
): Promise<KnownRetention[]> {
  const texts = new Map<string, string>();
  for (const { file, text } of folder === undefined ? [] : await listJobs(folder)) {
    const { data } = readSource(text, file);
    if (isRecord(data) && 'retention' in data && !('job' in data)) texts.set(resolve(file), text);
  }
  if (named !== undefined) texts.set(resolve(named), await readRetentionText(named));
  return [...texts].map(([file, text]) => ({ file, text, ...parseRetention(text, file) }));
}

/**
 * The key stores that a name means: that one, or all where none is named.
 *
 * @throws LetheError `JobInvalid` with every mistake of the files, and the key stores and policies that there are.
 */
export function chooseKeyStores(
  files: readonly KnownRetention[],
  wanted: string | undefined,
): KnownKeyStore[] {
  // The same file in two places is one.
  const texts = new Map(files.map((file) => [file.text, file]));
  const stores = [...texts.values()].flatMap(({ file, text, retention }) =>
    Object.keys(retention?.stores ?? {}).map((keyStore) => ({
      keyStore,
      file: { name: file, text },
      retention: retention!,
    })),
  );
  const chosen = wanted === undefined ? stores : stores.filter(({ keyStore }) => keyStore === wanted);
  const mistakes: string[] = [];
  if (chosen.length === 0 || wanted === undefined)
    for (const { file, mistakes: found } of files)
      if (found.length > 0) mistakes.push(`${file} has mistakes:\n${formatMistakes(found)}`);
  if (chosen.length === 0) mistakes.push(noneOf(stores, wanted));
  const twice = chosen.find((one, i) => chosen.findIndex((other) => other.keyStore === one.keyStore) !== i);
  if (twice)
    mistakes.push(
      `Several files have a key store "${twice.keyStore}": ${chosen
        .filter(({ keyStore }) => keyStore === twice.keyStore)
        .map(({ file }) => file.name)
        .join(', ')}. Keep one.`,
    );
  if (mistakes.length > 0) throw new LetheError('JobInvalid', mistakes.join('\n'));
  return chosen;
}

function noneOf(stores: readonly KnownKeyStore[], wanted: string | undefined): string {
  if (stores.length === 0)
    return 'This worker knows no key store: put a retention file into its job folder (LETHE_JOBS), name one by LETHE_RETENTION, or let `lethe retention apply FILE` make schedules, which bring it.';
  const known = stores.map(({ keyStore, retention }) => {
    const policies = Object.values(retention.policies).filter(({ store }) => store === keyStore);
    return `${keyStore} (policies ${policies.map(({ id }) => id).join(', ')})`;
  });
  const names = stores.map(({ keyStore }) => keyStore);
  return `There is no key store "${wanted}"${didYouMean(wanted ?? '', names)}. Key stores: ${known.join('; ')}.`;
}
