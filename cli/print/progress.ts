import type { Progress, TableState } from '../../workflows/messages.js';
import { count, counted, duration, paint, terminalWidth } from '../terminal.js';

/** Shows how a run goes on, on stderr. */
export interface ProgressView {
  show(progress: Progress): void;
  /** A line that stays. */
  note(line: string): void;
  /** Takes a live view away, so that other text may follow. */
  end(): void;
}

/** Bars that are rewritten on a terminal; a line now and then anywhere else. */
export function progressView(): ProgressView {
  return process.stderr.isTTY ? new LiveView() : new LineView();
}

const PHASES: Record<Progress['phase'], string> = {
  planning: 'planning',
  loading: 'loading',
  settling: 'putting foreign keys back',
  validating: 'validating',
  waiting: 'waiting for a replay of its rows in quarantine',
  ended: 'ended',
};

/** Seconds between lines when nothing but counts changes, and when nothing does. */
const LINE_EVERY = 5;
const LINE_AT_LEAST_EVERY = 60;

class LineView implements ProgressView {
  #step = '';
  #line = '';
  #at = 0;

  show(progress: Progress): void {
    const done = progress.tables.filter(({ state }) => state === 'done').length;
    const step = `${progress.phase}/${progress.paused}/${done}`;
    const line = headline(progress);
    const seconds = (Date.now() - this.#at) / 1000;
    const due = line === this.#line ? LINE_AT_LEAST_EVERY : LINE_EVERY;
    if (step === this.#step && seconds < due) return;
    this.#step = step;
    this.#line = line;
    this.#at = Date.now();
    this.note(line);
  }

  note(line: string): void {
    process.stderr.write(`${line}\n`);
  }

  end(): void {}
}

/** Lines of tables shown at most; those that are loading come first. */
const SHOWN = 15;
const BAR = 24;
const RANK: Record<TableState['state'], number> = { failed: 0, loading: 1, settling: 2, waiting: 3, done: 4 };

class LiveView implements ProgressView {
  #lines = 0;
  readonly #started = Date.now();

  show(progress: Progress): void {
    const tables = [...progress.tables].sort((a, b) => RANK[a.state] - RANK[b.state] || a.id - b.id);
    const room = Math.max(3, Math.min(SHOWN, (process.stderr.rows ?? 24) - 4));
    const name = Math.min(36, Math.max(12, ...tables.slice(0, room).map((table) => table.name.length)));
    const lines = [
      `${headline(progress)}, ${duration((Date.now() - this.#started) / 1000)}`,
      ...tables.slice(0, room).map((table) => tableLine(table, name)),
      ...(tables.length > room ? [paint.dim(`  … ${tables.length - room} more`)] : []),
    ];
    this.#rewrite(lines);
  }

  note(line: string): void {
    this.#rewrite([]);
    process.stderr.write(`${line}\n`);
  }

  end(): void {
    this.#rewrite([]);
  }

  #rewrite(lines: readonly string[]): void {
    const up = this.#lines > 0 ? `\u001b[${this.#lines}A\r\u001b[J` : '';
    process.stderr.write(up + lines.map((line) => `${line}\n`).join(''));
    this.#lines = lines.length;
  }
}

function headline(progress: Progress): string {
  const { tables, phase, paused, waitsUntil } = progress;
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  const expected = tables.reduce((sum, table) => sum + Math.max(table.expected, table.rows), 0);
  const done = tables.filter(({ state }) => state === 'done').length;
  const quarantined = tables.reduce((sum, table) => sum + table.quarantined, 0);
  const parts = [paused ? 'paused' : PHASES[phase]];
  if (waitsUntil) parts.push(`until ${waitsUntil.slice(0, 16).replace('T', ' ')} UTC`);
  if (tables.length > 0) {
    parts.push(
      `${done} of ${counted(tables.length, 'table')}`,
      `${count(rows)} of about ${counted(expected, 'row')}`,
    );
  }
  if (quarantined > 0) parts.push(paint.yellow(`${count(quarantined)} in quarantine`));
  return `${progress.job}: ${parts.join(', ')}`;
}

function tableLine(table: TableState, width: number): string {
  const expected = Math.max(table.expected, table.rows);
  const share = table.state === 'done' ? 1 : expected === 0 ? 0 : Math.min(1, table.rows / expected);
  const full = Math.round(share * BAR);
  const bar = `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`;
  const colour = {
    done: paint.green,
    failed: paint.red,
    loading: paint.cyan,
    settling: paint.cyan,
    waiting: paint.dim,
  };
  const name = table.name.length > width ? `${table.name.slice(0, width - 1)}…` : table.name.padEnd(width);
  const quarantined = table.quarantined > 0 ? paint.yellow(` ${count(table.quarantined)} quarantined`) : '';
  const text = `  ${name} ${colour[table.state](bar)} ${count(table.rows).padStart(11)} ${table.state}${quarantined}`;
  return text.length > terminalWidth() + 20 ? text.slice(0, terminalWidth() + 20) : text;
}
