import type { FilterTotals } from '../../retention/filter/pipeline.js';
import { bytes, count, counted, duration, tell } from '../terminal.js';

/** Milliseconds before a view appears, and between its changes. */
const QUIET_MS = 2_000;
const EVERY_MS = 500;

/** One line on stderr that is rewritten, on a terminal and when it takes long. */
export class FilterProgress {
  readonly #began = performance.now();
  #shown = 0;

  show(totals: FilterTotals): void {
    const now = performance.now();
    if (!process.stderr.isTTY || now - this.#began < QUIET_MS || now - this.#shown < EVERY_MS) return;
    this.#shown = now;
    process.stderr.write(`\r\u001b[K${this.#text(totals)}`);
  }

  /** Takes the line away and says what was done. */
  end(totals: FilterTotals): void {
    if (this.#shown > 0) process.stderr.write('\r\u001b[K');
    const outcomes = Object.entries(totals.outcomes).map(([outcome, n]) => `${NAMES[outcome]} ${count(n)}`);
    tell(`${this.#text(totals)}${outcomes.length > 0 ? `; tokens: ${outcomes.join(', ')}` : ''}`);
  }

  #text({ lines, changed, refused, bytes: size }: FilterTotals): string {
    const seconds = (performance.now() - this.#began) / 1_000;
    const speed = `${bytes(size)} in ${duration(seconds)} (${bytes(size / Math.max(seconds, 0.001))}/s)`;
    return `${counted(lines, 'line')}, ${count(changed)} changed, ${count(refused)} refused; ${speed}`;
  }
}

const NAMES: Readonly<Record<string, string>> = {
  value: 'revealed',
  expired: 'expired',
  noKey: 'without key',
  tampered: 'tampered with',
};
