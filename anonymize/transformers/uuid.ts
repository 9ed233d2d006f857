import { z } from 'zod';
import { canonicalColumn } from '../canonical.js';
import { acceptsText, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';

/** Replaces values by keyed UUIDs. */
export const uuid = defineTransformer({
  name: 'uuid',
  version: 1,
  summary: 'A UUID made from the value and the key: equal values stay equal.',
  example: { input: '1f0e7b7c-9f64-4d0a-8a55-0c1a4f2c9e11', type: { kind: 'uuid', name: 'uuid' } },
  options: z.object({
    version: z
      .union([z.literal(4), z.literal(8)])
      .default(4)
      .describe('Version digit of the UUID: 4 (random) or 8 (custom, RFC 9562). Both hold 122 keyed bits.'),
  }),
  shorthand: 'version',
  accepts: (type) => (type.kind === 'uuid' ? true : acceptsText(type, 36)),
  proof: () => madeUp(true),
  compile: ({ options, type, prf }) => {
    return (values) => {
      const inputs = canonicalColumn(values, type.equality);
      const bytes = Buffer.from(prf.bytes('uuid', inputs));
      for (let at = 0; at < bytes.length; at += 16) {
        bytes[at + 6] = (bytes[at + 6]! & 0x0f) | (options.version << 4);
        bytes[at + 8] = (bytes[at + 8]! & 0x3f) | 0x80;
      }
      const hex = bytes.toString('hex');
      return inputs.map((value, row) => (value === null || value === '' ? value : dashed(hex, row * 32)));
    };
  },
});

/** A UUID as text, from 32 hex digits at an index. */
function dashed(hex: string, at: number): string {
  const part = (from: number, to: number): string => hex.slice(at + from, at + to);
  return `${part(0, 8)}-${part(8, 12)}-${part(12, 16)}-${part(16, 20)}-${part(20, 32)}`;
}
