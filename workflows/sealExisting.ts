import { ApplicationFailure, isCancellation, setCurrentDetails } from '@temporalio/workflow';
import type {
  PlannedSeal,
  SealCounts,
  SealEnd,
  SealInput,
  SealMode,
  SealPart,
} from '../activities/sealTypes.js';
import { addCounts, NO_COUNTS, RESUMED } from '../retention/token/counts.js';
import { describeFailure } from './failures.js';
import { isFile } from './input.js';
import { type Activities, activitiesOf, type Tuning } from './options.js';

/** Input of `sealExisting`. */
export interface SealExistingInput extends SealInput {
  /** For tests. */
  tuning?: Tuning;
}

/** What became of a table. */
export interface SealedTableResult {
  table: string;
  /** By column: what was sealed and redacted over all passes, and what the last pass left plain. */
  columns: SealCounts;
  notes: string[];
  /** Absent after a dry run. */
  end?: SealEnd;
}

/** Pages of an activity at least: 32 MB. */
const PART_PAGES = 4096;
/** Activities of a pass over a table at most. */
const MOST_PARTS = 64;
const AT_ONCE = 2;
/** Rows move while others write; a table that is never at rest is told from one that is done by what is left. */
const MOST_PASSES = 6;

/**
 * Seals columns of live tables in place, dated by each row's own date. It looks at what is there, so it may run again at
 * any time, and goes on after a kill: passes over a table follow each other until one finds nothing left to seal.
 */
export async function sealExisting(input?: SealExistingInput): Promise<SealedTableResult[]> {
  const checked = checkSealInput(input);
  try {
    return await sealTables(checked);
  } catch (error) {
    if (isCancellation(error)) throw error;
    const { type, message } = describeFailure(error);
    throw ApplicationFailure.nonRetryable(message, type);
  }
}

async function sealTables(checked: SealExistingInput): Promise<SealedTableResult[]> {
  const activities = activitiesOf(checked.tuning);
  const { tuning: _, ...given } = checked;
  const planned = await activities.planning.planSeal(given);
  const dryRun = checked.dryRun ?? false;
  if (!dryRun && checked.redactExpired !== undefined)
    await confirmExpired(activities, planned, checked.redactExpired);
  const results: SealedTableResult[] = [];
  for (const seal of planned) {
    results.push(await sealTable(activities, seal, checked));
    setCurrentDetails(results.map(describe).join('\n'));
  }
  return results;
}

/** What may be replaced for ever was counted before, by somebody who saw the count. */
async function confirmExpired(
  activities: Activities,
  planned: readonly PlannedSeal[],
  confirmed: number,
): Promise<void> {
  let expired = 0;
  for (const seal of planned) {
    const { expiry } = seal;
    const mode = { dryRun: true, redact: expiry !== undefined, ...(expiry && { expiry }) };
    const { counts } = await pass(activities, seal, mode);
    // Runs that were planned by an earlier version go by all that is over.
    expired += Object.values(counts).reduce((sum, own) => sum + (expiry ? own.redacted : own.expired), 0);
  }
  if (expired === confirmed) return;
  throw ApplicationFailure.nonRetryable(
    `${expired} values are dated days that are over, and ${confirmed} were confirmed. Nothing was changed. Look at them in a dry run (lethe retention seal --dry-run), then give this number: --redact-expired ${expired}.`,
    'Unconfirmed',
  );
}

async function sealTable(
  activities: Activities,
  seal: PlannedSeal,
  input: SealExistingInput,
): Promise<SealedTableResult> {
  const { table } = seal.ref;
  const dryRun = input.dryRun ?? false;
  const redact = input.redactExpired !== undefined;
  const mode: SealMode = { dryRun, redact, ...(seal.expiry && { expiry: seal.expiry }) };
  const notes = [...seal.notes];
  let last = await pass(activities, seal, mode);
  let { counts: columns, resumed } = last;
  if (mode.dryRun) return { table, columns, notes };
  for (let passes = 1; !foundNothing(last, mode); passes++) {
    if (passes === MOST_PASSES) {
      notes.push(
        changes(last.counts, mode) > 0
          ? 'Plain values came in while it was sealed: let whoever writes seal as well, and run this again.'
          : 'Work was cut off in every pass, so none saw all rows: look at the workers, and run this again.',
      );
      break;
    }
    const units = await activities.control.measureSeal(seal.ref);
    last = await pass(activities, { ...seal, units }, mode);
    resumed ||= last.resumed;
    columns = merge(columns, last.counts);
  }
  if (resumed)
    notes.push('Work was cut off and gone on with: maybe not all of what was sealed is counted as sealed.');
  const end = await activities.longControl.finishSeal(seal.ref, { skipRewrite: input.skipRewrite ?? false });
  return { table, columns, notes, end };
}

interface Pass {
  readonly counts: SealCounts;
  /** Some of its parts were not done at the first attempt. */
  readonly resumed: boolean;
}

/** A pass that had all of its rows before it, and nothing to do with them: what it counts is what is left. */
function foundNothing({ counts, resumed }: Pass, mode: SealMode): boolean {
  return changes(counts, mode) === 0 && !resumed;
}

/** One pass over a table: each relation in ranges of pages, some at a time. */
async function pass(activities: Activities, { ref, units }: PlannedSeal, mode: SealMode): Promise<Pass> {
  const pages = units.reduce((sum, unit) => sum + unit.pages, 0);
  const size = Math.max(PART_PAGES, Math.ceil(pages / MOST_PARTS));
  const parts = units.flatMap(({ schema, name, pages: length }): SealPart[] =>
    Array.from({ length: Math.ceil(length / size) }, (_, i) => ({
      unit: { schema, name },
      from: i * size,
      to: Math.min(length, (i + 1) * size),
    })),
  );
  let counts: SealCounts = {};
  let resumed = false;
  const lane = async () => {
    for (let part = parts.shift(); part; part = parts.shift()) {
      const summary = `${ref.table} pages ${part.from}–${part.to}`;
      const ended = await activities.data.sealPart.executeWithOptions({ summary }, [ref, part, mode]);
      const { [RESUMED]: cut, ...done } = ended;
      counts = sum(counts, done);
      resumed ||= cut !== undefined;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return { counts, resumed };
}

function sum(a: SealCounts, b: SealCounts): SealCounts {
  const names = [...new Set([...Object.keys(a), ...Object.keys(b)])];
  return Object.fromEntries(
    names.map((name) => [name, addCounts(a[name] ?? NO_COUNTS, b[name] ?? NO_COUNTS)]),
  );
}

/** What was done adds up over passes; what is left is what the last one found. */
function merge(before: SealCounts, last: SealCounts): SealCounts {
  return Object.fromEntries(
    Object.entries(last).map(([name, counts]) => {
      const { sealed, redacted } = before[name] ?? NO_COUNTS;
      return [name, { ...counts, sealed: counts.sealed + sealed, redacted: counts.redacted + redacted }];
    }),
  );
}

function changes(counts: SealCounts, { redact }: SealMode): number {
  return Object.values(counts).reduce(
    (total, { sealed, redacted }) => total + sealed + (redact ? redacted : 0),
    0,
  );
}

function describe({ table, columns }: SealedTableResult): string {
  const all = Object.values(columns).reduce(addCounts, NO_COUNTS);
  return `- **${table}**: ${all.sealed} sealed, ${all.redacted} redacted; plain: ${all.expired} expired, ${all.held ?? 0} held, ${all.undated} undated, ${all.noKey + all.refused} others`;
}

const EXAMPLE = '{"tables": ["public.events"], "database": "env:EVENTS_URL", "dryRun": true}';
const FIELDS = ['tables', 'file', 'database', 'dryRun', 'redactExpired', 'accept', 'skipRewrite', 'tuning'];

/** The one argument, as a person may have typed it: every mistake at once, none retried. */
function checkSealInput(input: unknown): SealExistingInput {
  if (input === undefined || input === null) return {};
  const mistakes: string[] = [];
  const given = (typeof input === 'object' && !Array.isArray(input) ? input : { '': input }) as Record<
    string,
    unknown
  >;
  for (const key of Object.keys(given)) if (!FIELDS.includes(key)) mistakes.push(`unknown field "${key}"`);
  const { tables, accept, file, database, redactExpired } = given;
  for (const [key, list] of Object.entries({ tables, accept }))
    if (list !== undefined && !(Array.isArray(list) && list.every((item) => typeof item === 'string')))
      mistakes.push(`"${key}" must be a list of names`);
  if (file !== undefined && !isFile(file)) mistakes.push('"file" must be {"name": string, "text": string}');
  if (database !== undefined && typeof database !== 'string')
    mistakes.push('"database" must be a reference such as env:EVENTS_URL');
  if (redactExpired !== undefined && !(Number.isInteger(redactExpired) && (redactExpired as number) >= 0))
    mistakes.push('"redactExpired" must be the number of values that a dry run counted');
  for (const key of ['dryRun', 'skipRewrite'])
    if (given[key] !== undefined && typeof given[key] !== 'boolean')
      mistakes.push(`"${key}" must be true or false`);
  if (mistakes.length > 0)
    throw ApplicationFailure.nonRetryable(
      `The input of sealExisting has mistakes: ${mistakes.join('; ')}. It looks like ${EXAMPLE}.`,
      'JobInvalid',
    );
  return given as SealExistingInput;
}
