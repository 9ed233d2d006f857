import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
let loaded: typeof import('mongodb') | undefined;

/**
 * The MongoDB driver, loaded when it is first needed: a process that works on PostgreSQL alone starts without its
 * hundred files.
 */
export function driver(): typeof import('mongodb') {
  loaded ??= require('mongodb') as typeof import('mongodb');
  return loaded;
}

/** Statements of one command, as bytes. */
export interface Sequence {
  push(shown: object, bytes: Uint8Array): number;
}

/** An empty document sequence of the driver's message format; undefined with a driver that has none. */
export function documentSequence(field: string): Sequence | undefined {
  try {
    // The driver's own class: exported by its file, not by its entry.
    const { DocumentSequence } = require('mongodb/lib/cmap/commands.js');
    return new DocumentSequence(field);
  } catch {
    return undefined;
  }
}
