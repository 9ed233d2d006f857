import { createHash } from 'node:crypto';
import { type Signer, verifies } from '../../crypto/sign.js';
import type { Day } from '../token/day.js';
import type { Destroyed } from './masters.js';

/** How often the keys of a day were handed out, and to whom. */
export interface Export {
  readonly actor: string;
  readonly times: number;
  /** ISO 8601. */
  readonly first: string;
  readonly last: string;
}

/** What a receipt says, beside its place in the chain. */
export type ReceiptBody = DestructionReceipt | RedactionReceipt | RedactionFailedReceipt;

export interface DestructionReceipt {
  readonly kind: 'destruction';
  readonly policy: string;
  readonly day: Day;
  /** Of the day key. */
  readonly fingerprint: string;
  /** A token that nothing must open any more. */
  readonly canary: string;
  /** `due`: its window was over; `early`: on request. */
  readonly cause: 'due' | 'early';
  /** How the masters that wrapped it were destroyed: the worst of them. */
  readonly destroyed: Destroyed;
  /** ISO 8601: keys whose time ended at or before it were destroyed. */
  readonly cutoff: string;
  /** ISO 8601 each. */
  readonly clocks: Readonly<Record<'logical' | 'database' | 'temporal', string>>;
  readonly exports: readonly Export[];
  readonly actor?: string;
  readonly reason?: string;
}

/** Tokens of a subject were rewritten, whose day keys live on. */
export interface RedactionReceipt {
  readonly kind: 'redaction';
  readonly policy: string;
  /** What was rewritten: names, no values. */
  readonly what: string;
  readonly rows: number;
  readonly actor: string;
  readonly reason: string;
}

/** A redaction of which a receipt tells was not confirmed by the database: its tokens are still there, as far as is known. */
export interface RedactionFailedReceipt {
  readonly kind: 'redactionFailed';
  /** Number of the receipt that tells of it. */
  readonly redaction: number;
}

/** A link of the chain. */
export interface Receipt {
  /** From 1 on, without gaps. */
  readonly seq: number;
  /** The signed text: JSON of what it says, the store, its number, and the digest of the one before. */
  readonly text: string;
  /** SHA-256 of the text, hexadecimal. */
  readonly digest: string;
  /** Ed25519 over the text, base64. */
  readonly signature: string;
  /** 32 bytes, base64. */
  readonly publicKey: string;
}

/** The next link. `at` is ISO 8601. */
export function makeReceipt(
  body: ReceiptBody,
  at: string,
  store: string,
  previous: Pick<Receipt, 'seq' | 'digest'> | undefined,
  signer: Signer,
): Receipt {
  const seq = (previous?.seq ?? 0) + 1;
  const text = JSON.stringify({ version: 1, store, seq, previous: previous?.digest ?? null, at, ...body });
  return { seq, text, digest: digest(text), signature: signer.sign(text), publicKey: signer.publicKey };
}

/** What a receipt's text says. */
export function readReceipt(receipt: Receipt): ReceiptBody & { readonly at: string; readonly store: string } {
  return JSON.parse(receipt.text) as ReceiptBody & { at: string; store: string };
}

/**
 * What is wrong with a chain, in words; nothing when it is whole, of this store, and signed.
 *
 * @param publicKey The key that must have signed, base64.
 */
export function chainMistakes(receipts: readonly Receipt[], store: string, publicKey: string): string[] {
  const mistakes: string[] = [];
  let previous: Receipt | undefined;
  for (const receipt of receipts) {
    const name = `receipt ${receipt.seq}`;
    const says = parse(receipt.text);
    if (receipt.seq !== (previous?.seq ?? 0) + 1) mistakes.push(`before ${name} receipts are missing`);
    if (says?.seq !== receipt.seq || says?.store !== store) mistakes.push(`${name} belongs elsewhere`);
    if (says?.previous !== (previous?.digest ?? null))
      mistakes.push(`${name} does not follow the one before`);
    if (digest(receipt.text) !== receipt.digest) mistakes.push(`${name} was changed`);
    if (receipt.publicKey !== publicKey || !verifies(publicKey, receipt.text, receipt.signature))
      mistakes.push(`${name} is not signed by this key store's key`);
    previous = receipt;
  }
  return mistakes;
}

function parse(text: string): { seq?: unknown; store?: unknown; previous?: unknown } | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
