import type { Command } from 'commander';
import type { RunReport } from '../../ledger/report.js';
import { isOpen } from '../../ledger/states.js';
import type { RunRow } from '../../ledger/types.js';
import { isMongoUrl } from '../../mongo/connection.js';
import { readPins as readDocumentPins } from '../../mongo/ledger/runs.js';
import type { Ledger } from '../../mongo/ledger/store.js';
import {
  quarantineReasons as documentReasons,
  summarize as summarizeDocuments,
} from '../../mongo/ledger/summary.js';
import { tableText } from '../../plan/catalog.js';
import { takenRows, takenText } from '../../postgres/ledger/ddl.js';
import { readPins } from '../../postgres/ledger/runs.js';
import { quarantinedBatches, quarantineReasons, summarize } from '../../postgres/ledger/summary.js';
import type { Session } from '../../postgres/session.js';
import { findRunByText, type LedgerOptions, readDocumentLedger, readLedger, stateText } from '../ledgers.js';
import { countsText, verdictText } from '../print/run.js';
import { duration, paint, say, sayJson } from '../terminal.js';
import { addLedgerOptions } from './options.js';

export function define(command: Command): void {
  addLedgerOptions(command)
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
Examples:
  $ lethe show last
  $ lethe show 01a20660 --job crm-staging.yaml`,
    )
    .action(run);
}

async function run(text: string, options: LedgerOptions & { json?: boolean }): Promise<void> {
  const { ledger, row } = await findRunByText(text, options);
  const facts = isMongoUrl(ledger.url)
    ? await readDocumentLedger(ledger.url, (open) => readDocuments(open, row))
    : await readLedger(ledger, (session) => read(session, row));
  if (!facts) return;
  if (options.json) return sayJson({ ...row, ...facts, destination: ledger.name });
  say(head(row));
  if (facts.tables.length > 0) say(countsText(facts.tables));
  const report = row.report as RunReport | undefined;
  const verdict = verdictText({
    ok: true,
    rows: 0,
    checks: [...(report?.checks ?? [])],
    quarantined: facts.quarantined,
  });
  if (verdict) say(verdict);
  if (facts.owed.length > 0) {
    say(
      paint.bold(
        isOpen(row.state)
          ? 'Taken away for the load, comes back at its end'
          : 'Still away: `lethe restore` puts it back',
      ),
    );
    for (const thing of facts.owed) say(`  ${thing}`);
  }
  if (report?.error) say(`${paint.red('✗')} ${paint.bold(report.error.type)}\n  ${report.error.message}`);
  if (row.state === 'failed' && facts.quarantined.length > 0)
    say(`When the cause is mended: lethe replay ${row.run} [--job FILE]`);
}

async function read(session: Session, row: RunRow) {
  const { plan } = await readPins(session, row.run);
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.source)]));
  const name = (id: number) => names.get(id) ?? `table ${id}`;
  const summary = await summarize(session, row.run);
  const reasons = await quarantineReasons(session, row.run);
  const batches = await quarantinedBatches(session, row.run);
  const taken = await takenRows(session, { run: row.run });
  return {
    tables: summary.map(({ table, ...counts }) => ({ name: name(table), ...counts })),
    quarantined: reasons.map(({ table, ...reason }) => ({ table: name(table), ...reason })),
    batches: batches.map(({ table, ...batch }) => ({ table: name(table), ...batch })),
    owed: taken.map((thing) => `${thing.kind} ${takenText(thing)}`),
  };
}

async function readDocuments(ledger: Ledger, row: RunRow) {
  const { plan } = await readDocumentPins(ledger, row.run);
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.source)]));
  const name = (id: number) => names.get(id) ?? `collection ${id}`;
  const reasons = await documentReasons(ledger, row.run);
  return {
    tables: (await summarizeDocuments(ledger, row.run)).map(({ table, leaks: _, ...counts }) => ({
      name: name(table),
      ...counts,
    })),
    quarantined: reasons.map(({ table, ...reason }) => ({ table: name(table), ...reason })),
    batches: [],
    owed: [],
  };
}

function head(row: RunRow): string {
  const from = row.startedAt.slice(0, 19).replace('T', ' ');
  const seconds =
    ((row.endedAt ? Date.parse(row.endedAt) : Date.parse(row.seenAt)) - Date.parse(row.startedAt)) / 1000;
  return [
    `${paint.bold(`Run ${row.run}`)} of ${row.job}: ${paint.bold(stateText(row))} (${row.mode})`,
    `started ${from} UTC, ${row.endedAt ? 'took' : 'seen after'} ${duration(seconds)}`,
    `workflow ${row.workflowId}, namespace ${row.namespace}`,
  ].join('\n');
}
