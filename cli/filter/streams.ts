import { once } from 'node:events';
import { Readable, type Writable } from 'node:stream';
import { finished, pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { LetheError } from '../../errors/errors.js';

export interface OpenInput {
  readonly gzip: boolean;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** A stream, unpacked where it begins as gzip does. */
export async function openInput(stream: Readable): Promise<OpenInput> {
  const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let head = Buffer.alloc(0);
  while (head.length < 2) {
    const { value, done } = await iterator.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  async function* whole(): AsyncGenerator<Buffer> {
    if (head.length > 0) yield head;
    yield* { [Symbol.asyncIterator]: () => iterator };
  }
  if (head[0] !== 0x1f || head[1] !== 0x8b) return { gzip: false, bytes: whole() };
  return { gzip: true, bytes: unpacked(Readable.from(whole(), { objectMode: false })) };
}

async function* unpacked(packed: Readable): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip();
  // Its failure is that of reading below.
  pipeline(packed, gunzip).catch(() => undefined);
  try {
    yield* gunzip;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (!code?.startsWith('Z_')) throw error;
    throw new LetheError(
      'SealRefused',
      `The gzip input is damaged or ends too early (${code}). What was written are whole lines from before that.`,
    );
  }
}

export interface OpenOutput {
  /** Resolves when more can be taken. */
  write(bytes: Uint8Array): Promise<void>;
  /** Resolves when everything was handed to the stream. Not called after a failure: packed output then ends torn. */
  end(): Promise<void>;
}

/** A stream to write to, packed where wanted. It stays open. */
export function openOutput(stream: Writable, gzip: boolean): OpenOutput {
  if (!gzip) return { write: (bytes) => write(stream, bytes), end: async () => undefined };
  const packer = createGzip();
  packer.pipe(stream, { end: false });
  return {
    write: (bytes) => write(packer, bytes),
    async end() {
      packer.end();
      await finished(packer);
    },
  };
}

async function write(stream: Writable, bytes: Uint8Array): Promise<void> {
  if (!stream.write(bytes)) await once(stream, 'drain');
}
