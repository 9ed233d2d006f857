import { z } from 'zod';
import { acceptsText, fitting, generator, listVersion, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';

/** Replaces whole names. */
export const fullName = defineTransformer({
  name: 'fullName',
  version: 1,
  summary: 'A first and a last name.',
  example: { input: 'Mary Smith' },
  options: z.object({
    order: z
      .enum(['first-last', 'last-first'])
      .default('first-last')
      .describe('`first-last`: "Mary Smith"; `last-first`: "Smith, Mary".'),
    list: listVersion,
  }),
  shorthand: 'order',
  accepts: (type) => acceptsText(type, 10),
  proof: () => madeUp(false),
  lists: ({ list }) => [`firstName.v${list}`, `lastName.v${list}`],
  compile: (context) => {
    const { order, list } = context.options;
    // Half of the room for each, less what stands between them.
    const half = context.type.maxLength && Math.floor((context.type.maxLength - 2) / 2);
    const firsts = fitting(`firstName.v${list}`, context.type, half);
    const lasts = fitting(`lastName.v${list}`, context.type, half);
    return generator(context, 'fullName', (draw) => {
      const first = draw.of(firsts);
      const last = draw.of(lasts);
      return order === 'first-last' ? `${first} ${last}` : `${last}, ${first}`;
    });
  },
});
