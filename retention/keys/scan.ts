import { createReadStream } from 'node:fs';
import { open, opendir } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { createGunzip } from 'node:zlib';
import { LetheError } from '../../errors/errors.js';
import { findWrapped, LONGEST, type Wrapped } from './wrapping.js';

/** What a scan of files came to. */
export interface Scan {
  readonly files: number;
  readonly bytes: number;
  /** Files that cannot be read. */
  readonly unread: readonly string[];
}

/** Longest wrapped key, in hexadecimal. */
const OVERLAP = 2 * LONGEST;

/**
 * Looks for wrapped day keys in every file below a folder (or in one file), raw and in hexadecimal, and inside of `.gz`. Not
 * found are those in files that are compressed or encrypted otherwise, and pieces of one: PostgreSQL cuts WAL at its pages.
 *
 * @param found Called for each place, also for the same key again.
 * @throws LetheError `ObjectMissing` when there is no such folder.
 */
export async function scanFiles(
  path: string,
  found: (wrapped: Wrapped, file: string) => Promise<void>,
): Promise<Scan> {
  const scan = { files: 0, bytes: 0, unread: [] as string[] };
  for await (const file of filesBelow(path)) {
    try {
      scan.bytes += await scanFile(file, found);
      scan.files += 1;
    } catch (error) {
      if (error instanceof LetheError) throw error;
      scan.unread.push(file);
    }
  }
  return scan;
}

async function scanFile(
  file: string,
  found: (wrapped: Wrapped, file: string) => Promise<void>,
): Promise<number> {
  const stream = createReadStream(file, { highWaterMark: 1 << 20 });
  const input = extname(file) === '.gz' ? stream.pipe(createGunzip()) : stream;
  let kept = Buffer.alloc(0);
  let bytes = 0;
  stream.on('error', (error) => input.destroy(error));
  for await (const chunk of input as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    const block = Buffer.concat([kept, chunk]);
    for (const wrapped of findWrapped(block)) await found(wrapped, file);
    kept = Buffer.from(block.subarray(Math.max(0, block.length - OVERLAP)));
  }
  return bytes;
}

async function* filesBelow(path: string): AsyncGenerator<string> {
  const handle = await open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw new LetheError(
      'ObjectMissing',
      `${path} cannot be scanned (${error.code}): give a folder or file that is there.`,
    );
  });
  const isFile = (await handle.stat().finally(() => handle.close())).isFile();
  if (isFile) {
    yield path;
    return;
  }
  for await (const entry of await opendir(path)) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) yield* filesBelow(inner);
    else if (entry.isFile()) yield inner;
  }
}
