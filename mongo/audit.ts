import { createHash } from 'node:crypto';
import type { Document, Filter } from 'mongodb';
import type { JobKeys } from '../anonymize/keys.js';
import { LetheError } from '../errors/errors.js';
import {
  compareEvidence,
  type EvidencePlace,
  type RowAudit,
  refuseNoEvidence,
  refuseSomeEvidence,
} from '../ledger/audit/evidence.js';
import type { Findings } from '../ledger/audit/findings.js';
import type { BatchRecord, QuarantineRecord } from '../ledger/records.js';
import type { Pins } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import type { TablePlan } from '../plan/plan.js';
import { type Connection, withConnection } from './connection.js';
import { prepareDocuments } from './documents/compile.js';
import type { DocumentTransform } from './documents/types.js';
import { sanitize } from './errors.js';
import { readIdentity } from './identity.js';
import { idOf } from './ids.js';
import { openRange, sealKey } from './ledger/seals.js';
import { digestsOf, PUSHED } from './load/chunk.js';
import { selection } from './load/context.js';
import { chunksOf } from './load/read.js';
import { idsOf } from './preview.js';

/** Which source an audit reads. */
export interface DocumentAuditSource {
  readonly url: string;
  /** Another deployment than the run read, a restored backup say. */
  readonly elsewhere: boolean;
}

export interface DocumentSampleOptions {
  readonly source: DocumentAuditSource;
  /** What the run, and each replay of it, worked by. */
  readonly pins: readonly Pins[];
  readonly keys: JobKeys;
  readonly run: string;
  /** Committed batches that are read again. */
  readonly batches: readonly BatchRecord[];
  /** The digests of a batch's documents, where it has any. */
  evidence(batch: BatchRecord): Promise<Buffer | undefined>;
}

/** Reads batches again from the source as it is now, transforms them as pinned, and compares digests. */
export async function auditDocumentSample(options: DocumentSampleOptions, findings: Findings): Promise<void> {
  const { source, pins, batches } = options;
  await withAuditSource(source, pins[0]!, async (connection) => {
    let [same, changed, pushed, documents, incomplete] = [0, 0, 0, 0, 0];
    for (const batch of batches) {
      const plans = pins.flatMap(({ plan }) => plan.tables.find(({ id }) => id === batch.table) ?? []);
      const [plan] = plans;
      if (!plan) continue;
      const place = { table: tableText(plan.source), partition: batch.partition, batch: batch.batch };
      const name = `Batch ${batch.batch} of partition ${batch.partition} (${place.table})`;
      if (batch.facts.rules[PUSHED] !== undefined) {
        // Its digests are of those documents alone that a worker had to do.
        pushed++;
        const message = `${name}: pushed down; no worker saw all of its documents, so that nothing here verifies them.`;
        findings.add('unchecked', 'sample', message, place);
        continue;
      }
      const found = await rereadBatch(connection, options, batch, plans);
      documents += found.documents;
      if (found.sourceDigest !== batch.facts.sourceDigest) {
        changed++;
        const what = describeChange(batch, await options.evidence(batch), found);
        findings.add('changed', 'sample', `${name}: ${what}`, place);
        continue;
      }
      same++;
      // Those that went to quarantine when they were written are not in its output.
      if (batch.facts.quarantined > 0) incomplete++;
      if (batch.facts.quarantined > 0 || found.outputDigests.includes(batch.facts.outputDigest)) continue;
      findings.add(
        'mismatch',
        'sample',
        `${name}: its documents are as they were, and do not come out as the ledger says. Its output digest was changed, or it was transformed otherwise.`,
        place,
      );
    }
    if (incomplete > 0) {
      findings.add(
        'unchecked',
        'sample',
        `${incomplete} of the batches sent documents to quarantine: they were compared with the source as it was read, and not with what was written.`,
      );
    }
    findings.looked(
      'sample',
      `${batches.length - pushed} batches with ${documents} documents read again: ${same} as they were, ${changed} changed at the source since`,
    );
  });
}

interface Reread {
  readonly documents: number;
  readonly sourceDigest: string;
  /** By each of the plans. */
  readonly outputDigests: readonly string[];
  readonly evidence: Buffer;
}

async function rereadBatch(
  { client }: Connection,
  { keys, run }: DocumentSampleOptions,
  { partition, batch, facts }: BatchRecord,
  plans: readonly TablePlan[],
): Promise<Reread> {
  const plan = plans[0]!;
  const range = openRange(keys, { run, partition, batch }, facts.bounds);
  const transforms: DocumentTransform[] = [];
  for (const { collection } of plans) transforms.push(await prepareDocuments(collection!.rules, keys));
  const taken = createHash('sha256');
  const written = transforms.map(() => createHash('sha256'));
  const evidence: Buffer[] = [];
  let documents = 0;
  const cursor = client
    .db(plan.source.schema)
    .collection(plan.source.name)
    .find(selection(plan, range), { raw: true, sort: { _id: 1 }, batchSize: 2_000 });
  for await (const chunk of chunksOf(cursor)) {
    documents += chunk.length;
    for (const document of chunk) taken.update(document);
    evidence.push(digestsOf(keys.evidence, chunk));
    for (const [at, transform] of transforms.entries()) {
      for (const output of transform.apply(chunk).documents) if (output) written[at]!.update(output);
    }
  }
  return {
    documents,
    sourceDigest: taken.digest('hex'),
    outputDigests: written.map((hash) => hash.digest('hex')),
    evidence: Buffer.concat(evidence),
  };
}

function describeChange({ facts }: BatchRecord, then: Buffer | undefined, found: Reread): string {
  if (!then) {
    const before = facts.rows + facts.quarantined;
    const counts =
      before === found.documents ? `${before} documents` : `${before} documents then, ${found.documents} now`;
    return `documents were changed, deleted or put in since (${counts}).`;
  }
  const { kept, gone, came } = compareEvidence(then, found.evidence);
  if (gone === 0 && came === 0) return `all ${kept} documents are as they were, in another order.`;
  return `${kept} documents are as they were; changed or deleted since: ${gone}; changed or put in since: ${came}.`;
}

export interface DocumentRowOptions {
  readonly source: DocumentAuditSource;
  /** What the run, and each replay of it, worked by. */
  readonly pins: readonly Pins[];
  readonly keys: JobKeys;
  readonly run: string;
  readonly table: TablePlan;
  /** Its `_id`, as a text: of whichever type it may be, or extended JSON. */
  readonly key: readonly string[];
  /** The batch of the collection whose evidence holds a digest. */
  find(table: number, digest: Buffer): Promise<EvidencePlace | undefined>;
  readonly quarantine: readonly QuarantineRecord[];
}

/**
 * Says whether a document of the source is, byte by byte, what the run read, from the keyed digests of `evidence: row`.
 *
 * @throws LetheError `JobInvalid` when the run kept none of this document, or the key does not fit.
 */
export async function auditDocument(options: DocumentRowOptions): Promise<RowAudit> {
  const { source, pins, keys, run, table, key } = options;
  const name = tableText(table.source);
  const plans = pins.map(({ plan }) => plan);
  refuseNoEvidence(plans);
  const [id, ...more] = key;
  if (id === undefined || more.length > 0) {
    throw new LetheError(
      'JobInvalid',
      `A document of ${name} has one key, its _id; ${key.length} were given.`,
    );
  }
  return withAuditSource(source, pins[0]!, async ({ client }) => {
    const collection = client.db(table.source.schema).collection(table.source.name);
    const filter = { _id: { $in: idsOf(id) } } as Filter<Document>;
    const [document] = (await collection
      .find(filter, { raw: true })
      .limit(1)
      .toArray()) as unknown as Uint8Array[];
    if (!document) return { table: name, result: 'missing' };
    const place = await options.find(table.id, digestsOf(keys.evidence, [document]));
    const { keyHash } = sealKey(keys, { run, table: table.id }, idOf(document));
    const waiting = options.quarantine.find(
      (entry) => entry.table === table.id && entry.keyHash === keyHash && !entry.replayed,
    );
    if (!place) refuseSomeEvidence(plans, table);
    return {
      table: name,
      result: place ? 'same' : 'different',
      ...(place && { place }),
      ...(waiting && { quarantined: waiting.message }),
    };
  });
}

async function withAuditSource<T>(
  { url, elsewhere }: DocumentAuditSource,
  { plan }: Pins,
  body: (source: Connection) => Promise<T>,
): Promise<T> {
  return withConnection({ url, role: 'source', applicationName: 'lethe:audit' }, async (source) => {
    const { system, name } = await readIdentity(source);
    if (!elsewhere && (system !== plan.source.system || name !== plan.source.name)) {
      throw new LetheError(
        'PinMismatch',
        'The source of this job is another database than the run read. If it is a copy of it, say so: --source env:NAME.',
      );
    }
    try {
      return await body(source);
    } catch (error) {
      throw sanitize(error, 'reading the source');
    }
  });
}
