import { isUtf8 } from 'node:buffer';
import { LetheError } from '../../errors/errors.js';
import type { Policy } from '../keys/policy.js';
import type { Day } from '../token/day.js';
import { type Outcome, Revealer } from '../token/revealer.js';
import { Keyring, type Ring } from '../token/ring.js';
import { Sealer } from '../token/sealer.js';
import type { Markers } from '../token/text.js';
import { type Codec, createCodec, type Fail } from './codecs.js';
import { dayOfTime } from './date.js';
import type { FilterSettings } from './settings.js';

/** Whole lines, and the keys to work on them with. */
export interface FilterTask {
  readonly bytes: Uint8Array;
  /** Names of CSV columns. */
  readonly columns: readonly string[];
  readonly rings: readonly Ring[];
  /** Changes with the rings. */
  readonly version: number;
  /** Lines whose day has no key are refused; before, the days are asked for. */
  readonly final: boolean;
}

/** A line that was left out. Its reason holds nothing of it. */
export interface Refusal {
  /** From 1 on. */
  readonly line: number;
  readonly reason: string;
  /** The line without its break; bytes where it is not UTF-8. */
  readonly record: string | Uint8Array;
}

/** A day that has no key yet. */
export interface MissingDay {
  readonly policy: string;
  readonly day: Day;
}

export type Outcomes = Partial<Record<Exclude<Outcome, 'notToken'>, number>>;

/** What became of a task. */
export interface Transformed {
  readonly output: Uint8Array;
  /** Line breaks, and a last line without one. */
  readonly lines: number;
  /** Records that are not as they were. */
  readonly changed: number;
  readonly refused: readonly Refusal[];
  /** Reveal: tokens by what became of them. */
  readonly outcomes: Outcomes;
  /** Nothing was done: keys of these days first. */
  readonly missing: readonly MissingDay[];
}

/** What works on lines: pure, but for salts and the clock. It keeps what it made of the last rings and columns. */
export function createTransform(settings: FilterSettings): (task: FilterTask) => Transformed {
  let codec: { readonly columns: string; readonly codec: Codec } | undefined;
  let tools: { readonly version: number; readonly tools: Tools } | undefined;
  return (task) => {
    const columns = task.columns.join('\n');
    if (codec?.columns !== columns) codec = { columns, codec: createCodec(settings, task.columns) };
    if (tools?.version !== task.version)
      tools = { version: task.version, tools: new Tools(settings, task.rings) };
    return transform(settings, codec.codec, tools.tools, task);
  };
}

function transform(settings: FilterSettings, codec: Codec, tools: Tools, task: FilterTask): Transformed {
  const { records, invalid } = decode(codec, task.bytes);
  const failed = new Map<number, string>();
  for (const i of invalid.keys()) failed.set(i, 'The line is not UTF-8.');
  const fail: Fail = (i, error) => failed.set(i, error.message);
  const outcomes: Outcomes = {};
  const work = records.flatMap((record, i) => (failed.has(i) || record.trim() === '' ? [] : [i]));
  const out: (string | null)[] = [...records];

  if (settings.what === 'seal') {
    const groups = decide(settings, codec, tools, records, work, fail);
    const missing = task.final ? [] : tools.missing(groups);
    if (missing.length > 0) return { ...NOTHING, missing };
    for (const [policy, { indices, days }] of groups) {
      const own = indices.map((i) => records[i]!);
      const sealed = codec.seal(tools.sealer(policy), own, {
        day: days,
        fail: (at, error) => fail(indices[at]!, error),
      });
      for (const [at, i] of indices.entries()) out[i] = sealed[at]!;
    }
  } else {
    let texts: (string | null)[] = work.map((i) => records[i]!);
    for (const { revealer, takes } of tools.revealers()) {
      texts = codec.reveal(
        revealer,
        texts,
        {
          takes,
          policyMarkers: tools.markers,
          count: (outcome) => {
            outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
          },
        },
        (at, error) => fail(work[at]!, error),
      );
    }
    // A line that is nothing but a token without a marker stays as an empty line.
    for (const [at, i] of work.entries()) out[i] = texts[at] ?? lineBreak(records[i]!);
  }
  return {
    ...collect(records, out, failed, invalid),
    lines: countLines(records, records.length),
    outcomes,
    missing: [],
  };
}

const NOTHING: Transformed = {
  output: new Uint8Array(),
  lines: 0,
  changed: 0,
  refused: [],
  outcomes: {},
  missing: [],
};

/** Records whose bytes are no UTF-8 are kept as bytes: decoding would replace what it does not understand. */
function decode(codec: Codec, bytes: Uint8Array): { records: string[]; invalid: Map<number, Buffer> } {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const invalid = new Map<number, Buffer>();
  if (isUtf8(buffer)) return { records: codec.split(buffer.toString('utf8')), invalid };
  const records = codec.split(buffer.toString('latin1')).map((text, i) => {
    const record = Buffer.from(text, 'latin1');
    if (isUtf8(record)) return record.toString('utf8');
    invalid.set(i, record);
    return text;
  });
  return { records, invalid };
}

/** Records of one policy, and the day of each. */
interface Group {
  readonly indices: number[];
  readonly days: Day[];
}

/** Finds policy and day of each record. */
function decide(
  { choice, dateField, day }: FilterSettings,
  codec: Codec,
  tools: Tools,
  records: readonly string[],
  work: readonly number[],
  fail: Fail,
): Map<string, Group> {
  const groups = new Map<string, Group>();
  for (const i of work) {
    try {
      const record = records[i]!;
      const policy =
        typeof choice === 'string' ? choice : choosePolicy(choice!, codec.value(record, choice!.by));
      const own =
        day ?? (dateField === undefined ? tools.today(policy) : readDay(codec.value(record, dateField)));
      const group = groups.get(policy);
      if (group) {
        group.indices.push(i);
        group.days.push(own);
      } else groups.set(policy, { indices: [i], days: [own] });
    } catch (error) {
      if (!(error instanceof LetheError) || error.type !== 'SealRefused') throw error;
      fail(i, error);
    }
  }
  return groups;
}

function choosePolicy(choice: Exclude<FilterSettings['choice'], string | undefined>, value: unknown): string {
  const text = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
  const policy = Object.hasOwn(choice.map, text) ? choice.map[text] : choice.default;
  if (policy !== undefined) return policy;
  throw new LetheError('SealRefused', `No policy is given for the value of ${choice.by}.`);
}

function readDay(value: unknown): Day {
  const day = dayOfTime(value);
  if (day) return day;
  throw new LetheError(
    'SealRefused',
    'The line has no date that can be read: ISO 8601, or seconds or milliseconds since 1970.',
  );
}

/** Sealers and revealers over one state of the rings. */
class Tools {
  readonly keyring: Keyring;
  readonly markers: Readonly<Record<string, Partial<Markers>>>;
  private readonly sealers = new Map<string, Sealer>();
  private readonly simulated: ReadonlyMap<string, Day>;
  private passes: readonly Pass[] | undefined;

  constructor(
    private readonly settings: FilterSettings,
    rings: readonly Ring[],
  ) {
    this.keyring = new Keyring(rings);
    this.simulated = new Map(
      rings.filter((ring) => ring.simulated).map(({ policy, asOf }) => [policy, asOf]),
    );
    this.markers = Object.fromEntries(
      Object.values(settings.policies).map(({ id, expired }) => [id, { expired }]),
    );
  }

  today(policy: string): Day {
    return this.simulated.get(policy) ?? this.keyring.today();
  }

  sealer(policy: string): Sealer {
    let sealer = this.sealers.get(policy);
    if (!sealer) {
      const { deterministic, pad, ...own } = this.policy(policy);
      const context = this.settings.context ?? own.context;
      sealer = new Sealer({ keyring: this.keyring, policy, context, deterministic, ...(pad && { pad }) });
      this.sealers.set(policy, sealer);
    }
    return sealer;
  }

  private policy(id: string): Policy {
    const policy = this.settings.policies[id];
    if (policy) return policy;
    throw new LetheError('RetentionInvalid', `There is no policy ${id}.`);
  }

  missing(groups: ReadonlyMap<string, Group>): MissingDay[] {
    return [...groups].flatMap(([policy, { days }]) =>
      [...new Set(days)]
        .filter((day) => this.keyring.find(policy, day) === 'noKey')
        .map((day) => ({ policy, day })),
    );
  }

  /** One pass a context: a token opens under that of its policy only. */
  revealers(): readonly Pass[] {
    if (!this.passes) {
      const { policies, context } = this.settings;
      const contexts = new Map(
        Object.values(policies).map((policy) => [policy.id, context ?? policy.context]),
      );
      const different = [...new Set(contexts.values())];
      const common = different.length <= 1;
      this.passes = (common ? [different[0] ?? context ?? ''] : different).map((label, pass) => ({
        revealer: new Revealer(this.keyring, label),
        ...(!common && {
          takes: (id: string) => (contexts.has(id) ? contexts.get(id) === label : pass === 0),
        }),
      }));
    }
    return this.passes;
  }
}

interface Pass {
  readonly revealer: Revealer;
  readonly takes?: (policy: string) => boolean;
}

function collect(
  records: readonly string[],
  out: readonly (string | null)[],
  failed: ReadonlyMap<number, string>,
  invalid: ReadonlyMap<number, Uint8Array>,
): Pick<Transformed, 'output' | 'changed' | 'refused'> {
  const kept: string[] = [];
  let changed = 0;
  for (const [i, record] of out.entries()) {
    if (failed.has(i)) continue;
    if (record === null)
      throw new LetheError('Internal', 'A line was neither sealed nor refused. Nothing of it was written.');
    if (record !== records[i]) changed++;
    kept.push(record);
  }
  const refused = [...failed]
    .sort(([a], [b]) => a - b)
    .map(([i, reason]) => ({
      line: countLines(records, i) + 1,
      reason,
      record: withoutBreak(invalid.get(i) ?? records[i]!),
    }));
  return { output: Buffer.from(kept.join(''), 'utf8'), changed, refused };
}

/** Lines of the first records: those of CSV may have more than one. */
function countLines(records: readonly string[], count: number): number {
  let lines = 0;
  for (let i = 0; i < count; i++) {
    const record = records[i]!;
    for (let at = record.indexOf('\n'); at >= 0; at = record.indexOf('\n', at + 1)) lines++;
    if (!record.endsWith('\n')) lines++;
  }
  return lines;
}

function lineBreak(record: string): string {
  return /\r?\n$/.exec(record)?.[0] ?? '';
}

function withoutBreak(record: string | Uint8Array): string | Uint8Array {
  if (typeof record === 'string') return record.replace(/\r?\n$/, '');
  const text = Buffer.from(record)
    .toString('latin1')
    .replace(/\r?\n$/, '');
  return Uint8Array.from(Buffer.from(text, 'latin1'));
}
