import { z } from 'zod';
import { didYouMean } from './nearest.js';

/** An object that takes only the named keys, and says which one was probably meant. */
export function closed<S extends z.ZodRawShape>(shape: S) {
  const known = Object.keys(shape);
  return z.strictObject(shape, {
    // One line a key: the loader makes one mistake of each.
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `unknown key "${key}"${didYouMean(key, known)}`).join('\n')
        : undefined,
  });
}

/** A text with a check that returns what is wrong. */
export function text(mistake: (value: string) => string | undefined) {
  return z.string().superRefine((value, context) => {
    const message = mistake(value);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });
}

/** Stands for a transformer; `normalize.ts` checks it by the registry, `jsonschema.ts` describes it by the same. */
export const transformerSpec = z.unknown().meta({ id: 'transformer' });
