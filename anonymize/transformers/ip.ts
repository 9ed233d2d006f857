import { z } from 'zod';
import { aes, BLOCK } from '../../crypto/aes.js';
import { cryptoPan, isInside, type SpecialRange, specialBits } from '../cryptopan.js';
import { acceptsInvalid, invalidRows, onInvalid, type Unread, unpadded } from '../invalid.js';
import { type Address, formatAddress, network, parseAddress } from '../ipaddress.js';
import { type Column, defineTransformer, type Prf } from '../transformer.js';

const range = (text: string, fixed = false): SpecialRange => {
  const { bytes, wrapper = [], suffix } = parseAddress(text)!;
  return { bytes: Uint8Array.from([...wrapper, ...bytes]), length: Number(suffix.slice(1)), fixed };
};

/** IANA's special-purpose ranges that occur in data: unspecified, private, shared, link-local, multicast, reserved. */
const SPECIAL: Readonly<Record<number, readonly SpecialRange[]>> = {
  4: [
    ...['0.0.0.0/8', '127.0.0.0/8', '255.255.255.255/32'].map((text) => range(text, true)),
    ...['10.0.0.0/8', '100.64.0.0/10', '169.254.0.0/16', '172.16.0.0/12', '192.168.0.0/16'].map((text) =>
      range(text),
    ),
    ...['198.18.0.0/15', '224.0.0.0/4', '240.0.0.0/4'].map((text) => range(text)),
  ],
  16: [
    range('::/127', true),
    ...['::/96', '::ffff:0:0/96', 'fc00::/7', 'fe80::/10', 'ff00::/16'].map((text) => range(text)),
  ],
};

/** First octets of public IPv4 networks without special ranges. */
const PUBLIC = Array.from({ length: 223 }, (_, i) => i + 1).filter(
  (o) => ![10, 100, 127, 169, 172, 192, 198].includes(o),
);

/** New addresses for old ones. */
export const ip = defineTransformer({
  name: 'ip',
  version: 1,
  summary:
    'Replaces an IPv4 or IPv6 address by another one; prefix lengths, private and other special ranges stay.',
  example: {
    options: { preservePrefix: true },
    input: '93.184.216.34',
    type: { kind: 'inet', name: 'inet' },
  },
  options: z.strictObject({
    preservePrefix: z
      .boolean()
      .default(false)
      .describe(
        'Addresses of one network stay in one network: what shares k leading bits shares k bits afterwards.',
      ),
    onInvalid,
  }),
  accepts: (type, options) => {
    if (type.kind !== 'inet' && type.kind !== 'text') return 'it takes inet, cidr or text';
    const short = type.maxLength !== undefined && type.maxLength < 15;
    return short ? 'an address may need 15 characters; use mask' : acceptsInvalid(type, options.onInvalid);
  },
  proof: (type, options) => ({
    unique:
      options.preservePrefix && type.kind === 'inet' && options.onInvalid === 'fail' ? 'injective' : 'no',
    mayEqualInput: true,
    keepsNull: options.onInvalid !== 'null',
    total: true,
  }),
  compile: (context) => {
    const { options, type, prf } = context;
    const finish = invalidRows(context);
    const replace = options.preservePrefix ? encrypter(prf) : drawer(prf);
    return (column, chunk) => {
      const values = unpadded(type, column);
      const out: (string | null)[] = values.map(() => null);
      const unread: Unread[] = [];
      const rows: number[] = [];
      const read: Address[] = [];
      for (const [row, value] of values.entries()) {
        const address = value === null ? undefined : parseAddress(value);
        if (address) {
          rows.push(row);
          read.push(address);
        } else if (value !== null) unread.push({ row, reason: 'not an IP address' });
      }
      for (const [i, bytes] of replace(read).entries()) {
        const text = print(read[i]!, bytes, type.name === 'cidr');
        if (text.length <= (type.maxLength ?? text.length)) out[rows[i]!] = text;
        else chunk.fail(rows[i]!, `the new address is longer than ${type.maxLength} characters`);
      }
      return finish(values, out, unread, chunk);
    };
  },
});

type Replace = (addresses: readonly Address[]) => Uint8Array[];

function print(address: Address, bytes: Uint8Array, masked: boolean): string {
  const length =
    address.suffix === '' ? bytes.length * 8 : Number(address.suffix.slice(1)) - (address.wrapper ? 96 : 0);
  return formatAddress({ ...address, bytes: masked ? network(bytes, Math.max(0, length)) : bytes });
}

function encrypter(prf: Prf): Replace {
  const encrypt = aes(prf.subKey('ip/prefix'));
  const pads = Object.fromEntries(
    [4, 16].map((width) => [width, encrypt(new Uint8Array(BLOCK).fill(width))]),
  );
  return (addresses) => {
    const out: Uint8Array[] = [];
    for (const width of [4, 16]) {
      const at = addresses.flatMap(({ bytes }, i) => (bytes.length === width ? [i] : []));
      const kept = (address: Uint8Array) => specialBits(address, SPECIAL[width]!);
      const replaced = cryptoPan(
        encrypt,
        pads[width]!,
        at.map((i) => addresses[i]!.bytes),
        kept,
      );
      for (const [i, bytes] of replaced.entries()) out[at[i]!] = bytes;
    }
    return out;
  };
}

/** Random bits after a special prefix; a public address becomes another public one. */
function drawer(prf: Prf): Replace {
  return (addresses) => {
    const inputs: Column = addresses.map(({ bytes }) => Buffer.from(bytes).toString('hex'));
    const random = prf.bytes('ip', inputs);
    return addresses.map(({ bytes }, i) => draw(bytes, random.slice(i * BLOCK, (i + 1) * BLOCK)));
  };
}

function draw(bytes: Uint8Array, random: Uint8Array): Uint8Array {
  const special = SPECIAL[bytes.length]!.filter((candidate) => isInside(bytes, candidate));
  if (special.some(({ fixed }) => fixed)) return bytes;
  const out = random.slice(0, bytes.length);
  // 2000::/3 holds all public IPv6 addresses.
  const bits = special[0]?.length ?? (bytes.length === 16 ? 3 : 0);
  if (special.length === 0 && bytes.length === 4) out[0] = PUBLIC[(random[15]! * PUBLIC.length) >> 8]!;
  const prefix = network(bytes, bits);
  const free = network(out, bits);
  return out.map((byte, i) => byte ^ free[i]! ^ prefix[i]!);
}
