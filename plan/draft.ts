import { stringify } from 'yaml';
import { type Catalog, type CatalogTable, tableText } from './catalog.js';
import { type Advice, Advisor } from './suggest.js';
import type { RawSpec } from './suggestNames.js';

export interface DraftOptions {
  /** Name of the job. */
  readonly job: string;
  /** Reference to the source's URL. */
  readonly source: string;
  /** Reference to the destination's URL. */
  readonly destination: string;
}

export interface Draft {
  /** The job file. */
  readonly text: string;
  readonly tables: number;
  readonly columns: number;
  /** `schema.table.column` of those that a person has to decide before a plan passes. */
  readonly undecided: readonly string[];
}

/** Column at which comments begin. */
const COMMENT_AT = 46;

/** Writes a job file for a database: every table and column, what is suggested and why, and what is left to decide. */
export function draftJob(catalog: Catalog, options: DraftOptions): Draft {
  const advisor = new Advisor(catalog);
  const undecided: string[] = [];
  let columns = 0;
  const tables = catalog.tables.map((table) => {
    const lines = table.columns.map((column) => {
      columns++;
      const advice = advisor.advise(table, column);
      if (advice.kind === 'undecided') undecided.push(`${tableText(table)}.${column.name}`);
      return adviceLine(column.name, advice);
    });
    return tableLines(table, lines);
  });
  return { text: [header(options), ...tables, ''].join('\n'), tables: tables.length, columns, undecided };
}

/** The line of a column as the job file has it, without a comment: `email: { email: { keepDomain: true } }`. */
export function columnLine(column: string, spec: RawSpec): string {
  return stringify({ [column]: spec }, { collectionStyle: 'flow', lineWidth: 0, flowCollectionPadding: true })
    .trim()
    .replace(/^\{ (.*) \}$/s, '$1');
}

function header({ job, source, destination }: DraftOptions): string {
  return `# yaml-language-server: $schema=./node_modules/lethe/dist/job/job.schema.json
#
# Written by \`lethe init\` from names and types alone: no row was read. Look at every line.
# Lines marked "undecided" wait for you; \`lethe plan\` refuses the job until each is decided.
job: ${job}
source:
  postgres: ${source}
  limits: { connections: 4, snapshot: 6h }
destination:
  postgres: ${destination}
  mode: replace
${comment('key: env:LETHE_KEY', 'make one with `lethe keygen`')}
${comment('consistency: job', 'the same output every run; run: unlinkable between runs')}
${comment('unlisted: block', 'a column nobody decided on stops the plan')}
tables:`;
}

function tableLines(table: CatalogTable, columns: readonly string[]): string {
  const name = columnLine(tableText(table), null).replace(/ null$/, '');
  const decided = columns.some((line) => !line.trimStart().startsWith('#'));
  return [`  ${name}`, decided ? '    columns:' : '    columns: {}', ...columns].join('\n');
}

function adviceLine(column: string, advice: Advice): string {
  const indent = '      ';
  switch (advice.kind) {
    case 'use':
      return comment(indent + columnLine(column, advice.suggestion.spec), reasonOf(advice));
    case 'follows':
      return `${indent}# ${column}: follows ${advice.column} (foreign key)`;
    case 'generated':
      return `${indent}# ${column}: computed by the database`;
    case 'undecided': {
      const spec = advice.suggestion?.spec;
      const line = spec === undefined ? `${column}: ?` : columnLine(column, spec);
      return comment(`${indent}# ${line}`, `undecided: ${advice.reason}`);
    }
  }
}

function reasonOf({ suggestion }: Extract<Advice, { kind: 'use' }>): string {
  return suggestion.confidence === 'low' ? `${suggestion.reason} (a guess)` : suggestion.reason;
}

function comment(text: string, note: string): string {
  return `${text.padEnd(COMMENT_AT)} # ${note.replaceAll('\n', ' ')}`;
}
