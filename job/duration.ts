const UNITS = { d: 86_400, h: 3_600, m: 60, s: 1 } as const;

/** Seconds of `6h`, `1h30m`, `90s`, `2d`; undefined when it is no such text or zero. */
export function durationSeconds(text: string): number | undefined {
  if (!/^(\d{1,6}[dhms])+$/.test(text)) return undefined;
  let seconds = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+)([dhms])/g)) {
    seconds += Number(amount) * UNITS[unit as keyof typeof UNITS];
  }
  return seconds > 0 ? seconds : undefined;
}
