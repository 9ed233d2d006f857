import type { TransformerSpec } from '../../anonymize/transformer.js';
import type { DatabaseIdentity, TableName } from '../catalog.js';

/** What MongoDB databases hold, as a plan needs it. `mongo/catalog.ts` fills it. */
export interface DocumentCatalog {
  /** 8000 for 8.0. */
  readonly serverVersion: number;
  /** Of the URL. */
  readonly database: DatabaseIdentity;
  /** The server is a replica set or a sharded cluster, so that batches can be transactions. */
  readonly transactions: boolean;
  readonly collections: readonly CatalogCollection[];
  readonly views: readonly CatalogView[];
}

export interface CatalogCollection extends TableName {
  /** Estimated. */
  readonly rows: number;
  readonly bytes: number;
  readonly capped: boolean;
  /** `listCollections` options (validator, collation, capped, …) as canonical extended JSON. */
  readonly options: string;
  readonly indexes: readonly CatalogDocumentIndex[];
}

export interface CatalogDocumentIndex {
  readonly name: string;
  /** Paths in order. */
  readonly paths: readonly string[];
  readonly unique: boolean;
  /** As `listIndexes` gives it, canonical extended JSON. */
  readonly definition: string;
}

export interface CatalogView extends TableName {
  readonly on: string;
  /** `listCollections` options, canonical extended JSON. */
  readonly options: string;
}

/** What a sample of a collection's documents said about fields that nobody decided. */
export interface SampledFields {
  readonly collection: string;
  /** Documents that were looked at. */
  readonly documents: number;
  /** Paths that no rule decides. */
  readonly undecided: readonly string[];
  /** Documents that the rules refuse, by reason and path; undecided fields are not among them. */
  readonly refused: readonly { readonly path: string; readonly reason: string; readonly count: number }[];
  /** Why the rules cannot be compiled, if they cannot. */
  readonly mistake?: string;
}

/** Rules of a collection's fields: what `mongo/documents` compiles. Plain JSON. */
export interface CollectionRules {
  /** `database.collection` of the source. */
  readonly collection: string;
  readonly fields: readonly CollectionField[];
  readonly derive: readonly DerivedFieldPlan[];
  readonly unlisted: 'block' | 'keep' | 'null';
}

export interface CollectionField {
  readonly rule: string;
  readonly path: string;
  readonly apply: TransformerSpec;
  /** By BSON type. */
  readonly types?: Readonly<Record<string, TransformerSpec>>;
  readonly special?: 'refuse' | 'keep';
  readonly domain: string;
}

export interface DerivedFieldPlan {
  readonly rule: string;
  readonly name: string;
  readonly from: string;
  readonly apply: TransformerSpec;
  readonly domain: string;
}

export interface CollectionPlan {
  readonly rules: CollectionRules;
  /** Filter of the job file as canonical extended JSON. */
  readonly where?: string;
  /** Of the source: what the destination's collection is made with in `replace`. */
  readonly options: string;
  readonly indexes: readonly { readonly name: string; readonly definition: string }[];
  readonly capped: boolean;
  /** The server transforms the documents itself, where it can. */
  readonly pushdown?: { readonly allowKeyOnServer: boolean };
  /** Documents of the sample behind the plan. */
  readonly sampled: number;
}

export interface DocumentsPlan {
  /** Batches of `upsert` are transactions. */
  readonly transactions: boolean;
  readonly views: readonly ViewPlan[];
  readonly references: readonly DocumentReference[];
}

export interface ViewPlan {
  readonly source: TableName;
  readonly destination: TableName;
  /** Name of the collection that it looks at, in the destination. */
  readonly on: string;
  readonly options: string;
}

/** A reference that the job file declares; each side is a collection (table id) and a path in it. */
export interface DocumentReference {
  readonly from: { readonly table: number; readonly path: string };
  readonly to: { readonly table: number; readonly path: string };
}
