import { z } from 'zod';
import { acceptsText, fitting, generator, listVersion, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';

/** Replaces first names. */
export const firstName = defineTransformer({
  name: 'firstName',
  version: 1,
  summary: 'A first name from a list of 3,000, never the one that was there.',
  example: { input: 'Mary' },
  options: z.object({ list: listVersion }),
  accepts: (type) => acceptsText(type, 3),
  proof: () => madeUp(false),
  lists: ({ list }) => [`firstName.v${list}`],
  compile: (context) => {
    const names = fitting(`firstName.v${context.options.list}`, context.type);
    return generator(context, 'firstName', (draw) => draw.of(names));
  },
});
