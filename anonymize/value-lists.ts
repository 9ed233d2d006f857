import { createHash } from 'node:crypto';
import { LetheError } from '../errors/errors.js';
import { LISTS } from './lists/index.js';

const loaded = new Map<string, readonly string[]>();

/**
 * Entries of a value list. Lists are versioned files that never change once released: the outputs of a run depend on
 * them. Split on first use.
 *
 * @param name With its version: `firstName.v1`.
 */
export function valueList(name: string): readonly string[] {
  let entries = loaded.get(name);
  if (!entries) {
    entries = Object.freeze(text(name).split('\n'));
    loaded.set(name, entries);
  }
  return entries;
}

/** SHA-256, hex, of a value list. */
export function listHash(name: string): string {
  return createHash('sha256').update(text(name)).digest('hex');
}

function text(name: string): string {
  const found = LISTS[name];
  if (found !== undefined) return found;
  throw new LetheError(
    'JobInvalid',
    `There is no value list "${name}"; this version of Lethe has ${Object.keys(LISTS).sort().join(', ')}.`,
  );
}
