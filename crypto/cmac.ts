import { createCipheriv } from 'node:crypto';
import { aes, BLOCK, type BlockCipher, bytesOf, words } from './aes.js';

/** Messages one after the other: message i is `bytes[offsets[i] .. offsets[i + 1])`. */
export interface Packed {
  readonly bytes: Uint8Array;
  /** One more than there are messages. */
  readonly offsets: Uint32Array;
}

/** Messages longer than this go one by one through CBC: a layer for few values costs more than it saves. */
const LAYERED = 256;
/** 32-bit words of a block. */
const WORDS = BLOCK / 4;

/**
 * AES-CMAC (NIST SP 800-38B, RFC 4493) over a whole column: block j of every message is encrypted in one call, so the
 * cost of a call into OpenSSL is shared by all values.
 */
export class Cmac {
  private readonly encrypt: BlockCipher;
  /** Sub-keys for a last block that is whole, and for one that is padded. */
  private readonly k1: Uint32Array;
  private readonly k2: Uint32Array;

  /** @param key 16, 24 or 32 bytes. */
  constructor(private readonly key: Uint8Array) {
    this.encrypt = aes(key);
    const first = double(this.encrypt(new Uint8Array(BLOCK)));
    this.k1 = words(first);
    this.k2 = words(double(first));
  }

  /** The 16-byte tags of all messages, packed. */
  tags(messages: Packed): Uint8Array {
    const { offsets } = messages;
    const count = offsets.length - 1;
    const blocks = new Uint32Array(count * WORDS);
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
    const tags = this.encrypt(bytesOf(blocks));
    this.layers(messages, active, words(tags));
    for (const i of long)
      tags.set(this.chained(messages.bytes.subarray(offsets[i]!, offsets[i + 1]!)), i * BLOCK);
    return tags;
  }

  /** Blocks 1, 2, … of the messages that have them; `state` holds the chaining values and, at the end, the tags. */
  private layers(messages: Packed, longer: number[], state: Uint32Array): void {
    const { offsets } = messages;
    let active = longer;
    for (let layer = 1; active.length > 0; layer++) {
      const blocks = new Uint32Array(active.length * WORDS);
      for (let k = 0; k < active.length; k++) {
        for (let w = 0; w < WORDS; w++) blocks[k * WORDS + w] = state[active[k]! * WORDS + w]!;
        this.absorb(messages, active[k]!, layer, blocks, k);
      }
      const out = words(this.encrypt(bytesOf(blocks)));
      for (let k = 0; k < active.length; k++) {
        for (let w = 0; w < WORDS; w++) state[active[k]! * WORDS + w] = out[k * WORDS + w]!;
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
    blocks: Uint32Array,
    slot: number,
  ): void {
    let from = offsets[i]! + layer * BLOCK;
    const left = offsets[i + 1]! - from;
    const to = slot * WORDS;
    const whole = left < BLOCK ? left >>> 2 : WORDS;
    for (let w = 0; w < whole; w++, from += 4) {
      blocks[to + w]! ^=
        bytes[from]! | (bytes[from + 1]! << 8) | (bytes[from + 2]! << 16) | (bytes[from + 3]! << 24);
    }
    if (left > BLOCK) return;
    const mask = left === BLOCK ? this.k1 : this.k2;
    if (left < BLOCK) {
      let last = 0x80;
      for (let b = left & 3; b > 0; b--) last = (last << 8) | bytes[from + b - 1]!;
      blocks[to + whole]! ^= last;
    }
    for (let w = 0; w < WORDS; w++) blocks[to + w]! ^= mask[w]!;
  }

  private chained(message: Uint8Array): Uint8Array {
    const head = Math.ceil(message.length / BLOCK) * BLOCK - BLOCK;
    const cbc = createCipheriv(
      `aes-${this.key.length * 8}-cbc`,
      this.key,
      new Uint8Array(BLOCK),
    ).setAutoPadding(false);
    const last = words(new Uint8Array(cbc.update(message.subarray(0, head)).subarray(-BLOCK)));
    this.absorb({ bytes: message, offsets: Uint32Array.of(0, message.length) }, 0, head / BLOCK, last, 0);
    return this.encrypt(bytesOf(last));
  }
}

/** Multiplication by x in GF(2^128). */
function double(block: Uint8Array): Uint8Array {
  const out = new Uint8Array(BLOCK);
  for (let b = 0; b < BLOCK; b++) out[b] = (block[b]! << 1) | ((block[b + 1] ?? 0) >>> 7);
  if (block[0]! & 0x80) out[BLOCK - 1]! ^= 0x87;
  return out;
}

/** Columns that somebody made of the bytes that they are packed to. */
const made = new WeakMap<readonly (string | null)[], Packed>();

/** Says what a column is packed to, where that is known: `packText` gives it as long as nobody changes the array. */
export function madeOf<C extends readonly (string | null)[]>(packed: Packed, values: C): C {
  made.set(values, packed);
  return values;
}

/** UTF-16 units that are joined at once: far below the longest text that the engine can hold. */
const JOINED = 2 ** 26;

/** Packs a column as UTF-8; null takes no bytes. */
export function packText(values: readonly (string | null)[]): Packed {
  const known = made.get(values);
  if (known) return known;
  const offsets = new Uint32Array(values.length + 1);
  for (let i = 0; i < values.length; i++) offsets[i + 1] = offsets[i]! + (values[i]?.length ?? 0);
  const units = offsets[values.length]!;
  // One call into C++ for all. ASCII has a byte for each unit; anything else is measured value by value.
  const bytes = units > JOINED ? undefined : Buffer.from(values.join(''));
  return bytes?.length === units ? { bytes, offsets } : packWide(values, offsets);
}

function packWide(values: readonly (string | null)[], offsets: Uint32Array): Packed {
  for (let i = 0; i < values.length; i++) offsets[i + 1] = offsets[i]! + Buffer.byteLength(values[i] ?? '');
  const bytes = Buffer.allocUnsafe(offsets[values.length]!);
  for (let i = 0; i < values.length; i++) bytes.write(values[i] ?? '', offsets[i]!);
  return { bytes, offsets };
}
