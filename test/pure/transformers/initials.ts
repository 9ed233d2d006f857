import { z } from 'zod';
import { keyStreams } from '../../../anonymize/keystream.js';
import { defineTransformer } from '../../../anonymize/transformer.js';

/** Names become initials. */
export const initials = defineTransformer({
  name: 'initials',
  version: 1,
  summary: 'Replaces a name by as many random initials, seven at most.',
  example: { input: 'Ann Lee' },
  options: z.strictObject({
    dot: z.boolean().default(true).describe('Put a dot behind each letter.'),
  }),
  shorthand: 'dot',
  accepts: (type) =>
    (type.kind === 'text' && (type.maxLength ?? 20) >= 20) || 'it takes text with room for 20 characters',
  proof: () => ({ unique: 'no', mayEqualInput: true, keepsNull: true, total: true }),
  compile: ({ options, prf }) => {
    const open = keyStreams(prf, 'initials');
    return (values) => {
      const stream = open(values);
      return values.map((value, row) => {
        if (value === null) return null;
        stream.row(row);
        const letter = () => String.fromCharCode(65 + stream.below(26)) + (options.dot ? '.' : '');
        return value.trim().split(/\s+/).slice(0, 7).map(letter).join(' ');
      });
    };
  },
});
