import { type FilterTotals, runFilter } from '../../../retention/filter/pipeline.js';
import type { FilterSettings } from '../../../retention/filter/settings.js';
import { createTransform, type FilterTask, type Refusal } from '../../../retention/filter/transform.js';
import type { RingSource } from '../../../retention/keys/source.js';
import { addDays, type Day } from '../../../retention/token/day.js';
import { dayKeys, type Ring } from '../../../retention/token/ring.js';
import { DAY } from './scene.js';
import { policyOf } from './snowflake-scene.js';

/** The key of any policy and day. */
export function keyOf(policy: string, day: Day): Buffer {
  return dayKeys(Buffer.from(`${policy}${day}`.padEnd(32, '.')), policy, day);
}

/** A key store in memory, at DAY, with a window of 30 days and no key but those that were asked for. */
export class MemoryStore implements RingSource {
  readonly days = new Map<string, Set<Day>>();
  readonly gone = new Set<Day>();
  readonly asked: string[] = [];
  now: Day = DAY;
  changes = 0;

  async epoch(): Promise<string> {
    return String(this.changes);
  }

  async rings({ policies = [] }: { readonly policies?: readonly string[] } = {}): Promise<Ring[]> {
    return policies.map((policy) => {
      const days = [...(this.days.get(policy) ?? [])].filter((day) => !this.gone.has(day));
      const keys = new Map(days.map((day) => [day, keyOf(policy, day)]));
      return {
        policy,
        asOf: this.now,
        first: addDays(this.now, -30),
        gone: [...this.gone],
        keys,
        simulated: true,
      };
    });
  }

  async ensureDayKeys(policy: string, days: readonly Day[]): Promise<readonly Day[]> {
    this.asked.push(...days.map((day) => `${policy} ${day}`));
    // As a real one: others come before it has answered.
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    const inside = days.filter(
      (day) => day >= addDays(this.now, -29) && day <= addDays(this.now, 2) && !this.gone.has(day),
    );
    this.days.set(policy, new Set([...(this.days.get(policy) ?? []), ...inside]));
    this.changes++;
    return inside;
  }

  async close(): Promise<void> {}
}

export function settingsOf(settings: Partial<FilterSettings> = {}): FilterSettings {
  return {
    what: 'seal',
    format: 'jsonl',
    policies: { ip: policyOf({ context: 'log' }) },
    choice: 'ip',
    fields: ['ip'],
    patterns: [],
    day: DAY,
    delimiter: ',',
    header: true,
    ...settings,
  };
}

export interface Filtered {
  readonly out: Buffer;
  readonly text: string;
  readonly refused: readonly Refusal[];
  readonly totals: FilterTotals;
}

export interface FilterTestOptions {
  readonly store?: MemoryStore;
  readonly chunkBytes?: number;
  readonly parallel?: number;
  /** Bytes of each piece that comes in. */
  readonly piece?: number;
  readonly transform?: (task: FilterTask) => Promise<void>;
}

/** Runs a filter in this thread over an input in pieces. */
export async function filter(
  settings: FilterSettings,
  input: string | Uint8Array,
  { store = new MemoryStore(), piece = 7, transform: before, ...options }: FilterTestOptions = {},
): Promise<Filtered> {
  const bytes = Buffer.from(input);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  }
  const out: Uint8Array[] = [];
  const refused: Refusal[] = [];
  const transform = createTransform(settings);
  const totals = await runFilter({
    settings,
    source: store,
    input: pieces(),
    write: async (part) => void out.push(part),
    refuse: async (refusal) => void refused.push(refusal),
    transform: async (task) => {
      await before?.(task);
      return transform(task);
    },
    ...options,
  });
  const whole = Buffer.concat(out);
  return { out: whole, text: whole.toString('utf8'), refused, totals };
}

/** The same settings, to read back. */
export function revealing(settings: FilterSettings): FilterSettings {
  const { choice: _choice, day: _day, dateField: _dateField, ...own } = settings;
  return { ...own, what: 'reveal', fields: [], patterns: [] };
}
