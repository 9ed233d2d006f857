import { isUtf8 } from 'node:buffer';
import {
  contextBytes,
  HEADER_LENGTH,
  type Header,
  hasTokenShape,
  parseHeader,
  parseToken,
} from './format.js';
import {
  ASCII,
  CHUNK_KEYS,
  CHUNK_VALUES,
  INPUT_BYTES,
  type Kernel,
  NOT_TOKEN,
  RECORDS_BYTES,
  recordBytes,
  TAMPERED,
} from './kernel.js';
import { kernel as sharedKernel } from './kernels.js';
import { Parts } from './parts.js';
import type { Keyring } from './ring.js';

/**
 * What became of a token.
 *
 * - `value`: its text, or the bytes of a byte kind.
 * - `notToken`: no token at all.
 * - `expired`: its day is over.
 * - `noKey`: no ring for its policy, or no key for its day (yet).
 * - `tampered`: changed, made with another key, or read under another context.
 */
export type Revealed =
  | { readonly outcome: 'value'; readonly text: string; readonly bytes?: undefined }
  | { readonly outcome: 'value'; readonly text?: undefined; readonly bytes: Buffer }
  | {
      readonly outcome: 'notToken' | 'expired' | 'noKey' | 'tampered';
      readonly text?: undefined;
      readonly bytes?: undefined;
    };

export type Outcome = Revealed['outcome'];

const FAILURES = {
  notToken: Object.freeze({ outcome: 'notToken' }),
  expired: Object.freeze({ outcome: 'expired' }),
  noKey: Object.freeze({ outcome: 'noKey' }),
  tampered: Object.freeze({ outcome: 'tampered' }),
} as const satisfies Record<string, Revealed>;

/** What a header leads to: keys, or an outcome that needs none. */
type Lead = { readonly header: Header; readonly keys: Uint8Array } | Revealed;

/** Most headers that are remembered. */
const REMEMBERED = 4_096;

/** Opens tokens with the keys of a keyring. Never throws for what a token is. */
export class Revealer {
  private readonly c: Buffer;
  private leads = new Map<string, Lead>();
  private today = '';

  /**
   * @param context What the values were sealed under; default empty. Throws `RetentionInvalid` above 1,024 bytes.
   * @param kernel For tests; default the fastest that the machine has.
   */
  constructor(
    readonly keyring: Keyring,
    readonly context = '',
    private readonly kernel: Kernel = sharedKernel(),
  ) {
    this.c = contextBytes(context);
  }

  /** Opens one token. */
  open(token: string, context?: string): Revealed {
    return this.openAll([token], context)[0]!;
  }

  /** Opens many tokens at once, the fast way: 100 or more of them. */
  openAll(tokens: readonly string[], context?: string): Revealed[] {
    const c = context === undefined ? this.c : contextBytes(context);
    const today = this.keyring.today();
    if (today !== this.today) {
      this.leads = new Map();
      this.today = today;
    }
    const out = new Array<Revealed>(tokens.length);
    const chunk = new OpenChunk(this.kernel, c, out);
    let last = '';
    let lead: Lead = FAILURES.notToken;
    for (let i = 0; i < tokens.length; i++) {
      const token = tokens[i]!;
      if (!hasTokenShape(token)) {
        out[i] = FAILURES.notToken;
        continue;
      }
      if (last === '' || !token.startsWith(last)) {
        last = token.slice(0, HEADER_LENGTH);
        lead = this.lead(last);
      }
      if ('header' in lead) chunk.add(token, lead.header, lead.keys, i);
      else out[i] = lead === FAILURES.notToken || parseToken(token) ? lead : FAILURES.notToken;
    }
    chunk.flush();
    return out;
  }

  private lead(text: string): Lead {
    let lead = this.leads.get(text);
    if (lead) return lead;
    const header = parseHeader(text);
    const keys = header && this.keyring.find(header.policy, header.day);
    if (!header || !keys) lead = FAILURES.notToken;
    else lead = typeof keys === 'string' ? FAILURES[keys] : { header, keys };
    if (this.leads.size === REMEMBERED) this.leads.clear();
    this.leads.set(text, lead);
    return lead;
  }
}

/** Less than all of `input`: what is not ASCII must show by taking more bytes. */
const TOKENS_BYTES = INPUT_BYTES - 8;

/** Tokens on their way through the kernel. */
class OpenChunk {
  private count = 0;
  private bytes = 0;
  private records = 0;
  private readonly slots = new Map<Uint8Array, number>();
  private readonly indices: number[] = [];
  private readonly headers: Header[] = [];
  private readonly tokens: string[] = [];
  private lastKeys: Uint8Array | undefined;
  private lastSlot = 0;

  constructor(
    private readonly kernel: Kernel,
    private readonly c: Buffer,
    private readonly out: Revealed[],
  ) {}

  add(token: string, header: Header, keys: Uint8Array, index: number): void {
    if (
      this.count === CHUNK_VALUES ||
      this.bytes + token.length > TOKENS_BYTES ||
      this.records + recordBytes(token.length, this.c.length) > RECORDS_BYTES
    )
      this.flush();
    if (keys !== this.lastKeys) {
      this.lastSlot = this.slots.get(keys) ?? this.load(keys);
      this.lastKeys = keys;
    }
    const { count } = this;
    this.tokens[count] = token;
    this.bytes += token.length;
    this.records += recordBytes(token.length, this.c.length);
    this.kernel.inputEnds[count] = this.bytes;
    this.kernel.slots[count] = this.lastSlot;
    this.indices[count] = index;
    this.headers[count] = header;
    this.count++;
  }

  flush(): void {
    const { kernel, c, count } = this;
    if (count > 0) {
      this.write();
      kernel.context.set(c);
      kernel.reveal(count, c.length);
      let last = count - 1;
      while (last > 0 && kernel.statuses[last]! <= TAMPERED) last--;
      const parts = new Parts(kernel.output, kernel.outputEnds[last]!);
      for (let i = 0; i < count; i++) this.out[this.indices[i]!] = this.outcome(i, parts);
    }
    this.tokens.length = 0;
    this.count = 0;
    this.bytes = 0;
    this.records = 0;
  }

  /** All at once, which is faster than each. What is not ASCII becomes what no body may hold. */
  private write(): void {
    const { input } = this.kernel;
    const joined = this.tokens.join('');
    if (input.write(joined) !== joined.length) input.write(joined.replace(/[^\0-\x7f]/g, '!'));
  }

  private outcome(i: number, parts: Parts): Revealed {
    const { output, outputStarts, outputEnds, statuses } = this.kernel;
    const status = statuses[i];
    if (status === NOT_TOKEN) return FAILURES.notToken;
    if (status === TAMPERED) return FAILURES.tampered;
    const [start, end] = [outputStarts[i]!, outputEnds[i]!];
    const { kind } = this.headers[i]!;
    if (kind === 'lb1' || kind === 'lq1') {
      return { outcome: 'value', bytes: Buffer.from(output.subarray(start, end)) };
    }
    if (status === ASCII) return { outcome: 'value', text: parts.text(start, end) };
    const bytes = output.subarray(start, end);
    if (bytes.includes(0) || !isUtf8(bytes)) return FAILURES.tampered;
    return { outcome: 'value', text: output.toString('utf8', start, end) };
  }

  private load(keys: Uint8Array): number {
    if (this.slots.size === CHUNK_KEYS) {
      this.flush();
      this.slots.clear();
    }
    const slot = this.slots.size;
    this.kernel.keys.set(keys, slot * 64);
    this.kernel.loadKey(slot);
    this.slots.set(keys, slot);
    return slot;
  }
}
