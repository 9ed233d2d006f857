import { canonicalPrf, keyedPrf } from '../../../anonymize/prf.js';
import type { ColumnType, Prf, Transformer } from '../../../anonymize/transformer.js';
import { Buffer } from './bytes.js';

/** In the place of a value that the server's function cannot make: the worker has to look at that document. */
export const UNABLE = '\0lethe: left to the worker';

/** What a function needs besides its code: plain JSON, written into it. */
export interface Given {
  readonly options: unknown;
  readonly type: ColumnType;
  /** Key of the domain, hex; absent where the transformer needs none. */
  readonly key?: string;
}

/** First and last millisecond of the years 1 to 9999. */
const FIRST_DATE = -62_135_596_800_000;
const LAST_DATE = 253_402_300_799_999;

/**
 * The function of one value on the server, made of the very transformer that workers use. It never throws: an error in
 * one document would end the aggregation of all.
 */
export function onServer(
  transformer: Transformer,
  { options, type, key }: Given,
): (value: unknown) => unknown {
  const prf = key === undefined ? keyless : keyedPrf(Buffer.from(key, 'hex'));
  const transform = transformer.compile({
    options,
    type,
    prf: canonicalPrf(prf, type.equality),
    shared: keyless,
    nested: unavailable,
  });
  return (value) => {
    try {
      const text = textOf(value);
      if (text === undefined) return UNABLE;
      let failed = false;
      const fail = () => {
        failed = true;
      };
      const [made] = transform([text], { size: 1, fail, source: unavailable });
      return failed || made === undefined ? UNABLE : made;
    } catch {
      return UNABLE;
    }
  };
}

const keyless: Prf = { bytes: unavailable, subKey: unavailable };

function unavailable(): never {
  throw new Error('not on the server');
}

/** As workers read values; undefined for what they do not read. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (typeof value === 'number')
    return Number.isFinite(value) && !Object.is(value, -0) ? String(value) : undefined;
  if (Object.prototype.toString.call(value) !== '[object Date]') return undefined;
  const time = (value as Date).getTime();
  return time >= FIRST_DATE && time <= LAST_DATE ? (value as Date).toISOString() : undefined;
}
