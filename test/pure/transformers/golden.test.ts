import { beforeAll, expect, test } from 'vitest';
import { exampleSealing } from '../../../anonymize/docs.js';
import { transformers } from '../../../anonymize/registry.js';
import { loadSandbox } from '../../../anonymize/sandbox.js';
import { run, type } from './support.js';

beforeAll(loadSandbox);

/*
 * An upgrade changes no output: what a version of a transformer once made, it makes for ever. When one of these fails,
 * raise the transformer's version (its new outputs are then a new snapshot) or undo the change.
 */
test.each(transformers.map((one) => [one.name, one.version, one] as const))(
  '%s v%i makes what it always made',
  (name, _, { example }) => {
    const column = type('text', { name: 'text', ...example.type });
    const longer = column.kind === 'text' ? [`${example.input} ${example.input}`, 'Ödön 42'] : [];
    const { out, failed } = run({ name, options: example.options ?? {} }, [example.input, ...longer, null], {
      type: column,
      sealing: exampleSealing(),
    });
    expect(failed.has(0)).toBe(false);
    expect(out).toMatchSnapshot();
  },
);
