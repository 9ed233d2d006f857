import { LetheError } from '../../errors/errors.js';
import { type Day, dateOf, isDay, requireDay } from './day.js';
import { contextBytes, isWellFormed, MAX_BYTES, requirePolicy } from './format.js';
import { CHUNK_KEYS, CHUNK_VALUES, INPUT_BYTES, type Kernel, RECORDS_BYTES, recordBytes } from './kernel.js';
import { kernel as sharedKernel } from './kernels.js';
import { Parts } from './parts.js';
import type { Keyring } from './ring.js';
import { takeSalts } from './salts.js';

export interface SealerOptions {
  /** Where the keys are found. */
  readonly keyring: Keyring;
  /** Two characters of a–z and 0–9. */
  readonly policy: string;
  /** Stable label of what is sealed, at most 1,024 bytes in UTF-8; whoever opens gives the same. Default empty. */
  readonly context?: string;
  /** Values are filled up to a multiple of so many bytes (1 to 65,536), which hides their length; default not. */
  readonly pad?: number;
  /** Equal values of one day give equal tokens, for ever: they can be searched, and counted by anybody. Default false. */
  readonly deterministic?: boolean;
}

export interface SealAllOptions {
  /** The UTC day of all values, or of each: a row without one is refused. Default today. */
  readonly day?: Day | readonly (Day | null)[];
  /** Hears of each value that cannot be sealed, whose place in the result is null. Default: the first one throws. */
  readonly fail?: (index: number, error: LetheError) => void;
  /** The label of these values; default the sealer's. */
  readonly context?: string;
  /** What stands for a value whose day is over: a text, or null. Default: such a value is refused. */
  readonly expired?: string | null;
}

/** What a deterministic or padded sealer does with its salts; tests and vectors hand in their own. */
export interface FixedSalts {
  /** 12 bytes. */
  readonly salt?: Uint8Array;
}

/** Turns values into tokens of one policy. */
export class Sealer {
  private readonly policy: string;
  private readonly pad: number;
  private readonly deterministic: boolean;
  private readonly c: Buffer;

  /**
   * Throws `RetentionInvalid` where an option has a mistake.
   *
   * @param kernel For tests; default the fastest that the machine has.
   */
  constructor(
    readonly options: SealerOptions,
    private readonly kernel: Kernel = sharedKernel(),
  ) {
    const { policy, context = '', pad = 0, deterministic = false } = options;
    this.policy = requirePolicy(policy);
    this.c = contextBytes(context);
    if (!Number.isInteger(pad) || pad < 0 || pad > MAX_BYTES)
      throw new LetheError('RetentionInvalid', 'pad is a whole number of bytes, 1 to 65536.');
    this.pad = pad;
    this.deterministic = deterministic;
  }

  /** The keyring that it seals with. */
  get keyring(): Keyring {
    return this.options.keyring;
  }

  /**
   * One text → its token (`lt1`, `lp1` where padded).
   *
   * @param day The UTC day that the value is dated; default today.
   * Throws `SealRefused` or `DayKeyMissing`; the value is in nobody's hands but the caller's.
   */
  seal(text: string, day?: Day): string {
    return this.sealAll([text], { day })[0]!;
  }

  /** One value of any bytes → its token (`lb1`, `lq1` where padded). Throws as `seal` does. */
  sealBytes(bytes: Uint8Array, day?: Day): string {
    return this.sealBytesAll([bytes], { day })[0]!;
  }

  /** Many texts at once, the fast way: 100 or more of them. Null stays null. */
  sealAll(values: readonly (string | null)[], options: SealAllOptions = {}): (string | null)[] {
    return this.run(values, 't', options);
  }

  /** Many values of any bytes at once. Null stays null. */
  sealBytesAll(values: readonly (Uint8Array | null)[], options: SealAllOptions = {}): (string | null)[] {
    return this.run(values, 'b', options);
  }

  /** One value under a given salt: for test vectors. A salt that is used twice gives both values away. */
  sealWithSalt(value: string | Uint8Array, day: Day, salt: Uint8Array): string {
    return this.run([value], typeof value === 'string' ? 't' : 'b', { day }, salt)[0]!;
  }

  private run(
    values: readonly (string | Uint8Array | null)[],
    type: 't' | 'b',
    { day, fail, context, expired }: SealAllOptions,
    salt?: Uint8Array,
  ): (string | null)[] {
    const c = context === undefined ? this.c : contextBytes(context);
    const kind = this.pad === 0 ? `l${type}1.` : type === 't' ? 'lp1.' : 'lq1.';
    const chunk = new SealChunk(
      this.kernel,
      this.options.keyring,
      this.policy,
      kind,
      c,
      this.deterministic,
      salt,
    );
    const out = new Array<string | null>(values.length);
    const failures: [index: number, error: LetheError][] = [];
    const today = typeof day === 'string' ? day : this.keyring.today();
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      out[i] = null;
      if (value === null || value === undefined) continue;
      try {
        const own = Array.isArray(day) ? (day[i] as Day | null | undefined) : today;
        if (!own) throw new LetheError('SealRefused', 'A value has no day: date its row, or say the day.');
        if (expired !== undefined && isDay(own) && this.keyring.find(this.policy, own) === 'expired')
          out[i] = expired;
        else this.add(chunk, value, own, i, out);
      } catch (error) {
        if (!fail || !(error instanceof LetheError)) throw error;
        failures.push([i, error]);
      }
    }
    chunk.flush(out);
    // Only now: who hears of a failure may seal something else meanwhile.
    for (const [index, error] of failures) fail?.(index, error);
    return out;
  }

  private add(
    chunk: SealChunk,
    value: string | Uint8Array,
    day: Day,
    index: number,
    out: (string | null)[],
  ): void {
    const text = typeof value === 'string';
    // A UTF-16 unit has at most three bytes in UTF-8.
    const most = (text ? value.length * 3 : value.length) + this.pad;
    let length = most;
    if (most > MAX_BYTES) {
      length = text ? Buffer.byteLength(value) : value.length;
      if (this.pad > 0) length += this.pad - (length % this.pad);
      if (length > MAX_BYTES)
        throw new LetheError(
          'SealRefused',
          `A value of ${length} bytes${this.pad > 0 ? ' with its padding' : ''} does not fit into a token (at most ${MAX_BYTES}).`,
        );
    }
    chunk.open(length, day, out);
    const size = text ? chunk.writeText(value) : chunk.writeBytes(value);
    chunk.close(size, this.pad, index);
  }
}

/** Values on their way through the kernel. */
class SealChunk {
  private count = 0;
  private bytes = 0;
  private records = 0;
  private readonly slots = new Map<Day, number>();
  private readonly indices: number[] = [];
  private lastDay: Day | undefined;
  private lastSlot = 0;

  constructor(
    private readonly kernel: Kernel,
    private readonly keyring: Keyring,
    private readonly policy: string,
    private readonly kind: string,
    private readonly c: Buffer,
    private readonly deterministic: boolean,
    private readonly salt: Uint8Array | undefined,
  ) {}

  /** Makes room for a value of so many bytes at most, padding included, and finds its key. */
  open(length: number, day: Day, out: (string | null)[]): void {
    if (
      this.count === CHUNK_VALUES ||
      this.bytes + length > INPUT_BYTES ||
      this.records + recordBytes(length, this.c.length) > RECORDS_BYTES
    )
      this.flush(out);
    if (day !== this.lastDay) {
      this.lastSlot = this.slots.get(day) ?? this.load(day, out);
      this.lastDay = day;
    }
    this.kernel.slots[this.count] = this.lastSlot;
  }

  writeText(text: string): number {
    const { input } = this.kernel;
    if (text.length <= 64) {
      let at = this.bytes;
      let seen = 0;
      for (let i = 0; i < text.length; i++) {
        const code = text.charCodeAt(i);
        // Zero, and all that is not ASCII, sets a bit above the seventh.
        seen |= code | (code - 1);
        input[at++] = code;
      }
      if (seen >= 0 && seen < 0x80) return text.length;
    }
    if (text.includes('\0'))
      throw new LetheError('SealRefused', 'A text with U+0000 cannot be sealed as text.');
    if (!isWellFormed(text))
      throw new LetheError('SealRefused', 'A text with half of a surrogate pair cannot be sealed as text.');
    return input.write(text, this.bytes);
  }

  writeBytes(bytes: Uint8Array): number {
    this.kernel.input.set(bytes, this.bytes);
    return bytes.length;
  }

  /** Takes in the value that was written: `size` bytes, before its padding. */
  close(size: number, pad: number, index: number): void {
    let length = size;
    if (pad > 0) {
      const { input } = this.kernel;
      length += pad - (size % pad);
      input.fill(0, this.bytes + size, this.bytes + length);
      input[this.bytes + size] = 0x80;
    }
    this.bytes += length;
    this.records += recordBytes(length, this.c.length);
    this.kernel.inputEnds[this.count] = this.bytes;
    this.indices[this.count++] = index;
  }

  flush(out: (string | null)[]): void {
    const { kernel, c, count } = this;
    if (count > 0) {
      kernel.context.set(c);
      if (this.salt) kernel.salts.set(this.salt);
      else if (!this.deterministic) takeSalts(kernel.salts, count);
      kernel.seal(count, c.length, this.deterministic);
      const { output, outputEnds } = kernel;
      const parts = new Parts(output, outputEnds[count - 1]!);
      for (let i = 0, start = 0; i < count; i++) {
        const end = outputEnds[i]!;
        out[this.indices[i]!] = parts.text(start, end);
        start = end;
      }
    }
    this.count = 0;
    this.bytes = 0;
    this.records = 0;
  }

  private load(day: Day, out: (string | null)[]): number {
    if (!isDay(day)) requireDay(day, 'The day to seal for');
    const keys = this.keyring.find(this.policy, day);
    if (typeof keys === 'string')
      throw new LetheError(
        'DayKeyMissing',
        keys === 'expired'
          ? `Day ${day} of policy ${this.policy} is over: its key is destroyed or held, so nothing can be sealed for it.`
          : `There is no key of policy ${this.policy} for ${day}: generate it, or hand in a newer ring.`,
      );
    if (this.slots.size === CHUNK_KEYS) {
      this.flush(out);
      this.slots.clear();
    }
    const slot = this.slots.size;
    this.kernel.keys.set(keys, slot * 64);
    this.kernel.headers.write(`${this.kind}${this.policy}${dateOf(day)}.`, slot * 16, 'latin1');
    this.kernel.loadKey(slot);
    this.slots.set(day, slot);
    return slot;
  }
}
