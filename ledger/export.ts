import { createHash, type Hash } from 'node:crypto';
import { type Signer, verifies } from '../crypto/sign.js';
import type { BatchRecord, PartitionRecord, QuarantineRecord, RunRecord, Segment } from './records.js';

/*
 * An exported ledger: JSON, a line each. A run's line comes before its segments, partitions and batches; the last line is
 * a signature over everything before it.
 */

export type ExportLine =
  | { readonly kind: 'ledger'; readonly format: 1; readonly job: string; readonly exportedAt: string }
  | { readonly kind: 'run'; readonly record: RunRecord }
  | { readonly kind: 'segment'; readonly run: string; readonly record: Segment }
  | { readonly kind: 'partition'; readonly run: string; readonly record: PartitionRecord }
  | { readonly kind: 'quarantine'; readonly run: string; readonly record: QuarantineRecord }
  | {
      readonly kind: 'batch';
      readonly run: string;
      readonly record: BatchRecord;
      /** Row digests, base64. */
      readonly evidence?: string;
    }
  | ExportEnd;

export interface ExportEnd {
  readonly kind: 'end';
  /** SHA-256, hex, of all bytes before this line. */
  readonly digest: string;
  readonly publicKey: string;
  readonly signature: string;
}

/** Turns what is exported into lines, and signs them. */
export class ExportWriter {
  private readonly hash = createHash('sha256');

  line(line: Exclude<ExportLine, ExportEnd>): string {
    const text = `${JSON.stringify(line)}\n`;
    this.hash.update(text);
    return text;
  }

  end(signer: Signer): string {
    const digest = this.hash.digest('hex');
    const { publicKey } = signer;
    return `${JSON.stringify({ kind: 'end', digest, publicKey, signature: signer.sign(exportText(digest)) })}\n`;
  }
}

/** Checks the lines of an export as they go by. */
export class ExportReader {
  private readonly hash: Hash = createHash('sha256');
  private end: ExportEnd | undefined;
  private broken = false;

  /** Undefined for what is none. */
  line(text: string): ExportLine | undefined {
    const line = parse(text);
    if (this.end || !line) {
      this.broken = true;
      return undefined;
    }
    if (line.kind === 'end') this.end = line;
    else this.hash.update(`${text}\n`);
    return line;
  }

  /** After the last line: whose signature fits; undefined when none does. */
  signedBy(): string | undefined {
    const { end } = this;
    if (!end || this.broken) return undefined;
    const digest = this.hash.digest('hex');
    const fits = digest === end.digest && verifies(end.publicKey, exportText(digest), end.signature);
    return fits ? end.publicKey : undefined;
  }
}

function exportText(digest: string): string {
  return `lethe/1/export\n${digest}`;
}

function parse(text: string): ExportLine | undefined {
  try {
    const line = JSON.parse(text) as ExportLine | null;
    return typeof line === 'object' && typeof line?.kind === 'string' ? line : undefined;
  } catch {
    return undefined;
  }
}
