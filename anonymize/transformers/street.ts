import { z } from 'zod';
import { acceptsText, fitting, generator, listVersion, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';

const NUMBERS = 9999;

/** Replaces streets with their house numbers. */
export const street = defineTransformer({
  name: 'street',
  version: 1,
  summary: 'A house number and a street.',
  example: { input: '47 MySakila Drive' },
  options: z.object({
    number: z
      .enum(['first', 'last', 'none'])
      .default('first')
      .describe(
        'Where the house number stands: `first`: "12 High Street"; `last`: "High Street 12"; `none`.',
      ),
    list: listVersion,
  }),
  shorthand: 'number',
  accepts: (type) => acceptsText(type, 13),
  proof: () => madeUp(false),
  lists: ({ list }) => [`street.v${list}`],
  compile: (context) => {
    const { number, list } = context.options;
    const { maxLength } = context.type;
    const names = fitting(`street.v${list}`, context.type, maxLength && maxLength - `${NUMBERS} `.length);
    return generator(context, 'street', (draw) => {
      const name = draw.of(names);
      if (number === 'none') return name;
      const house = draw.below(NUMBERS) + 1;
      return number === 'first' ? `${house} ${name}` : `${name} ${house}`;
    });
  },
});
