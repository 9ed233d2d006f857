import { BLIND } from '../../anonymize/sealing.js';
import { LetheError } from '../../errors/errors.js';
import { type ComparedRecord, type FoundRecord, judgeRecord } from '../../ledger/audit/compare.js';
import { type RowAudit, refuseNoEvidence } from '../../ledger/audit/evidence.js';
import { tableText } from '../../plan/catalog.js';
import type { TablePlan } from '../../plan/plan.js';
import { decodeRows } from '../copy/decode.js';
import { sanitize } from '../errors.js';
import { quoteTable } from '../identifiers.js';
import { tableReading } from '../load/context.js';
import { evidenceOf } from '../load/evidence.js';
import { sealRowKey } from '../load/seals.js';
import type { Source } from '../load/source.js';
import { keyCondition } from '../preview.js';
import { query } from '../session.js';
import { type AuditSource, tableNow, withAuditSource } from './source.js';

/**
 * Says whether a record of the source is, byte by byte, what the run read, from the keyed digests of `evidence: row`.
 *
 * @throws LetheError `JobInvalid` when the run kept none of this record, or the key does not fit.
 */
export async function auditRow(options: ComparedRecord<AuditSource>): Promise<RowAudit> {
  const { table, key, pins } = options;
  const name = tableText(table.source);
  refuseNoEvidence(pins.map(({ plan }) => plan));
  const columns = table.key.kind === 'columns' ? table.key.columns : [];
  if (columns.length === 0 || key.length !== columns.length) {
    const wanted = columns.length === 0 ? 'no key to find a record by' : `the key (${columns.join(', ')})`;
    throw new LetheError('JobInvalid', `${name} has ${wanted}, and ${key.length} value(s) were given.`);
  }
  const startup = Object.fromEntries(key.map((value, i) => [`lethe.key_${i}`, value]));
  return withAuditSource(options.source, pins[0]!.plan, (source) => compare(source, options), startup);
}

async function compare(source: Source, options: ComparedRecord<AuditSource>): Promise<RowAudit> {
  const now = await tableNow(source, options.table, options.source.elsewhere);
  if ('gone' in now) throw new LetheError('SourceChanged', `The record cannot be compared: ${now.gone}.`);
  return judgeRecord(options, await readRecord(source, now, options));
}

async function readRecord(
  source: Source,
  table: TablePlan,
  { keys, pins, run }: ComparedRecord<AuditSource>,
): Promise<FoundRecord | undefined> {
  const { carefulShape: shape } = await tableReading(
    source,
    table,
    { ...keys, sealing: BLIND },
    pins.at(-1)!.runTime,
  );
  await query(source.session, 'SET LOCAL enable_seqscan = off');
  const condition = await keyCondition(source.session, table);
  for (const unit of table.units) {
    const reader = source.copy(`SELECT ${shape.select} FROM ONLY ${quoteTable(unit)} WHERE ${condition}`);
    try {
      const chunk = await reader.next();
      if (!chunk) continue;
      const block = decodeRows(source.decode(chunk), shape.leading, shape.total);
      const digest = evidenceOf(keys, shape, block).subarray(0, 16);
      const key = block.fields.slice(0, shape.keys).map((field) => field[0]!);
      await reader.drain();
      return { digest, keyHash: sealRowKey(keys, { run, table: table.id }, key).keyHash };
    } catch (error) {
      throw sanitize(error, `reading ${tableText(table.source)}`);
    }
  }
  return undefined;
}
