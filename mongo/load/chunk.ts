import { createHash } from 'node:crypto';
import type { JobKeys } from '../../anonymize/keys.js';
import { MAX_DOCUMENT } from '../documents/bson.js';
import type { TransformedDocuments } from '../documents/types.js';
import { idOf } from '../ids.js';
import type { BatchDocument } from '../ledger/store.js';
import type { IdRange } from '../ranges.js';
import type { CollectionContext } from './context.js';
import type { QuarantineBudget, Refusal } from './quarantine.js';
import type { Output, Writer } from './write.js';

export interface BatchWork {
  readonly batch: BatchDocument;
  readonly range: IdRange;
  /** Last link of the partition's chain. */
  readonly previous: string;
  readonly budget: QuarantineBudget;
}

/** Transforms and writes some documents of a batch; what is refused goes to quarantine. */
export async function loadChunk(
  { transform }: CollectionContext,
  { batch, budget }: BatchWork,
  writer: Writer,
  documents: readonly Uint8Array[],
  tally: Tally,
): Promise<void> {
  const began = performance.now();
  const changed = transform.apply(documents);
  tally.transformSeconds += (performance.now() - began) / 1_000;
  tally.read(documents);
  tally.count(changed.rules, changed.equal);
  const refused = refusedIn(changed, documents);
  const outputs: Output[] = [];
  for (const [index, output] of changed.documents.entries()) {
    if (output === null) continue;
    const source = documents[index]!;
    const id = output.length > MAX_DOCUMENT ? undefined : idOf(output);
    if (id) outputs.push({ id, document: output, source });
    else refused.push({ document: source, refusal: output.length > MAX_DOCUMENT ? TOO_LARGE : NO_ID });
  }
  const result = await writer.write(outputs);
  tally.written(outputs, new Set(result.refused.map(({ document }) => document)));
  await budget.add(batch, [...refused, ...result.refused]);
  tally.quarantined += refused.length + result.refused.length;
}

/** What the rules refused, as the quarantine has it. */
export function refusedIn(
  { refused }: TransformedDocuments,
  documents: readonly Uint8Array[],
): { document: Uint8Array; refusal: Refusal }[] {
  return refused.map(({ index, reason, path }) => ({
    document: documents[index]!,
    refusal: { code: 'transformer', path, message: `${path}: ${reason}` },
  }));
}

const TOO_LARGE: Refusal = {
  code: 'size',
  message: 'the document is larger than 16 MB after the transformation',
};
export const NO_ID: Refusal = {
  code: 'transformer',
  path: '_id',
  message: 'the document has no _id after the transformation',
};

/** Stands for the rules in the counts of what a server did: it tells documents, not values. */
export const PUSHED = 'pushdown';

/** The keyed digests of documents as the source gave them, 16 bytes each. */
export function digestsOf(evidence: JobKeys['evidence'], documents: readonly Uint8Array[]): Buffer {
  const offsets = new Uint32Array(documents.length + 1);
  for (const [at, document] of documents.entries()) offsets[at + 1] = offsets[at]! + document.length;
  const tags = evidence.tags({ bytes: Buffer.concat(documents), offsets });
  return Buffer.from(tags.buffer, tags.byteOffset, tags.byteLength);
}

/** Counts and digests of a batch. */
export class Tally {
  rows = 0;
  bytes = 0;
  quarantined = 0;
  transformSeconds = 0;
  private readonly rules: Record<string, number> = {};
  private readonly leaks: Record<string, number> = {};
  private readonly source = createHash('sha256');
  private readonly output = createHash('sha256');
  private readonly digests: Buffer[] = [];

  /** @param evidence Keys of digests of single documents, under `evidence: row`. */
  constructor(private readonly evidence?: JobKeys['evidence']) {}

  read(documents: readonly Uint8Array[]): void {
    for (const document of documents) this.source.update(document);
    if (this.evidence && documents.length > 0) this.digests.push(digestsOf(this.evidence, documents));
  }

  count(rules: Readonly<Record<string, number>>, equal: Readonly<Record<string, number>>): void {
    for (const [rule, count] of Object.entries(rules)) this.rules[rule] = (this.rules[rule] ?? 0) + count;
    for (const [path, count] of Object.entries(equal)) this.leaks[path] = (this.leaks[path] ?? 0) + count;
  }

  written(outputs: readonly Output[], refused: ReadonlySet<Uint8Array>): void {
    for (const { document, source } of outputs) {
      if (refused.has(source)) continue;
      this.rows += 1;
      this.bytes += document.length;
      this.output.update(document);
    }
  }

  /** Documents that the server transformed and wrote by itself: their bytes were not seen here. */
  pushed(rows: number): void {
    this.rows += rows;
    this.rules[PUSHED] = (this.rules[PUSHED] ?? 0) + rows;
  }

  /** @param late Documents that were refused when the batch was about to end. */
  outcome(late: number) {
    return {
      rows: this.rows - late,
      bytes: this.bytes,
      quarantined: this.quarantined + late,
      rules: this.rules,
      leaks: this.leaks,
      sourceDigest: this.source.digest('hex'),
      outputDigest: this.output.digest('hex'),
      ...(this.evidence && { evidence: Buffer.concat(this.digests) }),
    };
  }
}
