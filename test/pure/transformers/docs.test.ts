import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, test } from 'vitest';
import { transformerReference } from '../../../anonymize/docs.js';
import { transformerNames } from '../../../anonymize/registry.js';
import { loadSandbox } from '../../../anonymize/sandbox.js';
import { initials } from './initials.js';
import { prf, TEXT } from './support.js';

const page = readFileSync(new URL('../../../docs/transformers.md', import.meta.url), 'utf8');

beforeAll(loadSandbox);

describe('docs/transformers.md', () => {
  test('is what scripts/docs.mjs writes', () => {
    const [, reference] = page.split('<!-- written by scripts/docs.mjs from here on -->\n\n');
    expect(reference, 'run `npm run build && node scripts/docs.mjs`').toBe(transformerReference());
  });

  test('has every transformer once', () => {
    for (const name of transformerNames) expect(page.split(`\n### ${name}\n`)).toHaveLength(2);
  });

  test('shows a transformer that works, as it stands in a file here', () => {
    const source = readFileSync(new URL('initials.ts', import.meta.url), 'utf8');
    expect(page).toContain(source.replaceAll('../../../anonymize/', '../'));
    const transform = initials.compile({
      options: { dot: true },
      type: TEXT,
      prf: prf('docs'),
      shared: prf('docs'),
      nested: () => expect.fail(),
    });
    const chunk = { size: 4, fail: () => expect.fail(), source: () => [] };
    const out = transform(['Ann Lee', null, '', 'Ann Lee'], chunk);
    expect(out[0]).toMatch(/^[A-Z]\. [A-Z]\.$/);
    expect(out[1]).toBeNull();
    expect(out[2]).toMatch(/^[A-Z]\.$/);
    expect(out[3]).toBe(out[0]);
  });
});
