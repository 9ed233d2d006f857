import { isUtf8 } from 'node:buffer';
import { LetheError } from '../../errors/errors.js';
import { chosenPolicies } from '../keys/policy.js';
import type { RingSource } from '../keys/source.js';
import { type Chunk, chunks } from './chunks.js';
import { csvFields } from './csv.js';
import { RingFeed } from './rings.js';
import type { FilterSettings } from './settings.js';
import type { FilterTask, Outcomes, Refusal, Transformed } from './transform.js';

/** What went through a filter. */
export interface FilterTotals {
  readonly lines: number;
  readonly changed: number;
  readonly refused: number;
  /** Bytes in, unpacked. */
  readonly bytes: number;
  readonly outcomes: Outcomes;
}

export interface FilterRun {
  readonly settings: FilterSettings;
  readonly input: AsyncIterable<Uint8Array>;
  /** Takes output; resolves when it can take more. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  /** Takes what is left out of the output; where it throws, the filter ends with that. */
  readonly refuse: (refusal: Refusal) => Promise<void>;
  /** Does the work, here or in a thread. */
  readonly transform: (task: FilterTask) => Promise<Transformed>;
  readonly source: RingSource;
  /** Whose holds count, for reading. */
  readonly actor?: string;
  /** Chunks that are worked on at once; default 1. */
  readonly parallel?: number;
  /** Bytes of a chunk; default 256 KB. */
  readonly chunkBytes?: number;
  readonly progress?: (totals: FilterTotals) => void;
}

/**
 * Reads, transforms and writes lines, in order. Memory does not grow with the input: at most `parallel` chunks are under
 * way. Refused lines go to `refuse` before anything behind them is written.
 *
 * @throws LetheError what `refuse`, `transform` and the key store throw; `SealRefused` for a line of over 64 MB,
 * `RetentionInvalid` for a CSV header that cannot be read.
 */
export async function runFilter(run: FilterRun): Promise<FilterTotals> {
  const { settings, parallel = 1 } = run;
  const policies =
    settings.what === 'seal' ? chosenPolicies(settings.choice!) : Object.keys(settings.policies);
  const feed = new RingFeed(run.source, { policies, ...(run.actor !== undefined && { actor: run.actor }) });
  const totals = { lines: 0, changed: 0, refused: 0, bytes: 0, outcomes: {} as Outcomes };
  const queue: Promise<Transformed>[] = [];

  const work = async (bytes: Uint8Array, columns: readonly string[]): Promise<Transformed> => {
    const first = await run.transform({ bytes, columns, ...(await feed.current()), final: false });
    if (first.missing.length === 0) return first;
    await feed.ensure(first.missing);
    return run.transform({ bytes, columns, ...(await feed.current()), final: true });
  };
  const settle = async () => {
    const { output, lines, changed, refused, outcomes } = await queue[0]!;
    queue.shift();
    for (const refusal of refused) {
      totals.refused++;
      await run.refuse({ ...refusal, line: totals.lines + refusal.line });
    }
    if (output.length > 0) await run.write(output);
    totals.lines += lines;
    totals.changed += changed;
    for (const [outcome, count] of Object.entries(outcomes) as [keyof Outcomes, number][])
      totals.outcomes[outcome] = (totals.outcomes[outcome] ?? 0) + count;
    run.progress?.(totals);
  };

  let columns: readonly string[] | undefined;
  const size = run.chunkBytes === undefined ? {} : { size: run.chunkBytes };
  try {
    for await (const chunk of chunks(run.input, { format: settings.format, ...size })) {
      totals.bytes += chunk.bytes.length;
      let { bytes } = chunk;
      if (columns === undefined) {
        if (chunk.bom) await run.write(Uint8Array.of(0xef, 0xbb, 0xbf));
        const header = headerOf(settings, chunk);
        columns = header.columns;
        bytes = chunk.bytes.subarray(header.length);
        totals.lines += header.lines;
        if (header.length > 0) await run.write(chunk.bytes.subarray(0, header.length));
      }
      const next = work(bytes, columns);
      // Awaited in turn; a failure further back must not count as unheard meanwhile.
      next.catch(() => undefined);
      queue.push(next);
      if (queue.length >= parallel) await settle();
    }
    while (queue.length > 0) await settle();
  } finally {
    await Promise.allSettled(queue);
  }
  return totals;
}

interface Header {
  readonly columns: readonly string[];
  readonly length: number;
  readonly lines: number;
}

/** The first record of a CSV file that has a header. */
function headerOf({ format, header, delimiter }: FilterSettings, { bytes }: Chunk): Header {
  if (format !== 'csv' || !header) return { columns: [], length: 0, lines: 0 };
  let length = 0;
  let lines = 0;
  for (let quoted = false; length < bytes.length; ) {
    const byte = bytes[length++];
    if (byte === 0x22) quoted = !quoted;
    if (byte === 0x0a) lines++;
    if (byte === 0x0a && !quoted) break;
  }
  const record = bytes.subarray(0, length);
  if (!isUtf8(record))
    throw new LetheError('RetentionInvalid', 'The header of the CSV file is not UTF-8: convert the file.');
  const columns = csvFields(Buffer.from(record).toString('utf8'), delimiter).map(({ value }) => value);
  return { columns, length, lines };
}
