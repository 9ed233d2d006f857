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

/** Of a buffer: a chunk, the rows that overshoot, headers. */
const BUFFER_BYTES = CHUNK_BYTES + CHUNK_BYTES / 4;
const QUEUED_CHUNKS = 2;
const HEADER_BYTES = 5;
const COPY_DATA = 0x64;
const COPY_DONE = 0x63;
const ERROR_RESPONSE = 0x45;

/** Buffers that are free, of all COPYs of this thread: fresh ones for each batch would wait for the collector in dozens. */
const spare: Buffer[] = [];
const SPARE_BUFFERS = 4;

function takeBuffer(): Buffer {
  return spare.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
}

function giveBuffer({ buffer }: Buffer): void {
  if (buffer.byteLength === BUFFER_BYTES && spare.length < SPARE_BUFFERS) spare.push(Buffer.from(buffer));
}

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
  private bytes: Buffer = takeBuffer();
  /** Payloads up to here, then rubbish up to `scanned`, then what is not scanned yet up to `received`. */
  private used = 0;
  private scanned = 0;
  private received = 0;
  private ends: number[] = [];
  private readonly ready: CopyChunk[] = [];
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
    giveBuffer(chunk.bytes);
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
    this.reserve(data.length);
    data.copy(this.bytes, this.received);
    this.received += data.length;
    this.scan();
  };

  /**
   * Goes over what was received: payloads move together over the headers between them, which in place and without an
   * object for each row is three times as fast as copying them one by one.
   */
  private scan(): void {
    const { bytes, received } = this;
    let at = this.scanned;
    while (received - at >= HEADER_BYTES) {
      const code = bytes[at]!;
      const end = at + 1 + bytes.readUInt32BE(at + 1);
      if (code === COPY_DONE || code === ERROR_RESPONSE) {
        this.scanned = received;
        this.handBack(Buffer.from(bytes.subarray(at, received)));
        return;
      }
      if (end > received) break;
      if (code === COPY_DATA) {
        bytes.copyWithin(this.used, at + HEADER_BYTES, end);
        this.used += end - at - HEADER_BYTES;
        this.ends.push(this.used);
      } else {
        // Notices and settings are the driver's.
        this.driver?.(Buffer.from(bytes.subarray(at, end)));
      }
      at = end;
    }
    this.scanned = at;
    if (this.used >= CHUNK_BYTES) this.flush();
  }

  /** Room for so many more bytes; what was scanned away is given up first. */
  private reserve(bytes: number): void {
    if (this.received + bytes <= this.bytes.length) return;
    if (this.used > 0) this.flush();
    if (this.received + bytes <= this.bytes.length) return;
    this.bytes = this.moved(Math.max(this.received + bytes, this.expected()) + CHUNK_BYTES / 4);
  }

  /** Bytes that are needed until the message is whole that has begun to arrive. */
  private expected(): number {
    return this.received - this.scanned >= HEADER_BYTES ? 1 + this.bytes.readUInt32BE(this.scanned + 1) : 0;
  }

  /** A buffer that begins with what is not scanned yet. */
  private moved(size: number): Buffer {
    const next = size <= BUFFER_BYTES ? takeBuffer() : Buffer.allocUnsafeSlow(size);
    this.received = this.bytes.copy(next, 0, this.scanned, this.received);
    this.scanned = 0;
    this.used = 0;
    return next;
  }

  private flush(): void {
    const chunk = { bytes: this.bytes.subarray(0, this.used), ends: this.ends };
    this.bytes = this.moved(this.received - this.scanned);
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

  private handBack(rest: Buffer): void {
    const { connection, driver } = this;
    if (!connection || !driver) return;
    this.driver = undefined;
    connection.stream.removeListener('data', this.onData);
    connection.stream.on('data', driver);
    connection.stream.resume();
    driver(rest);
  }

  handleCommandComplete(): void {
    if (this.used > 0) this.flush();
  }

  handleReadyForQuery(): void {
    this.ended = true;
    giveBuffer(this.bytes);
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
