import type { Session } from '../session.js';
import { backendOf, type PgConnection } from './connection.js';

/** Whole rows of COPY text, each ended by a line feed. The bytes are the receiver's until it gives the chunk back. */
export interface CopyChunk {
  readonly bytes: Buffer;
  /** Offset after each row's line feed, ascending. */
  readonly ends: readonly number[];
}

/** A chunk is handed on when it reached this size: large enough for column-wise work, small enough to stay in cache. */
export const CHUNK_BYTES = 1 << 20;

const QUEUED_CHUNKS = 2;
const HEADER_BYTES = 5;
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const ERROR_RESPONSE = 0x45;

/**
 * Starts `COPY … TO STDOUT` and hands its rows on in chunks of about a megabyte; a row is never split, and a larger one
 * is a chunk of its own. Reading stops while two chunks wait, so memory is bounded by chunks whatever the table holds.
 * Errors are the driver's own: they may carry values, and callers sanitize them.
 */
export function copyOut(session: Session, text: string): CopyOut {
  const copy = new CopyOut(text);
  session.client.query(copy);
  return copy;
}

/**
 * A driver query that reads COPY data straight from the socket: the driver's own parser makes an object per row.
 *
 *   submit → taking messages ⇄ paused (two chunks wait) → handed back (CopyDone or error) → ended
 */
export class CopyOut {
  private connection: PgConnection | undefined;
  private driver: ((data: Buffer) => void) | undefined;
  private readonly header = Buffer.alloc(HEADER_BYTES);
  private headerBytes = 0;
  /** Bytes of the current message that are still to come, and whether they are row data. */
  private left = 0;
  private inRow = false;
  private bytes: Buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES + CHUNK_BYTES / 4);
  private used = 0;
  private ends: number[] = [];
  private readonly ready: CopyChunk[] = [];
  private readonly spare: Buffer[] = [];
  private waiting:
    | { resolve: (chunk: CopyChunk | undefined) => void; reject: (error: unknown) => void }
    | undefined;
  private ended = false;
  private failure: unknown;

  constructor(private readonly text: string) {}

  /** The next rows, or undefined after the last. */
  next(): Promise<CopyChunk | undefined> {
    const chunk = this.ready.shift();
    if (chunk) {
      this.connection?.stream.resume();
      return Promise.resolve(chunk);
    }
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.ended) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  /** Gives a chunk's memory back for later rows. */
  release(chunk: CopyChunk): void {
    if (chunk.bytes.buffer.byteLength <= 2 * CHUNK_BYTES && this.spare.length <= QUEUED_CHUNKS) {
      this.spare.push(Buffer.from(chunk.bytes.buffer));
    }
  }

  /** Reads the rest and throws it away, so that the session can go on. Never throws. */
  async drain(): Promise<void> {
    try {
      for (let chunk = await this.next(); chunk; chunk = await this.next()) this.release(chunk);
    } catch {
      // The statement has ended, which is all that was wanted.
    }
  }

  submit(connection: PgConnection): void {
    this.connection = connection;
    this.driver = backendOf(connection);
    connection.stream.removeListener('data', this.driver);
    connection.stream.on('data', this.onData);
    connection.query(this.text);
  }

  private readonly onData = (data: Buffer): void => {
    let at = 0;
    while (at < data.length) {
      if (this.left > 0) {
        at = this.take(data, at);
        continue;
      }
      if (this.headerBytes > 0 || data.length - at < HEADER_BYTES) {
        const end = Math.min(data.length, at + HEADER_BYTES - this.headerBytes);
        this.headerBytes += data.copy(this.header, this.headerBytes, at, end);
        at = end;
        if (this.headerBytes < HEADER_BYTES) return;
        this.headerBytes = 0;
        if (this.begin(this.header, 0)) {
          this.handBack(this.header, data.subarray(at));
          return;
        }
      } else {
        if (this.begin(data, at)) {
          this.handBack(data.subarray(at));
          return;
        }
        at += HEADER_BYTES;
      }
    }
  };

  /** Looks at a message's header; true when the COPY is over and the driver takes the rest. */
  private begin(data: Buffer, at: number): boolean {
    const code = data[at];
    this.left = data.readUInt32BE(at + 1) - 4;
    this.inRow = code === COPY_DATA;
    if (this.inRow) {
      this.reserve(this.left);
    } else {
      if (code === COPY_DONE || code === ERROR_RESPONSE) return true;
      this.driver?.(Buffer.from(data.subarray(at, at + HEADER_BYTES)));
    }
    return false;
  }

  private take(data: Buffer, at: number): number {
    const end = Math.min(data.length, at + this.left);
    this.left -= end - at;
    if (!this.inRow) {
      this.driver?.(data.subarray(at, end));
      return end;
    }
    data.copy(this.bytes, this.used, at, end);
    this.used += end - at;
    if (this.left === 0) {
      this.ends.push(this.used);
      if (this.used >= CHUNK_BYTES) this.flush();
    }
    return end;
  }

  private reserve(bytes: number): void {
    if (this.used + bytes <= this.bytes.length) return;
    if (this.used > 0) this.flush();
    if (bytes > this.bytes.length) this.bytes = Buffer.allocUnsafeSlow(bytes);
  }

  private flush(): void {
    const chunk = { bytes: this.bytes.subarray(0, this.used), ends: this.ends };
    this.bytes = this.spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES + CHUNK_BYTES / 4);
    this.used = 0;
    this.ends = [];
    if (this.waiting) {
      const { resolve } = this.waiting;
      this.waiting = undefined;
      resolve(chunk);
      return;
    }
    this.ready.push(chunk);
    if (this.ready.length >= QUEUED_CHUNKS) this.connection?.stream.pause();
  }

  private handBack(...rest: Buffer[]): void {
    const { connection, driver } = this;
    if (!connection || !driver) return;
    this.driver = undefined;
    connection.stream.removeListener('data', this.onData);
    connection.stream.on('data', driver);
    connection.stream.resume();
    driver(Buffer.concat(rest));
  }

  handleCommandComplete(): void {
    if (this.used > 0) this.flush();
  }

  handleReadyForQuery(): void {
    this.ended = true;
    this.waiting?.resolve(undefined);
    this.waiting = undefined;
  }

  handleError(error: unknown): void {
    // The connection may have died with the socket still ours.
    this.handBack(Buffer.alloc(0));
    this.failure = error ?? new Error('Connection terminated');
    this.waiting?.reject(this.failure);
    this.waiting = undefined;
  }
}
