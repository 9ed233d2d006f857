import { createCipheriv } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { cryptoPan } from '../../../anonymize/cryptopan.js';
import { formatAddress, parseAddress } from '../../../anonymize/ipaddress.js';
import { accepts, one, proof, run, TEXT, type } from './support.js';

const INET = { type: type('inet') };
const CIDR = { type: type('inet', { name: 'cidr' }) };
const v4 = fc.ipV4();
const v6 = fc.ipV6().map((text) => formatAddress(parseAddress(text)!));

describe('addresses', () => {
  test.each([
    ['192.168.1.1', '192.168.1.1'],
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['2001:0DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['::', '::'],
    ['::1/128', '::1/128'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
    ['fe80::', 'fe80::'],
    ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
    ['::FFFF:C000:0201', '::ffff:192.0.2.1'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
  ])('%s reads as %s', (text, expected) => {
    expect(formatAddress(parseAddress(text)!)).toBe(expected);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.256',
    '1.2.3.4.5',
    '1.2.3.4/33',
    '1.2.3.4/',
    '::1/129',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '::12345',
    'fe80::1%eth0',
    '1.2.3.4:80',
    ' 1.2.3.4',
    '::1.2.3',
  ])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('cryptoPan', () => {
  // Key and trace that come with the reference implementation of Crypto-PAn.
  const key = Uint8Array.of(21, 34, 23, 141, 51, 164, 207, 128, 19, 10, 91, 22, 73, 144, 125, 16);
  const padKey = Uint8Array.of(216, 152, 143, 131, 121, 121, 101, 39, 98, 87, 76, 45, 42, 132, 34, 2);
  const cipher = createCipheriv('aes-128-ecb', key, null).setAutoPadding(false);
  const encrypt = (blocks: Uint8Array) => cipher.update(blocks);

  test('agrees with the reference implementation', () => {
    const given = ['128.11.68.132', '129.118.74.4', '130.132.252.244', '141.223.7.43', '141.233.145.108'];
    const expected = [
      '135.242.180.132',
      '134.136.186.123',
      '133.68.164.234',
      '141.167.8.160',
      '141.129.237.235',
    ];
    const bytes = given.map((text) => parseAddress(text)!.bytes);
    const out = cryptoPan(encrypt, encrypt(padKey), bytes, () => 0);
    expect(out.map((address) => address.join('.'))).toEqual(expected);
  });
});

describe('ip', () => {
  test('another address of the same family, public to public, private to private', () => {
    expect(one('ip', '93.184.216.34', INET)).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(one('ip', '10.1.2.3', INET)).toMatch(/^10\./);
    expect(one('ip', '192.168.7.8/24', INET)).toMatch(/^192\.168\.\d+\.\d+\/24$/);
    expect(one('ip', '172.31.0.1', INET)).toMatch(/^172\.(1[6-9]|2\d|3[01])\./);
    expect(one('ip', '2a00:1450:4001::200e', INET)).toMatch(/^[23][0-9a-f]{3}:/);
    expect(one('ip', 'fe80::1', INET)).toMatch(/^fe[89ab]/);
    expect(one('ip', '::ffff:93.184.216.34', INET)).toMatch(/^::ffff:\d+\.\d+\.\d+\.\d+$/);
    for (const fixed of ['127.0.0.1', '0.0.0.0', '255.255.255.255', '::', '::1']) {
      for (const preservePrefix of [false, true])
        expect(one({ ip: { preservePrefix } }, fixed, INET)).toBe(fixed);
    }
  });

  test('public addresses never become special ones', () => {
    const special =
      /^(0|10|127|22[4-9]|2[345]\d)\.|^(192\.168|169\.254|198\.1[89]|172\.(1[6-9]|2\d|3[01])|100\.(6[4-9]|[789]\d|1[01]\d|12[0-7]))\./;
    fc.assert(
      fc.property(v4, fc.boolean(), (address, preservePrefix) => {
        const out = one({ ip: { preservePrefix } }, address, INET)!;
        expect(special.test(out)).toBe(special.test(address));
      }),
      { numRuns: 1000 },
    );
  });

  test('with preservePrefix, addresses share as many bits as they did', () => {
    const bits = (text: string) =>
      Array.from(parseAddress(text)!.bytes, (byte) => byte.toString(2).padStart(8, '0')).join('');
    const shared = (a: string, b: string) => {
      const [x, y] = [bits(a), bits(b)];
      let i = 0;
      while (i < x.length && x[i] === y[i]) i++;
      return i;
    };
    for (const address of [v4, v6.filter((text) => !text.includes('.'))]) {
      fc.assert(
        fc.property(address, address, fc.nat(127), (a, b, flip) => {
          const c = bits(a).split('');
          const at = flip % c.length;
          c[at] = c[at] === '0' ? '1' : '0';
          const bytes = Uint8Array.from(c.join('').match(/.{8}/g)!, (octet) => Number.parseInt(octet, 2));
          const near = formatAddress({ bytes, suffix: '', isNetwork: true });
          if (parseAddress(near)!.wrapper) return;
          const out = run({ ip: { preservePrefix: true } }, [a, b, near], INET).out as string[];
          expect(shared(out[0]!, out[1]!)).toBe(shared(a, b));
          expect(shared(out[0]!, out[2]!)).toBe(shared(a, near));
        }),
      );
    }
  });

  test('with preservePrefix, a network of a cidr column has the hosts of its network', () => {
    const [net, host] = run(
      { ip: { preservePrefix: true } },
      ['93.184.216.0/24', '93.184.216.34/32'],
      CIDR,
    ).out;
    expect(net).toMatch(/\.0\/24$/);
    expect(host!.split('.').slice(0, 3)).toEqual(net!.split('.').slice(0, 3));
    expect(accepts({ constant: one('ip', '2a00:1450::/32', CIDR)! }, CIDR.type)).toBe(true);
  });

  test('what is no address follows onInvalid', () => {
    expect(run('ip', ['localhost', '1.2.3.4:80', 'unknown', null]).failed.size).toBe(3);
    expect(one({ ip: { onInvalid: 'scramble' } }, 'unknown')).toMatch(/^[a-z]{7}$/);
    expect(one({ ip: { onInvalid: 'null' } }, 'unknown')).toBeNull();
  });

  test('fits the column', () => {
    expect(accepts('ip', type('text', { maxLength: 14 }))).toMatch(/15 characters/);
    expect(run('ip', ['fe80::1'], { type: type('text', { maxLength: 15 }) }).failed.get(0)).toMatch(
      /longer than 15/,
    );
    expect(accepts('ip', type('int8'))).toMatch(/inet/);
  });

  test('is injective where it says so', () => {
    expect(proof({ ip: { preservePrefix: true } }, INET.type).unique).toBe('injective');
    expect(proof({ ip: { preservePrefix: true } }, TEXT).unique).toBe('no');
    const block = Array.from({ length: 65_536 }, (_, i) => `93.184.${i >> 8}.${i & 255}`);
    expect(new Set(run({ ip: { preservePrefix: true } }, block, INET).out).size).toBe(65_536);
  });
});

describe('url', () => {
  test('keeps the form', () => {
    expect(one('url', 'https://ann.smith:pw1@acme.com:8443/users/42?q=caf%C3%A9&x=1#top')).toMatch(
      /^https:\/\/[a-z]{3}\.[a-z]{5}:[a-z]{2}\d@[a-z]{8}\.example:8443\/[a-z]{5}\/\d\d\?[a-z]=[a-z]{3}%20%20&[a-z]=\d#[a-z]{3}$/,
    );
    expect(one('url', 'www.acme.com')).toMatch(/^[a-z]{8}\.example$/);
    expect(one('url', 'acme.com:8080/x')).toMatch(/^[a-z]{8}\.example:8080\/[a-z]$/);
    expect(one('url', 'http://[2001:db8::1]:80/')).toMatch(/^http:\/\/[a-z]{8}\.example:80\/$/);
    expect(one('url', '//cdn.acme.com/a.js')).toMatch(/^\/\/[a-z]{8}\.example\/[a-z]\.[a-z]{2}$/);
    expect(one('url', 'mailto:ann@acme.com')).toMatch(/^mailto:[a-z]{3}@[a-z]{4}\.[a-z]{3}$/);
    expect(one('url', '/users/ann')).toMatch(/^\/[a-z]{5}\/[a-z]{3}$/);
    expect(one('url', 'https://bücher.example/straße')).toMatch(
      /^https:\/\/[a-z]{8}\.example\/[a-z]{4}\p{Ll}[a-z]$/u,
    );
    expect(one('url', 'file:///home/ann/x.txt')).toMatch(/^file:\/\/\/[a-z]{4}\/[a-z]{3}\/[a-z]\.[a-z]{3}$/);
  });

  test('one host is one host', () => {
    const hosts = run('url', ['https://acme.com/a', 'http://ACME.com/b', 'https://other.com']).out.map(
      (url) => new URL(url!).host,
    );
    expect(hosts[0]).toBe(hosts[1]);
    expect(hosts[0]).not.toBe(hosts[2]);
  });

  test('keeps host or path when told', () => {
    expect(one({ url: { keepHost: true } }, 'https://acme.com/ann')).toMatch(
      /^https:\/\/acme\.com\/[a-z]{3}$/,
    );
    expect(one({ url: { keepPath: true } }, 'https://acme.com/a/b?ann=1')).toMatch(
      /^https:\/\/[a-z]{8}\.example\/a\/b\?[a-z]{3}=\d$/,
    );
    expect(one({ url: { keepPath: true } }, 'mailto:ann@acme.com')).not.toContain('ann');
    expect(proof({ url: { keepHost: true } }).mayEqualInput).toBe(true);
    expect(proof('url').mayEqualInput).toBe(false);
  });

  test('real URLs stay URLs, without their host, user and path', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (value) => {
        const out = new URL(one('url', value)!);
        expect(out.protocol).toBe(new URL(value).protocol);
        expect(out.host).toMatch(/^[a-z]{8}\.example$/);
      }),
    );
  });

  test('fits the column', () => {
    const given = { type: type('text', { maxLength: 24 }) };
    expect(one('url', 'https://a.io/a/long/path', given)).toHaveLength(24);
    expect(accepts('url', type('text', { maxLength: 23 }))).toMatch(/24 characters/);
    expect(accepts({ url: { keepHost: true } }, type('text', { maxLength: 23 }))).toBe(true);
  });

  test.each([
    '',
    ' ',
    'n/a',
    'Ann Lee',
    '/',
    'https://',
    'two words.com/x',
    'http://a b/',
    'x@y',
    '\\N',
    'localhost.:x',
  ])('%j is none', (value) => {
    expect(run('url', [value]).failed.get(0)).toBe('not a URL');
  });
});
