/** A seeded generator of numbers (mulberry32): the same seed makes the same shop everywhere. */
export class Random {
  constructor(private state: number) {}

  /** In [0, 1). */
  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }

  /** In [from, to], whole. */
  between(from: number, to: number): number {
    return from + Math.floor(this.next() * (to - from + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(values: readonly T[]): T {
    return values[Math.floor(this.next() * values.length)] as T;
  }

  /** Replaces each `#` by a digit. */
  digits(pattern: string): string {
    return pattern.replace(/#/g, () => String(this.between(0, 9)));
  }

  hex(length: number): string {
    return Array.from({ length }, () => this.between(0, 15).toString(16)).join('');
  }

  uuid(): string {
    const hex = this.hex(30);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(12, 15)}-8${hex.slice(15, 18)}-${hex.slice(18, 30)}`;
  }

  /** ISO 8601, UTC, between two years (the second one excluded), to the microsecond. */
  time(fromYear: number, toYear: number): string {
    const from = Date.UTC(fromYear, 0, 1);
    const date = new Date(from + Math.floor(this.next() * (Date.UTC(toYear, 0, 1) - from)));
    return date.toISOString().replace('Z', `${this.between(100, 999)}+00`);
  }
}
