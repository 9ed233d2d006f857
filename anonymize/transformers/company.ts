import { z } from 'zod';
import { acceptsText, type Draw, fits, fitting, generator, listVersion, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';

/** What follows the first name; `and` and `,` join more of them. */
const FORMS = ['Inc', 'LLC', 'Ltd', 'Group', 'and Sons', 'Partners', 'Holding', 'Works', 'and', ','];

/** Replaces names of companies. */
export const company = defineTransformer({
  name: 'company',
  version: 1,
  summary: 'The name of a company, made of last names.',
  example: { input: 'Acme Corporation' },
  options: z.object({ list: listVersion }),
  accepts: (type) => acceptsText(type, 10),
  proof: () => madeUp(false),
  lists: ({ list }) => [`lastName.v${list}`],
  compile: (context) => {
    const { maxLength } = context.type;
    const names = fitting(
      `lastName.v${context.options.list}`,
      context.type,
      maxLength && maxLength - ' LLC'.length,
    );
    return generator(context, 'company', (draw) => {
      const first = draw.of(names);
      const made = compose(draw, first, names);
      return fits(context.type, made.length) ? made : `${first} LLC`;
    });
  },
});

function compose(draw: Draw, first: string, names: readonly string[]): string {
  const form = draw.of(FORMS);
  const second = draw.of(names);
  if (form === 'and') return `${first} and ${second}`;
  return form === ',' ? `${first}, ${second} and ${draw.of(names)}` : `${first} ${form}`;
}
