import { z } from 'zod';
import { characters } from '../characters.js';
import { acceptsText, type Draw, fits, generator, listVersion, madeUp } from '../generate.js';
import { type ColumnType, defineTransformer } from '../transformer.js';
import { WIDE_TAG, wordLists, wordMaker } from '../words.js';

/** Names under `example` (RFC 2606): nobody ever gets mail there. All of one length. */
const DOMAINS = ['mail.example', 'post.example', 'home.example', 'work.example'];
const SHORT_DOMAIN = 'x.example';
/** Letters, digits, dots and dashes, with at least one dot. */
const DOMAIN = /^[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+$/u;

const options = z.object({
  keepDomain: z
    .boolean()
    .default(false)
    .describe(
      'Keeps what stands behind the @, where it is a domain and there is room; it may name a person, too.',
    ),
  keepLength: z
    .boolean()
    .default(false)
    .describe(
      'As many characters as before (at least 11 without `keepDomain`). Such addresses are not unique.',
    ),
  unique: z
    .boolean()
    .default(true)
    .describe(
      'Adds 16 characters, so that no two addresses meet; needs room for 30. Without it: "quiet.otter41@…".',
    ),
  list: listVersion,
});

/** Replaces e-mail addresses. */
export const email = defineTransformer({
  name: 'email',
  version: 1,
  summary: 'An e-mail address that belongs to nobody.',
  example: { options: { unique: false }, input: 'ann@shop.test' },
  options,
  accepts: (type) => acceptsText(type, `a@${SHORT_DOMAIN}`.length),
  proof: (type, { unique, keepLength }) =>
    madeUp(unique && !keepLength && fits(type, wideLength(SHORT_DOMAIN))),
  lists: ({ list }) => wordLists(list),
  compile: (context) => {
    const local = localPart(context.options, context.type);
    const ownDomain = chooseDomain(context.options, context.type);
    return generator(context, 'email', (draw, value) => {
      const domain = ownDomain(draw, value);
      return `${local(draw, value, domain)}@${domain}`;
    });
  },
});

function wideLength(domain: string): number {
  return WIDE_TAG + 1 + characters(domain);
}

function chooseDomain(
  { keepDomain, keepLength, unique }: z.output<typeof options>,
  type: ColumnType,
): (draw: Draw, value: string) => string {
  const least = (domain: string): number =>
    unique && !keepLength ? wideLength(domain) : 2 + characters(domain);
  const usual = least(DOMAINS[0]!);
  return (draw, value) => {
    const kept = keepDomain ? value.slice(value.lastIndexOf('@') + 1) : '';
    if (kept && kept.length < value.length - 1 && DOMAIN.test(kept) && fits(type, least(kept))) return kept;
    const made = DOMAINS[draw.word(2) & 3]!;
    const room = keepLength ? characters(value) : (type.maxLength ?? Number.POSITIVE_INFINITY);
    return usual <= room ? made : SHORT_DOMAIN;
  };
}

/** What stands before the @. The longest that fits: two words and 16 characters, 20 characters, fewer. */
function localPart(
  { keepLength, unique, list }: z.output<typeof options>,
  type: ColumnType,
): (draw: Draw, value: string, domain: string) => string {
  const words = wordMaker(list, '.');
  const [make, length] = unique ? [words.wide, words.wideLength] : [words.short, words.shortLength];
  return (draw, value, domain) => {
    const room =
      type.maxLength === undefined ? Number.POSITIVE_INFINITY : type.maxLength - characters(domain) - 1;
    if (keepLength) {
      const wanted = Math.max(1, Math.min(room, characters(value) - characters(domain) - 1));
      const tag = draw.tag(12);
      return tag.repeat(Math.ceil(wanted / tag.length)).slice(0, wanted);
    }
    return length <= room
      ? make(draw)
      : draw.tag(WIDE_TAG / 2).slice(0, Math.min(room, unique ? WIDE_TAG : 10));
  };
}
