import { quoteLiteral } from '../identifiers.js';

/** Strings, quoted names, comments and casts are passed over; what is left may be the parameter. */
const TOKENS = new RegExp(
  [
    String.raw`[eE]'(?:[^'\\]|\\.|'')*'`,
    "'(?:[^']|'')*'",
    '"(?:[^"]|"")*"',
    String.raw`(\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)[\s\S]*?\1`,
    String.raw`--[^\n]*`,
    String.raw`/\*[\s\S]*?\*/`,
    '::',
    String.raw`:run_time(?![\w$\u0080-\uffff])`,
  ].join('|'),
  'g',
);

/**
 * A condition of the job file with `:run_time` replaced by the run's time as a `timestamptz` constant, in parentheses
 * and ended by a line feed, since it may end in a comment.
 *
 * @param runTime ISO 8601, UTC.
 */
export function bindRunTime(condition: string, runTime: string): string {
  const constant = `(${quoteLiteral(runTime)}::timestamptz)`;
  return `(${condition.replace(TOKENS, (token) => (token === ':run_time' ? constant : token))}\n)`;
}
