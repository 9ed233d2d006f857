import type { ColumnType, TypeKind } from '../anonymize/transformer.js';

/** How values of a source column enter a destination column. */
export type Fit =
  /** One type. */
  | 'same'
  /** Every source value is a destination value. */
  | 'wider'
  /** Some source values are not; a transformer compiled for the destination's type keeps within it. */
  | 'narrower'
  | 'no';

const INTEGERS: readonly TypeKind[] = ['int2', 'int4', 'int8'];
const INTEGER_DIGITS: Partial<Record<TypeKind, number>> = { int2: 5, int4: 10, int8: 19 };
const EQUALITIES: readonly ColumnType['equality'][] = ['exact', 'number', 'padded', 'caseless'];

export function isInteger(type: ColumnType): boolean {
  return INTEGERS.includes(type.kind);
}

/** Compares the types of a column at both ends. Both sides speak text, so only the set of values matters. */
export function compareTypes(source: ColumnType, destination: ColumnType): Fit {
  if (source.kind === destination.kind) return fitOfOneKind(source, destination);
  if (isInteger(source) && isInteger(destination)) {
    return INTEGERS.indexOf(source.kind) < INTEGERS.indexOf(destination.kind) ? 'wider' : 'narrower';
  }
  if (isInteger(source) && destination.kind === 'numeric') {
    const digits = INTEGER_DIGITS[source.kind] ?? 0;
    return wholeDigits(destination) >= digits ? 'wider' : 'narrower';
  }
  if (destination.kind === 'text' && source.kind !== 'bytea') {
    return destination.maxLength === undefined ? 'wider' : 'no';
  }
  if (source.kind === 'date' && destination.kind === 'timestamp') return 'wider';
  return 'no';
}

function fitOfOneKind(source: ColumnType, destination: ColumnType): Fit {
  switch (source.kind) {
    case 'text':
      if (source.name === destination.name) return 'same';
      return (destination.maxLength ?? Infinity) >= (source.maxLength ?? Infinity) ? 'wider' : 'narrower';
    case 'numeric':
      if (source.name === destination.name) return 'same';
      return wholeDigits(destination) >= wholeDigits(source) &&
        (destination.scale ?? Infinity) >= (source.scale ?? Infinity)
        ? 'wider'
        : 'narrower';
    case 'float':
      if (source.name === destination.name) return 'same';
      return source.name === 'real' ? 'wider' : 'narrower';
    case 'json':
      return source.name === destination.name ? 'same' : 'wider';
    case 'enum':
      if (bareName(source.name) !== bareName(destination.name)) return 'no';
      return (source.enumValues ?? []).every((label) => destination.enumValues?.includes(label))
        ? 'same'
        : 'narrower';
    case 'array': {
      if (!source.element || !destination.element) return source.name === destination.name ? 'same' : 'no';
      return compareTypes(source.element, destination.element);
    }
    default:
      return source.name === destination.name || bareName(source.name) === bareName(destination.name)
        ? 'same'
        : 'no';
  }
}

/**
 * The narrowest of types whose values may be compared with each other (members of one domain, both ends of a column):
 * what fits all of them. Undefined when they are of different families. Equality is the coarsest of all.
 */
export function narrowest(types: readonly ColumnType[]): ColumnType | undefined {
  const [first, ...rest] = types;
  if (!first) return undefined;
  return rest.reduce<ColumnType | undefined>((a, b) => a && narrower(a, b), first);
}

function narrower(a: ColumnType, b: ColumnType): ColumnType | undefined {
  const nullable = a.nullable && b.nullable;
  const equality =
    EQUALITIES[Math.max(EQUALITIES.indexOf(a.equality), EQUALITIES.indexOf(b.equality))] ?? 'exact';
  if (isInteger(a) && isInteger(b)) {
    return { ...(INTEGERS.indexOf(a.kind) <= INTEGERS.indexOf(b.kind) ? a : b), nullable, equality };
  }
  if (isInteger(a) && b.kind === 'numeric') return { ...a, nullable, equality };
  if (a.kind === 'numeric' && isInteger(b)) return { ...b, nullable, equality };
  if (a.kind !== b.kind) return undefined;
  switch (a.kind) {
    case 'text': {
      const maxLength = least(a.maxLength, b.maxLength);
      const narrow = (a.maxLength ?? Infinity) <= (b.maxLength ?? Infinity) ? a : b;
      return { ...narrow, nullable, equality, ...(maxLength !== undefined && { maxLength }) };
    }
    case 'numeric': {
      const scale = least(a.scale, b.scale);
      const whole = Math.min(wholeDigits(a), wholeDigits(b));
      const precision = whole === Infinity ? undefined : whole + (scale ?? 0);
      const narrow = wholeDigits(a) <= wholeDigits(b) ? a : b;
      return {
        ...narrow,
        nullable,
        equality,
        ...(precision !== undefined && { precision, scale: scale ?? 0 }),
      };
    }
    case 'float':
      return { ...(a.name === 'real' ? a : b), nullable, equality };
    case 'enum':
      return bareName(a.name) === bareName(b.name)
        ? {
            ...a,
            nullable,
            equality,
            enumValues: a.enumValues?.filter((label) => b.enumValues?.includes(label)),
          }
        : undefined;
    case 'array':
    case 'other':
      return bareName(a.name) === bareName(b.name) ? { ...a, nullable, equality } : undefined;
    default:
      return { ...a, nullable, equality };
  }
}

/** `int4`, `text(40)`, `numeric(12,2)`: what a transformer's output depends on. */
export function shortType(type: ColumnType): string {
  const size =
    type.maxLength !== undefined
      ? `(${type.maxLength})`
      : type.precision !== undefined
        ? `(${type.precision},${type.scale ?? 0})`
        : '';
  return `${type.kind}${size}${type.equality === 'exact' ? '' : ` ${type.equality}`}`;
}

function wholeDigits(type: ColumnType): number {
  return type.precision === undefined ? Infinity : type.precision - (type.scale ?? 0);
}

function least(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined) return b;
  return b === undefined ? a : Math.min(a, b);
}

function bareName(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}
