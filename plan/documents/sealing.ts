import type { TransformerSpec } from '../../anonymize/transformer.js';
import type { Job, JobCollection } from '../../job/types.js';
import { tableText } from '../catalog.js';
import type { Findings, Place } from '../findings.js';
import { findPolicies, retainsOf } from '../sealing.js';
import type { FieldReference } from './domains.js';
import type { CatalogCollection, CollectionRules } from './types.js';

interface SealedCollection {
  readonly job: Job;
  readonly collection: CatalogCollection;
  readonly rules: CollectionRules;
  readonly own: JobCollection | undefined;
  readonly references: readonly FieldReference[];
}

/** A field whose values are sealed, in whole or in part. */
interface SealedField {
  /** As the job file has it. */
  readonly path: string;
  readonly spec: TransformerSpec;
  readonly special?: 'refuse' | 'keep';
}

/** Judges the sealed fields of a collection: their policies, what dates them, and what cannot be a token. */
export function judgeSealedFields(one: SealedCollection, findings: Findings): void {
  const { job, collection, own } = one;
  const sealed = sealedFields(one.rules);
  const table = tableText(collection);
  for (const field of sealed) {
    const place = { table, column: field.path, ...(own && { position: own.position }) };
    for (const rule of retainsOf(field.spec)) {
      findPolicies(job, rule, `${table}.${field.path}`, place, findings);
      const deciders = [rule.date, typeof rule.policy === 'string' ? undefined : rule.policy.by];
      if (deciders.some((path) => path !== undefined && isInside(path, field.path)))
        findings.refuse(
          'sealed-by-itself',
          `${table}.${field.path} is what its own values go by: name another field`,
          place,
        );
    }
    judgePlace(one, field, place, findings);
  }
  if (sealed.length > 0 && collection.options.includes('"validator"'))
    findings.warn(
      'sealed-validator',
      `${table} has a validator, and tokens are strings: documents whose sealed fields must be of another type, or short, go to quarantine.`,
      { table, ...(own && { position: own.position }) },
    );
}

function judgePlace(
  { collection, references }: SealedCollection,
  { path, special }: SealedField,
  place: Place,
  findings: Findings,
): void {
  const table = tableText(collection);
  if (ID.test(path))
    findings.refuse(
      'sealed-id',
      `${table}.${path}: a document is known by its _id, and a token is another one each time. Use keep, permute or hash, and seal other fields.`,
      place,
    );
  const side = references
    .flatMap(({ from, to }) => [from, to])
    .find((member) => member.collection === table && isInside(member.path, path));
  if (side) refuseSealedReference(`${table}.${side.path}`, place, findings);
  if (special === 'keep')
    findings.refuse(
      'sealed-special',
      `${table}.${path}: \`special: keep\` leaves NaN, -0 and the like as they are, and what is sealed must not stay plain. Leave it out: such documents go to quarantine.`,
      place,
    );
}

/** `_id`, or something in it. */
const ID = /^(['"]?)_id\1(?=$|[.[])/;

/** @param side `database.collection.path`: the end of a reference. */
export function refuseSealedReference(side: string, place: Place, findings: Findings): void {
  findings.refuse(
    'sealed-reference',
    `${side} is part of a reference, and equal values become tokens that differ: the reference would lead nowhere. Use hash or permute for it, or take the reference away.`,
    place,
  );
}

function sealedFields({ fields, derive }: CollectionRules): SealedField[] {
  return [
    ...fields.flatMap(({ path, apply, types, special }) =>
      [apply, ...Object.values(types ?? {})].map((spec) => ({ path, spec, ...(special && { special }) })),
    ),
    ...derive.map(({ name, apply }) => ({ path: name, spec: apply })),
  ].filter(({ spec }) => retainsOf(spec).length > 0);
}

/** The path is the other one, or below it. */
function isInside(path: string, of: string): boolean {
  return path === of || path.startsWith(`${of}.`) || path.startsWith(`${of}[`);
}
