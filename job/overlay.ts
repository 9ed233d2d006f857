import { didYouMean } from './nearest.js';
import { isRecord } from './rules.js';
import type { Path } from './source.js';

/** A file with one of its environments laid over it. */
export interface Overlaid {
  readonly data: Record<string, unknown>;
  /** Where a place of `data` stands in the file. */
  locate(path: Path): Path;
  /** There is no environment of that name. */
  readonly mistake?: string;
}

/**
 * Lays `environments.<env>` over the file: the keys of `source` and `destination` replace the file's one by one, `key`
 * and `schedule` as a whole. Without `env` the file stays as it is, less its environments.
 */
export function overlay(file: Record<string, unknown>, env: string | undefined): Overlaid {
  const { environments, ...base } = file;
  if (env === undefined) return { data: base, locate: (path) => path };
  const known = isRecord(environments) ? environments : {};
  const chosen = known[env];
  if (!isRecord(chosen)) {
    const names = Object.keys(known);
    const mistake =
      names.length === 0
        ? `there is no environment "${env}": this file has no environments`
        : `there is no environment "${env}"${didYouMean(env, names)}`;
    return { data: base, locate: (path) => path, mistake };
  }
  const data: Record<string, unknown> = { ...base };
  for (const [name, value] of Object.entries(chosen)) {
    data[name] =
      name !== 'schedule' && isRecord(value) && isRecord(base[name]) ? { ...base[name], ...value } : value;
  }
  const inOverlay = ([first, second]: Path) => {
    const part = first === undefined ? undefined : chosen[first];
    if (part === undefined) return false;
    return second === undefined || !isRecord(part) || part[second] !== undefined;
  };
  return { data, locate: (path) => (inOverlay(path) ? ['environments', env, ...path] : path) };
}
