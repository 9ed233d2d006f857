import Table from 'cli-table3';

export { bytes, count, counted, duration } from '../report/format.js';

/** Text in colour, where the terminal takes it and `NO_COLOR` is not set. */
export const paint = {
  bold: (text: string) => code(1, 22, text),
  dim: (text: string) => code(2, 22, text),
  red: (text: string) => code(31, 39, text),
  green: (text: string) => code(32, 39, text),
  yellow: (text: string) => code(33, 39, text),
  cyan: (text: string) => code(36, 39, text),
};

function code(on: number, off: number, text: string): string {
  return colours() ? `\u001b[${on}m${text}\u001b[${off}m` : text;
}

function colours(): boolean {
  if (process.env.NO_COLOR) return false;
  return Boolean(process.env.FORCE_COLOR) || Boolean(process.stdout.isTTY && process.stderr.isTTY);
}

/** Columns of the terminal; 100 where there is none. */
export function terminalWidth(): number {
  return Math.max(60, process.stdout.columns ?? 100);
}

/** A result: stdout. */
export function say(text = ''): void {
  process.stdout.write(`${text}\n`);
}

/** What goes on: stderr. */
export function tell(text = ''): void {
  process.stderr.write(`${text}\n`);
}

/** The one JSON document of a `--json` command. */
export function sayJson(value: unknown): void {
  say(JSON.stringify(value, null, 2));
}

export interface TableColumn {
  readonly head: string;
  readonly right?: boolean;
  /** Longest text in characters; what is longer is wrapped. The last column takes what the terminal has left. */
  readonly width?: number;
}

/** Aligned columns under a header line, without boxes; two blanks between them. `breakWords` shows long words whole. */
export function table(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  options: { breakWords?: boolean } = {},
): string {
  const wide = columns.map(({ head, width }, i) => {
    const longest = Math.max(head.length, ...rows.map((row) => visible(row[i] ?? '')));
    return width === undefined ? longest : Math.min(width, longest);
  });
  const before = wide.slice(0, -1).reduce((sum, width) => sum + width + 2, 2);
  wide.push(Math.min(wide.pop() ?? 0, Math.max(20, terminalWidth() - before - 1)));
  const made = new Table({
    head: columns.map(({ head }) => paint.dim(head)),
    colWidths: wide.map((width) => width + 2),
    colAligns: columns.map(({ right }) => (right ? 'right' : 'left')),
    wordWrap: true,
    wrapOnWordBoundary: !options.breakWords,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
    chars: Object.fromEntries(BORDERS.map((name) => [name, ''])),
  });
  made.push(...rows.map((row) => [...row]));
  return made
    .toString()
    .split('\n')
    .map((line) => `  ${line.trimEnd()}`)
    .join('\n');
}

const BORDERS = [
  ...['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right'],
  ...['left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid', 'middle'],
];

/** Characters that show: without colour codes. */
export function visible(text: string): number {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colour codes begin with one
  return Math.max(...text.split('\n').map((line) => line.replace(/\u001b\[\d+m/g, '').length));
}
