import { createHash } from 'node:crypto';
import { tableText } from '../../plan/catalog.js';
import { MAX_DOCUMENT } from '../documents/bson.js';
import { checkOwner } from '../fence.js';
import { idOf } from '../ids.js';
import { checkAttempt, commitBatch } from '../ledger/batches.js';
import type { BatchDocument } from '../ledger/store.js';
import type { IdRange } from '../ranges.js';
import { type CollectionContext, refuseStopped, selection, sourceOf } from './context.js';
import type { QuarantineBudget, Refusal } from './quarantine.js';
import { chunksOf } from './read.js';
import type { Output, Writer } from './write.js';
import { openWriter } from './writers.js';

export interface BatchWork {
  readonly batch: BatchDocument;
  readonly range: IdRange;
  /** Last link of the partition's chain. */
  readonly previous: string;
  readonly budget: QuarantineBudget;
}

/** Reads, transforms and writes the documents of a batch, and commits it; returns its link in the chain. */
export async function loadBatch(context: CollectionContext, work: BatchWork): Promise<string> {
  const { task, table, ledger } = context;
  await checkOwner(ledger, table.destination, task.run);
  await work.budget.forget(work.batch);
  const writer = await openWriter(context, work.batch);
  try {
    return await loadInto(context, work, writer);
  } finally {
    await writer.close();
  }
}

async function loadInto(context: CollectionContext, work: BatchWork, writer: Writer): Promise<string> {
  const { task, table, ledger } = context;
  const began = performance.now();
  const tally = new Tally();
  const cursor = sourceOf(context).find(selection(table, work.range), {
    raw: true,
    sort: { _id: 1 },
    batchSize: 2_000,
  });
  try {
    for await (const documents of chunksOf(cursor)) {
      refuseStopped(context);
      await checkAttempt(ledger, work.batch);
      await checkOwner(ledger, table.destination, task.run);
      await loadChunk(context, work, writer, documents, tally);
      const { rows, bytes } = tally;
      context.progress({ partition: work.batch.partition, batch: work.batch.batch, rows, bytes });
    }
  } finally {
    await cursor.close().catch(() => undefined);
  }
  refuseStopped(context);
  const late = await writer.finish();
  await work.budget.add(work.batch, late.refused);
  const outcome = tally.outcome(late.refused.length);
  const chain = await writer.commit((session) =>
    commitBatch(ledger, work.batch, outcome, work.previous, session),
  );
  context.progress({
    partition: work.batch.partition,
    batch: work.batch.batch,
    rows: outcome.rows,
    bytes: outcome.bytes,
    ended: {
      table: tableText(table.source),
      state: 'committed',
      ...{ rows: outcome.rows, bytes: outcome.bytes, quarantined: outcome.quarantined },
      seconds: (performance.now() - began) / 1_000,
      transformSeconds: tally.transformSeconds,
    },
  });
  return chain;
}

async function loadChunk(
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
  const refused: { document: Uint8Array; refusal: Refusal }[] = changed.refused.map(
    ({ index, reason, path }) => ({
      document: documents[index]!,
      refusal: { code: 'transformer', path, message: `${path}: ${reason}` },
    }),
  );
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

const TOO_LARGE: Refusal = {
  code: 'size',
  message: 'the document is larger than 16 MB after the transformation',
};
const NO_ID: Refusal = {
  code: 'transformer',
  path: '_id',
  message: 'the document has no _id after the transformation',
};

/** Counts and digests of a batch. */
class Tally {
  rows = 0;
  bytes = 0;
  quarantined = 0;
  transformSeconds = 0;
  private readonly rules: Record<string, number> = {};
  private readonly leaks: Record<string, number> = {};
  private readonly source = createHash('sha256');
  private readonly output = createHash('sha256');

  read(documents: readonly Uint8Array[]): void {
    for (const document of documents) this.source.update(document);
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
    };
  }
}
