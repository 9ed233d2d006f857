/*
 * As much of Node's Buffer as transformers use, for engines that have none: a database server's JavaScript knows the
 * language and nothing else.
 */

const HEX = '0123456789abcdef';
const URL_64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

class Bytes extends Uint8Array {
  override toString(encoding = 'utf8', start = 0, end = this.length): string {
    let text = '';
    switch (encoding) {
      case 'hex':
        for (let at = start; at < end; at++) text += HEX[this[at]! >>> 4]! + HEX[this[at]! & 15]!;
        return text;
      case 'latin1':
        for (let at = start; at < end; at++) text += String.fromCharCode(this[at]!);
        return text;
      case 'utf16le':
        for (let at = start; at + 1 < end; at += 2)
          text += String.fromCharCode(this[at]! | (this[at + 1]! << 8));
        return text;
      case 'base64url':
        return base64url(this, start, end);
      default:
        throw new Error(`no encoding ${encoding}`);
    }
  }

  write(text: string, at = 0): number {
    const encoded = utf8(text);
    this.set(encoded, at);
    return encoded.length;
  }

  readUInt16BE(at: number): number {
    return (this[at]! << 8) | this[at + 1]!;
  }

  readUInt32BE(at: number): number {
    return this.readUInt16BE(at) * 65_536 + this.readUInt16BE(at + 2);
  }

  readBigUInt64BE(at: number): bigint {
    return (BigInt(this.readUInt32BE(at)) << 32n) | BigInt(this.readUInt32BE(at + 4));
  }

  writeUInt16BE(value: number, at: number): void {
    this[at] = value >>> 8;
    this[at + 1] = value;
  }

  writeUInt32BE(value: number, at: number): void {
    this.writeUInt16BE(value >>> 16, at);
    this.writeUInt16BE(value & 0xffff, at + 2);
  }
}

function base64url(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (let at = start; at < end; at++) {
    held = ((held << 8) | bytes[at]!) & 0xffff;
    for (bits += 8; bits >= 6; bits -= 6) text += URL_64[(held >>> (bits - 6)) & 63]!;
  }
  return bits > 0 ? text + URL_64[(held << (6 - bits)) & 63]! : text;
}

/** UTF-8, half a surrogate pair as U+FFFD. */
export function utf8(text: string): Bytes {
  const out: number[] = [];
  for (const letter of text) {
    const read = letter.codePointAt(0)!;
    const code = read >= 0xd800 && read <= 0xdfff ? 0xfffd : read;
    if (code < 0x80) out.push(code);
    else if (code < 0x800) out.push(0xc0 | (code >>> 6), 0x80 | (code & 63));
    else if (code < 0x10000) out.push(0xe0 | (code >>> 12), 0x80 | ((code >>> 6) & 63), 0x80 | (code & 63));
    else
      out.push(
        0xf0 | (code >>> 18),
        0x80 | ((code >>> 12) & 63),
        0x80 | ((code >>> 6) & 63),
        0x80 | (code & 63),
      );
  }
  return new Bytes(out);
}

function fromHex(text: string): Bytes {
  const out = new Bytes(text.length >>> 1);
  for (let at = 0; at < out.length; at++) out[at] = Number.parseInt(text.slice(2 * at, 2 * at + 2), 16);
  return out;
}

function from(
  value: string | ArrayBuffer | ArrayLike<number>,
  encoding: string | number = 'utf8',
  length?: number,
): Bytes {
  if (typeof value === 'string') return encoding === 'hex' ? fromHex(value) : utf8(value);
  if (value instanceof ArrayBuffer) return new Bytes(value, Number(encoding) || 0, length);
  return new Bytes(value);
}

/** Stands for Node's `Buffer` in the code that is sent to a server. */
export const Buffer = {
  from,
  alloc: (size: number): Bytes => new Bytes(size),
  allocUnsafe: (size: number): Bytes => new Bytes(size),
  byteLength: (text: string): number => utf8(text).length,
  concat: (parts: readonly Uint8Array[]): Bytes => {
    const out = new Bytes(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  },
};
