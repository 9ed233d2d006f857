import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LetheError } from '../../errors/errors.js';
import { decodeRows } from '../../postgres/copy/decode.js';
import { type OutputField, RowEncoder } from '../../postgres/copy/encode.js';
import { toUtf8 } from '../../postgres/copy/encoding.js';
import type { CopyChunk } from '../../postgres/copy/out.js';

type Value = string | null;

/** What the server would send: the reference, value by value. */
function copyText(rows: readonly (readonly Value[])[]): CopyChunk {
  const escapes: Record<string, string> = {
    '\\': '\\\\',
    '\b': '\\b',
    '\t': '\\t',
    '\n': '\\n',
    '\v': '\\v',
    '\f': '\\f',
    '\r': '\\r',
  };
  const lines = rows.map((row) =>
    Buffer.from(
      `${row.map((value) => (value === null ? '\\N' : value.replace(/[\\\b\t\n\v\f\r]/g, (c) => escapes[c]!))).join('\t')}\n`,
    ),
  );
  let at = 0;
  return { bytes: Buffer.concat(lines), ends: lines.map(({ length }) => (at += length)) };
}

const value = fc.option(
  fc.oneof(
    fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
    fc.constantFrom('', '\\N', 'N', '\\', '\t', '\n', '\\.', 'Zoë', '漢字', '😀', '\\\\N', '\x7f', '\u0080'),
    fc.string(),
  ),
);
const table = fc
  .integer({ min: 1, max: 6 })
  .chain((width) =>
    fc.tuple(
      fc.array(fc.array(value, { minLength: width, maxLength: width }), { minLength: 1, maxLength: 20 }),
      fc.integer({ min: 0, max: width }),
    ),
  );

describe('COPY text', () => {
  test('leading fields come out as the values that went in', () => {
    fc.assert(
      fc.property(table, ([rows, count]) => {
        const block = decodeRows(copyText(rows), count, rows[0]!.length);
        expect(block.size).toBe(rows.length);
        expect(block.fields).toEqual(Array.from({ length: count }, (_, f) => rows.map((row) => row[f])));
      }),
    );
  });

  test('a row with new values is the row that the server would have sent', () => {
    fc.assert(
      fc.property(table, ([rows, count]) => {
        const width = rows[0]!.length;
        const block = decodeRows(copyText(rows), count, width);
        const replaced = rows.map((row, r) =>
          row.map((old, f) => (f < count && f % 2 === 0 ? rows[rows.length - 1 - r]![f]! : old)),
        );
        const fields = Array.from(
          { length: count },
          (_, f): OutputField =>
            f % 2 === 0
              ? { kind: 'values', values: replaced.map((row) => row[f]!) }
              : { kind: 'raw', field: f },
        );
        const out = new RowEncoder().encode(block, fields, count < width);
        expect(out.equals(copyText(replaced).bytes)).toBe(true);
      }),
    );
  });

  test('fields in front may be left out, rows may be skipped, ranges taken', () => {
    fc.assert(
      fc.property(table, fc.nat(), fc.nat(), ([rows, count], a, b) => {
        const width = rows[0]!.length;
        const dropped = Math.min(1, count);
        const block = decodeRows(copyText(rows), count, width);
        const [from, to] = [
          Math.min(a % rows.length, b % rows.length),
          Math.max(a % rows.length, b % rows.length),
        ];
        const skip = Uint8Array.from(rows, (_, r) => (r % 3 === 1 ? 1 : 0));
        const fields = Array.from(
          { length: count - dropped },
          (_, f): OutputField => ({ kind: 'raw', field: f + dropped }),
        );
        const out = new RowEncoder().encode(block, fields, count < width, { from, to, skip });
        const expected = rows
          .slice(from, to)
          .filter((_, r) => skip[r + from] === 0)
          .map((row) => row.slice(dropped));
        const text = width === dropped ? '\n'.repeat(expected.length) : copyText(expected).bytes.toString();
        expect(out.toString()).toBe(text);
      }),
    );
  });

  test('octal and hexadecimal escapes, which other writers use, are understood', () => {
    const bytes = Buffer.from('\\101\\x42\\x4\\7\\q\\0\tx\n');
    const { fields } = decodeRows({ bytes, ends: [bytes.length] }, 1, 2);
    expect(fields[0]).toEqual(['AB\x04\x07q\0']);
  });

  test('a value of many megabytes passes', () => {
    const long = '\\x\té'.repeat(1_000_000);
    const chunk = copyText([
      [long, 'a'],
      ['b', long],
    ]);
    const block = decodeRows(chunk, 1, 2);
    expect(block.fields[0]![0] === long).toBe(true);
    const out = new RowEncoder().encode(block, [{ kind: 'values', values: [long, 'b'] }], true);
    expect(out.equals(chunk.bytes)).toBe(true);
  });

  test('values may grow beyond any buffer', () => {
    const rows = Array.from({ length: 30 }, (_, i) => [`a${i}`, 'k', `rest ${i}`]);
    const grown = rows.map(([, k, rest], i) => [(i % 2 === 0 ? 'x' : 'é\\').repeat(200_000 + i), k!, rest!]);
    const block = decodeRows(copyText(rows), 2, 3);
    const fields: OutputField[] = [
      { kind: 'values', values: grown.map(([value]) => value!) },
      { kind: 'raw', field: 1 },
    ];
    expect(new RowEncoder().encode(block, fields, true).equals(copyText(grown).bytes)).toBe(true);
  });

  test('rows that have other fields than asked for are refused, not shifted', () => {
    const short = copyText([
      ['a', 'b'],
      ['c', 'd'],
    ]);
    expect(() => decodeRows(short, 2, 3)).toThrow(LetheError);
    expect(() => decodeRows(short, 1, 1)).toThrow(LetheError);
    expect(() => decodeRows({ bytes: Buffer.from('a\tb'), ends: [3] }, 1, 2)).toThrow(LetheError);
  });

  test('bytes of a SQL_ASCII database are read as what the job declares', () => {
    const latin1 = { bytes: Buffer.from('M\xfcller\t1\nZo\xeb\t\x80\n', 'latin1'), ends: [9, 15] };
    expect(toUtf8(latin1, 'LATIN1').bytes.toString()).toBe('Müller\t1\nZoë\t\u0080\n');
    expect(toUtf8(latin1, 'LATIN1').ends).toEqual([10, 18]);
    expect(toUtf8(latin1, 'WIN1252').bytes.toString()).toBe('Müller\t1\nZoë\t€\n');
    expect(() => toUtf8(latin1, 'SJIS')).toThrow(/SJIS/);
  });
});
