import { once } from 'node:events';
import { createReadStream, createWriteStream, type WriteStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Signer } from '../crypto/sign.js';
import { LetheError } from '../errors/errors.js';
import { placeOf } from '../ledger/audit/evidence.js';
import { type ExportLine, ExportReader, ExportWriter } from '../ledger/export.js';
import type {
  BatchRecord,
  PartitionRecord,
  QuarantineRecord,
  RunRecord,
  Segment,
} from '../ledger/records.js';
import type { AuditableLedger } from './audits.js';

/** Runs of one job that are exported at most. */
export const EXPORTED_RUNS = 100_000;

/** Writes runs of a job, the oldest first, to a file, signed. Returns how many. */
export async function exportLedger(
  job: string,
  runs: readonly string[],
  read: (run: string) => Promise<AuditableLedger>,
  { file, signer }: { readonly file: string; readonly signer: Signer },
): Promise<number> {
  const out = createWriteStream(file);
  try {
    await once(out, 'open');
    const writer = new ExportWriter();
    await write(out, writer.line({ kind: 'ledger', format: 1, job, exportedAt: new Date().toISOString() }));
    for (const run of runs) await exportRun(await read(run), (line) => write(out, writer.line(line)));
    await write(out, writer.end(signer));
    out.end();
    await once(out, 'finish');
    return runs.length;
  } catch (error) {
    out.destroy();
    if (error instanceof LetheError) throw error;
    throw fileError(file, 'written', error);
  }
}

async function exportRun(
  ledger: AuditableLedger,
  put: (line: Exclude<ExportLine, { kind: 'end' }>) => Promise<void>,
): Promise<void> {
  const { run } = ledger.run;
  await put({ kind: 'run', record: ledger.run });
  for (const record of ledger.segments) await put({ kind: 'segment', run, record });
  for (const record of ledger.partitions) await put({ kind: 'partition', run, record });
  for (const record of ledger.quarantine) await put({ kind: 'quarantine', run, record });
  for await (const record of ledger.batches) {
    const evidence = record.facts.evidenceDigest === '' ? undefined : await ledger.evidence(record);
    await put({ kind: 'batch', run, record, ...(evidence && { evidence: evidence.toString('base64') }) });
  }
}

async function write(out: WriteStream, text: string): Promise<void> {
  if (!out.write(text)) await once(out, 'drain');
}

/** An exported ledger, checked as a whole. */
export interface ExportFile {
  /** Whose signature fits; undefined when the file was changed. */
  readonly signedBy: string | undefined;
  readonly runs: readonly RunRecord[];
  /** One of its runs, as an audit reads it. */
  ledger(run: string): Promise<AuditableLedger>;
}

/** @throws LetheError `JobInvalid` when there is no such file, or it is no export. */
export async function openExport(file: string): Promise<ExportFile> {
  const reader = new ExportReader();
  const runs: RunRecord[] = [];
  let exported = false;
  for await (const text of linesOf(file)) {
    const line = reader.line(text);
    if (line?.kind === 'ledger') exported = true;
    if (line?.kind === 'run') runs.push(line.record);
  }
  if (!exported) {
    throw new LetheError(
      'JobInvalid',
      `${file} is no exported ledger. \`lethe ledger export JOB\` writes one.`,
    );
  }
  return { signedBy: reader.signedBy(), runs, ledger: (run) => ledgerOf(file, run, runs) };
}

async function ledgerOf(file: string, id: string, runs: readonly RunRecord[]): Promise<AuditableLedger> {
  const run = runs.find((record) => record.run === id);
  if (!run) throw new LetheError('UnknownRun', `${file} has no run ${id}.`);
  const segments: Segment[] = [];
  const partitions: PartitionRecord[] = [];
  const quarantine: QuarantineRecord[] = [];
  for await (const line of linesOfRun(file, id)) {
    if (line.kind === 'segment') segments.push(line.record);
    if (line.kind === 'partition') partitions.push(line.record);
    if (line.kind === 'quarantine') quarantine.push(line.record);
  }
  return {
    ...{ run, segments, partitions, quarantine },
    batches: batchesOf(file, id),
    async evidence({ partition, batch }) {
      for await (const { record, evidence } of evidenceOf(file, id)) {
        if (record.partition === partition && record.batch === batch) return evidence;
      }
      return undefined;
    },
    async findEvidence(table, digest) {
      for await (const { record, evidence } of evidenceOf(file, id)) {
        const row = record.table === table ? placeOf(evidence, digest) : -1;
        if (row >= 0) return { partition: record.partition, batch: record.batch, row };
      }
      return undefined;
    },
  };
}

async function* batchesOf(file: string, run: string): AsyncGenerator<BatchRecord> {
  for await (const line of linesOfRun(file, run)) if (line.kind === 'batch') yield line.record;
}

async function* evidenceOf(
  file: string,
  run: string,
): AsyncGenerator<{ record: BatchRecord; evidence: Buffer }> {
  for await (const line of linesOfRun(file, run)) {
    if (line.kind !== 'batch' || line.evidence === undefined) continue;
    yield { record: line.record, evidence: Buffer.from(line.evidence, 'base64') };
  }
}

async function* linesOfRun(
  file: string,
  run: string,
): AsyncGenerator<Extract<ExportLine, { readonly run: string }>> {
  const reader = new ExportReader();
  for await (const text of linesOf(file)) {
    const line = reader.line(text);
    if (line && 'run' in line && line.run === run) yield line;
  }
}

async function* linesOf(file: string): AsyncGenerator<string> {
  const input = createReadStream(file, 'utf8');
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) yield line;
  } catch (error) {
    throw fileError(file, 'read', error);
  } finally {
    input.destroy();
  }
}

function fileError(file: string, what: string, error: unknown): LetheError {
  const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
  return new LetheError('JobInvalid', `${file} cannot be ${what} (${code}). Name another file.`);
}
