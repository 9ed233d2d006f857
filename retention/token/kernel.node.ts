import { createHmac, timingSafeEqual } from 'node:crypto';
import { HEADER_LENGTH, SALT_LENGTH, TAG_LENGTH } from './format.js';
import {
  ASCII,
  BYTES,
  CHUNK_KEYS,
  CHUNK_VALUES,
  INPUT_BYTES,
  type Kernel,
  NOT_TOKEN,
  OUTPUT_BYTES,
  TAMPERED,
} from './kernel.js';

/** One value after the other by `createHmac`, for machines without SIMD in WebAssembly. */
export function nodeKernel(): Kernel {
  const areas = {
    input: Buffer.alloc(INPUT_BYTES),
    inputEnds: new Int32Array(CHUNK_VALUES),
    slots: new Uint8Array(CHUNK_VALUES),
    keys: Buffer.alloc(CHUNK_KEYS * 64),
    headers: Buffer.alloc(CHUNK_KEYS * 16),
    context: Buffer.alloc(1_026),
    salts: Buffer.alloc(CHUNK_VALUES * SALT_LENGTH),
    output: Buffer.alloc(OUTPUT_BYTES),
    outputStarts: new Int32Array(CHUNK_VALUES),
    outputEnds: new Int32Array(CHUNK_VALUES),
    statuses: new Uint8Array(CHUNK_VALUES),
  };
  const { input, inputEnds, slots, keys, headers, context, salts, output } = areas;
  const { outputStarts, outputEnds, statuses } = areas;
  const macKey = (slot: number) => keys.subarray(slot * 64 + 32, slot * 64 + 64);
  const inputOf = (i: number) => input.subarray(i === 0 ? 0 : inputEnds[i - 1], inputEnds[i]);

  return {
    ...areas,
    loadKey: () => undefined,
    seal(count, contextLength, deterministic) {
      let at = 0;
      for (let i = 0; i < count; i++) {
        const slot = slots[i]!;
        const header = headers.subarray(slot * 16, slot * 16 + HEADER_LENGTH);
        const fixed = Buffer.concat([header, context.subarray(0, contextLength)]);
        const plain = inputOf(i);
        const salt = deterministic
          ? hmac(macKey(slot), Buffer.from('det'), fixed, plain).subarray(0, SALT_LENGTH)
          : salts.subarray(i * SALT_LENGTH, (i + 1) * SALT_LENGTH);
        const cipher = masked(keys.subarray(slot * 64, slot * 64 + 32), salt, plain);
        const tag = hmac(macKey(slot), fixed, salt, cipher).subarray(0, TAG_LENGTH);
        at += header.copy(output, at);
        at += output.write(`${Buffer.concat([salt, cipher, tag]).toString('base64url')}.`, at, 'latin1');
        outputEnds[i] = at;
      }
    },
    reveal(count, contextLength) {
      let at = 0;
      for (let i = 0; i < count; i++) {
        const token = inputOf(i);
        const slot = slots[i]!;
        const body = token.toString('latin1', HEADER_LENGTH, token.length - 1);
        statuses[i] = /^[\w-]+$/.test(body) ? TAMPERED : NOT_TOKEN;
        if (statuses[i] === NOT_TOKEN) continue;
        const bytes = Buffer.from(body, 'base64url');
        const [salt, cipher] = [bytes.subarray(0, SALT_LENGTH), bytes.subarray(SALT_LENGTH, -TAG_LENGTH)];
        const header = token.subarray(0, HEADER_LENGTH);
        const tag = hmac(macKey(slot), header, context.subarray(0, contextLength), salt, cipher);
        if (!timingSafeEqual(tag.subarray(0, TAG_LENGTH), bytes.subarray(-TAG_LENGTH))) continue;
        let plain: Buffer | undefined = masked(keys.subarray(slot * 64, slot * 64 + 32), salt, cipher);
        if (token[1] === 0x70 || token[1] === 0x71) plain = unpadded(plain);
        if (!plain) continue;
        statuses[i] = plain.every((byte) => byte > 0 && byte < 0x80) ? ASCII : BYTES;
        outputStarts[i] = at;
        at += plain.copy(output, at);
        outputEnds[i] = at;
      }
    },
  };
}

function hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** XOR with HMAC(Kx, salt ‖ 0) ‖ HMAC(Kx, salt ‖ 1) ‖ … */
function masked(key: Uint8Array, salt: Uint8Array, bytes: Uint8Array): Buffer {
  const out = Buffer.from(bytes);
  const counter = Buffer.alloc(4);
  for (let at = 0; at < out.length; at += 32) {
    counter.writeUInt32BE(at / 32);
    const block = hmac(key, salt, counter);
    for (let j = 0; j < 32 && at + j < out.length; j++) out[at + j]! ^= block[j]!;
  }
  return out;
}

/** Undefined where there is no padding. */
function unpadded(bytes: Buffer): Buffer | undefined {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0) end--;
  return end > 0 && bytes[end - 1] === 0x80 ? bytes.subarray(0, end - 1) : undefined;
}
