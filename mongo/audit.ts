import { createHash } from 'node:crypto';
import type { Document, Filter } from 'mongodb';
import { BLIND } from '../anonymize/sealing.js';
import { LetheError } from '../errors/errors.js';
import {
  type BatchNow,
  batchPlace,
  batchText,
  type ComparedRecord,
  type ComparedSample,
  describeChange,
  judgeRecord,
} from '../ledger/audit/compare.js';
import { type RowAudit, refuseNoEvidence } from '../ledger/audit/evidence.js';
import type { Findings } from '../ledger/audit/findings.js';
import type { BatchRecord } from '../ledger/records.js';
import type { Pins } from '../ledger/types.js';
import { tableText } from '../plan/catalog.js';
import type { TablePlan } from '../plan/plan.js';
import { isSealed } from '../plan/sealing.js';
import { type Connection, withConnection } from './connection.js';
import { prepareDocuments } from './documents/compile.js';
import type { DocumentTransform } from './documents/types.js';
import { sanitize } from './errors.js';
import { withPinnedSource } from './identity.js';
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

/** Reads batches again from the source as it is now, transforms them as pinned, and compares digests. */
export async function auditDocumentSample(
  options: ComparedSample<DocumentAuditSource>,
  findings: Findings,
): Promise<void> {
  const { source, pins, batches } = options;
  await withAuditSource(source, pins[0]!, async (connection) => {
    let [same, changed, pushed, documents, incomplete] = [0, 0, 0, 0, 0];
    const sealed = new Set<string>();
    for (const batch of batches) {
      const plans = pins.flatMap(({ plan }) => plan.tables.find(({ id }) => id === batch.table) ?? []);
      const [plan] = plans;
      if (!plan) continue;
      const [name, place] = [batchText(batch, plan), batchPlace(batch, plan)];
      if (batch.facts.rules[PUSHED] !== undefined) {
        // Its digests are of those documents alone that a worker had to do.
        pushed++;
        const message = `${name}: pushed down; no worker saw all of its documents, so that nothing here verifies them.`;
        findings.add('unchecked', 'sample', message, place);
        continue;
      }
      const found = await rereadBatch(connection, options, batch, plans);
      documents += found.rows;
      if (found.sourceDigest !== batch.facts.sourceDigest) {
        changed++;
        const what = describeChange('documents', batch, found, await options.evidence(batch));
        findings.add('changed', 'sample', `${name}: ${what}`, place);
        continue;
      }
      same++;
      if (plans.some(({ columns }) => columns.some(isSealed))) {
        sealed.add(place.table);
        continue;
      }
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
    for (const table of sealed)
      findings.add(
        'unchecked',
        'sample',
        `${table} has sealed fields: tokens have random salts, so its documents were compared with the source as it was read, and not with what was written. \`lethe validate\` opens the tokens.`,
        { table },
      );
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

interface Reread extends BatchNow {
  readonly sourceDigest: string;
  /** By each of the plans. */
  readonly outputDigests: readonly string[];
}

async function rereadBatch(
  { client }: Connection,
  { keys, run }: ComparedSample<DocumentAuditSource>,
  { partition, batch, facts }: BatchRecord,
  plans: readonly TablePlan[],
): Promise<Reread> {
  const plan = plans[0]!;
  const range = openRange(keys, { run, partition, batch }, facts.bounds);
  const transforms: DocumentTransform[] = [];
  for (const { collection } of plans)
    transforms.push(await prepareDocuments(collection!.rules, { ...keys, sealing: BLIND }));
  const taken = createHash('sha256');
  const written = transforms.map(() => createHash('sha256'));
  const evidence: Buffer[] = [];
  let rows = 0;
  const cursor = client
    .db(plan.source.schema)
    .collection(plan.source.name)
    .find(selection(plan, range), { raw: true, sort: { _id: 1 }, batchSize: 2_000 });
  for await (const chunk of chunksOf(cursor)) {
    rows += chunk.length;
    for (const document of chunk) taken.update(document);
    evidence.push(digestsOf(keys.evidence, chunk));
    for (const [at, transform] of transforms.entries()) {
      for (const output of transform.apply(chunk).documents) if (output) written[at]!.update(output);
    }
  }
  return {
    rows,
    sourceDigest: taken.digest('hex'),
    outputDigests: written.map((hash) => hash.digest('hex')),
    evidence: Buffer.concat(evidence),
  };
}

/**
 * Says whether a document of the source is, byte by byte, what the run read, from the keyed digests of `evidence: row`.
 *
 * @throws LetheError `JobInvalid` when the run kept none of this document, or the key does not fit.
 */
export async function auditDocument(options: ComparedRecord<DocumentAuditSource>): Promise<RowAudit> {
  const { source, pins, keys, run, table, key } = options;
  const name = tableText(table.source);
  refuseNoEvidence(pins.map(({ plan }) => plan));
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
    const found = document && {
      digest: digestsOf(keys.evidence, [document]),
      keyHash: sealKey(keys, { run, table: table.id }, idOf(document)).keyHash,
    };
    return judgeRecord(options, found);
  });
}

async function withAuditSource<T>(
  { url, elsewhere }: DocumentAuditSource,
  { plan }: Pins,
  body: (source: Connection) => Promise<T>,
): Promise<T> {
  const connecting = { url, applicationName: 'lethe:audit' };
  const reading = (source: Connection) =>
    body(source).catch((error: unknown) => {
      throw sanitize(error, 'reading the source');
    });
  if (elsewhere) return withConnection({ ...connecting, role: 'source' }, reading);
  const misfit =
    'The source of this job is another database than the run read. If it is a copy of it, say so: --source env:NAME.';
  return withPinnedSource(connecting, plan.source, misfit, reading);
}
