import { z } from 'zod';
import { acceptsText, fitting, generator, listVersion, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';

/** Replaces last names. */
export const lastName = defineTransformer({
  name: 'lastName',
  version: 1,
  summary: 'A last name from a list of 470, never the one that was there.',
  example: { input: 'Smith' },
  options: z.object({ list: listVersion }),
  accepts: (type) => acceptsText(type, 4),
  proof: () => madeUp(false),
  lists: ({ list }) => [`lastName.v${list}`],
  compile: (context) => {
    const names = fitting(`lastName.v${context.options.list}`, context.type);
    return generator(context, 'lastName', (draw) => draw.of(names));
  },
});
