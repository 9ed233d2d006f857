import { createHash } from 'node:crypto';
import { DIGEST_BYTES, type EvidencePlace, placeOf } from '../../ledger/audit/evidence.js';
import { driver } from '../driver.js';
import type { BatchDocument, EvidenceDocument, Ledger } from './store.js';

/** Digests in one document of the ledger: far below what a document may hold. */
const DIGESTS = 500_000;

/**
 * Keeps the digests of a batch's documents, before the batch is committed: only those of the attempt that commits count.
 *
 * @returns SHA-256, hex, of all of them; the batch's link covers it. '' where there are none.
 */
export async function writeEvidence(
  { evidence }: Ledger,
  { run, table, partition, batch, attempt }: BatchDocument,
  digests: Buffer,
): Promise<string> {
  if (digests.length === 0) return '';
  const owner = { run, table, partition, batch };
  const { Binary } = driver();
  for (let n = 0; n * DIGESTS * DIGEST_BYTES < digests.length; n++) {
    const at = n * DIGESTS * DIGEST_BYTES;
    const _id = `${run}/${partition}/${batch}/${attempt}/${n}`;
    const part = new Binary(digests.subarray(at, at + DIGESTS * DIGEST_BYTES));
    await evidence.replaceOne({ _id }, { ...owner, attempt, n, digests: part }, { upsert: true });
  }
  if (attempt > 1) await evidence.deleteMany({ ...owner, attempt: { $lt: attempt } });
  return sha256(digests);
}

/** The digests that a committed batch kept, 16 bytes each; undefined where it kept none. */
export async function readEvidence(
  { evidence }: Ledger,
  { run, partition, batch, attempt }: Pick<BatchDocument, 'run' | 'partition' | 'batch' | 'attempt'>,
): Promise<Buffer | undefined> {
  const parts = await evidence.find({ run, partition, batch, attempt }).sort({ n: 1 }).toArray();
  return parts.length === 0 ? undefined : Buffer.concat(parts.map(bytesOf));
}

/** As the batch's link has it. */
export async function evidenceDigest(
  ledger: Ledger,
  batch: Pick<BatchDocument, 'run' | 'partition' | 'batch' | 'attempt'>,
): Promise<string> {
  const found = await readEvidence(ledger, batch);
  return found ? sha256(found) : '';
}

/** The batch of a collection that read a document with this digest, and the document's place in it. */
export async function findEvidence(
  { evidence, batches }: Ledger,
  run: string,
  table: number,
  digest: Buffer,
): Promise<EvidencePlace | undefined> {
  for await (const part of evidence.find({ run, table }).sort({ partition: 1, batch: 1, n: 1 })) {
    const row = placeOf(bytesOf(part), digest);
    if (row < 0) continue;
    const { partition, batch, attempt, n } = part;
    const committed = { run, partition, batch, attempt, state: 'committed' } as const;
    if ((await batches.countDocuments(committed)) > 0) return { partition, batch, row: n * DIGESTS + row };
  }
  return undefined;
}

function bytesOf({ digests }: EvidenceDocument): Buffer {
  return Buffer.from(digests.buffer.buffer, digests.buffer.byteOffset, digests.position);
}

function sha256(digests: Buffer): string {
  return createHash('sha256').update(digests).digest('hex');
}
