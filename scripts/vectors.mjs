/* Writes retention/vectors.json: tokens with their keys, and what opening them gives. The same text every time. */
import { createHash, createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const hmac = (key, ...parts) =>
  createHmac('sha256', key)
    .update(Buffer.concat(parts.map((p) => Buffer.from(p))))
    .digest();

/** Bytes that look random and are the same every time. */
function bytesOf(label, length) {
  const blocks = [];
  for (let i = 0; i * 32 < length; i++)
    blocks.push(createHash('sha256').update(`lethe vectors ${label} ${i}`).digest());
  return Buffer.concat(blocks).subarray(0, length);
}

/** Seals any bytes under any header, also such as no sealer would make. Returns salt and token. */
function seal({ dayKey, header, context, padded, deterministic, salt }) {
  const info = header.slice(4, 12);
  const [kx, km] = ['xor', 'mac'].map((what) => hmac(dayKey, `lethe/1/${what}${info}`));
  const text = Buffer.from(context);
  const c = Buffer.concat([Buffer.from([text.length >> 8, text.length & 255]), text]);
  const used = deterministic ? hmac(km, 'det', header, c, padded).subarray(0, 12) : salt;
  const cipher = Buffer.from(padded);
  for (let at = 0; at < cipher.length; at += 32) {
    const counter = Buffer.alloc(4);
    counter.writeUInt32BE(at / 32);
    const block = hmac(kx, used, counter);
    for (let j = 0; j < 32 && at + j < cipher.length; j++) cipher[at + j] ^= block[j];
  }
  const tag = hmac(km, header, c, used, cipher).subarray(0, 16);
  return { salt: used, token: `${header}${Buffer.concat([used, cipher, tag]).toString('base64url')}.` };
}

function pad(bytes, to) {
  const length = (Math.floor(bytes.length / to) + 1) * to;
  return Buffer.concat([bytes, Buffer.from([0x80])], length);
}

const RING = { asOf: '2026-03-15', first: '2026-02-14', gone: ['2026-03-01', '2026-03-02'] };
const vectors = [];

/** @param change What happens to the token after it was sealed. */
function vector({
  kind = 'lt1',
  policy = 'ip',
  date = '260310',
  plaintext = 'value',
  padded,
  context = '',
  pad: to = null,
  deterministic = false,
  ring = RING,
  hasKey = true,
  outcome = 'value',
  change = (token) => token,
  read = {},
}) {
  const label = String(vectors.length);
  const dayKey = bytesOf(`key ${policy}${date}`, 32);
  const plain = Buffer.from(plaintext);
  const sealed = seal({
    dayKey,
    header: `${kind}.${policy}${date}.`,
    context,
    padded: padded ?? (to === null ? plain : pad(plain, to)),
    deterministic,
    salt: bytesOf(`salt ${label}`, 12),
  });
  vectors.push({
    dayKey: hasKey ? (read.dayKey ?? dayKey).toString('hex') : null,
    ring,
    context: read.context ?? context,
    kind,
    pad: to,
    deterministic,
    salt: sealed.salt.toString('hex'),
    plaintext: plain.toString('hex'),
    token: change(sealed.token),
    outcome,
  });
}

const ascii = (length) => bytesOf(`ascii ${length}`, length).map((byte) => 0x20 + (byte % 0x5f));
const at = (position, by) => (text) => text.slice(0, position) + by + text.slice(position + by.length);
const fromEnd = (back, by) => (text) => at(text.length - back, by)(text);

/** Another letter of base64url, which differs from the given one in its highest bit. */
function otherLetter(letter) {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  return letters[letters.indexOf(letter) ^ 32];
}
const flip = (position) => (token) => {
  const from = position < 0 ? token.length + position : position;
  return at(from, otherLetter(token[from]))(token);
};

function opening() {
  for (let n = 0; n <= 36; n++) vector({ plaintext: ascii(n) });
  for (const n of [47, 48, 49, 63, 64, 65, 95, 96, 97, 127, 128, 129, 1_000, 65_536])
    vector({ plaintext: ascii(n) });
  for (const n of [0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 300])
    vector({ kind: 'lb1', plaintext: bytesOf('bytes', n) });
  vector({ kind: 'lb1', plaintext: Buffer.alloc(40) });
  vector({ kind: 'lb1', plaintext: Buffer.from('80', 'hex') });
  for (const n of [0, 1, 14, 15, 16, 17, 31, 32]) vector({ kind: 'lp1', pad: 16, plaintext: ascii(n) });
  for (const to of [1, 2, 3, 64, 500, 1_000]) vector({ kind: 'lp1', pad: to, plaintext: ascii(6) });
  for (const end of ['', '80', '8000', '0080', '00', '000000']) {
    vector({ kind: 'lq1', pad: 8, plaintext: Buffer.from(`c3${end}`, 'hex') });
    vector({ kind: 'lq1', pad: 3, plaintext: Buffer.from(end, 'hex') });
  }
  const texts = [
    'ä',
    'Zürich',
    '東京都',
    'مرحبا',
    '😀',
    '👩‍👩‍👧',
    'e\u0301',
    '\ufeffx',
    '\ufffd',
    '\ud7ff\ue000',
    '\u{10ffff}',
  ];
  for (const plaintext of [
    ...texts,
    '\u0001',
    '\u007f\u0080',
    '\u07ff\u0800',
    '\t\r\n',
    '"\\\'',
    'a,b;"c"',
    '{"a":1}',
  ]) {
    vector({ plaintext });
  }
  vector({ kind: 'lp1', pad: 4, plaintext: '\u0080' });
  vector({ plaintext: '192.0.2.1' });
  vector({ plaintext: 'lt1.ip260310.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.' });
  for (const context of [
    'a',
    'events.ip',
    'twelve bytes',
    '13 bytes long',
    'Straße',
    'x'.repeat(77),
    'é'.repeat(512),
  ]) {
    vector({ context });
    vector({ context, kind: 'lb1', plaintext: bytesOf('context', 50) });
  }
  for (const kind of ['lt1', 'lb1']) {
    for (const plaintext of ['', '192.0.2.1', ascii(200)]) vector({ kind, plaintext, deterministic: true });
  }
  for (const kind of ['lp1', 'lq1']) vector({ kind, pad: 32, plaintext: '192.0.2.1', deterministic: true });
  for (const context of ['', 'a', 'events.ip'])
    vector({ plaintext: '2001:db8::1', deterministic: true, context });
  const always = { asOf: '2099-12-31', first: '2000-01-01', gone: [] };
  for (const date of ['000101', '000229', '040229', '240229', '251231', '260430', '991231', '960229']) {
    vector({ date, ring: always });
  }
  for (const policy of ['00', 'zz', 'a9', '9a']) vector({ policy });
  for (const date of ['260214', '260315', '260228', '260303']) vector({ date });
}

function closed() {
  for (const date of ['260213', '260101', '000101', '260301', '260302']) vector({ date, outcome: 'expired' });
  vector({ date: '260301', hasKey: false, outcome: 'expired' });
  vector({ date: '260101', hasKey: false, outcome: 'expired' });
  vector({ date: '260320', ring: { ...RING, gone: ['2026-03-20'] }, outcome: 'expired' });
  vector({ date: '260101', kind: 'lb1', outcome: 'expired' });
  vector({ date: '260301', kind: 'lp1', pad: 16, outcome: 'expired' });
  vector({ ring: null, outcome: 'noKey' });
  vector({ ring: null, hasKey: false, outcome: 'noKey' });
  vector({ ring: null, date: '260101', outcome: 'noKey' });
  vector({ hasKey: false, outcome: 'noKey' });
  vector({ date: '260316', outcome: 'noKey' });
  vector({ date: '260316', hasKey: false, outcome: 'noKey' });
  vector({ date: '991231', outcome: 'noKey' });
  vector({ kind: 'lq1', pad: 16, ring: null, outcome: 'noKey' });
}

function tampered() {
  const wrong = (given) => vector({ outcome: 'tampered', plaintext: '192.0.2.1', ...given });
  for (const position of [13, 20, 28, 31, 40, 45, -16, -5]) wrong({ change: flip(position) });
  for (const kind of ['lb1', 'lp1', 'lq1']) wrong({ change: at(0, kind) });
  wrong({ kind: 'lb1', change: at(0, 'lt1') });
  wrong({ change: at(4, 'iq') });
  wrong({ change: at(6, '260311') });
  wrong({ read: { context: 'x' } });
  wrong({ context: 'x', read: { context: '' } });
  wrong({ context: 'a', read: { context: 'a#json' } });
  wrong({ read: { dayKey: bytesOf('another key', 32) } });
  wrong({ change: (token) => `${token.slice(0, -5)}.`, plaintext: ascii(8) });
  wrong({ change: (token) => `${token.slice(0, -1)}AAAA.` });
  wrong({ change: (token) => token.slice(0, 13) + token.slice(17) });
  wrong({ change: (token) => token.toLowerCase(), plaintext: ascii(8) });
  wrong({ deterministic: true, change: flip(14) });
  for (const padded of ['', '00', '0000', 'ff', '61', '6100', '8001', '617f00']) {
    wrong({ kind: 'lp1', pad: 16, padded: Buffer.from(padded, 'hex') });
  }
  wrong({ kind: 'lq1', pad: 16, padded: Buffer.alloc(16) });
  wrong({ kind: 'lq1', pad: 16, padded: Buffer.alloc(16, 1) });
  for (const bytes of [
    '80',
    'c3',
    'c328',
    'c080',
    'eda080',
    'edbfbf',
    'f4908080',
    'f8888080',
    'e282',
    'ff',
    '61ff62',
  ]) {
    wrong({ plaintext: Buffer.from(bytes, 'hex') });
  }
  for (const bytes of ['00', '610062', '6100', 'c080']) wrong({ plaintext: Buffer.from(bytes, 'hex') });
  wrong({ kind: 'lp1', pad: 16, plaintext: Buffer.from('00', 'hex') });
  wrong({ kind: 'lp1', pad: 16, plaintext: Buffer.from('ff', 'hex') });
}

function noTokens() {
  const none = (change, given = {}) => vector({ outcome: 'notToken', change, ...given });
  // The body of one byte ends in two characters (four unused bits), that of two bytes in three (two unused bits).
  for (const [length, bits] of [
    [3, 4],
    [1, 2],
  ]) {
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let other = 1; other < 1 << bits; other++) {
      none((token) => fromEnd(2, letters[letters.indexOf(token.at(-2)) ^ other])(token), {
        plaintext: ascii(length),
      });
    }
  }
  for (const date of [
    '260229',
    '260431',
    '261301',
    '260001',
    '260100',
    '260132',
    '010229',
    '260631',
    '261131',
  ])
    none(at(6, date));
  none(at(6, '٢٦٠٣١٠'));
  none(at(0, 'LT1'));
  for (const kind of ['lx1', 'lt2', 'mt1', 'l_1']) none(at(0, kind));
  for (const policy of ['IP', 'i_', 'ï0']) none(at(4, policy));
  none(at(3, ','));
  none(at(12, '-'));
  none((token) => token.slice(0, -1));
  none((token) => `${token}.`);
  none((token) => `${token}\n`);
  none((token) => ` ${token}`);
  none((token) => `x${token}`);
  none((token) => token + token);
  none((token) => token.slice(1));
  none((token) => `${token.slice(0, -1)}=.`);
  none((token) => `${token.slice(0, -1)}==.`);
  for (const letter of ['+', '/', '=', ' ', '\n', '.', 'é', 'Ł', 'Ａ', '😀']) none(at(30, letter));
  none((token) => `${token.slice(0, 50)}.`, { plaintext: '' });
  none((token) => `${token.slice(0, 13)}.`);
  none((token) => `${token.slice(0, -1)}A.`, { plaintext: ascii(2) });
  none(() => '');
  none(() => 'value');
  none(() => `lt1.ip260310.${'A'.repeat(87_420)}.`, { plaintext: '' });
  none((token) => token.toUpperCase());
  none((token) => encodeURIComponent(`${token}?`));
  none(at(6, '260229'), { ring: null });
  none(at(6, '250229'), { date: '250228' });
}

/** The text of retention/vectors.json. */
export function vectorsText() {
  vectors.length = 0;
  for (const part of [opening, closed, tampered, noTokens]) part();
  return `{"vectors":[\n${vectors.map((one) => JSON.stringify(one)).join(',\n')}\n]}\n`;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  writeFileSync(new URL('../retention/vectors.json', import.meta.url), vectorsText());
}
