import { createCipheriv } from 'node:crypto';
import { aes, BLOCK, type BlockCipher } from './aes.js';

/** Messages one after the other: message i is `bytes[offsets[i] .. offsets[i + 1])`. */
export interface Packed {
  readonly bytes: Uint8Array;
  /** One more than there are messages. */
  readonly offsets: Uint32Array;
}

/** Messages longer than this go one by one through CBC: a layer for few values costs more than it saves. */
const LAYERED = 256;

/**
 * AES-CMAC (NIST SP 800-38B, RFC 4493) over a whole column: block j of every message is encrypted in one call, so the
 * cost of a call into OpenSSL is shared by all values.
 */
export class Cmac {
  private readonly encrypt: BlockCipher;
  /** Sub-keys for a last block that is whole, and for one that is padded. */
  private readonly k1: Uint8Array;
  private readonly k2: Uint8Array;

  /** @param key 16, 24 or 32 bytes. */
  constructor(private readonly key: Uint8Array) {
    this.encrypt = aes(key);
    this.k1 = double(this.encrypt(new Uint8Array(BLOCK)));
    this.k2 = double(this.k1);
  }

  /** The 16-byte tags of all messages, packed. */
  tags(messages: Packed): Uint8Array {
    const { offsets } = messages;
    const count = offsets.length - 1;
    const blocks = new Uint8Array(count * BLOCK);
    const active: number[] = [];
    const long: number[] = [];
    for (let i = 0; i < count; i++) {
      const length = offsets[i + 1]! - offsets[i]!;
      if (length > LAYERED) long.push(i);
      else {
        this.absorb(messages, i, 0, blocks, i);
        if (length > BLOCK) active.push(i);
      }
    }
    const state = this.encrypt(blocks);
    this.layers(messages, active, state);
    for (const i of long)
      state.set(this.chained(messages.bytes.subarray(offsets[i]!, offsets[i + 1]!)), i * BLOCK);
    return state;
  }

  /** Blocks 1, 2, … of the messages that have them; `state` holds the chaining values and, at the end, the tags. */
  private layers(messages: Packed, messagesLeft: number[], state: Uint8Array): void {
    const { offsets } = messages;
    let active = messagesLeft;
    for (let layer = 1; active.length > 0; layer++) {
      const blocks = new Uint8Array(active.length * BLOCK);
      for (let k = 0; k < active.length; k++) {
        const from = active[k]! * BLOCK;
        for (let b = 0; b < BLOCK; b++) blocks[k * BLOCK + b] = state[from + b]!;
        this.absorb(messages, active[k]!, layer, blocks, k);
      }
      const out = this.encrypt(blocks);
      for (let k = 0; k < active.length; k++) {
        const to = active[k]! * BLOCK;
        for (let b = 0; b < BLOCK; b++) state[to + b] = out[k * BLOCK + b]!;
      }
      const end = (layer + 1) * BLOCK;
      active = active.filter((i) => offsets[i + 1]! - offsets[i]! > end);
    }
  }

  /** XORs block `layer` of message `i`, padded and masked if it is the last one, into block `slot` of `blocks`. */
  private absorb(
    { bytes, offsets }: Packed,
    i: number,
    layer: number,
    blocks: Uint8Array,
    slot: number,
  ): void {
    const from = offsets[i]! + layer * BLOCK;
    const left = offsets[i + 1]! - from;
    const to = slot * BLOCK;
    const length = Math.min(left, BLOCK);
    for (let b = 0; b < length; b++) blocks[to + b]! ^= bytes[from + b]!;
    if (left > BLOCK) return;
    if (left < BLOCK) blocks[to + left]! ^= 0x80;
    const mask = left === BLOCK ? this.k1 : this.k2;
    for (let b = 0; b < BLOCK; b++) blocks[to + b]! ^= mask[b]!;
  }

  private chained(message: Uint8Array): Uint8Array {
    const head = Math.ceil(message.length / BLOCK) * BLOCK - BLOCK;
    const cbc = createCipheriv(
      `aes-${this.key.length * 8}-cbc`,
      this.key,
      new Uint8Array(BLOCK),
    ).setAutoPadding(false);
    const last = new Uint8Array(cbc.update(message.subarray(0, head)).subarray(-BLOCK));
    this.absorb({ bytes: message, offsets: Uint32Array.of(0, message.length) }, 0, head / BLOCK, last, 0);
    return this.encrypt(last);
  }
}

/** Multiplication by x in GF(2^128). */
function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  for (let b = 0; b < BLOCK; b++) out[b] = (block[b]! << 1) | ((block[b + 1] ?? 0) >>> 7);
  if (block[0]! & 0x80) out[BLOCK - 1]! ^= 0x87;
  return out;
}

/** UTF-16 units up to which a text is written here: nearly everything is short ASCII, a call into C++ costs more. */
const SHORT = 64;

/** Packs a column as UTF-8; null takes no bytes. */
export function packText(values: readonly (string | null)[]): Packed {
  let room = 0;
  for (const value of values) {
    if (value !== null) room += value.length > SHORT ? Buffer.byteLength(value) : value.length * 3;
  }
  const bytes = Buffer.allocUnsafe(room);
  const offsets = new Uint32Array(values.length + 1);
  let at = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value !== null) at += write(bytes, at, value);
    offsets[i + 1] = at;
  }
  return { bytes, offsets };
}

function write(bytes: Buffer, at: number, value: string): number {
  const length = value.length;
  if (length > SHORT) return bytes.write(value, at, 'utf8');
  for (let c = 0; c < length; c++) {
    const code = value.charCodeAt(c);
    if (code > 0x7f) return bytes.write(value, at, 'utf8');
    bytes[at + c] = code;
  }
  return length;
}
