import { LetheError } from '../errors/errors.js';
import { jobFolder, listJobs } from '../job/folder.js';
import { parseJob } from '../job/load.js';
import { resolveReference } from '../job/references.js';
import { isOpen } from '../ledger/states.js';
import type { Pins, RunRow } from '../ledger/types.js';
import { isMongoUrl, withConnection } from '../mongo/connection.js';
import { listRuns as listDocumentRuns, readPins as readDocumentPins } from '../mongo/ledger/runs.js';
import {
  type Ledger as DocumentLedger,
  ledgerVersion as documentLedgerVersion,
  ledgerOf,
} from '../mongo/ledger/store.js';
import { ledgerVersion } from '../postgres/ledger/migrate.js';
import { listRuns, readPins } from '../postgres/ledger/runs.js';
import { type Session, withSession } from '../postgres/session.js';
import { databaseArgument, jobArgument } from './inputs.js';

/** Where to look for runs: `--job` and `--dest` of a command. */
export interface LedgerOptions {
  readonly job?: string;
  readonly dest?: string;
  readonly env?: string;
}

export interface Ledger {
  /** The reference, or `--dest`. */
  readonly name: string;
  readonly url: string;
}

/** Runs that a person may mean by the beginning of an id. */
const SEARCHED = 1000;

/**
 * The destinations to look into: the one that `--dest` or `--job` names, else those of all jobs in the job folder and
 * in the working directory whose references resolve here.
 */
export async function ledgersOf(options: LedgerOptions): Promise<Ledger[]> {
  if (options.dest !== undefined) {
    const { url, reference } = await databaseArgument(options.dest, 'destination', options.env);
    return [{ name: reference ?? '--dest', url }];
  }
  if (options.job !== undefined) {
    const { job } = await jobArgument(options.job, options.env);
    return [{ name: job.destination.url, url: await resolveReference(job.destination.url) }];
  }
  const found = new Map<string, Ledger>();
  for (const reference of await knownDestinations(options.env)) {
    const url = await resolveReference(reference).catch(() => undefined);
    if (url !== undefined) found.set(url, { name: reference, url });
  }
  if (found.size > 0) return [...found.values()];
  throw new LetheError(
    'JobInvalid',
    `No job file of ${jobFolder()} or of this folder leads to a destination. Name one: --job FILE, or --dest env:NAME.`,
  );
}

async function knownDestinations(env: string | undefined): Promise<Set<string>> {
  const files = [...(await listJobs(jobFolder())), ...(await listJobs('.'))].filter(
    ({ name }) => name !== undefined,
  );
  const jobs = files.flatMap(
    ({ text, file }) => parseJob(text, file, { env }).job ?? parseJob(text, file).job ?? [],
  );
  return new Set(jobs.map((job) => job.destination.url));
}

/** Opens a ledger for reading; undefined where the database has none. */
export async function readLedger<T>(
  ledger: Ledger,
  body: (session: Session) => Promise<T>,
): Promise<T | undefined> {
  return withSession(
    { url: ledger.url, role: 'destination', applicationName: 'lethe:show', readOnly: true },
    async (session) => ((await ledgerVersion(session)) === 0 ? undefined : body(session)),
  );
}

/** The newest runs of a ledger, on either engine; of one job, or of all. */
export async function runsOf(
  ledger: Ledger,
  filter: { readonly job?: string; readonly limit: number },
): Promise<RunRow[]> {
  if (isMongoUrl(ledger.url))
    return (await readDocumentLedger(ledger.url, (open) => listDocumentRuns(open, filter))) ?? [];
  return (await readLedger(ledger, (session) => listRuns(session, filter))) ?? [];
}

/** Opens a ledger in MongoDB for reading; undefined where the database has none. */
export async function readDocumentLedger<T>(
  url: string,
  body: (ledger: DocumentLedger) => Promise<T>,
): Promise<T | undefined> {
  return withConnection({ url, role: 'destination', applicationName: 'lethe:show' }, async (connection) => {
    const open = ledgerOf(connection);
    return (await documentLedgerVersion(open)) === 0 ? undefined : body(open);
  });
}

export interface FoundRun {
  readonly ledger: Ledger;
  readonly row: RunRow;
}

/** What a run pinned, on either engine. */
export function pinsOf({ ledger, row }: FoundRun): Promise<Pins | undefined> {
  return isMongoUrl(ledger.url)
    ? readDocumentLedger(ledger.url, (open) => readDocumentPins(open, row.run))
    : readLedger(ledger, (session) => readPins(session, row.run));
}

/**
 * Finds a run by its id, the beginning of it (at least four characters), or `last`.
 * @throws LetheError `UnknownRun`.
 */
export async function findRunByText(text: string, options: LedgerOptions): Promise<FoundRun> {
  const ledgers = await ledgersOf(options);
  const found: FoundRun[] = [];
  for (const ledger of ledgers) {
    const rows = await runsOf(ledger, { limit: SEARCHED });
    const wanted =
      text === 'last'
        ? rows.slice(0, 1)
        : text.length < 4
          ? []
          : rows.filter(({ run }) => run.startsWith(text));
    found.push(...wanted.map((row) => ({ ledger, row })));
  }
  const sorted = found.sort((a, b) => b.row.startedAt.localeCompare(a.row.startedAt));
  const [first, second] = sorted;
  if (first && (text === 'last' || !second)) return first;
  const where = ledgers.map(({ name }) => name).join(', ');
  throw new LetheError(
    'UnknownRun',
    first
      ? `"${text}" is the beginning of ${found.length} runs: give more of the id. \`lethe runs\` lists them.`
      : `No run "${text}" in the ledger of ${where}. \`lethe runs\` lists the known ones; --job or --dest names another destination.`,
  );
}

/** A state with what is to be said about it. */
export function stateText(row: RunRow): string {
  return isOpen(row.state) && row.silentSeconds > 120 ? `${row.state} (silent)` : row.state;
}
