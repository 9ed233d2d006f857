import { beforeAll, describe, expect, test } from 'vitest';
import { exampleSealing } from '../../../anonymize/docs.js';
import { transformers } from '../../../anonymize/registry.js';
import { loadSandbox } from '../../../anonymize/sandbox.js';
import { accepts, run, TEXT, type } from './support.js';

beforeAll(loadSandbox);

/** Millions of characters: each is a trap for a pattern that keeps something for every character. */
const SIZE = 3_000_000;
const TEXTS: Readonly<Record<string, string>> = {
  letters: 'a'.repeat(SIZE),
  digits: '1'.repeat(SIZE),
  blanks: ' '.repeat(SIZE),
  astral: '👍'.repeat(SIZE / 2),
  labels: 'a.'.repeat(SIZE / 2),
  slashes: `https://${'/'.repeat(SIZE)}`,
  user: `https://${'a'.repeat(SIZE)}`,
  percent: `https://a.example/${'%20'.repeat(SIZE / 3)}`,
  json: `"${'\\n'.repeat(SIZE / 2)}"`,
  address: `${':'.repeat(SIZE)}1.2.3.4`,
  date: `2024-01-01${'0'.repeat(SIZE)}`,
  card: '4 '.repeat(SIZE / 2),
};
const EXAMPLES = transformers
  .map(({ name, example }) => [name, example.options ? { [name]: example.options } : name] as const)
  .filter(([, raw]) => accepts(raw, TEXT) === true);

describe.each(EXAMPLES)('%s', (name, raw) => {
  test.each(Object.entries(TEXTS))('takes or refuses millions of %s', (_, text) => {
    const { out, failed } = run(raw, ['x', text, null], { sealing: exampleSealing() });
    expect(out).toHaveLength(3);
    expect(out[1] === null).toBe(failed.has(1) || name === 'null');
    expect(failed.get(1)?.length ?? 0).toBeLessThan(300);
  });
});

test.each(['noise', 'range'])('%s takes or refuses a number of 100,000 digits', (name) => {
  const raw = name === 'range' ? { range: 7 } : name;
  const { out } = run(raw, ['7'.repeat(100_000), `0.${'7'.repeat(16_000)}`], { type: type('numeric') });
  expect(out[0]).toMatch(/^\d{100000}$/);
});
