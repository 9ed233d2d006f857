import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alphabetOf, characters } from '../../../anonymize/characters.js';
import { KeyStream } from '../../../anonymize/keystream.js';
import { aes } from '../../../crypto/aes.js';
import { HOSTILE, one, run, type } from './support.js';

describe('scramble', () => {
  test('keeps the form', () => {
    expect(one('scramble', 'Dr. Ömer Ünal, Room 12b')).toMatch(
      /^[A-Z][a-z]\. \p{Lu}[a-z]{3} \p{Lu}[a-z]{3}, [A-Z][a-z]{3} \d\d[a-z]$/u,
    );
    expect(one('scramble', 'Анна Иванова')).toMatch(/^[А-Я][а-я]{3} [А-Я][а-я]{6}$/);
    expect(one('scramble', '田中 花子')).toMatch(/^\p{Script=Han}{2} \p{Script=Han}{2}$/u);
    expect(one('scramble', '٠١٢ १२३')).toMatch(/^[٠-٩]{3} [०-९]{3}$/);
    expect(one('scramble', 'Γιώργος')).toMatch(/^\p{Script=Greek}{7}$/u);
    expect(one('scramble', '김철수')).toMatch(/^\p{Script=Hangul}{3}$/u);
  });

  test('leaves what is neither letter nor digit, and nothing else', () => {
    const { out } = run('scramble', HOSTILE);
    for (const [row, value] of HOSTILE.entries()) {
      const text = out[row]!;
      if (value === null) expect(text).toBeNull();
      else {
        const old = Array.from(value);
        const fresh = Array.from(text);
        expect(fresh.length).toBe(old.length);
        for (const [i, character] of old.entries()) {
          if (!/[\p{L}\p{N}]/u.test(character)) expect(fresh[i]).toBe(character);
        }
        expect(text === value).toBe(!/[\p{L}\p{N}]/u.test(value));
      }
    }
  });

  test('values that differ in case alone, on a column where that is equal, differ in case alone', () => {
    const citext = type('text', { name: 'public.citext', equality: 'caseless' });
    const [a, b, c] = run('scramble', ['Ömer', 'öMER', 'other'], { type: citext }).out;
    expect(a).not.toBe(b);
    expect(a!.toLowerCase()).toBe(b!.toLowerCase());
    expect(a!.toLowerCase()).not.toBe(c);
  });

  test('a text of millions of characters, in any chunk', () => {
    const long = 'Lorem ipsum 42. '.repeat(200_000);
    const scrambled = one('scramble', long)!;
    expect(scrambled.length).toBe(long.length);
    expect(run('scramble', ['a', long, null, 'b']).out[1]).toBe(scrambled);
    // No period: the first sentences are not those that follow.
    expect(scrambled.slice(0, 10_000)).not.toContain(scrambled.slice(320_000, 320_016));
  });

  test('one letter is never itself', () => {
    const letters = Array.from('abcdefghijklmnopqrstuvwxyzABC0123456789éñЖ');
    for (const key of ['1', '2', '3', '4', '5']) {
      for (const [i, out] of run('scramble', letters, { key }).out.entries())
        expect(out).not.toBe(letters[i]);
    }
  });

  test('keeps the length of every text', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (values) => {
        for (const [i, out] of run('scramble', values).out.entries())
          expect(characters(out!)).toBe(characters(values[i]!));
      }),
    );
  });
});

test('an alphabet has the character it stands for beside it, or stands in for a lone one', () => {
  for (let codePoint = 0; codePoint < 0x2_ffff; codePoint += 7) {
    const alphabet = alphabetOf(codePoint);
    if (alphabet && alphabet.length < 2) expect.fail(codePoint.toString(16));
  }
  expect(alphabetOf('İ'.codePointAt(0)!)).toBeDefined();
  expect(alphabetOf('"'.codePointAt(0)!)).toBeUndefined();
});

describe('KeyStream', () => {
  const seeds = new Uint8Array(48).map((_, i) => i);
  const take = (stream: KeyStream, row: number, count: number) => {
    stream.row(row);
    return Array.from({ length: count }, () => stream.below(1000));
  };

  test('gives the same numbers whatever length was expected', () => {
    const encrypt = aes(new Uint8Array(32));
    const exact = take(new KeyStream(encrypt, seeds, [0, 20_000, 0]), 1, 20_000);
    expect(take(new KeyStream(encrypt, seeds, [5, 0, 9]), 1, 20_000)).toEqual(exact);
    expect(take(new KeyStream(encrypt, seeds, [5, 9, 9]), 1, 20_000)).toEqual(exact);
    expect(take(new KeyStream(encrypt, seeds, [9, 9, 9]), 2, 10)).not.toEqual(exact.slice(0, 10));
  });

  test('draws evenly', () => {
    const counts = new Array<number>(10).fill(0);
    const stream = new KeyStream(aes(new Uint8Array(32).fill(1)), seeds, [0, 0, 0]).row(0);
    for (let i = 0; i < 100_000; i++) counts[stream.below(10)]!++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});
