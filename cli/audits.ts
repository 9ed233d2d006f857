import { randomInt } from 'node:crypto';
import { type JobKeys, jobKeys, parseJobKey } from '../anonymize/keys.js';
import { LetheError } from '../errors/errors.js';
import { findJob, jobFolder } from '../job/folder.js';
import { didYouMean } from '../job/nearest.js';
import { resolveReference } from '../job/references.js';
import type { Job } from '../job/types.js';
import { type AuditedLedger, type AuditKeys, auditLedger } from '../ledger/audit/audit.js';
import type { EvidencePlace, RowAudit } from '../ledger/audit/evidence.js';
import type { AuditFinding, CheckOutcome, Findings } from '../ledger/audit/findings.js';
import type { BatchRecord } from '../ledger/records.js';
import { auditDocument, auditDocumentSample, type DocumentAuditSource } from '../mongo/audit.js';
import { openBounds as openDocumentBounds } from '../mongo/ledger/seals.js';
import { tableText } from '../plan/catalog.js';
import type { Plan } from '../plan/plan.js';
import { auditRow } from '../postgres/audit/row.js';
import { auditSample } from '../postgres/audit/sample.js';
import type { AuditSource } from '../postgres/audit/source.js';
import { openBounds } from '../postgres/load/seals.js';
import { jobArgument } from './inputs.js';

/** A ledger to be audited: a destination's, or an exported one. */
export interface AuditableLedger extends AuditedLedger {
  /** Of an export: whose signature over the whole file fits; null when none does. */
  readonly signedBy?: string | null;
  /** Row digests that a batch kept, where it did. */
  evidence(batch: { readonly partition: number; readonly batch: number }): Promise<Buffer | undefined>;
  findEvidence(table: number, digest: Buffer): Promise<EvidencePlace | undefined>;
}

export interface AuditOptions {
  readonly job?: string;
  readonly env?: string;
  /** Reference to another source than the job's. */
  readonly source?: string;
  /** Ed25519, base64. */
  readonly publicKey?: string;
  /** Batches to read again. */
  readonly sample: number;
  /** A table and a key. */
  readonly row?: readonly string[];
}

export interface Audit {
  readonly run: string;
  readonly job: string;
  readonly state: string;
  /** Nothing contradicts itself. */
  readonly ok: boolean;
  readonly checks: readonly CheckOutcome[];
  readonly findings: readonly AuditFinding[];
  readonly row?: RowAudit;
}

/** What of a job file an audit needs. References that stand in a ledger are never resolved: anybody may have put them there. */
interface Means {
  readonly job?: Job;
  readonly keys?: JobKeys;
}

/** Audits one run: its ledger first; the source is read only by rules that are known to be the run's own. */
export async function audit(ledger: AuditableLedger, options: AuditOptions): Promise<Audit> {
  const { run, segments } = ledger;
  const means = await meansOf(run.job, run.run, options);
  const fits = means.keys?.check === run.pins.keyCheck;
  const keys = fits ? means.keys : undefined;
  const { engine } = run.pins.plan;
  const sample = new Reservoir(options.row ? 0 : options.sample, ledger);
  const findings = await auditLedger(ledger, auditKeys(run.run, means, keys, options, engine), (batch) =>
    sample.offer(batch),
  );
  if (means.keys && !fits) {
    findings.add(
      'mismatch',
      'signature',
      'The job key is not the one that the run pinned: --job names another job, its key was changed, or the pins were.',
    );
  }
  checkFile(ledger.signedBy, options.publicKey ?? means.keys?.signing.publicKey, findings);
  const trusted = keys !== undefined && segments.at(-1)?.signed != null && holds(findings);
  const source = means.job && (await sourceOf(means.job, options));
  let row: RowAudit | undefined;
  if (options.row) {
    if (!trusted || !source) throw notTrusted(findings);
    row = await rowOf(ledger, source, keys, options.row);
  } else if (!trusted || !source) {
    findings.add(
      'unchecked',
      'sample',
      'The source is read again only with the job file and its key, by rules whose signature holds.',
    );
  } else if (options.sample > 0) {
    await trySample(ledger, source, keys, sample.taken, findings);
  }
  const list = findings.list();
  return {
    run: run.run,
    job: run.job,
    state: run.state,
    ok: holds(findings),
    checks: findings.outcomes(),
    findings: list,
    ...(row && { row }),
  };
}

function checkFile(
  signedBy: string | null | undefined,
  expected: string | undefined,
  findings: Findings,
): void {
  if (signedBy === undefined) return;
  if (signedBy === null) {
    findings.add('mismatch', 'signature', 'The file does not fit its last line: it was changed, or cut off.');
  } else if (expected !== undefined && signedBy !== expected) {
    findings.add('mismatch', 'signature', 'The file was signed by somebody who does not hold the job key.');
  }
}

function holds(findings: Findings): boolean {
  return findings.outcomes().every(({ result }) => result !== 'mismatch');
}

function notTrusted(findings: Findings): LetheError {
  if (!holds(findings)) {
    return new LetheError(
      'LedgerTampered',
      'The ledger of this run does not fit its signature, so it proves nothing about a record. Run the audit without --row to see what differs.',
    );
  }
  return new LetheError(
    'JobInvalid',
    'To check a record, the job file with its key and source is needed (--job FILE), and a run that ended and was signed.',
  );
}

/** The job file and its key, as far as they are at hand. */
export async function meansOf(
  name: string,
  run: string,
  { job, env }: Pick<AuditOptions, 'job' | 'env'>,
): Promise<Means> {
  const loaded =
    job === undefined
      ? await findJob(jobFolder(), name, { env }).catch(() => undefined)
      : await jobArgument(job, env);
  if (!loaded) return {};
  const key = parseJobKey(await resolveReference(loaded.job.key));
  return { job: loaded.job, keys: jobKeys(key, loaded.job.consistency === 'run' ? run : undefined) };
}

export function auditKeys(
  run: string,
  means: Means,
  keys: JobKeys | undefined,
  { publicKey }: Pick<AuditOptions, 'publicKey'> = {},
  engine: Plan['engine'] = 'postgres',
): AuditKeys {
  const open = engine === 'mongo' ? openDocumentBounds : openBounds;
  const trusted = publicKey ?? means.keys?.signing.publicKey;
  return {
    ...(trusted !== undefined && { trusted: { publicKey: trusted } }),
    ...(keys && { openBounds: (owner, sealed) => open(keys, { run, ...owner }, sealed) }),
  };
}

/** A source that an audit reads, on either engine. */
interface ReadSource extends AuditSource, DocumentAuditSource {}

async function sourceOf(job: Job, { source }: AuditOptions): Promise<ReadSource> {
  const url = await resolveReference(source ?? job.source.url);
  return { url, options: { url, encoding: job.source.encoding }, elsewhere: source !== undefined };
}

/** A source that cannot be read says nothing about the ledger. */
async function trySample(
  ledger: AuditableLedger,
  source: ReadSource,
  keys: JobKeys,
  batches: readonly BatchRecord[],
  findings: Findings,
): Promise<void> {
  const pins = ledger.segments.map((segment) => segment.pins);
  const evidence = (batch: BatchRecord) => ledger.evidence(batch);
  const reread = pins[0]?.plan.engine === 'mongo' ? auditDocumentSample : auditSample;
  try {
    await reread({ source, pins, keys, run: ledger.run.run, batches, evidence }, findings);
  } catch (error) {
    if (!(error instanceof LetheError)) throw error;
    findings.add('unchecked', 'sample', `The source could not be read again. ${error.message}`);
  }
}

async function rowOf(
  ledger: AuditableLedger,
  source: ReadSource,
  keys: JobKeys,
  [name = '', ...key]: readonly string[],
): Promise<RowAudit> {
  const pins = ledger.segments.map((segment) => segment.pins);
  const { plan } = pins.at(-1)!;
  const names = plan.tables.map((table) => tableText(table.source));
  const table = plan.tables[names.indexOf(name)];
  if (!table) {
    throw new LetheError('ObjectMissing', `The run has no table "${name}"${didYouMean(name, names)}.`);
  }
  const look = plan.engine === 'mongo' ? auditDocument : auditRow;
  return look({
    ...{ source, pins, keys, table, key },
    run: ledger.run.run,
    quarantine: ledger.quarantine,
    find: (id, digest) => ledger.findEvidence(id, digest),
  });
}

/** A random sample of batches in the memory of the sample (reservoir, Vitter's algorithm R). */
class Reservoir {
  readonly taken: BatchRecord[] = [];
  private seen = 0;
  private readonly ranges: ReadonlySet<number>;

  constructor(
    private readonly size: number,
    { partitions }: AuditedLedger,
  ) {
    this.ranges = new Set(
      partitions.filter(({ replay }) => replay === null).map(({ partition }) => partition),
    );
  }

  offer(batch: BatchRecord): void {
    if (!this.ranges.has(batch.partition)) return;
    this.seen++;
    if (this.taken.length < this.size) {
      this.taken.push(batch);
      return;
    }
    const place = randomInt(this.seen);
    if (place < this.size) this.taken[place] = batch;
  }
}
