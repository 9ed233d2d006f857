import type { Position } from '../job/types.js';
import type { Finding } from './plan.js';

/** Where a finding belongs. */
export interface Place {
  readonly table?: string;
  readonly column?: string;
  readonly position?: Position;
}

/** Collects what a plan has to say; the same sentence once. */
export class Findings {
  readonly #list: Finding[] = [];
  readonly #seen = new Set<string>();

  /** Stops the run. The message ends with the way out. */
  refuse(code: string, message: string, place: Place = {}): void {
    this.#add('refusal', code, message, place);
  }

  warn(code: string, message: string, place: Place = {}): void {
    this.#add('warning', code, message, place);
  }

  note(code: string, message: string, place: Place = {}): void {
    this.#add('note', code, message, place);
  }

  /** Takes over findings that were made elsewhere. */
  add(findings: readonly Finding[]): void {
    for (const { level, code, message, table, column, position } of findings) {
      this.#add(level, code, message, { table, column, position });
    }
  }

  /** Refusals first, then warnings, then notes; each in the order found. */
  sorted(): Finding[] {
    const rank = { refusal: 0, warning: 1, note: 2 };
    return this.#list
      .map((finding, at) => ({ finding, at }))
      .sort((a, b) => rank[a.finding.level] - rank[b.finding.level] || a.at - b.at)
      .map(({ finding }) => finding);
  }

  #add(level: Finding['level'], code: string, message: string, place: Place): void {
    const identity = `${level}\n${code}\n${place.table ?? ''}\n${place.column ?? ''}\n${message}`;
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    this.#list.push({
      level,
      code,
      ...(place.table !== undefined && { table: place.table }),
      ...(place.column !== undefined && { column: place.column }),
      message,
      ...(place.position && { position: place.position }),
    });
  }
}
