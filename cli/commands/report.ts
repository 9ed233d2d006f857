import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { LetheError } from '../../errors/errors.js';
import type { AuditedLedger } from '../../ledger/audit/audit.js';
import { isMongoUrl } from '../../mongo/connection.js';
import { listCheckResults } from '../../mongo/ledger/checkResults.js';
import { readLedgerOf as readDocumentLedgerOf } from '../../mongo/ledger/records.js';
import type { Ledger as DocumentLedger } from '../../mongo/ledger/store.js';
import { newestChecks } from '../../postgres/ledger/checkHistory.js';
import { readLedgerOf } from '../../postgres/ledger/records.js';
import { type Session, withTransaction } from '../../postgres/session.js';
import type { CheckHistory, ReportModel } from '../../report/model.js';
import { auditKeys, meansOf } from '../audits.js';
import { findRunByText, type LedgerOptions, readDocumentLedger, readLedger } from '../ledgers.js';
import { paint, say, sayJson } from '../terminal.js';
import { addLedgerOptions } from './options.js';

interface ReportOptions extends LedgerOptions {
  readonly out?: string;
  readonly json?: boolean;
}

export function define(command: Command): void {
  addLedgerOptions(command)
    .option('-o, --out <file>', 'where to write it (default: lethe-<job>-<run>.html here)')
    .option('--json', 'print the same facts as JSON, and write no file')
    .addHelpText(
      'after',
      `
The file needs nothing else: no script, no request to anywhere. It can be printed.

Examples:
  $ lethe report last --job crm-staging.yaml
  $ lethe report 01a20660 --job crm-staging.yaml -o monday.html
  $ lethe report last --json | jq .checks`,
    )
    .action(run);
}

async function run(text: string, options: ReportOptions): Promise<void> {
  const { ledger, row } = await findRunByText(text, options);
  const model = isMongoUrl(ledger.url)
    ? await readDocumentLedger(ledger.url, async (open) =>
        modelOf(
          await readDocumentLedgerOf(open, row.run),
          await newestDocumentChecks(open, row.run),
          options,
        ),
      )
    : await readLedger(ledger, (session) =>
        withTransaction(session, () => read(session, row.run, options), {
          isolation: 'repeatable read',
          readOnly: true,
        }),
      );
  if (!model) throw new LetheError('UnknownRun', `${ledger.name} has no ledger.`);
  if (options.json) return sayJson(model);
  const file = options.out ?? `lethe-${model.job}-${model.run.slice(0, 8)}.html`;
  const { reportPage } = await import('../../report/page.js');
  await write(file, reportPage(model));
  say(`${paint.green('✓')} ${file}`);
}

async function newestDocumentChecks(ledger: DocumentLedger, run: string): Promise<CheckHistory | undefined> {
  const [newest] = await listCheckResults(ledger, { run, limit: 1 });
  return newest as CheckHistory | undefined;
}

async function read(session: Session, run: string, options: ReportOptions): Promise<ReportModel> {
  const history = await newestChecks(session, run);
  return modelOf(await readLedgerOf(session, run), history as CheckHistory | undefined, options);
}

async function modelOf(
  ledger: AuditedLedger,
  history: CheckHistory | undefined,
  options: ReportOptions,
): Promise<ReportModel> {
  const { run, job, pins } = ledger.run;
  const means = await meansOf(job, run, options);
  const fits = means.keys?.check === pins.keyCheck;
  const { reportModel } = await import('../../report/model.js');
  const keys = auditKeys(run, means, fits ? means.keys : undefined, {}, pins.plan.engine);
  return reportModel(ledger, keys, history);
}

async function write(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text);
  } catch (error) {
    throw new LetheError(
      'JobInvalid',
      `${file} cannot be written (${(error as NodeJS.ErrnoException).code}). Name another file with --out.`,
    );
  }
}
