/** An IP address as inet and text columns hold it. */
export interface Address {
  /** 4 or 16 bytes. */
  readonly bytes: Uint8Array;
  /** The IPv4 address stands inside an IPv6 one (`::ffff:192.0.2.1`): the 12 bytes before it. */
  readonly wrapper?: Uint8Array;
  /** `/24` as written, or ''. */
  readonly suffix: string;
  /** No bit is set to the right of the mask. */
  readonly isNetwork: boolean;
}

/** Reads an IPv4 or IPv6 address with or without prefix length; undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  const slash = text.indexOf('/');
  const host = slash < 0 ? text : text.slice(0, slash);
  const suffix = slash < 0 ? '' : text.slice(slash);
  const bytes = host.includes(':') ? parseV6(host) : parseV4(host);
  if (!bytes) return undefined;
  const bits = bytes.length * 8;
  if (suffix !== '' && !(/^\/\d{1,3}$/.test(suffix) && Number(suffix.slice(1)) <= bits)) return undefined;
  const isNetwork = noBitsAfter(bytes, suffix === '' ? bits : Number(suffix.slice(1)));
  const inner = embeddedV4(bytes);
  return inner
    ? { bytes: inner, wrapper: bytes.slice(0, 12), suffix, isNetwork }
    : { bytes, suffix, isNetwork };
}

/** As PostgreSQL prints it: the longest run of zero groups shortened, lower case. */
export function formatAddress({ bytes, wrapper, suffix }: Address): string {
  if (wrapper) return `${wrapper[10] === 0xff ? '::ffff:' : '::'}${bytes.join('.')}${suffix}`;
  if (bytes.length === 4) return `${bytes.join('.')}${suffix}`;
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i]! << 8) | bytes[2 * i + 1]!).toString(16));
  const run = longestZeros(groups);
  if (run.length < 2) return `${groups.join(':')}${suffix}`;
  const left = groups.slice(0, run.start).join(':');
  return `${left}::${groups.slice(run.start + run.length).join(':')}${suffix}`;
}

/** Clears the bits to the right of the mask. */
export function network(bytes: Uint8Array, length: number): Uint8Array {
  return bytes.map((byte, i) => byte & (0xff00 >> Math.min(8, Math.max(0, length - 8 * i))));
}

function noBitsAfter(bytes: Uint8Array, length: number): boolean {
  return network(bytes, length).every((byte, i) => byte === bytes[i]);
}

function parseV4(text: string): Uint8Array | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  const octets = match?.slice(1).map(Number);
  return octets?.every((octet) => octet <= 255) ? Uint8Array.from(octets) : undefined;
}

function parseV6(text: string): Uint8Array | undefined {
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  const v4 = tail ? parseV4(tail[2]!) : undefined;
  if (tail && !v4) return undefined;
  const hex = v4 ? `${tail![1]}${hexGroup(v4, 0)}:${hexGroup(v4, 2)}` : text;
  const halves = hex.split('::');
  if (halves.length > 2) return undefined;
  const [left, right] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const given = left!.length + (right?.length ?? 0);
  if (right ? given > 7 : given !== 8) return undefined;
  const groups = [...left!, ...new Array<string>(8 - given).fill('0'), ...(right ?? [])];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return undefined;
  return Uint8Array.from(
    groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]),
  );
}

function hexGroup(bytes: Uint8Array, at: number): string {
  return ((bytes[at]! << 8) | bytes[at + 1]!).toString(16);
}

/** IPv4-mapped (`::ffff:a.b.c.d`) and IPv4-compatible (`::a.b.c.d`) addresses, but not `::` and `::1`. */
function embeddedV4(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length !== 16 || !bytes.subarray(0, 10).every((byte) => byte === 0)) return undefined;
  const mapped = bytes[10] === 0xff && bytes[11] === 0xff;
  const compatible = bytes[10] === 0 && bytes[11] === 0 && (bytes[12] !== 0 || bytes[13] !== 0);
  return mapped || compatible ? bytes.slice(12) : undefined;
}

function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start++) {
    let length = 0;
    while (groups[start + length] === '0') length++;
    if (length > best.length) best = { start, length };
  }
  return best;
}
