import { activityInfo, Context, heartbeat } from '@temporalio/activity';
import { LetheError } from '../errors/errors.js';
import { jobInvalid } from '../job/load.js';
import { didYouMean } from '../job/nearest.js';
import { listRetention } from '../job/retention/folder.js';
import { parseRetention } from '../job/retention/load.js';
import type { RetentionFile, SealedTable } from '../job/retention/types.js';
import { openKeyStore } from '../postgres/keystore/open.js';
import { planExisting } from '../postgres/retention/existing/plan.js';
import { checkFiles, rewriteTable } from '../postgres/retention/existing/rewrite.js';
import { type ExistingKeys, type SealProgress, sealPages } from '../postgres/retention/existing/slice.js';
import { tableName } from '../postgres/retention/views.js';
import { type Session, withSession } from '../postgres/session.js';
import { chosenPolicies } from '../retention/keys/policy.js';
import { NO_COUNTS, RESUMED } from '../retention/token/counts.js';
import { dayAt } from '../retention/token/day.js';
import { Keyring } from '../retention/token/ring.js';
import type { Dependencies } from './dependencies.js';
import { activityFailure, beating, endFormerSessions, sessionName } from './run.js';
import { sealingKeys } from './sealing.js';
import type {
  PlannedSeal,
  SealControlActivities,
  SealCounts,
  SealDataActivities,
  SealEnd,
  SealExpiry,
  SealInput,
  SealMode,
  SealPart,
  SealRef,
} from './sealTypes.js';

/** The activities of `sealExisting` on the control queue. */
export function createSealActivities(deps: Dependencies): SealControlActivities {
  return {
    planSeal: (input) => guarded(() => planSeal(deps, input)),
    measureSeal: (ref) =>
      guarded(() =>
        withTable(deps, ref, async ({ session, file }) => (await plan(session, file, ref)).units),
      ),
    finishSeal: (ref, { skipRewrite }) => guarded(() => finishSeal(deps, ref, skipRewrite)),
  };
}

/** Those on the data queue. */
export function createSealDataActivities(deps: Dependencies): SealDataActivities {
  return { sealPart: (ref, part, mode) => sealPart(deps, ref, part, mode) };
}

async function planSeal(deps: Dependencies, input: SealInput): Promise<PlannedSeal[]> {
  const { name, text, retention } = await retentionOf(deps, input.file);
  const planned: PlannedSeal[] = [];
  const obstacles: string[] = [];
  for (const table of tablesOf(retention, input.tables)) {
    const database = retention.tables[table]!.database ?? input.database;
    if (database === undefined)
      throw new LetheError(
        'RetentionInvalid',
        `Say where ${table} is: --database env:NAME, or database: in the retention file.`,
      );
    const ref = { table, database, file: { name, text } };
    const found = await withTable(deps, ref, ({ session, file }) => plan(session, file, ref));
    const open = found.obstacles.filter((obstacle) => !input.accept?.includes(obstacle));
    if (open.length > 0) obstacles.push(`${table}: ${open.join(', ')}`);
    const accepted = found.obstacles.filter((obstacle) => !open.includes(obstacle));
    const notes = [...found.notes, ...accepted.map((obstacle) => `${obstacle} was accepted.`)];
    const redacts = input.redactExpired !== undefined && !input.dryRun;
    const expiry = redacts ? await expiryOf(deps, retention, retention.tables[table]!) : undefined;
    planned.push({ ref, units: [...found.units], notes, ...(expiry && { expiry }) });
  }
  if (obstacles.length > 0 && !input.dryRun)
    throw new LetheError(
      'RetentionInvalid',
      `Rows were not sealed, since these may keep what they were before:\n${obstacles.map((line) => `- ${line}`).join('\n')}\nDrop or disable them, or accept each by its name: --accept "trigger NAME". A materialized view that was accepted is refreshed by whoever owns it.`,
    );
  if (obstacles.length > 0)
    for (const seal of planned) {
      const line = obstacles.find((text) => text.startsWith(`${seal.ref.table}: `));
      if (line) seal.notes.push(`In the way of sealing: ${line.slice(seal.ref.table.length + 2)}.`);
    }
  return planned;
}

async function retentionOf(
  deps: Dependencies,
  given: SealInput['file'],
): Promise<{ name: string; text: string; retention: RetentionFile }> {
  const files = given
    ? [{ file: given.name, text: given.text, ...parseRetention(given.text, given.name) }]
    : await listRetention(deps.jobsFolder, deps.retentionFile);
  const [first, ...more] = files.filter(({ retention }) => Object.keys(retention?.tables ?? {}).length > 0);
  const wrong = files.find(({ retention }) => !retention);
  if (wrong) throw jobInvalid(wrong.file, wrong.mistakes);
  if (!first || more.length > 0)
    throw new LetheError(
      'JobInvalid',
      first
        ? `This worker knows several retention files with tables: ${[first, ...more].map(({ file }) => file).join(', ')}. Start it with \`lethe retention seal\`, which sends one.`
        : 'No retention file with tables is known here: put one into the job folder of the worker (LETHE_JOBS), name one by LETHE_RETENTION, or use `lethe retention seal`, which sends its own.',
    );
  return { name: first.file, text: first.text, retention: first.retention! };
}

function tablesOf({ tables }: RetentionFile, wanted: readonly string[] | undefined): string[] {
  const known = Object.keys(tables);
  const unknown = (wanted ?? []).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw new LetheError(
      'RetentionInvalid',
      `The retention file has no table ${unknown.map((name) => `${name}${didYouMean(name, known)}`).join(', ')}.`,
    );
  if (wanted !== undefined) return [...wanted];
  if (known.length > 0) return known;
  throw new LetheError('RetentionInvalid', 'The retention file has no tables: there is nothing to seal.');
}

interface OpenTable {
  readonly session: Session;
  readonly file: RetentionFile;
  readonly table: SealedTable;
}

async function withTable<T>(
  deps: Dependencies,
  { table, database, file: { name, text } }: SealRef,
  body: (open: OpenTable) => Promise<T>,
): Promise<T> {
  const { retention: file, mistakes } = parseRetention(text, name);
  if (!file) throw jobInvalid(name, mistakes);
  const url = await deps.resolve(database);
  const applicationName = sessionName('seal', 's');
  const signal = Context.current().cancellationSignal;
  return withSession({ url, role: 'destination', applicationName, signal }, async (session) => {
    await endFormerSessions(session);
    return body({ session, file, table: file.tables[table]! });
  });
}

async function plan(session: Session, { policies, tables }: RetentionFile, { table }: SealRef) {
  const [found] = await planExisting(session, policies, { [table]: tables[table]! });
  return { ...found!, units: found!.units.map(({ schema, name, pages }) => ({ schema, name, pages })) };
}

/** Goes on after the pages that an earlier attempt told of. What it did after that is found done, and not counted again. */
async function sealPart(
  deps: Dependencies,
  ref: SealRef,
  part: SealPart,
  mode: SealMode,
): Promise<SealCounts> {
  try {
    const { attempt, heartbeatDetails } = activityInfo();
    return await withTable(deps, ref, async ({ session, file, table }) => {
      const keys = await keysOf(deps, file, table);
      const former = heartbeatDetails as SealProgress | undefined;
      heartbeat(former);
      const { unit, from, to } = part;
      const counts = await sealPages(session, table, unit, [from, to], keys, mode, heartbeat, former);
      return { ...counts, ...(attempt > 1 && { [RESUMED]: NO_COUNTS }) };
    });
  } catch (error) {
    throw activityFailure(error);
  }
}

async function finishSeal(deps: Dependencies, ref: SealRef, skipRewrite: boolean): Promise<SealEnd> {
  return withTable(deps, ref, async ({ session, file, table }) => {
    if (!skipRewrite) await rewriteTable(session, tableName(ref.table));
    const keys = await keysOf(deps, file, table);
    let [looked, found] = [0, 0];
    let unread: string | undefined;
    for (const unit of (await plan(session, file, ref)).units) {
      const check = await checkFiles(session, table, unit, keys);
      looked += check.looked;
      found += check.found;
      unread ??= check.unread;
    }
    return { rewritten: !skipRewrite, looked, found, ...(unread !== undefined && { unread }) };
  });
}

/** Which days are over now: no more than these are redacted, however long it takes. */
async function expiryOf(deps: Dependencies, file: RetentionFile, table: SealedTable): Promise<SealExpiry> {
  const { rings } = await ringsOf(deps, file, table);
  return Object.fromEntries(
    rings.map(({ policy, first, gone }) => [policy, { first, gone: gone.filter((day) => day >= first) }]),
  );
}

/** Holds are read after the rings: one that was set before is known. */
async function keysOf(deps: Dependencies, file: RetentionFile, table: SealedTable): Promise<ExistingKeys> {
  const { rings, policies, day } = await ringsOf(deps, file, table);
  const stores = [...new Set(Object.values(policies).map(({ store }) => store))];
  const holds = await Promise.all(
    stores.map(async (name) => (await openKeyStore(file, name, deps.resolve)).holds()),
  );
  return { keyring: new Keyring(rings), policies, today: day, holds: holds.flat() };
}

function ringsOf(deps: Dependencies, file: RetentionFile, table: SealedTable) {
  const ids = [...new Set(Object.values(table.columns).flatMap(({ policy }) => chosenPolicies(policy)))];
  const day = dayAt(activityInfo().currentAttemptScheduledTimestampMs);
  const dated = new Set(table.date === undefined ? [] : ids);
  return sealingKeys(file, deps.resolve, ids, { day, dated });
}

async function guarded<T>(body: () => Promise<T>): Promise<T> {
  try {
    return await beating(body);
  } catch (error) {
    throw activityFailure(error);
  }
}
