import type { Command } from 'commander';
import { jobKeys, parseJobKey } from '../../anonymize/keys.js';
import { LetheError } from '../../errors/errors.js';
import { durationSeconds } from '../../job/duration.js';
import { resolveReference } from '../../job/references.js';
import type { RunRow } from '../../ledger/types.js';
import { isMongoUrl } from '../../mongo/connection.js';
import {
  prunableRuns as prunableDocumentRuns,
  pruneRuns as pruneDocumentRuns,
} from '../../mongo/ledger/prune.js';
import { listRuns as listDocumentRuns } from '../../mongo/ledger/runs.js';
import type { Ledger as DocumentLedger } from '../../mongo/ledger/store.js';
import { ledgerVersion } from '../../postgres/ledger/migrate.js';
import { prunableRuns, pruneRuns } from '../../postgres/ledger/prune.js';
import { listRuns } from '../../postgres/ledger/runs.js';
import { type Session, withSession, withTransaction } from '../../postgres/session.js';
import { auditableDocumentRun, auditableRun } from '../auditable.js';
import { EXPORTED_RUNS, exportLedger } from '../exports.js';
import { jobArgument } from '../inputs.js';
import { readDocumentLedger } from '../ledgers.js';
import { counted, paint, say } from '../terminal.js';
import { wholeNumber } from './options.js';

export function define(command: Command): void {
  command
    .command('export <JOB>')
    .description("Write the ledger of a job's runs to a file, signed: it outlives the destination.")
    .option('-o, --out <file>', 'where to write it (default: lethe-ledger-<job>.jsonl here)')
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .addHelpText(
      'after',
      `
The file holds what the destination's ledger holds: counts, digests, sealed ranges and keys, signed reports, row digests
with evidence: row. No value of any row. \`lethe audit RUN --file FILE --job JOB\` verifies it, also when the destination
is gone.

Examples:
  $ lethe ledger export crm-staging.yaml -o /archive/crm-2026.jsonl`,
    )
    .action(runExport);
  command
    .command('prune <JOB>')
    .description("Remove old runs of a job from its destination's ledger.")
    .option('--keep <time>', 'runs that ended within this time stay, e.g. 90d')
    .option('--keep-runs <n>', 'so many of the newest runs stay', wholeNumber)
    .option('--dry-run', 'only say which would go')
    .option('-e, --env <name>', 'lay an environment of the job file over it')
    .addHelpText(
      'after',
      `
Whatever is said, these stay: runs that go on, the newest complete run, runs whose rows the destination holds, and runs that
owe it a constraint. With both options, a run goes when neither keeps it.

Examples:
  $ lethe ledger export crm-staging.yaml && lethe ledger prune crm-staging.yaml --keep 400d`,
    )
    .action(runPrune);
}

async function runExport(argument: string, options: { out?: string; env?: string }): Promise<void> {
  const { job } = await jobArgument(argument, options.env);
  const keys = jobKeys(parseJobKey(await resolveReference(job.key)));
  const file = options.out ?? `lethe-ledger-${job.job}.jsonl`;
  const url = await resolveReference(job.destination.url);
  const of = { job: job.job, limit: EXPORTED_RUNS };
  const oldestFirst = (rows: RunRow[]) => rows.map(({ run }) => run).reverse();
  const out = { file, signer: keys.signing };
  const runs = isMongoUrl(url)
    ? await onDocumentLedger(url, async (ledger) =>
        exportLedger(
          job.job,
          oldestFirst(await listDocumentRuns(ledger, of)),
          (run) => auditableDocumentRun(ledger, run),
          out,
        ),
      )
    : await onLedger(url, true, async (session) =>
        exportLedger(
          job.job,
          oldestFirst(await listRuns(session, of)),
          (run) => auditableRun(session, run),
          out,
        ),
      );
  say(`${paint.green('✓')} ${counted(runs, 'run')} in ${file}`);
}

interface PruneCommandOptions {
  readonly keep?: string;
  readonly keepRuns?: number;
  readonly dryRun?: boolean;
  readonly env?: string;
}

async function runPrune(argument: string, options: PruneCommandOptions): Promise<void> {
  const keepSeconds = options.keep === undefined ? undefined : durationSeconds(options.keep);
  if (options.keep !== undefined && keepSeconds === undefined) {
    throw new LetheError('JobInvalid', '--keep takes a time such as 90d or 36h.');
  }
  if (keepSeconds === undefined && options.keepRuns === undefined) {
    throw new LetheError('JobInvalid', 'Say what stays: --keep 90d, --keep-runs 20, or both.');
  }
  const { job } = await jobArgument(argument, options.env);
  const url = await resolveReference(job.destination.url);
  const policy = {
    job: job.job,
    ...(keepSeconds !== undefined && { keepSeconds }),
    ...(options.keepRuns !== undefined && { keepRuns: options.keepRuns }),
  };
  const runs = isMongoUrl(url)
    ? await onDocumentLedger(url, async (ledger) => {
        const found = await prunableDocumentRuns(ledger, policy);
        if (!options.dryRun) await pruneDocumentRuns(ledger, found);
        return found;
      })
    : await onLedger(url, options.dryRun ?? false, async (session) => {
        const found = await prunableRuns(session, policy);
        if (!options.dryRun) await pruneRuns(session, found);
        return found;
      });
  for (const run of runs) say(`  ${run}`);
  say(`${paint.green('✓')} ${counted(runs.length, 'run')} ${options.dryRun ? 'would go' : 'removed'}.`);
}

/** No ledger is one state while a run goes on; runs that have ended are refused when a replay comes between. */
async function onDocumentLedger<T>(url: string, body: (ledger: DocumentLedger) => Promise<T>): Promise<T> {
  const found = await readDocumentLedger(url, async (ledger) => ({ done: await body(ledger) }));
  if (!found) throw noLedger();
  return found.done;
}

function noLedger(): LetheError {
  return new LetheError('UnknownRun', 'This destination has no ledger: Lethe never wrote it.');
}

async function onLedger<T>(
  url: string,
  readOnly: boolean,
  body: (session: Session) => Promise<T>,
): Promise<T> {
  return withSession(
    { url, role: 'destination', applicationName: 'lethe:ledger', readOnly },
    async (session) => {
      if ((await ledgerVersion(session)) === 0) throw noLedger();
      return withTransaction(session, () => body(session), { isolation: 'repeatable read', readOnly });
    },
  );
}
