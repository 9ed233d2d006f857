import { createHash } from 'node:crypto';
import { LetheError } from '../errors/errors.js';
import { lookup, register, suggest } from './spec.js';
import type { Transformer, TransformerSpec } from './transformer.js';
import { city } from './transformers/city.js';
import { company } from './transformers/company.js';
import { constant } from './transformers/constant.js';
import { creditCard } from './transformers/creditCard.js';
import { dateShift } from './transformers/dateShift.js';
import { dateTruncate } from './transformers/dateTruncate.js';
import { email } from './transformers/email.js';
import { firstName } from './transformers/firstName.js';
import { fullName } from './transformers/fullName.js';
import { hash } from './transformers/hash.js';
import { iban } from './transformers/iban.js';
import { ip } from './transformers/ip.js';
import { js } from './transformers/js.js';
import { json } from './transformers/json.js';
import { keep } from './transformers/keep.js';
import { lastName } from './transformers/lastName.js';
import { mask } from './transformers/mask.js';
import { noise } from './transformers/noise.js';
import { nullify } from './transformers/null.js';
import { permute } from './transformers/permute.js';
import { phone } from './transformers/phone.js';
import { pick } from './transformers/pick.js';
import { postalCode } from './transformers/postalCode.js';
import { range } from './transformers/range.js';
import { regexReplace } from './transformers/regexReplace.js';
import { retain } from './transformers/retain.js';
import { scramble } from './transformers/scramble.js';
import { street } from './transformers/street.js';
import { url } from './transformers/url.js';
import { username } from './transformers/username.js';
import { uuid } from './transformers/uuid.js';
import { listHash } from './value-lists.js';

export { type ParsedSpec, parseSpec, specSchema } from './spec.js';

/** Every transformer. To add one: a file in `transformers/`, an import above and a line here. */
// biome-ignore format: one a line.
// biome-ignore lint/suspicious/noExplicitAny: each knows the type of its own options only.
const ALL: readonly Transformer<any>[] = [
  city,
  company,
  constant,
  creditCard,
  dateShift,
  dateTruncate,
  email,
  firstName,
  fullName,
  hash,
  iban,
  ip,
  keep,
  lastName,
  mask,
  noise,
  nullify,
  permute,
  phone,
  pick,
  postalCode,
  range,
  regexReplace,
  retain,
  scramble,
  street,
  url,
  username,
  uuid,
  json,
  js,
];

register(ALL);

/** All transformers, in the order of the docs. */
export const transformers: readonly Transformer[] = ALL;

/** Names of all transformers. */
export const transformerNames: readonly string[] = ALL.map(({ name }) => name);

/** The transformer of that name; throws `JobInvalid` with the nearest one. */
export function getTransformer(name: string): Transformer {
  const transformer = lookup(name);
  if (!transformer) {
    throw new LetheError(
      'JobInvalid',
      `There is no transformer "${name}"${suggest(name, transformerNames)}.`,
    );
  }
  return transformer;
}

/**
 * What a run pins besides the rules themselves: version of each transformer (`email` → `1`) and hash of each value list
 * (`list firstName.v1` → SHA-256, hex) that the specs use, nested ones included.
 */
export function versions(specs: Iterable<TransformerSpec>): Record<string, string> {
  const found = new Map<string, string>();
  for (const spec of specs) {
    for (const { name, options } of nestedSpecs(spec)) {
      const transformer = getTransformer(name);
      found.set(name, String(transformer.version));
      for (const list of transformer.lists?.(options) ?? []) found.set(`list ${list}`, listHash(list));
    }
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** SHA-256, hex, of a spec with the versions and value lists behind it. */
export function specHash(spec: TransformerSpec): string {
  return createHash('sha256')
    .update(stable([spec, versions([spec])]))
    .digest('hex');
}

/** A spec and all specs inside its options. */
export function* nestedSpecs(value: unknown): Generator<TransformerSpec> {
  if (typeof value !== 'object' || value === null) return;
  const { name, options } = value as Partial<TransformerSpec>;
  const isSpec = Object.keys(value).length === 2 && typeof name === 'string' && typeof options === 'object';
  if (isSpec && lookup(name)) yield value as TransformerSpec;
  for (const inner of Object.values(isSpec && options ? options : value)) yield* nestedSpecs(inner);
}

/** JSON with sorted keys. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inner,
  );
}
