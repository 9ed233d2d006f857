import { readFileSync } from 'node:fs';

const EVERY_MS = 50;

/** Watches the resident size of a process (its threads included), where /proc tells it. */
export class MemoryWatch {
  private highest = 0;
  private readonly timer: NodeJS.Timeout;

  constructor(private readonly pid: number) {
    this.timer = setInterval(() => this.look(), EVERY_MS);
    this.timer.unref();
  }

  /** Bytes. */
  peak(): number {
    this.look();
    return this.highest;
  }

  /** The peak since the last look of this kind, in bytes. */
  window(): number {
    const peak = this.peak();
    this.highest = 0;
    return peak;
  }

  end(): void {
    clearInterval(this.timer);
  }

  private look(): void {
    try {
      const pages = Number(readFileSync(`/proc/${this.pid}/statm`, 'utf8').split(' ')[1]);
      this.highest = Math.max(this.highest, pages * 4_096);
    } catch {
      // The process ended; what was seen stays.
    }
  }
}

/** Seconds of processor time that a process has had, its threads included; NaN where /proc does not tell. */
export function processorTime(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  } catch {
    return Number.NaN;
  }
}
