import { keyedPrf } from '../../../anonymize/prf.js';
import { Buffer } from './bytes.js';
import { textOf, UNABLE } from './server.js';

type Factory = (random: () => number, hash: (text: string) => string) => (value: string) => unknown;

/**
 * A function of the job file on the server: what it may call and what becomes of its result are as in the worker's
 * sandbox (`anonymize/harness.ts`), without its limits of time and memory.
 *
 * @param key Key of the domain, hex; absent where the function calls neither `random` nor `hash`.
 */
export function ofUser(factory: Factory, key?: string): (value: unknown) => unknown {
  const prf = key === undefined ? undefined : keyedPrf(Buffer.from(key, 'hex'));
  const hash = (text: string) => Buffer.from(prf!.bytes('js/hash', [text])).toString('hex');
  return (value) => {
    try {
      const text = textOf(value);
      if (text === undefined) return UNABLE;
      const random = sfc32(() => Buffer.from(prf!.bytes('js', [text])).toString('hex'));
      return resultOf(factory(random, hash)(text));
    } catch {
      return UNABLE;
    }
  };
}

function resultOf(result: unknown): unknown {
  switch (typeof result) {
    case 'string':
      return result.includes('\0') ? UNABLE : result;
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(result);
    default:
      return result === null ? null : UNABLE;
  }
}

/** PractRand's small fast counting generator, seeded by 16 keyed bytes when it is first asked. */
function sfc32(seed: () => string): () => number {
  let [a, b, c, d] = [0, 0, 0, 0];
  let seeded = false;
  const next = () => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + t) | 0;
    return (t >>> 0) / 4_294_967_296;
  };
  return () => {
    if (!seeded) {
      seeded = true;
      const hex = seed();
      [a, b, c, d] = [0, 8, 16, 24].map((at) => Number.parseInt(hex.slice(at, at + 8), 16) | 0) as [
        number,
        number,
        number,
        number,
      ];
      for (let i = 0; i < 12; i++) next();
    }
    return next();
  };
}
