import { parseToken } from './format.js';
import { Revealer } from './revealer.js';
import type { SealAllOptions, Sealer } from './sealer.js';

/** Seals values whole. Those that are tokens of ours already, or whose key is gone for sure, stay. */
export function sealWholes(
  sealer: Sealer,
  values: readonly (string | null)[],
  options: SealAllOptions,
): (string | null)[] {
  const { own } = tokensAmong(sealer, values);
  const sealed = sealer.sealAll(
    values.map((value, i) => (own.has(i) ? null : value)),
    options,
  );
  for (const i of own) sealed[i] = values[i]!;
  return sealed;
}

/** The same for bytes as PostgreSQL writes them (`\x00ff`); a token is the bytes of its characters. */
export function sealByteWholes(
  sealer: Sealer,
  values: readonly (string | null)[],
  options: SealAllOptions,
): (string | null)[] {
  const { own } = tokensAmong(sealer, values.map(charactersOf));
  const sealed = sealer.sealBytesAll(
    values.map((value, i) => (value === null || own.has(i) ? null : bytesOf(value))),
    options,
  );
  return sealed.map((token, i) => (own.has(i) ? values[i]! : token === null ? null : hexOf(token)));
}

/** Bytes in hexadecimal as characters, one a byte: a token among them can be read. */
export function charactersOf(value: string | null): string | null {
  return value === null ? null : bytesOf(value).toString('latin1');
}

/** The bytes of a text, as PostgreSQL writes them. */
export function hexOf(text: string): string {
  return `\\x${Buffer.from(text).toString('hex')}`;
}

function bytesOf(value: string): Buffer {
  return Buffer.from(value.slice(2), 'hex');
}

/** Places of values that are tokens of ours, and how many only look like tokens: they are plain text. */
export function tokensAmong(
  sealer: Sealer,
  values: readonly (string | null)[],
): { readonly own: ReadonlySet<number>; readonly lookalikes: number } {
  const candidates = values.flatMap((value, place) => {
    const token = value === null ? undefined : parseToken(value);
    return token ? [{ place, token }] : [];
  });
  const { keyring, context } = sealer.options;
  const opened = new Revealer(keyring, context).openAll(candidates.map(({ place }) => values[place]!));
  const own = candidates.filter(
    ({ token: { policy, day } }, i) => opened[i]!.outcome === 'value' || keyring.isGone(policy, day),
  );
  return { own: new Set(own.map(({ place }) => place)), lookalikes: candidates.length - own.length };
}
