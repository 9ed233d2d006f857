import { type Command, InvalidArgumentError } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { isMongoUrl } from '../../mongo/connection.js';
import { withTransaction } from '../../postgres/session.js';
import { auditableDocumentRun, auditableRun } from '../auditable.js';
import { type Audit, type AuditOptions, audit } from '../audits.js';
import { EXIT } from '../exit.js';
import { openExport } from '../exports.js';
import {
  findRunByText,
  type Ledger,
  type LedgerOptions,
  readDocumentLedger,
  readLedger,
} from '../ledgers.js';
import { auditText } from '../print/audit.js';
import { say, sayJson } from '../terminal.js';
import { addLedgerOptions } from './options.js';

export function define(command: Command): void {
  addLedgerOptions(command)
    .option('--sample <n>', 'batches that are read again from the source; 0 for none', naturalNumber, 10)
    .option('--row <table-and-key...>', 'check one record instead of a sample: its table and its key')
    .option('--source <ref>', 'read another source than the job says, a restored backup say')
    .option('--public-key <base64>', 'whom the signature must be of, where the job key is not at hand')
    .option('--file <export>', 'audit an exported ledger instead of a destination')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Exit code 1: something contradicts the ledger, its signature or the rules. Rows that were changed at the source since
the run say nothing about the run, are listed apart, and leave the exit code at 0.

Examples:
  $ lethe audit last --job crm-staging.yaml
  $ lethe audit 01a20660 --job crm-staging.yaml --sample 100 --json
  $ lethe audit 01a20660 --job crm-staging.yaml --row public.customer 42
  $ lethe audit --file crm-2026.jsonl --job crm-staging.yaml`,
    )
    .action(run);
}

interface AuditCommandOptions extends LedgerOptions, AuditOptions {
  readonly file?: string;
  readonly json?: boolean;
}

async function run(text: string | undefined, options: AuditCommandOptions): Promise<void> {
  const done =
    options.file === undefined
      ? await auditDestination(text ?? 'last', options)
      : await auditFile(options.file, text ?? 'last', options);
  show(done, options.json ?? false);
}

async function auditDestination(text: string, options: AuditCommandOptions): Promise<Audit> {
  const { ledger, row } = await findRunByText(text, options);
  if (isMongoUrl(ledger.url)) return auditDocuments(ledger, row.run, options);
  const done = await readLedger(ledger, (session) =>
    withTransaction(session, async () => audit(await auditableRun(session, row.run), options), {
      isolation: 'repeatable read',
      readOnly: true,
    }),
  );
  if (!done) throw new LetheError('UnknownRun', `${ledger.name} has no ledger.`);
  return done;
}

async function auditDocuments(ledger: Ledger, run: string, options: AuditCommandOptions): Promise<Audit> {
  const done = await readDocumentLedger(ledger.url, async (open) =>
    audit(await auditableDocumentRun(open, run), options),
  );
  if (!done) throw new LetheError('UnknownRun', `${ledger.name} has no ledger.`);
  return done;
}

async function auditFile(file: string, text: string, options: AuditCommandOptions): Promise<Audit> {
  const exported = await openExport(file);
  const found = exported.runs.filter(
    ({ run: id }) => text === 'last' || (text.length >= 4 && id.startsWith(text)),
  );
  const wanted = found.at(-1);
  if (!wanted || (found.length > 1 && text !== 'last')) {
    const ids = exported.runs.map(({ run: id }) => id).join(', ');
    throw new LetheError('UnknownRun', `"${text}" is not one run of ${file}, which has: ${ids || 'none'}.`);
  }
  return audit({ ...(await exported.ledger(wanted.run)), signedBy: exported.signedBy ?? null }, options);
}

/** Prints an audit and sets the exit code. */
function show(done: Audit, json: boolean): void {
  if (json) sayJson(done);
  else say(auditText(done));
  if (!done.ok) process.exitCode = EXIT.failed;
}

function naturalNumber(text: string): number {
  if (!/^\d{1,6}$/.test(text)) throw new InvalidArgumentError('Expected a whole number.');
  return Number(text);
}
