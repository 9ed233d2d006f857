import { z } from 'zod';
import { Ff1 } from '../../crypto/ff1.js';
import { canonicalColumn } from '../canonical.js';
import { permuteIntegers } from '../permute/integers.js';
import { permuteObjectIds } from '../permute/objectIds.js';
import { permuteTexts } from '../permute/texts.js';
import { permuteUuids } from '../permute/uuids.js';
import { type ColumnType, defineTransformer, type TypeKind } from '../transformer.js';

/** Bits of the range by type: by default with room above for the application to go on inserting, and at most. */
const BITS: Partial<Record<TypeKind, readonly [number, number]>> = {
  int2: [14, 15],
  int4: [30, 31],
  int8: [62, 63],
  numeric: [62, 63],
};
/** 2^20 is the first power of two with a million numbers. */
const SAFE_BITS = 20;

const options = z.object({
  bits: z
    .int()
    .min(7)
    .max(63)
    .optional()
    .describe(
      'Integers: they are permuted within 1 and 2^bits - 1; larger ones are refused. ' +
        'Default 14 for int2, 30 for int4, 62 for int8 and numeric.',
    ),
  allowSmall: z
    .boolean()
    .default(false)
    .describe(
      'Also where there are fewer than a million different values: such a permutation can be guessed.',
    ),
  as: z
    .enum(['code', 'uuid'])
    .default('code')
    .describe('What a text holds: `code`, letters and digits; `uuid`, a UUID in lower case.'),
});

/** Permutes keys. */
export const permute = defineTransformer({
  name: 'permute',
  version: 1,
  summary: 'Swaps values among each other, so that keys stay unique and keep their form.',
  example: { input: '4711', type: { kind: 'int8', name: 'bigint' } },
  options,
  shorthand: 'bits',
  accepts: (type, chosen) => {
    if (type.kind === 'uuid' || type.kind === 'objectId') return true;
    if (type.kind === 'text') {
      const short = chosen.as === 'uuid' && type.maxLength !== undefined && type.maxLength < 36;
      return short ? 'a UUID has 36 characters' : true;
    }
    return acceptsInteger(type, chosen);
  },
  proof: (type, chosen) => ({
    unique: 'injective',
    mayEqualInput: false,
    keepsNull: true,
    total: true,
    ...(type.kind in BITS ? { maxInteger: String(2n ** BigInt(bitsOf(type, chosen)) - 1n) } : {}),
  }),
  compile: ({ options: chosen, type, prf }) => {
    const bits = type.kind in BITS ? bitsOf(type, chosen) : 0;
    const form = bits > 0 ? `${bits}` : type.kind === 'text' ? chosen.as : type.kind;
    const ff1 = new Ff1(prf.subKey(`permute/${form}`));
    return (values, chunk) => {
      const inputs = canonicalColumn(values, type.equality);
      if (bits > 0) return permuteIntegers(ff1, bits, mostBits(type), inputs, chunk);
      if (form === 'objectId') return permuteObjectIds(ff1, inputs, chunk);
      return form === 'uuid'
        ? permuteUuids(ff1, inputs, chunk)
        : permuteTexts(ff1, chosen.allowSmall, inputs, chunk);
    };
  },
});

/** The chosen bits, else the type's own, as far as a `numeric(p)` has digits. */
function bitsOf(type: ColumnType, { bits }: z.output<typeof options>): number {
  return bits ?? Math.min(BITS[type.kind]![0], digitBits(type));
}

function mostBits(type: ColumnType): number {
  return Math.min(BITS[type.kind]![1], digitBits(type));
}

function digitBits({ precision, scale = 0 }: ColumnType): number {
  return precision === undefined ? Number.POSITIVE_INFINITY : Math.floor((precision - scale) * Math.log2(10));
}

function acceptsInteger(type: ColumnType, chosen: z.output<typeof options>): true | string {
  if (!(type.kind in BITS) || (type.scale ?? 0) !== 0)
    return 'it permutes integers, texts, UUIDs and ObjectIds';
  const bits = bitsOf(type, chosen);
  const most = mostBits(type);
  if (bits < 7 || bits > most) return `its values have at most ${most} bits, and permute needs 7 or more`;
  if (bits < SAFE_BITS && !chosen.allowSmall) {
    return `a permutation of 2^${bits} numbers can be guessed; accept that with permute: { allowSmall: true }`;
  }
  return true;
}
