import { isDeepStrictEqual } from 'node:util';
import type { TransformerSpec } from '../../anonymize/transformer.js';
import type { Job, JobCollection, Position } from '../../job/types.js';
import { type TableName, tableText } from '../catalog.js';
import type { Findings } from '../findings.js';
import { specText } from '../summary.js';

/** A field that takes part in a reference or a named domain. */
export interface Member {
  readonly collection: string;
  readonly path: string;
}

export interface FieldReference {
  readonly from: Member;
  readonly to: Member;
}

/** What the references of a job make of its fields. */
export interface FieldDomains {
  readonly references: readonly FieldReference[];
  /** By `database.collection.path`: the domain's name. */
  readonly names: ReadonlyMap<string, string>;
  /** Decisions that a field takes over from the field it references, or that references it. */
  readonly inherited: readonly { readonly member: Member; readonly spec: TransformerSpec }[];
}

/**
 * Fields that references connect form a domain: one transformer, one key. A domain is called as the job file says, else
 * by the member that references no other, the first of these in byte order.
 */
export function fieldDomains(job: Job, collections: readonly TableName[], findings: Findings): FieldDomains {
  const known = collections.map(tableText).sort((a, b) => b.length - a.length);
  const references = readReferences(job, known, findings);
  const parent = new Map<string, string>();
  const find = (key: string): string => {
    const up = parent.get(key);
    return up === undefined || up === key ? key : find(up);
  };
  const join = (a: string, b: string) => {
    parent.set(a, find(a));
    parent.set(b, find(b));
    parent.set(find(a), find(b));
  };
  const members = new Map<string, Member>();
  const add = (member: Member) => {
    const key = keyOf(member);
    if (!parent.has(key)) parent.set(key, key);
    members.set(key, member);
    return key;
  };
  for (const { from, to } of references) join(add(from), add(to));
  const given = new Map<string, string>();
  for (const [name, texts] of Object.entries(job.domains)) {
    const keys = texts.flatMap((text) => {
      const member = memberOf(text, known);
      return member ? [add(member)] : [];
    });
    for (const key of keys) join(keys[0]!, key);
    for (const key of keys) given.set(key, name);
  }
  return resolve(job, { references, members, find, given }, findings);
}

interface Groups {
  readonly references: readonly FieldReference[];
  readonly members: ReadonlyMap<string, Member>;
  readonly find: (key: string) => string;
  readonly given: ReadonlyMap<string, string>;
}

function resolve(job: Job, groups: Groups, findings: Findings): FieldDomains {
  const byRoot = new Map<string, string[]>();
  for (const key of groups.members.keys()) {
    const root = groups.find(key);
    byRoot.set(root, [...(byRoot.get(root) ?? []), key]);
  }
  const referencing = new Set(groups.references.map(({ from }) => keyOf(from)));
  const names = new Map<string, string>();
  const inherited: { member: Member; spec: TransformerSpec }[] = [];
  for (const keys of byRoot.values()) {
    const sorted = [...keys].sort();
    const name =
      sorted.map((key) => groups.given.get(key)).find((found) => found !== undefined) ??
      sorted.find((key) => !referencing.has(key)) ??
      sorted[0]!;
    for (const key of keys) names.set(key, name);
    const decided = sorted.flatMap((key) => {
      const member = groups.members.get(key)!;
      const found = explicit(job.collections?.[member.collection], member.path);
      return found ? [{ key, ...found }] : [];
    });
    const [first] = decided;
    if (!first) continue;
    for (const other of decided) {
      if (isDeepStrictEqual(other.spec, first.spec)) continue;
      findings.refuse(
        'domain-disagrees',
        `${other.key} becomes ${specText(other.spec)}, but it is connected by references with ${first.key}, which becomes ${specText(first.spec)}: decide it in one place.`,
        { position: other.position },
      );
    }
    for (const key of keys) {
      if (!decided.some((one) => one.key === key))
        inherited.push({ member: groups.members.get(key)!, spec: first.spec });
    }
  }
  return { references: groups.references, names, inherited };
}

function explicit(
  rules: JobCollection | undefined,
  path: string,
): { spec: TransformerSpec; position: Position } | undefined {
  const rule = rules?.fields[path];
  return rule && !rule.types ? { spec: rule.spec, position: rule.position } : undefined;
}

function readReferences(job: Job, known: readonly string[], findings: Findings): FieldReference[] {
  return job.references.flatMap(({ from, to, position }) => {
    if (from.length !== 1 || to.length !== 1) {
      findings.refuse('composite-reference', 'A reference between documents pairs one path with one path.', {
        position,
      });
      return [];
    }
    const sides = [from[0]!, to[0]!].map((text) => memberOf(text, known));
    const [child, owner] = sides;
    if (child && owner) return [{ from: child, to: owner }];
    const missing = child ? to[0] : from[0];
    findings.refuse(
      'unknown-reference',
      `The reference names ${missing}, which begins with no collection of the job: write database.collection.path. Known: ${[...known].sort().join(', ')}.`,
      { position },
    );
    return [];
  });
}

/** @param known `database.collection`, the longest first: names of collections may hold dots. */
function memberOf(text: string, known: readonly string[]): Member | undefined {
  const collection = known.find((name) => text.startsWith(`${name}.`));
  return collection === undefined ? undefined : { collection, path: text.slice(collection.length + 1) };
}

export function keyOf({ collection, path }: Member): string {
  return `${collection}.${path}`;
}
