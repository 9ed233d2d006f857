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
