import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { keyedEnvironment } from '../../postgres/retention/environment.js';
import { collect } from '../filter/settings.js';
import { withRings } from '../filter/source.js';
import { addStoreOptions, retentionFile, type StoreCommandOptions } from './stores.js';

interface ExecOptions extends StoreCommandOptions {
  readonly policy: readonly string[];
  readonly since?: string;
  readonly actor?: string;
}

export function define(command: Command): void {
  addStoreOptions(command)
    .option('-p, --policy <id>', 'the keys of this policy only; may be repeated', collect, [])
    .option('--since <yyyy-mm-dd>', 'the keys of this day and later ones')
    .option('--actor <name>', 'who reads: the actor of a hold gets the days that it keeps')
    .addHelpText(
      'after',
      `
Starts a program whose PostgreSQL sessions (through libpq) reveal values: the keys go with the start of each session, where no
server logs them. They stand in the program's environment, which others of the same user can read while it runs.

Examples:
  $ lethe retention exec -- psql "$EVENTS_URL"
  $ lethe retention exec --policy ip --since 2026-03-01 -- psql -c 'SELECT * FROM events_readable' "$EVENTS_URL"`,
    )
    .action(run);
}

async function run(words: readonly string[], options: ExecOptions): Promise<void> {
  const [program, ...args] = words;
  const { policy, since, actor } = options;
  await withRings(await retentionFile(options), async (source) => {
    const rings = await source.rings({
      ...(policy.length > 0 && { policies: policy }),
      ...(since !== undefined && { since }),
      ...(actor !== undefined && { actor }),
    });
    process.exitCode = await started(program!, args, keyedEnvironment(rings, process.env));
  });
}

/** Its exit code; of a program that a signal ended 128 and more, as shells have it. */
function started(program: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(program, args, { stdio: 'inherit', env });
  // Ctrl-C is for the program, which may go on after it.
  const ignore = () => undefined;
  process.on('SIGINT', ignore);
  return new Promise((resolve, reject) => {
    child.once('error', () =>
      reject(new LetheError('ToolMissing', `${program} cannot be started: is it installed, and on PATH?`)),
    );
    child.once('exit', (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
}
