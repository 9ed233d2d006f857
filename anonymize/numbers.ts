import type { ColumnType } from './transformer.js';

const INTEGER_BITS: Partial<Record<ColumnType['kind'], bigint>> = { int2: 15n, int4: 31n, int8: 63n };

/** Largest number of IEEE 754 single precision. */
const MAX_REAL = 2 ** 128 - 2 ** 104;

/** Whether the type's values are numbers. */
export function isNumber({ kind }: ColumnType): boolean {
  return kind in INTEGER_BITS || kind === 'numeric' || kind === 'float';
}

export function isInteger({ kind }: ColumnType): boolean {
  return kind in INTEGER_BITS;
}

/** Largest and smallest number of the type at a scale; undefined where there is no limit. */
export function numberRange(
  type: ColumnType,
  scale: number,
): { readonly min: bigint; readonly max: bigint } | undefined {
  const unit = 10n ** BigInt(scale);
  const bits = INTEGER_BITS[type.kind];
  if (bits !== undefined) return { min: -(1n << bits) * unit, max: ((1n << bits) - 1n) * unit };
  if (type.kind === 'float') {
    const max = BigInt(type.name === 'real' || type.name === 'float4' ? MAX_REAL : Number.MAX_VALUE) * unit;
    return { min: -max, max };
  }
  if (type.precision === undefined) return undefined;
  const whole = type.precision - (type.scale ?? 0);
  // numeric(3,-2) holds hundreds up to 99900; numeric(3,5) holds up to 0.00999.
  const digits = 10n ** BigInt(type.precision) - 1n;
  const max =
    (type.scale ?? 0) < 0
      ? digits * 10n ** BigInt(whole - type.precision) * unit
      : atMost(digits, type.scale ?? 0, scale);
  return { min: -max, max };
}

function atMost(digits: bigint, scale: number, to: number): bigint {
  return to >= scale ? digits * 10n ** BigInt(to - scale) : digits / 10n ** BigInt(scale - to);
}

/** The scale to calculate at: the column's own, else the number's. */
export function workingScale(type: ColumnType, scale: number): number {
  return type.kind === 'numeric' && type.scale !== undefined ? Math.max(type.scale, 0) : scale;
}
