import { createHmac } from 'node:crypto';
import { cmac as nobleCmac } from '@noble/ciphers/aes.js';
import { FF1 } from '@noble/ciphers/ff1.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aead } from '../../crypto/aead.js';
import { aes } from '../../crypto/aes.js';
import { Cmac, packText } from '../../crypto/cmac.js';
import { Ff1 } from '../../crypto/ff1.js';
import { hkdf } from '../../crypto/hkdf.js';
import { signer, verifies } from '../../crypto/sign.js';

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const KEY = hex('603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4');

/** RFC 4493, one message at a time. */
function plainCmac(key: Uint8Array, message: Uint8Array): Uint8Array {
  const encrypt = aes(key);
  const twice = (block: Uint8Array): Uint8Array => {
    const doubled = (BigInt(`0x${toHex(block)}`) << 1n) & ((1n << 128n) - 1n);
    const value = block[0]! & 0x80 ? doubled ^ 0x87n : doubled;
    return hex(value.toString(16).padStart(32, '0'));
  };
  const k1 = twice(encrypt(new Uint8Array(16)));
  const count = Math.max(1, Math.ceil(message.length / 16));
  const whole = message.length > 0 && message.length % 16 === 0;
  const padded = new Uint8Array(count * 16);
  padded.set(message);
  if (!whole) padded[message.length] = 0x80;
  const mask = whole ? k1 : twice(k1);
  let state: Uint8Array = new Uint8Array(16);
  for (let block = 0; block < count; block++) {
    const input = padded.slice(block * 16, block * 16 + 16);
    state = encrypt(input.map((byte, k) => byte ^ state[k]! ^ (block === count - 1 ? mask[k]! : 0)));
  }
  return state;
}

describe('CMAC', () => {
  // NIST SP 800-38B, examples for AES-256 (CAVP "CMAC examples").
  const text = hex(
    '6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51 30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710',
  );
  it.each([
    [0, '028962f61b7bf89efc6b551f4667d983'],
    [16, '28a7023f452e8f82bd4bf28d8c37c35c'],
    [40, 'aaf3d8f1de5640c232f5b169b9c911e6'],
    [64, 'e1992190549f6ed5696a2c056c315410'],
  ])('gives the published tag of %i bytes', (length, tag) => {
    const packed = { bytes: text.subarray(0, length), offsets: Uint32Array.of(0, length) };
    expect(toHex(new Cmac(KEY).tags(packed))).toBe(tag);
    expect(toHex(nobleCmac(text.subarray(0, length), KEY))).toBe(tag);
  });

  it('equals CMAC one by one, for any column', () => {
    const value = fc.oneof(
      fc.constant(null),
      fc.string({ unit: 'binary', maxLength: 60 }),
      fc.integer({ min: 0, max: 700 }).map((length) => 'x'.repeat(length)),
    );
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.array(value, { maxLength: 20 }),
        (key, values) => {
          const tags = new Cmac(key).tags(packText(values));
          values.forEach((text, i) => {
            expect(toHex(tags.subarray(i * 16, i * 16 + 16))).toBe(
              toHex(plainCmac(key, Buffer.from(text ?? ''))),
            );
          });
        },
      ),
    );
  });

  it('takes an empty column and a text of many megabytes', () => {
    expect(new Cmac(KEY).tags(packText([]))).toHaveLength(0);
    const long = 'é'.repeat(4_000_000);
    expect(toHex(new Cmac(KEY).tags(packText([long])))).toBe(toHex(nobleCmac(Buffer.from(long), KEY)));
  });
});

describe('FF1', () => {
  // NIST SP 800-38G, FF1 samples 1 to 9.
  const KEYS = {
    128: hex('2B7E151628AED2A6ABF7158809CF4F3C'),
    192: hex('2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F'),
    256: hex('2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94'),
  };
  const TWEAK = '39383736353433323130';
  const TWEAK36 = '3737373770717273373737';
  it.each([
    [128, 10, '', '0123456789', '2433477484'],
    [128, 10, TWEAK, '0123456789', '6124200773'],
    [128, 36, TWEAK36, '0123456789abcdefghi', 'a9tv40mll9kdu509eum'],
    [192, 10, '', '0123456789', '2830668132'],
    [192, 10, TWEAK, '0123456789', '2496655549'],
    [192, 36, TWEAK36, '0123456789abcdefghi', 'xbj3kv35jrawxv32ysr'],
    [256, 10, '', '0123456789', '6657667009'],
    [256, 10, TWEAK, '0123456789', '1001623463'],
    [256, 36, TWEAK36, '0123456789abcdefghi', 'xs8a0azh2avyalyzuwd'],
  ] as const)(
    'gives the published sample: AES-%i, radix %i, tweak %s',
    (bits, radix, tweak, plain, cipher) => {
      const digits = Uint16Array.from([...plain].map((digit) => Number.parseInt(digit, 36)));
      new Ff1(KEYS[bits], hex(tweak)).digits(radix, digits.length, digits);
      expect([...digits].map((digit) => digit.toString(36)).join('')).toBe(cipher);
    },
  );

  it('equals @noble/ciphers for any radix, length and tweak, a column at once', () => {
    const shape = fc
      .record({ radix: fc.integer({ min: 2, max: 65535 }), length: fc.integer({ min: 2, max: 60 }) })
      .filter(({ radix, length }) => radix ** length >= 100);
    const input = fc
      .oneof(shape, fc.record({ radix: fc.constant(10), length: fc.integer({ min: 2, max: 40 }) }))
      .chain(({ radix, length }) =>
        fc.record({
          radix: fc.constant(radix),
          key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
          tweak: fc.uint8Array({ maxLength: 40 }),
          rows: fc.array(fc.array(fc.nat(radix - 1), { minLength: length, maxLength: length }), {
            minLength: 1,
            maxLength: 4,
          }),
        }),
      );
    fc.assert(
      fc.property(input, ({ radix, key, tweak, rows }) => {
        const length = rows[0]!.length;
        const digits = Uint16Array.from(rows.flat());
        new Ff1(key, tweak).digits(radix, length, digits);
        const oracle = FF1(radix, key, tweak);
        expect([...digits]).toEqual(rows.flatMap((row) => oracle.encrypt(row)));
      }),
      { numRuns: 300 },
    );
  });

  it('equals @noble/ciphers over binary numbers of 7 to 128 bits', () => {
    const input = fc.integer({ min: 7, max: 128 }).chain((bits) =>
      fc.record({
        bits: fc.constant(bits),
        key: fc.uint8Array({ minLength: 32, maxLength: 32 }),
        tweak: fc.uint8Array({ maxLength: 20 }),
        rows: fc.array(fc.bigInt({ min: 0n, max: (1n << BigInt(bits)) - 1n }), {
          minLength: 1,
          maxLength: 4,
        }),
      }),
    );
    fc.assert(
      fc.property(input, ({ bits, key, tweak, rows }) => {
        const oracle = FF1(2, key, tweak);
        const expected = rows.map((row) =>
          BigInt(`0b${oracle.encrypt([...row.toString(2).padStart(bits, '0')].map(Number)).join('')}`),
        );
        expect(binary(new Ff1(key, tweak), bits, rows)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  });

  it('refuses alphabets and lengths with fewer than 100 texts', () => {
    expect(() => new Ff1(KEY).digits(10, 1, Uint8Array.of(1))).toThrow(RangeError);
    expect(() => new Ff1(KEY).bits(6, Uint32Array.of(1), Uint32Array.of(1))).toThrow(RangeError);
  });

  function binary(ff1: Ff1, bits: number, rows: bigint[]): bigint[] {
    const low = BigInt(Math.ceil(bits / 2));
    const part = (shift: bigint, size: bigint): Uint32Array =>
      Uint32Array.from(rows, (row) => Number((row >> shift) & ((1n << size) - 1n) & 0xffffffffn));
    if (bits <= 64) {
      const [upper, lower] = [part(low, 32n), part(0n, low)];
      ff1.bits(bits, upper, lower);
      return rows.map((_, i) => (BigInt(upper[i]!) << low) | BigInt(lower[i]!));
    }
    if (bits === 65) {
      const digits = Uint8Array.from(
        rows.flatMap((row) => [...row.toString(2).padStart(bits, '0')].map(Number)),
      );
      ff1.digits(2, bits, digits);
      return rows.map((_, i) => BigInt(`0b${digits.subarray(i * bits, (i + 1) * bits).join('')}`));
    }
    const upper = { high: part(low + 32n, 32n), low: part(low, 32n) };
    const lower = { high: part(32n, low - 32n), low: part(0n, 32n) };
    ff1.wideBits(bits, upper, lower);
    const join = (half: typeof upper, i: number): bigint =>
      (BigInt(half.high[i]!) << 32n) | BigInt(half.low[i]!);
    return rows.map((_, i) => (join(upper, i) << low) | join(lower, i));
  }
});

describe('HKDF, AEAD and signatures', () => {
  it('derives by RFC 5869, test case 3', () => {
    const key = new Uint8Array(22).fill(0x0b);
    expect(toHex(hkdf(key, '', '', 42))).toBe(
      '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    );
  });

  it('expands as HMAC says', () => {
    const prk = createHmac('sha256', 'salt').update(KEY).digest();
    const okm = createHmac('sha256', prk).update('info\x01').digest('hex');
    expect(toHex(hkdf(KEY, 'info', 'salt'))).toBe(okm);
  });

  it('opens what it sealed, under the same key and context only', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, context) => {
        const box = aead(KEY);
        const sealed = box.seal(text, context);
        expect(box.open(sealed, context)).toBe(text);
        expect(() => box.open(sealed, `${context}.`)).toThrow('cannot be opened');
        expect(() => aead(hkdf(KEY, 'other')).open(sealed, context)).toThrow('cannot be opened');
        expect(box.seal(text, context)).not.toBe(sealed);
      }),
    );
    expect(() => aead(KEY).open('', 'x')).toThrow('cannot be opened');
    expect(() => aead(KEY).open('AAAA', 'x')).toThrow('cannot be opened');
  });

  it('signs as RFC 8032, test 1 and 2', () => {
    const first = signer(hex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'));
    expect(toHex(Buffer.from(first.publicKey, 'base64'))).toBe(
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    );
    expect(toHex(Buffer.from(first.sign(''), 'base64'))).toBe(
      'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    );
    const second = signer(hex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'));
    expect(toHex(Buffer.from(second.sign('r'), 'base64'))).toBe(
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    );
  });

  it('verifies its own signatures and nothing else', () => {
    const pair = signer(KEY);
    const signature = pair.sign('run');
    expect(verifies(pair.publicKey, 'run', signature)).toBe(true);
    expect(verifies(pair.publicKey, 'run.', signature)).toBe(false);
    expect(verifies(signer(hkdf(KEY, 'x')).publicKey, 'run', signature)).toBe(false);
    expect(verifies('no key', 'run', signature)).toBe(false);
  });
});
