import type { ColumnType, TransformerSpec } from '../../anonymize/transformer.js';

/** BSON types by the names that `$type` has for them; `uuid` is Binary of subtype 4, `binData` any other subtype. */
export type BsonType =
  | 'double'
  | 'string'
  | 'object'
  | 'array'
  | 'binData'
  | 'uuid'
  | 'undefined'
  | 'objectId'
  | 'bool'
  | 'date'
  | 'null'
  | 'regex'
  | 'dbPointer'
  | 'javascript'
  | 'symbol'
  | 'javascriptWithScope'
  | 'int'
  | 'timestamp'
  | 'long'
  | 'decimal'
  | 'minKey'
  | 'maxKey';

/**
 * What happens to a field: a transformer, or one of two names that only fields know: `drop` removes the field, `block`
 * refuses the document.
 */
export type FieldSpec = TransformerSpec;

/** What becomes of the documents of one collection. Plain JSON: a run pins it. */
export interface CollectionRules {
  /** `database.collection` of the source. Domains without a name start with it. */
  readonly collection: string;
  /** Of two that name one value, the longer path counts, then the one with fewer wildcards, then the first. */
  readonly fields: readonly FieldRule[];
  /** New fields at the top of the document, made from others. Default none. */
  readonly derive?: readonly DerivedField[];
  /** A field that no rule names: the document is refused, or the field is kept, emptied or removed. */
  readonly unlisted: 'block' | 'keep' | 'null' | 'drop';
}

export interface FieldRule {
  /** Counts go by it. */
  readonly rule: string;
  /**
   * `email`, `address.street`, `orders[].total`, `tags[0]`, `tiers.*.id`, `**.email` (at any depth), `'a.b'.c` (a name
   * with dots). A path covers all that lies below what it names, unless a longer path says otherwise. `tiers.*~` names
   * the keys themselves. What `drop` or
   * `null` names is closed to paths that reach it by more wildcards.
   */
  readonly path: string;
  /** For values of every type that `types` does not have. Null and undefined stay what they are. */
  readonly apply: FieldSpec;
  /** For fields that hold values of different types. `object` and `array` take `keep`, `null`, `drop` and `block`. */
  readonly types?: Readonly<Partial<Record<BsonType, FieldSpec>>>;
  /** Name of the domain whose key is used. Default `database.collection.path`. */
  readonly domain?: string;
  /**
   * NaN, the infinities, -0.0 and dates outside of the years 1 to 9999, where a transformer would have to read them:
   * the document is refused (default), or the value is kept.
   */
  readonly special?: 'refuse' | 'keep';
  /** What transformers are compiled for, where the domain's narrowest type is not the value's own. */
  readonly compileTypes?: Readonly<Partial<Record<BsonType, ColumnType>>>;
}

/** A field at the top of the document; one that is there already is replaced where it stands, a new one comes last. */
export interface DerivedField {
  readonly rule: string;
  readonly name: string;
  /** A path of names alone. Where the document has no such field, it gets none by that name either. */
  readonly from: string;
  /**
   * Keeps the type of the value that it reads; a transformer that makes texts (`hash`, `uuid`, …) makes a string of any
   * value.
   */
  readonly apply: TransformerSpec;
  /** Default `database.collection.from`: the derived value meets the transformed one where both use one transformer. */
  readonly domain?: string;
}

/** A document that was not transformed, and is not in the result. */
export interface RefusedDocument {
  /** Of the document in what `apply` was given. */
  readonly index: number;
  /** Half a sentence; it holds no value. */
  readonly reason: string;
  /** Where: the rule's path, or the field's with `[]` for elements and `?` for names that may be data. */
  readonly path: string;
}

export interface TransformedDocuments {
  /** Raw BSON in the order given; null in the place of a refused document. */
  readonly documents: (Uint8Array | null)[];
  /** Ascending index; one entry for each refused document. */
  readonly refused: RefusedDocument[];
  /** By rule name: values (not null) that the rule decided, of the documents that were not refused by their form. */
  readonly rules: Readonly<Record<string, number>>;
  /** By path: outputs that equal their own input though their transformer says that they should not. */
  readonly equal: Readonly<Record<string, number>>;
}

/** Transforms batches of raw BSON documents. Stateless between calls. */
export interface DocumentTransform {
  /**
   * @param documents Raw BSON. They are only read; results are new memory, also where nothing changed.
   */
  apply(documents: readonly Uint8Array[]): TransformedDocuments;
}
