import type { JobKeys } from '../../anonymize/keys.js';
import { BLIND } from '../../anonymize/sealing.js';
import { LetheError } from '../../errors/errors.js';
import {
  type EvidencePlace,
  type RowAudit,
  refuseNoEvidence,
  refuseSomeEvidence,
} from '../../ledger/audit/evidence.js';
import type { QuarantineRecord } from '../../ledger/records.js';
import type { Pins } from '../../ledger/types.js';
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

export interface RowOptions {
  readonly source: AuditSource;
  /** What the run, and each replay of it, worked by. */
  readonly pins: readonly Pins[];
  readonly keys: JobKeys;
  readonly run: string;
  readonly table: TablePlan;
  /** A text for each key column, compared by the source. */
  readonly key: readonly string[];
  /** The batch of the table whose evidence holds a row digest. */
  find(table: number, digest: Buffer): Promise<EvidencePlace | undefined>;
  readonly quarantine: readonly QuarantineRecord[];
}

/**
 * Says whether a record of the source is, byte by byte, what the run read, from the keyed digests of `evidence: row`.
 *
 * @throws LetheError `JobInvalid` when the run kept none of this record, or the key does not fit.
 */
export async function auditRow(options: RowOptions): Promise<RowAudit> {
  const { table, key, pins } = options;
  const name = tableText(table.source);
  refuseNoEvidence(pins.map(({ plan }) => plan));
  const columns = table.key.kind === 'columns' ? table.key.columns : [];
  if (columns.length === 0 || key.length !== columns.length) {
    const wanted = columns.length === 0 ? 'no key to find a record by' : `the key (${columns.join(', ')})`;
    throw new LetheError('JobInvalid', `${name} has ${wanted}, and ${key.length} value(s) were given.`);
  }
  const startup = Object.fromEntries(key.map((value, i) => [`lethe.key_${i}`, value]));
  return withAuditSource(options.source, pins[0]!.plan, (source) => compare(source, options, name), startup);
}

async function compare(source: Source, options: RowOptions, name: string): Promise<RowAudit> {
  const now = await tableNow(source, options.table, options.source.elsewhere);
  if ('gone' in now) throw new LetheError('SourceChanged', `The record cannot be compared: ${now.gone}.`);
  const found = await readRecord(source, now, options);
  if (!found) return { table: name, result: 'missing' };
  const place = await options.find(options.table.id, found.digest);
  const waiting = options.quarantine.find(
    ({ table, keyHash, replayed }) => table === options.table.id && keyHash === found.keyHash && !replayed,
  );
  if (!place) {
    refuseSomeEvidence(
      options.pins.map(({ plan }) => plan),
      options.table,
    );
  }
  return {
    table: name,
    result: place ? 'same' : 'different',
    ...(place && { place }),
    ...(waiting && { quarantined: waiting.message }),
  };
}

/** The record's digest as evidence has it, and the keyed hash of its key as the quarantine has it. */
async function readRecord(
  source: Source,
  table: TablePlan,
  { keys, pins, run }: RowOptions,
): Promise<{ digest: Buffer; keyHash: string } | undefined> {
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
