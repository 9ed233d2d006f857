import { readFile } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { stringify } from 'yaml';
import type { z } from 'zod';
import { LetheError } from '../errors/errors.js';
import { renderJob } from './define.js';
import { describeIssue } from './issues.js';
import { normalize } from './normalize.js';
import { overlay } from './overlay.js';
import { isRecord } from './rules.js';
import { type JobFile, jobSchema } from './schema.js';
import { readSource } from './source.js';
import type { Job, Mistake } from './types.js';

export interface ParseOptions {
  /** Environment of the file to lay over it, `--env`. */
  readonly env?: string;
}

export interface ParsedJob {
  /** Present only when there are no mistakes. */
  readonly job?: Job;
  /** All of them, in file order. */
  readonly mistakes: readonly Mistake[];
  /** The file with its overlay applied and no environments left, as YAML: what a run pins. Present with `job`. */
  readonly text?: string;
}

/** Reads the text of a job file (YAML or JSON); `file` is its name in messages. Touches nothing but the text. */
export function parseJob(text: string, file: string, options: ParseOptions = {}): ParsedJob {
  const source = readSource(text, file);
  if (source.data === undefined) return { mistakes: source.mistakes };
  const top = { file, line: 1, column: 1 };
  if (!isRecord(source.data)) {
    return {
      mistakes: [
        ...source.mistakes,
        { position: top, message: 'a job file is a map that begins with "job: NAME"' },
      ],
    };
  }
  const mistakes: Mistake[] = [...source.mistakes];
  const shape = jobSchema.safeParse(source.data, { reportInput: true });
  for (const issue of shape.error?.issues ?? []) {
    for (const { path, at, message } of describeIssue(issue as z.core.$ZodIssue)) {
      mistakes.push({ position: source.position(path, at), message });
    }
  }
  const overlaid = overlay(source.data, options.env);
  if (overlaid.mistake) {
    const position = source.data.environments === undefined ? top : source.position(['environments'], 'key');
    mistakes.push({ position, message: overlaid.mistake });
  }
  const job = normalize(overlaid.data, {
    source: { ...source, position: (path, at) => source.position(overlaid.locate(path), at) },
    mistake: (path, message, at) =>
      mistakes.push({ position: source.position(overlaid.locate(path), at), message }),
  });
  if (mistakes.length > 0) return { mistakes: inFileOrder(mistakes) };
  return {
    job,
    mistakes,
    text: options.env === undefined ? text : stringify(overlaid.data, { lineWidth: 0 }),
  };
}

/** What `loadJob` gives. */
export interface LoadedJob {
  readonly job: Job;
  /** YAML of the file, overlay applied: what a run pins. */
  readonly text: string;
  /** The path it was read from. */
  readonly file: string;
}

/**
 * Reads a job file from disk: `.yaml`, `.yml`, `.json`, or a `.js`/`.mjs` module whose default export is a
 * `defineJob()`.
 * @throws LetheError `JobInvalid` with every mistake as `file:line:column message`.
 */
export async function loadJob(file: string, options: ParseOptions = {}): Promise<LoadedJob> {
  const text = await readJobText(file);
  // Of a module the places are those of the YAML that comes of it.
  const name = isModule(file) ? `${file} (as YAML)` : file;
  const parsed = parseJob(text, name, options);
  if (!parsed.job || parsed.text === undefined) throw jobInvalid(file, parsed.mistakes);
  return { job: parsed.job, text: parsed.text, file };
}

/** The YAML text of a job file of any kind, environments and all. */
export async function readJobText(file: string): Promise<string> {
  if (isModule(file)) {
    const module = (await import(pathToFileURL(resolve(file)).href)) as { default?: JobFile };
    if (isRecord(module.default)) return renderJob(module.default);
    throw new LetheError(
      'JobInvalid',
      `${file}: its default export is no job. Write "export default defineJob({ … })".`,
    );
  }
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'there is no such file' : `it cannot be read (${code})`;
    throw new LetheError(
      'JobInvalid',
      `${file}: ${why}. Give the path of a job file; \`lethe init SOURCE\` writes one.`,
    );
  }
}

function isModule(file: string): boolean {
  return ['.js', '.mjs'].includes(extname(file));
}

/** The error for a file with mistakes: a line each. */
export function jobInvalid(file: string, mistakes: readonly Mistake[]): LetheError {
  const count = mistakes.length === 1 ? '1 mistake' : `${mistakes.length} mistakes`;
  return new LetheError('JobInvalid', `${file} has ${count}:\n${formatMistakes(mistakes)}`, {
    mistakes: mistakes.length,
  });
}

/** `file:line:column message`, a line each. */
export function formatMistakes(mistakes: readonly Mistake[]): string {
  return mistakes
    .map(({ position: { file, line, column }, message }) => `  ${file}:${line}:${column}  ${message}`)
    .join('\n');
}

/** Sorted by place, each once. */
export function inFileOrder(mistakes: readonly Mistake[]): Mistake[] {
  const text = (mistake: Mistake) => `${mistake.position.line}:${mistake.position.column}:${mistake.message}`;
  const unique = new Map(mistakes.map((mistake) => [text(mistake), mistake]));
  return [...unique.values()].sort(
    (a, b) => a.position.line - b.position.line || a.position.column - b.position.column,
  );
}
