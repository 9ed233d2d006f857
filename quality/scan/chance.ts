import type { TransformerSpec } from '../../anonymize/transformer.js';

/** What the transformers of a column may make that looks like a value of the source. */
export interface Draws {
  /** Combinations of the words of lists. */
  readonly words: boolean;
  /** Values with random letters and digits in the places of others: another phone number, another code. */
  readonly shapes: boolean;
}

const OF_WORDS = new Set('company email firstName fullName js lastName street username'.split(' '));
const OF_SHAPES = new Set('creditCard iban ip permute phone postalCode scramble'.split(' '));

/** What a column draws by its transformers, and by those inside their options. */
export function drawsOf(specs: readonly TransformerSpec[]): Draws {
  return {
    words: specs.some((spec) => names(spec, OF_WORDS)),
    shapes: specs.some((spec) => names(spec, OF_SHAPES)),
  };
}

function names(value: unknown, set: ReadonlySet<string>): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { name } = value as { name?: unknown };
  // What no path of a document names is scrambled.
  if (name === 'json' && set === OF_SHAPES) return true;
  return (
    (typeof name === 'string' && set.has(name)) || Object.values(value).some((inner) => names(inner, set))
  );
}

/** Characters that stay as they are in most: a calling code, the network of a card, a first digit that is no 0 or 1. */
const KEPT_BITS = 7;

/** How many values have the letters and digits of this one in the same places, as a power of two, about. */
export function bitsOf(text: string): number {
  const digits = text.match(/\p{Nd}/gu)?.length ?? 0;
  const letters = text.match(/[\p{L}]/gu)?.length ?? 0;
  return Math.max(0, Math.floor(digits * Math.log2(10) + letters * Math.log2(26)) - KEPT_BITS);
}

/** One clean run in a million may be failed by chance. */
const LEAST_PROBABILITY = 1e-6;
/** From here on nothing is made twice by chance. */
const MOST_BITS = 128;

/**
 * Tells values that a transformer made by chance from leaks, where it draws letters and digits in the shape of what it
 * replaces: a million phone numbers hold some of another million. Values of about the same number of combinations are
 * judged together, per place; fewer hits than chance gives in all but one of a million runs are no leak.
 */
export class Shapes {
  /** By bits: 1 / combinations, summed over the values that are looked for. */
  private readonly rates = new Float64Array(MOST_BITS);
  /** By place: beginnings of what was looked at. */
  private readonly looked = new Map<string, number>();
  private readonly hits = new Map<string, Map<number, number>>();

  /** A value of the source that is looked for. */
  want(text: string): void {
    const bits = bitsOf(text);
    if (bits < MOST_BITS) this.rates[bits]! += 2 ** -bits;
  }

  /** A text of a place that draws shapes, with so many words. */
  look(place: string, words: number): void {
    this.looked.set(place, (this.looked.get(place) ?? 0) + words);
  }

  /** So many times a value was found in a place. */
  hit(place: string, bits: number, count: number): void {
    if (!this.looked.has(place)) return;
    const counts = this.hits.get(place) ?? new Map<number, number>();
    this.hits.set(place, counts.set(bits, (counts.get(bits) ?? 0) + count));
  }

  /** Whether chance may have given all hits of such values in a place. */
  mayBeChance(place: string, bits: number): boolean {
    const hits = this.hits.get(place)?.get(bits);
    return hits !== undefined && atLeast(hits, this.expectedIn(place, bits)) > LEAST_PROBABILITY;
  }

  /** Hits that may be chance, and how many it gives in all places. */
  chance(): { observed: number; expected: number } {
    let observed = 0;
    let expected = 0;
    for (const [place, counts] of this.hits) {
      for (const [bits, hits] of counts) {
        if (this.mayBeChance(place, bits)) observed += hits;
      }
    }
    for (const place of this.looked.keys()) {
      for (let bits = 0; bits < MOST_BITS; bits++) expected += this.expectedIn(place, bits);
    }
    return { observed, expected };
  }

  private expectedIn(place: string, bits: number): number {
    return (this.looked.get(place) ?? 0) * (this.rates[bits] ?? 0);
  }
}

/** P(X ≥ n) of a Poisson distribution. */
export function atLeast(n: number, mean: number): number {
  if (n <= mean) return 1;
  if (mean === 0) return 0;
  let term = -mean;
  for (let k = 1; k <= n; k++) term += Math.log(mean / k);
  let sum = 0;
  let factor = 1;
  for (let k = n; factor > 1e-12; k++) {
    sum += factor;
    factor *= mean / (k + 1);
  }
  return Math.min(1, Math.exp(term) * sum);
}
