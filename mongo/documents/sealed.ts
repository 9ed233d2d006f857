import { compileColumn } from '../../anonymize/compile.js';
import { NESTED_LEAF } from '../../anonymize/nested.js';
import type {
  ColumnTransform,
  ColumnType,
  Prf,
  Sealing,
  TransformerSpec,
} from '../../anonymize/transformer.js';
import { BSON } from './bson.js';
import { KEY_NAME } from './target.js';

/** The transformer whose values are strings, whatever they were. */
export const SEALED = 'retain';

/** How the values of one type are sealed. */
export interface SealedValues {
  /** Type byte of the tokens. */
  readonly output: number;
  compile(prf: Prf, sealing: Sealing | undefined): ColumnTransform;
}

/** Kinds of which JSON has the value, so that who reveals a document has the type back. */
const TYPED = new Set<ColumnType['kind']>(['int4', 'int8', 'float', 'bool']);

/**
 * How values of a type are sealed, or why they cannot be. Tokens are strings: of texts, of ints, longs, doubles and bools
 * as JSON has them, and of the text of all else.
 *
 * @param output Type byte, or `KEY_NAME`.
 */
export function sealedFrom(spec: TransformerSpec, type: ColumnType, output: number): SealedValues | string {
  if (output === KEY_NAME) return 'a token holds dots, and names of fields should not: hash them';
  if (type.kind === 'text')
    return { output, compile: (prf, sealing) => compileColumn(spec, type, prf, prf, sealing) };
  if (spec.options.pattern !== undefined)
    return 'a pattern looks into texts: write `types: { string: { retain: … }, else: … }`';
  const asText = (prf: Prf, sealing: Sealing | undefined) => compileColumn(spec, type, prf, prf, sealing);
  const asJson = (prf: Prf, sealing: Sealing | undefined) =>
    compileColumn(spec, NESTED_LEAF, prf, prf, sealing);
  return {
    output: BSON.string,
    compile(prf, sealing) {
      if (!TYPED.has(type.kind)) return asText(prf, sealing);
      return type.kind === 'int8'
        ? bySafety(asJson(prf, sealing), asText(prf, sealing))
        : asJson(prf, sealing);
    },
  };
}

/** Longs that no JavaScript number holds are sealed as their digits, so that none is lost where they are revealed. */
function bySafety(safe: ColumnTransform, unsafe: ColumnTransform): ColumnTransform {
  return (values, chunk) => {
    const isSafe = (value: string | null) => value !== null && Number.isSafeInteger(Number(value));
    const numbers = safe(
      values.map((value) => (isSafe(value) ? value : null)),
      chunk,
    );
    if (values.every((value) => value === null || isSafe(value))) return numbers;
    const texts = unsafe(
      values.map((value) => (isSafe(value) ? null : value)),
      chunk,
    );
    return values.map((value, i) => (isSafe(value) ? numbers[i]! : texts[i]!));
  };
}
