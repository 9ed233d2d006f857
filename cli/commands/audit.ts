import { type Command, InvalidArgumentError } from 'commander';
import { LetheError } from '../../errors/errors.js';
import { findEvidence, readEvidence, readLedgerOf } from '../../postgres/ledger/records.js';
import { withTransaction } from '../../postgres/session.js';
import { type Audit, type AuditOptions, audit } from '../audits.js';
import { EXIT } from '../exit.js';
import { findRunByText, type LedgerOptions, readLedger } from '../ledgers.js';
import { auditText } from '../print/audit.js';
import { say, sayJson } from '../terminal.js';
import { addLedgerOptions } from './options.js';

export function define(command: Command): void {
  addLedgerOptions(command)
    .option('--sample <n>', 'batches that are read again from the source; 0 for none', naturalNumber, 10)
    .option('--row <table-and-key...>', 'check one record instead of a sample: its table and its key')
    .option('--source <ref>', 'read another source than the job says, a restored backup say')
    .option('--public-key <base64>', 'whom the signature must be of, where the job key is not at hand')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Exit code 1: something contradicts the ledger, its signature or the rules. Rows that were changed at the source since
the run say nothing about the run, are listed apart, and leave the exit code at 0.

Examples:
  $ lethe audit last --job crm-staging.yaml
  $ lethe audit 01a20660 --job crm-staging.yaml --sample 100 --json
  $ lethe audit 01a20660 --job crm-staging.yaml --row public.customer 42`,
    )
    .action(run);
}

async function run(text: string, options: LedgerOptions & AuditOptions & { json?: boolean }): Promise<void> {
  const { ledger, row } = await findRunByText(text, options);
  const done = await readLedger(ledger, (session) =>
    withTransaction(
      session,
      async () => {
        const read = await readLedgerOf(session, row.run);
        return audit(
          {
            ...read,
            evidence: ({ partition, batch }) => readEvidence(session, { run: row.run, partition, batch }),
            findEvidence: (table, digest) => findEvidence(session, row.run, table, digest),
          },
          options,
        );
      },
      { isolation: 'repeatable read', readOnly: true },
    ),
  );
  if (!done) throw new LetheError('UnknownRun', `${ledger.name} has no ledger.`);
  show(done, options.json ?? false);
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
