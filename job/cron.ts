const MACROS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];
const MONTHS = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const DAYS = 'sun mon tue wed thu fri sat'.split(' ');

const FIELDS = [
  { name: 'minute', from: 0, to: 59 },
  { name: 'hour', from: 0, to: 23 },
  { name: 'day of month', from: 1, to: 31 },
  { name: 'month', from: 1, to: 12, words: MONTHS, first: 1 },
  { name: 'day of week', from: 0, to: 7, words: DAYS, first: 0 },
];

/**
 * What is wrong with a cron expression, or undefined. Five fields (`0 3 * * *`), a macro (`@daily`) or
 * `@every 6h`, as Temporal's schedules read them; seconds and years are not taken.
 */
export function cronMistake(text: string): string | undefined {
  const cron = text.trim();
  if (cron.startsWith('@')) {
    if (MACROS.includes(cron) || /^@every (\d+(h|m|s))+$/.test(cron)) return undefined;
    return `"${cron}" is no schedule: use five cron fields, "@every 6h" or one of ${MACROS.join(', ')}`;
  }
  const parts = cron.split(/\s+/);
  if (parts.length !== FIELDS.length) {
    return `a cron expression has 5 fields (minute, hour, day of month, month, day of week), this one has ${parts.length}: "0 3 * * *" is every day at 3:00`;
  }
  for (const [i, field] of FIELDS.entries()) {
    for (const item of (parts[i] ?? '').split(',')) {
      const mistake = itemMistake(item, field);
      if (mistake) return mistake;
    }
  }
  return undefined;
}

function itemMistake(item: string, field: (typeof FIELDS)[number]): string | undefined {
  const wrong = `cron field "${field.name}": "${item}" is not a number, range, list or step of ${field.from}–${field.to}`;
  const match = /^(\*|\w+(?:-\w+)?)(?:\/(\d+))?$/.exec(item);
  if (!match) return wrong;
  if (match[2] !== undefined && Number(match[2]) === 0) return `${wrong}: a step of 0 never comes`;
  if (match[1] === '*') return undefined;
  const ends = (match[1] ?? '').split('-').map((end) => {
    const word = field.words?.indexOf(end.toLowerCase()) ?? -1;
    return word >= 0 ? word + (field.first ?? 0) : /^\d+$/.test(end) ? Number(end) : Number.NaN;
  });
  if (ends.some((end) => !(end >= field.from && end <= field.to))) return wrong;
  if (ends.length === 2 && (ends[0] ?? 0) > (ends[1] ?? 0)) return `${wrong}: the range runs backwards`;
  return undefined;
}
