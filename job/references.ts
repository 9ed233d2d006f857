import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { LetheError } from '../errors/errors.js';

const run = promisify(execFile);

/** How long `exec:` may take, in milliseconds. */
const EXEC_TIMEOUT = 10_000;

/** What is wrong with the text of a reference, or undefined. Never repeats the text: it may be the secret itself. */
export function referenceMistake(text: string, example = 'env:NAME'): string | undefined {
  const kind = /^(env|file|exec):(.*)$/s.exec(text);
  if (!kind) {
    const what = /^[a-z][a-z0-9+]*:\/\//i.test(text) ? 'a connection URL' : 'a value';
    return `${what} does not belong in a job file: put it into an environment variable, a file or a command, and write a reference, e.g. "${example}" (env:NAME, file:PATH or exec:COMMAND)`;
  }
  const rest = kind[2] ?? '';
  if (kind[1] === 'env' && !/^[A-Za-z_][A-Za-z0-9_]*$/.test(rest)) {
    return `after "env:" stands the name of one environment variable, e.g. "${example}"`;
  }
  if (rest.trim() === '') return `nothing stands after "${kind[1]}:", e.g. "file:/run/secrets/crm-url"`;
  return undefined;
}

/**
 * The value behind a reference; only workers and commands call it, never a workflow.
 *
 * - `env:NAME`: the environment variable.
 * - `file:PATH`: the file's text (UTF-8), relative to the working directory.
 * - `exec:COMMAND ARG…`: what the program prints on its standard output within 10 s. It is started directly, without a
 *   shell: words are split at spaces, `"…"` and `'…'` keep spaces together, and nothing is expanded.
 *
 * One line end at the end is left out.
 * @throws LetheError `ReferenceUnresolved`, which names the reference and never what it gave.
 */
export async function resolveReference(reference: string): Promise<string> {
  const mistake = referenceMistake(reference);
  if (mistake)
    throw new LetheError('ReferenceUnresolved', `A reference of the job file cannot be used: ${mistake}`);
  const colon = reference.indexOf(':');
  const rest = reference.slice(colon + 1);
  const kind = reference.slice(0, colon);
  const text =
    kind === 'env' ? fromEnv(rest) : kind === 'file' ? await fromFile(rest) : await fromProgram(rest);
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw unresolved(reference, 'it is empty', 'Give it a value where this process runs.');
  return value;
}

function fromEnv(name: string): string {
  const value = process.env[name];
  if (value === undefined) {
    throw unresolved(
      `env:${name}`,
      'the environment variable is not set',
      `Set ${name} where this process runs.`,
    );
  }
  return value;
}

async function fromFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    const why = code === 'ENOENT' ? 'there is no such file' : `the file cannot be read (${code})`;
    throw unresolved(
      `file:${path}`,
      why,
      'Mount or create it where this process runs, readable for its user.',
    );
  }
}

async function fromProgram(command: string): Promise<string> {
  const [program = '', ...args] = words(command);
  // Only the program is named in errors: arguments may hold a token.
  const name = `exec:${program}${args.length > 0 ? ' …' : ''}`;
  try {
    const { stdout } = await run(program, args, {
      timeout: EXEC_TIMEOUT,
      maxBuffer: 1 << 20,
      encoding: 'utf8',
    });
    return stdout;
  } catch (error) {
    const { code, killed } = error as { code?: string | number; killed?: boolean };
    const why = killed
      ? `the program did not end within ${EXEC_TIMEOUT / 1000} s`
      : code === 'ENOENT'
        ? 'there is no such program on PATH'
        : `the program failed (${typeof code === 'number' ? `exit code ${code}` : (code ?? 'unknown error')})`;
    throw unresolved(name, why, 'Run it by hand where this process runs, as its user.');
  }
}

function unresolved(reference: string, why: string, fix: string): LetheError {
  return new LetheError('ReferenceUnresolved', `${reference}: ${why}. ${fix}`, { reference });
}

/** Splits a command line at spaces; quotes keep spaces together, a backslash is an ordinary character. */
function words(command: string): string[] {
  return [...command.matchAll(/(?:"[^"]*"|'[^']*'|[^\s"'])+/g)].map((match) =>
    match[0].replace(/"([^"]*)"|'([^']*)'/g, (_, double, single) => double ?? single),
  );
}
