import { createHmac, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CHUNK_VALUES, type Kernel } from '../../../retention/token/kernel.js';
import { KERNELS } from './scene.js';

const { lanes, node } = KERNELS;
const script = new URL('../../../scripts/lanes.mjs', import.meta.url);
const { compileLanes } = (await import(script.href)) as { compileLanes(): Promise<string> };

interface Job {
  readonly values: readonly Uint8Array[];
  readonly keys: readonly Uint8Array[];
  readonly context: Uint8Array;
  readonly salts: Uint8Array;
}

function sealWith(kernel: Kernel, { values, keys, context, salts }: Job, deterministic: boolean): Buffer {
  for (const [slot, key] of keys.entries()) {
    kernel.keys.set(key, slot * 64);
    kernel.headers.write(`lt1.ip2603${10 + slot}.`, slot * 16);
    kernel.loadKey(slot);
  }
  let at = 0;
  for (const [i, value] of values.entries()) {
    kernel.input.set(value, at);
    at += value.length;
    kernel.inputEnds[i] = at;
    kernel.slots[i] = i % keys.length;
  }
  kernel.context.set(context);
  kernel.salts.set(salts);
  kernel.seal(values.length, context.length, deterministic);
  return Buffer.from(kernel.output.subarray(0, kernel.outputEnds[values.length - 1]));
}

describe('HMAC in four lanes', () => {
  it('is committed as its source compiles', async () => {
    const committed = readFileSync(
      new URL('../../../retention/token/lanes.wasm.ts', import.meta.url),
      'utf8',
    );
    expect((await compileLanes()) === committed).toBe(true);
  }, 240_000);

  it('gives the tag of createHmac for messages of all lengths', () => {
    const key = randomBytes(64);
    const context = Buffer.from([0, 0]);
    for (let from = 0; from < 600; from += 100) {
      const values = Array.from({ length: 100 }, (_, i) => randomBytes(from + i));
      const salts = randomBytes(12 * values.length);
      const tokens = sealWith(lanes, { values, keys: [key], context, salts }, false).toString('latin1');
      const bodies = tokens.split(/lt1\.ip260310\.([^.]*)\./).filter((part) => part !== '');
      expect(bodies.length).toBe(100);
      for (const [i, body] of bodies.entries()) {
        const bytes = Buffer.from(body, 'base64url');
        const tag = createHmac('sha256', key.subarray(32)).update('lt1.ip260310.').update(context);
        tag.update(bytes.subarray(0, -16));
        expect(tag.digest().subarray(0, 16).equals(bytes.subarray(-16)), `length ${from + i}`).toBe(true);
      }
    }
  });

  it('seals byte for byte as createHmac does, many lengths and keys in one chunk', () => {
    const lengths = fc.oneof(fc.nat(80), fc.nat(700), fc.constantFrom(0, 64, 4_000, 30_000));
    fc.assert(
      fc.property(
        fc.array(lengths, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 1, max: 5 }),
        fc.nat(1_024),
        fc.boolean(),
        (sizes, keyCount, contextLength, deterministic) => {
          const job: Job = {
            values: sizes.map((size) => randomBytes(size)),
            keys: Array.from({ length: keyCount }, () => randomBytes(64)),
            context: Buffer.concat([
              Buffer.from([contextLength >> 8, contextLength & 255]),
              Buffer.alloc(contextLength, 'x'),
            ]),
            salts: randomBytes(12 * sizes.length),
          };
          expect(sealWith(lanes, job, deterministic).equals(sealWith(node, job, deterministic))).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('takes a full chunk', () => {
    const values = Array.from({ length: CHUNK_VALUES }, (_, i) => randomBytes(i % 50));
    const job: Job = {
      values,
      keys: [randomBytes(64), randomBytes(64)],
      context: Buffer.alloc(2),
      salts: randomBytes(12 * CHUNK_VALUES),
    };
    expect(sealWith(lanes, job, false).equals(sealWith(node, job, false))).toBe(true);
  });
});
