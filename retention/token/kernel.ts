/** Most values of a chunk. */
export const CHUNK_VALUES = 512;
/** Most keys of a chunk. */
export const CHUNK_KEYS = 128;
/** Bytes of `input`. */
export const INPUT_BYTES = 196_608;
/** Bytes of `output`. */
export const OUTPUT_BYTES = 393_216;
/** Most bytes of all `recordBytes` of a chunk. */
export const RECORDS_BYTES = 262_144;

/** What a value of so many bytes takes of `RECORDS_BYTES`, at most. */
export function recordBytes(length: number, contextLength: number): number {
  return 160 + contextLength + length;
}

/**
 * Seals or opens a chunk of values that its caller lays out in its areas. Nothing in it outlives a chunk but what the
 * next one writes over.
 */
export interface Kernel {
  /** Values to seal (padded already), or tokens to open, one behind the other. */
  readonly input: Buffer;
  /** Where each ends in `input`. */
  readonly inputEnds: Int32Array;
  /** Number of the key of each. */
  readonly slots: Uint8Array;
  /** 64 bytes a key: Kx, Km. Each is read by `loadKey`. */
  readonly keys: Buffer;
  /** Sealing: the header of tokens under each key, 13 of 16 bytes. */
  readonly headers: Buffer;
  /** C: length and context. */
  readonly context: Buffer;
  /** Sealing: 12 bytes a value; deterministic sealing makes its own. */
  readonly salts: Buffer;
  /** Tokens, or plaintexts without padding. */
  readonly output: Buffer;
  /** Opening: where each plaintext starts. */
  readonly outputStarts: Int32Array;
  /** Where each token or plaintext ends. */
  readonly outputEnds: Int32Array;
  /** Opening: what became of each. */
  readonly statuses: Uint8Array;
  loadKey(slot: number): void;
  /** @param contextLength Bytes of C. */
  seal(count: number, contextLength: number, deterministic: boolean): void;
  /** Of a token only the letters of the body are checked here. */
  reveal(count: number, contextLength: number): void;
}

export const NOT_TOKEN = 0;
export const TAMPERED = 1;
/** Opened; bytes 0x01 to 0x7f only. */
export const ASCII = 2;
/** Opened; other bytes too. */
export const BYTES = 3;
