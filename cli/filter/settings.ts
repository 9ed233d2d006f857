import { type Command, InvalidArgumentError } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { didYouMean } from '../../job/nearest.js';
import type { RetentionFile } from '../../job/retention/types.js';
import { type FilterFormat, type FilterSettings, readPattern } from '../../retention/filter/settings.js';
import { chosenPolicies, type Policy, type PolicyChoice } from '../../retention/keys/policy.js';
import { requireDay } from '../../retention/token/day.js';
import { wholeNumber } from '../commands/options.js';

/** What both filters take. */
export interface FilterOptions {
  readonly format: FilterFormat;
  readonly field: readonly string[];
  readonly context?: string;
  readonly delimiter: string;
  readonly header: boolean;
  readonly gzip?: boolean;
  readonly errors?: string;
  readonly threads?: number;
  readonly retention?: string;
}

export interface SealOptions extends FilterOptions {
  readonly policy?: string;
  readonly policyBy?: string;
  readonly policyMap: readonly string[];
  readonly pattern: readonly string[];
  readonly day?: string;
  readonly dateField?: string;
}

export interface RevealOptions extends FilterOptions {
  readonly policy: readonly string[];
  readonly actor?: string;
}

/** Adds the options that both filters take. */
export function addFilterOptions(command: Command): Command {
  return command
    .option('-f, --format <format>', 'jsonl, csv or text', readFormat, 'jsonl')
    .option('--field <field>', 'a JSON path such as client.ip, or a CSV column; may be repeated', collect, [])
    .option('--context <text>', "label that the values are bound to (default: the policy's)")
    .option('--delimiter <char>', 'between CSV fields', readDelimiter, ',')
    .option('--no-header', 'the first CSV record is data; columns are numbers from 1 on')
    .option('--gzip', 'pack the output (default: when the input is packed)')
    .option('--no-gzip', 'never pack the output')
    .option('--errors <file>', 'keep lines that are refused there, and go on')
    .option(
      '--threads <n>',
      'lines are worked on by so many threads (default: the cores, at most 8)',
      wholeNumber,
    )
    .option('--retention <file>', 'the retention file (default: LETHE_RETENTION, or retention.yaml here)');
}

/** For options that may be repeated. */
export function collect(value: string, previous: readonly string[]): readonly string[] {
  return [...previous, value];
}

function readFormat(text: string): FilterFormat {
  if (text === 'jsonl' || text === 'csv' || text === 'text') return text;
  throw new InvalidArgumentError('Expected jsonl, csv or text.');
}

function readDelimiter(text: string): string {
  const delimiter = text === '\\t' ? '\t' : text;
  if (delimiter.length === 1 && !'"\r\n'.includes(delimiter)) return delimiter;
  throw new InvalidArgumentError('Expected one character, or \\t.');
}

/** Throws `JobInvalid` for what does not fit together. */
export function sealSettings(file: RetentionFile, options: SealOptions): FilterSettings {
  const choice = readChoice(options);
  const { format, field, pattern, day, dateField } = options;
  if (format === 'text') {
    if (field.length > 0) throw invalid('Plain text has no fields: give --pattern alone.');
    if (pattern.length === 0) throw invalid('Say what is sealed in plain text: --pattern ipv4.');
    if (dateField !== undefined || typeof choice !== 'string')
      throw invalid('Plain text has no fields: give --policy and --day.');
  } else if (field.length === 0) throw invalid('Say which fields are sealed: --field client.ip.');
  if (day !== undefined && dateField !== undefined) throw invalid('Give --day or --date-field, not both.');
  if (day !== undefined) requireDay(day, '--day');
  for (const text of pattern) readPattern(text);
  return {
    ...common(options),
    what: 'seal',
    choice,
    policies: pick(file, chosenPolicies(choice)),
    patterns: pattern,
    day,
    dateField,
  };
}

/** Throws `JobInvalid` for what does not fit together. */
export function revealSettings(file: RetentionFile, options: RevealOptions): FilterSettings {
  if (options.format === 'text' && options.field.length > 0)
    throw invalid('Plain text has no fields: every token in it is revealed.');
  const ids = options.policy.length > 0 ? options.policy : Object.keys(file.policies);
  return { ...common(options), what: 'reveal', policies: pick(file, ids), patterns: [] };
}

function common({ format, field, context, delimiter, header }: FilterOptions) {
  return { format, fields: field, context, delimiter, header };
}

function readChoice({ policy, policyBy, policyMap }: SealOptions): PolicyChoice {
  if (policyBy === undefined) {
    if (policy === undefined || policyMap.length > 0)
      throw invalid('Say which policy: --policy ip, or --policy-by FIELD with --policy-map VALUE=POLICY.');
    return policy;
  }
  const pairs = policyMap.map((pair): [string, string] => {
    const at = pair.lastIndexOf('=');
    if (at < 0) throw invalid('--policy-map takes VALUE=POLICY.');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  if (pairs.length === 0) throw invalid('Say which value has which policy: --policy-map VALUE=POLICY.');
  return { by: policyBy, map: Object.fromEntries(pairs), ...(policy !== undefined && { default: policy }) };
}

function pick(file: RetentionFile, ids: readonly string[]): Record<string, Policy> {
  return Object.fromEntries(
    ids.map((id) => {
      const policy = file.policies[id];
      if (!policy)
        throw invalid(
          `The retention file has no policy "${id}"${didYouMean(id, Object.keys(file.policies))}.`,
        );
      return [id, policy];
    }),
  );
}

function invalid(message: string): LetheError {
  return new LetheError('JobInvalid', message);
}
