import { z } from 'zod';
import { acceptsText, fitting, generator, listVersion, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';

/** Replaces names of cities. */
export const city = defineTransformer({
  name: 'city',
  version: 1,
  summary: 'A city from a list of 900, never the one that was there.',
  example: { input: 'Springfield' },
  options: z.object({ list: listVersion }),
  accepts: (type) => acceptsText(type, 4),
  proof: () => madeUp(false),
  lists: ({ list }) => [`city.v${list}`],
  compile: (context) => {
    const names = fitting(`city.v${context.options.list}`, context.type);
    return generator(context, 'city', (draw) => draw.of(names));
  },
});
