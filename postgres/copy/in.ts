import type { Session } from '../session.js';
import type { PgConnection } from './connection.js';

const HEADER_BYTES = 5;
const COPY_DATA = 0x64;
const COPY_DONE = Buffer.from([0x63, 0, 0, 0, 4]);
const COPY_FAIL = Buffer.from([0x66, 0, 0, 0, 5, 0]);
/** The length of a protocol message is a signed 32-bit number, and the server takes no more than 1 GiB at once. */
const MESSAGE_BYTES = 1 << 28;

/** Starts `COPY … FROM STDIN`. Errors are the driver's own: they may carry values, and callers sanitize them. */
export function copyIn(session: Session, text: string): CopyIn {
  const copy = new CopyIn(text);
  session.client.query(copy);
  return copy;
}

/**
 * A driver query that writes COPY data. At most one chunk is on its way while the next is made.
 *
 *   submit → open → writing … → finish → ended, or failed at any point (the server ignores what comes after)
 */
export class CopyIn {
  private connection: PgConnection | undefined;
  private readonly opened = new Gate();
  private readonly done = new Gate();
  private sent = new Gate(true);
  private rows = 0;
  private failure: { error: unknown } | undefined;

  constructor(private readonly text: string) {}

  /**
   * Hands bytes to the socket; resolves when the chunk *before* has left this process. `bytes` must not be changed
   * until the next `write` or `finish` resolves.
   */
  async write(bytes: Buffer): Promise<void> {
    await this.opened.passed();
    await this.sent.passed();
    this.throwFailure();
    const stream = this.connection!.stream;
    const sent = new Gate();
    this.sent = sent;
    stream.cork();
    for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) {
      const part = bytes.subarray(at, at + MESSAGE_BYTES);
      const header = Buffer.allocUnsafe(HEADER_BYTES);
      header[0] = COPY_DATA;
      header.writeInt32BE(part.length + 4, 1);
      stream.write(header);
      stream.write(part, at + MESSAGE_BYTES >= bytes.length ? () => sent.open() : undefined);
    }
    stream.uncork();
  }

  /** Ends the COPY; resolves with the rows that the server took. */
  async finish(): Promise<number> {
    await this.opened.passed();
    this.throwFailure();
    this.connection!.stream.write(COPY_DONE);
    await this.done.passed();
    this.throwFailure();
    return this.rows;
  }

  /** Makes the server throw the COPY away; the transaction is failed after it. Never throws. */
  async abort(): Promise<void> {
    await this.opened.passed();
    if (this.failure === undefined) {
      this.connection!.stream.write(COPY_FAIL);
      await this.done.passed();
    }
  }

  private throwFailure(): void {
    if (this.failure) throw this.failure.error;
  }

  submit(connection: PgConnection): void {
    this.connection = connection;
    connection.query(this.text);
  }

  handleCopyInResponse(): void {
    this.opened.open();
  }

  handleCommandComplete(message: { text?: string }): void {
    this.rows = Number(/COPY (\d+)/.exec(message.text ?? '')?.[1] ?? 0);
  }

  handleReadyForQuery(): void {
    this.done.open();
  }

  handleError(error: unknown): void {
    this.failure = { error };
    this.opened.open();
    this.sent.open();
    this.done.open();
  }
}

/** A promise that somebody else resolves, once. */
class Gate {
  private resolve: (() => void) | undefined;
  private readonly promise: Promise<void>;
  constructor(open = false) {
    this.promise = open
      ? Promise.resolve()
      : new Promise((resolve) => {
          this.resolve = resolve;
        });
  }
  open(): void {
    this.resolve?.();
  }
  passed(): Promise<void> {
    return this.promise;
  }
}
