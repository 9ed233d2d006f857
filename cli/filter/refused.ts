import { existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { LetheError } from '../../errors/errors.js';
import type { Refusal } from '../../retention/filter/transform.js';

/** Where refused lines go. */
export interface RefusedFile {
  /** Writes a line; without a file it ends the filter with the line's number and the reason. */
  take(refusal: Refusal): Promise<void>;
  close(): Promise<void>;
}

/**
 * The error file: JSON lines of `line`, `reason` and `record` (`base64` where the line is not UTF-8), readable by its owner only.
 * It is made with the first line, and never overwritten: it may be all that is left of those of before.
 */
export function refusedFile(path: string | undefined): RefusedFile {
  if (path !== undefined && existsSync(path)) throw isThere(path);
  let file: FileHandle | undefined;
  return {
    async take({ line, reason, record }) {
      if (path === undefined)
        throw new LetheError(
          'SealRefused',
          `Line ${line}: ${reason} Nothing from there on was written. To go on, and keep such lines: --errors FILE.`,
        );
      file ??= await create(path);
      const own =
        typeof record === 'string' ? { record } : { base64: Buffer.from(record).toString('base64') };
      await file.write(`${JSON.stringify({ line, reason, ...own })}\n`);
    },
    async close() {
      await file?.sync();
      await file?.close();
    },
  };
}

async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw isThere(path);
    throw new LetheError(
      'JobInvalid',
      `${path} cannot be written (${code}): choose another file for --errors.`,
    );
  }
}

function isThere(path: string): LetheError {
  return new LetheError(
    'JobInvalid',
    `${path} is there already, and may hold lines that are nowhere else: choose another file for --errors.`,
  );
}
