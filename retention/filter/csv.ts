import { LetheError } from '../../errors/errors.js';

/** A field where it stands in its record. */
export interface CsvField {
  readonly start: number;
  readonly end: number;
  readonly value: string;
}

/** Cuts a text into CSV records with their line breaks; those between quotes end none. */
export function csvRecords(text: string): string[] {
  const records: string[] = [];
  let open = false;
  for (let start = 0, from = 0; start < text.length; ) {
    const newline = text.indexOf('\n', from);
    const end = newline < 0 ? text.length : newline + 1;
    for (let at = text.indexOf('"', from); at >= 0 && at < end; at = text.indexOf('"', at + 1)) open = !open;
    from = end;
    if (open && newline >= 0) continue;
    records.push(text.slice(start, end));
    start = end;
    open = false;
  }
  return records;
}

/**
 * The fields of a record (RFC 4180), its line break aside. They are spans, so that whoever changes one leaves the others
 * and their quotes as they are.
 *
 * @throws LetheError `SealRefused` where quotes do not fit.
 */
export function csvFields(record: string, delimiter: string): CsvField[] {
  const length = record.length - (record.endsWith('\r\n') ? 2 : record.endsWith('\n') ? 1 : 0);
  const fields: CsvField[] = [];
  let at = 0;
  for (;;) {
    const start = at;
    let value: string;
    if (record[at] === '"' && at < length) {
      at = closingQuote(record, at, length) + 1;
      value = record.slice(start + 1, at - 1).replaceAll('""', '"');
      if (at < length && record[at] !== delimiter)
        throw new LetheError('SealRefused', 'A CSV record has text behind a closing quote.');
    } else {
      const next = record.indexOf(delimiter, at);
      at = next < 0 || next > length ? length : next;
      value = record.slice(start, at);
      if (value.includes('"'))
        throw new LetheError('SealRefused', 'A CSV record has a quote inside a field that is not quoted.');
    }
    fields.push({ start, end: at, value });
    if (at >= length) return fields;
    at++;
  }
}

function closingQuote(record: string, start: number, length: number): number {
  for (let at = start + 1; ; at += 2) {
    at = record.indexOf('"', at);
    if (at < 0 || at >= length)
      throw new LetheError('SealRefused', 'A CSV record has a quote that is not closed.');
    if (record[at + 1] !== '"') return at;
  }
}

/** A value as a field of a record, in quotes where it needs them or had them. */
export function csvField(value: string, delimiter: string, quoted: boolean): string {
  const needs = quoted || value.includes('"') || value.includes(delimiter) || /[\r\n]/.test(value);
  return needs ? `"${value.replaceAll('"', '""')}"` : value;
}
