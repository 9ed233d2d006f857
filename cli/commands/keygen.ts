import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { say, tell } from '../terminal.js';

export function define(command: Command): void {
  command
    .option('-o, --out <file>', 'write it to a new file that only you can read')
    .addHelpText(
      'after',
      `
Keep it as you keep a password. Who has the key and a copy can test guesses about the source's values; without it,
a later run cannot give the same output.

Examples:
  $ export LETHE_KEY=$(lethe keygen)
  $ lethe keygen --out /run/secrets/lethe-key      # then: key: file:/run/secrets/lethe-key`,
    )
    .action(async ({ out }: { out?: string }) => {
      const key = randomBytes(32).toString('base64');
      if (out === undefined) return say(key);
      await writeNew(out, `${key}\n`);
      tell(`Written to ${out}. Refer to it in the job file: key: file:${out}`);
    });
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { mode: 0o600, flag: 'wx' });
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    const why =
      code === 'EEXIST' ? 'is there already: a key is never overwritten' : `cannot be written (${code})`;
    throw new LetheError('JobInvalid', `${file} ${why}. Choose another file.`);
  }
}
