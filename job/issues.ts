import type { z } from 'zod';
import { didYouMean } from './nearest.js';
import type { Path } from './source.js';

interface Place {
  readonly path: Path;
  readonly at: 'key' | 'value';
  readonly message: string;
}

/** What an issue of the schema means in words, with the place it is about. */
export function describeIssue(issue: z.core.$ZodIssue): Place[] {
  const path = issue.path.filter((step) => typeof step !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    const lines = issue.message.split('\n');
    return issue.keys.map((key, i) => ({
      path: [...path, key],
      at: 'key',
      message: lines[i] ?? `unknown key "${key}"`,
    }));
  }
  if (issue.code === 'invalid_key') {
    return [{ path, at: 'key', message: issue.issues[0]?.message ?? issue.message }];
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    const missing = String(path.at(-1));
    return [{ path: path.slice(0, -1), at: 'key', message: `${missing} is missing` }];
  }
  return [{ path, at: 'value', message: valueMessage(issue) }];
}

function valueMessage(issue: z.core.$ZodIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return `expected ${kind(issue.expected)}, found ${found(issue.input)}`;
    case 'invalid_value': {
      const names = issue.values.map(String);
      return `expected ${names.join(' or ')}, found ${found(issue.input)}${typeof issue.input === 'string' ? didYouMean(issue.input, names) : ''}`;
    }
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array'
        ? 'must not be empty'
        : `must be at least ${issue.minimum}`;
    case 'too_big':
      return `must be at most ${issue.maximum}`;
    case 'invalid_union':
      // The schema's own words for a choice; a lone refusal below says more than the choice.
      return issue.errors.flat().find((inner) => inner.code === 'custom')?.message ?? issue.message;
    default:
      return issue.message;
  }
}

const KINDS: Record<string, string> = {
  string: 'a text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
};

function kind(expected: string): string {
  return KINDS[expected] ?? expected;
}

function found(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  // Long or odd texts may be pasted secrets: only words are repeated.
  if (typeof value === 'string') return /^[\w.-]{1,30}$/.test(value) ? `"${value}"` : 'a text';
  return typeof value === 'number' || typeof value === 'boolean' ? `${value}` : typeof value;
}
