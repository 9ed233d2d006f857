import type { JobKeys } from '../anonymize/keys.js';
import { BLIND } from '../anonymize/sealing.js';
import type { Sealing } from '../anonymize/transformer.js';
import { retainsOf } from '../plan/sealing.js';
import { BSON_TYPES } from './documents/columnTypes.js';
import { prepareDocuments } from './documents/compile.js';
import { eachLeaf } from './documents/leaves.js';
import { quoted } from './documents/paths.js';
import { type Place, placesOf } from './documents/places.js';
import type { CollectionRules, DocumentTransform, FieldRule, FieldSpec } from './documents/types.js';

/** A document as the rules make it now, and as it is in the destination. */
export interface DocumentPair {
  readonly made: Uint8Array;
  readonly there: Uint8Array;
}

export interface Compared {
  readonly same: boolean;
  /** Sealed values that were opened on both sides and are the same. */
  readonly opened: number;
}

/** Compares documents with what they were written as. */
export interface Recognizer {
  /** The rules seal values: two tokens of one value differ, so what they hold is compared, where its key is at hand. */
  readonly seals: boolean;
  compare(pairs: readonly DocumentPair[]): Compared[];
}

/** Byte for byte, but for sealed fields. */
export async function recognizerOf(rules: CollectionRules, keys: JobKeys): Promise<Recognizer> {
  const blank = blanking(rules);
  if (!blank)
    return {
      seals: false,
      compare: (pairs) => pairs.map((pair) => ({ same: sameBytes(pair), opened: 0 })),
    };
  const rest = await prepareDocuments(blank, { ...keys, sealing: BLIND });
  return new SealedRecognizer(rest, placesOf(rules), keys.sealing);
}

class SealedRecognizer implements Recognizer {
  readonly seals = true;

  constructor(
    private readonly rest: DocumentTransform,
    private readonly root: Place,
    private readonly sealing: Sealing | undefined,
  ) {}

  compare(pairs: readonly DocumentPair[]): Compared[] {
    const made = this.rest.apply(pairs.map((pair) => pair.made)).documents;
    const there = this.rest.apply(pairs.map((pair) => pair.there)).documents;
    return pairs.map((pair, at) => {
      const [one, other] = [made[at], there[at]];
      if (!one || !other || !sameBytes({ made: one, there: other })) return { same: false, opened: 0 };
      return this.compareSealed(pair);
    });
  }

  /** All else is the same, so the sealed values of both stand in the same places. */
  private compareSealed({ made, there }: DocumentPair): Compared {
    const opened = this.sealing?.opened;
    if (!opened) return { same: true, opened: 0 };
    const [ours, theirs] = [made, there].map((document) => opened(this.sealedTexts(document)));
    let count = 0;
    for (const [at, value] of ours!.entries()) {
      const other = theirs![at];
      // The day of one of them is over.
      if (value === undefined || other === undefined) continue;
      if (value !== other) return { same: false, opened: count };
      if (value !== null) count++;
    }
    return { same: true, opened: count };
  }

  private sealedTexts(document: Uint8Array): (string | null)[] {
    const texts: (string | null)[] = [];
    eachLeaf(document, this.root, ({ place, kind, text }) => {
      if (place.rule && seals(place.rule)) texts.push(kind === 'text' ? text : null);
    });
    return texts;
  }
}

function sameBytes({ made, there }: DocumentPair): boolean {
  return Buffer.compare(made, there) === 0;
}

/** Rules that empty what the given ones seal, and keep all else; undefined where they seal nothing. */
function blanking({ collection, fields, derive = [] }: CollectionRules): CollectionRules | undefined {
  if (![...fields, ...derive].some(seals)) return undefined;
  const rule = (path: string, sealed: boolean): FieldRule => ({
    ...{ rule: 'fields', path, apply: KEPT },
    ...(sealed && { apply: EMPTIED, types: UNSEALED }),
  });
  return {
    collection,
    // A derived field stands in the place of any other of its name, whose rule did not make it.
    fields: [
      ...derive.map((field) => rule(quoted(field.name), seals(field))),
      ...fields.map((field) => rule(field.path, seals(field))),
    ],
    unlisted: 'keep',
  };
}

const KEPT: FieldSpec = { name: 'keep', options: {} };
/** Under `BLIND`: values become null, and what documents and arrays hold is looked into. */
const EMPTIED: FieldSpec = { name: 'retain', options: { policy: 'xx' } };
/** Types that no token has. */
const UNSEALED = Object.fromEntries(
  BSON_TYPES.filter((type) => !['string', 'symbol', 'object', 'array'].includes(type)).map((type) => [
    type,
    KEPT,
  ]),
);

function seals(rule: { readonly apply: FieldSpec; readonly types?: object }): boolean {
  return [rule.apply, ...Object.values<FieldSpec>({ ...rule.types })].some(
    (spec) => retainsOf(spec).length > 0,
  );
}
