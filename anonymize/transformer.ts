import type { z } from 'zod';

/** A column of a chunk of rows as text; null is SQL NULL (or a missing field). */
export type Column = readonly (string | null)[];

/** What a value is, engine-neutral. `text` includes char, varchar and citext; `other` is kept or nulled only. */
export type TypeKind =
  | 'text'
  | 'int2'
  | 'int4'
  | 'int8'
  | 'numeric'
  | 'float'
  | 'bool'
  | 'uuid'
  /** 24 hex digits in lower case, as MongoDB makes them. */
  | 'objectId'
  | 'date'
  | 'timestamp'
  | 'timestamptz'
  | 'time'
  | 'interval'
  | 'json'
  | 'inet'
  | 'bytea'
  | 'enum'
  | 'array'
  | 'other';

export interface ColumnType {
  readonly kind: TypeKind;
  /** The type as its database prints it: `character varying(40)`, `public.citext`. */
  readonly name: string;
  readonly nullable: boolean;
  /** Longest text in characters, of `char(n)` and `varchar(n)`. */
  readonly maxLength?: number;
  /** Digits in all and after the point, of `numeric(p,s)`. */
  readonly precision?: number;
  readonly scale?: number;
  readonly enumValues?: readonly string[];
  /** Of an array. */
  readonly element?: ColumnType;
  /**
   * How equal values may differ in bytes; inputs are canonicalized by it before the keyed function, so that a foreign
   * key whose ends differ in bytes stays valid. `exact`: bytes decide; `caseless`: citext or a nondeterministic
   * collation; `padded`: char(n); `number`: numeric, where 1.0 equals 1.00.
   */
  readonly equality: 'exact' | 'caseless' | 'padded' | 'number';
}

/** A transformer with its options, as the job file names it, after defaults: plain JSON. */
export interface TransformerSpec {
  readonly name: string;
  readonly options: Readonly<Record<string, unknown>>;
}

/** What the plan may rely on. */
export interface Proof {
  /**
   * `injective`: different inputs give different outputs, always. `wide`: made from at least 96 keyed bits, so a
   * collision is beyond chance. `no`: outputs may collide.
   */
  readonly unique: 'injective' | 'wide' | 'no';
  /** An output may be its own input by design (dateTruncate, ranges, mask, keep): no row-aligned leak. */
  readonly mayEqualInput: boolean;
  /** NULL stays NULL and nothing else becomes NULL. */
  readonly keepsNull: boolean;
  /** The result depends on the key and this column's input alone; required inside a shared domain. */
  readonly total: boolean;
  /** Largest integer that can come out, of `permute` on integers: sequences restart above it. Decimal text. */
  readonly maxInteger?: string;
}

/** What `retain` says of a column. */
export interface SealingRule {
  /** Two characters of a–z and 0–9. */
  readonly policy: string;
  /** Label that tokens are bound to; default the policy's. */
  readonly context?: string;
  /** Only matches of it are sealed: a pattern's name, or a regular expression. Default the whole value. */
  readonly pattern?: string;
  /** The values are JSON texts of numbers and booleans, whose tokens give their type back. Default false. */
  readonly typed?: boolean;
}

/** Sealing as `retain` needs it. It holds keys, so it is handed in by whoever has them: `anonymize/sealing.ts`. */
export interface Sealing {
  /** The UTC day of the run, yyyy-mm-dd. */
  readonly day: string;
  /**
   * Turns values into tokens; what is a token of ours already stays, and what is dated a day that is over becomes what
   * its policy says of expired values. Salts are random: two calls give two results.
   *
   * @param days Of each value, yyyy-mm-dd, or null where its row has none: such a value is refused.
   * @param fail Hears of what cannot be sealed, which becomes null. The reason holds no value.
   */
  seal(
    rule: SealingRule,
    values: Column,
    days: readonly (string | null)[],
    fail: (place: number, reason: string) => void,
  ): (string | null)[];
  /**
   * Values with what their tokens hold in place of them, marked so that no plain text looks like it: for comparing what
   * was sealed twice. Undefined where a token's day is over. Without it sealed values are not compared.
   */
  opened?(values: Column): (string | null | undefined)[];
}

/** What a transformer gets to build its function for one column. */
export interface CompileContext<O> {
  readonly options: O;
  readonly type: ColumnType;
  /** The keyed function of the column's domain. */
  readonly prf: Prf;
  /**
   * The keyed function that all columns of the job share, for what must agree between columns (dateShift). Its inputs
   * are taken as they are.
   */
  readonly shared: Prf;
  /** For `retain`; where nothing is sealed there is none. */
  readonly sealing?: Sealing;
  /** Builds the function of a nested transformer; `label` separates its keyed function from its siblings'. */
  nested(spec: TransformerSpec, type: ColumnType, label: string): ColumnTransform;
}

/** A keyed pseudo-random function over a column. Stateless: equal inputs give equal outputs everywhere. */
export interface Prf {
  /**
   * 16 pseudo-random bytes for each value, packed; the place of a null is undefined. Inputs are the values
   * canonicalized by the column's equality. `label` separates uses of one key: the transformer's name and purpose.
   */
  bytes(label: string, values: Column): Uint8Array;
  /** A 32-byte key of its own, for FF1 and the like. */
  subKey(label: string): Uint8Array;
}

/** One chunk (about a megabyte) of rows on its way through. */
export interface ChunkContext {
  /** Rows in this chunk. */
  readonly size: number;
  /** The row cannot be transformed. The reason is shown to people: it must not hold the value. */
  fail(row: number, reason: string): void;
  /** The untransformed values of another column that `needs` named. */
  source(column: string): Column;
}

/**
 * Maps a column of a chunk to new values of the same length. Never returns an input because it could not be parsed:
 * it calls `chunk.fail` for that row (or does what `onInvalid` says) and puts null in its place.
 */
export type ColumnTransform = (values: Column, chunk: ChunkContext) => (string | null)[];

/**
 * A transformer. One file in `anonymize/transformers/` defines one with `defineTransformer`, and one line in
 * `anonymize/registry.ts` makes it known to job files, the JSON Schema and `docs/transformers.md`.
 */
export interface Transformer<O = unknown> {
  readonly name: string;
  /** Raised whenever the same key and input would give another output. Runs pin it. */
  readonly version: number;
  /** One line for the docs and editors. */
  readonly summary: string;
  /** An input and what it may become, for the docs: `['ann@example.com', 'quiet.otter41@mail.example']`. */
  readonly example: {
    readonly options?: Record<string, unknown>;
    readonly input: string;
    readonly type?: Partial<ColumnType>;
  };
  /** Options with defaults and descriptions: validation, JSON Schema and docs come from it. */
  readonly options: z.ZodType<O>;
  /**
   * When the job file gives a scalar or array instead of a map (`mask: 4`, `permute`, `constant: x`), the option that
   * it means.
   */
  readonly shorthand?: string;
  /** True when this column can be transformed so, else the reason and the way out. */
  accepts(type: ColumnType, options: O): true | string;
  proof(type: ColumnType, options: O): Proof;
  /** Other columns of the row whose source values it reads; `key` stands for the row's key columns. */
  needs?(options: O): readonly string[];
  /** Names of the value lists it draws from; runs pin their hashes. */
  lists?(options: O): readonly string[];
  compile(context: CompileContext<O>): ColumnTransform;
}

/** Types the options once, keeps the rest honest. */
export function defineTransformer<O>(transformer: Transformer<O>): Transformer<O> {
  return Object.freeze(transformer);
}
