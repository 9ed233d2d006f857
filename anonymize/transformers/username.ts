import { z } from 'zod';
import { acceptsText, fits, generator, listVersion, madeUp } from '../generate.js';
import { defineTransformer } from '../transformer.js';
import { WIDE_TAG, wordLists, wordMaker } from '../words.js';

/** Replaces user names. */
export const username = defineTransformer({
  name: 'username',
  version: 1,
  summary: 'A user name of two words, and of as many characters as make it unique.',
  example: { options: { unique: false }, input: 'msmith' },
  options: z.object({
    unique: z
      .boolean()
      .default(true)
      .describe(
        'Adds 16 characters, so that no two user names meet; needs room for 20. Without it: "quiet_otter41".',
      ),
    list: listVersion,
  }),
  accepts: (type) => acceptsText(type, 4),
  proof: (type, { unique }) => madeUp(unique && fits(type, WIDE_TAG)),
  lists: ({ list }) => wordLists(list),
  compile: (context) => {
    const { options, type } = context;
    const words = wordMaker(options.list, '_');
    if (options.unique && fits(type, words.wideLength)) return generator(context, 'username', words.wide);
    if (!options.unique && fits(type, words.shortLength)) return generator(context, 'username', words.short);
    const room = options.unique ? WIDE_TAG : 10;
    return generator(context, 'username', (draw) =>
      draw.tag(WIDE_TAG / 2).slice(0, Math.min(room, type.maxLength!)),
    );
  },
});
