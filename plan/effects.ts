import { transformers } from '../anonymize/registry.js';
import type { ColumnType, Proof, Transformer, TransformerSpec } from '../anonymize/transformer.js';
import { canonicalJson } from './json.js';
import type { Branch } from './plan.js';
import { isInteger } from './types.js';

/** What happens to the values of a column, over all rows. */
export interface Effect {
  readonly kind: 'kept' | 'nulled' | 'changed';
  /** Whether distinct values stay distinct: see `Proof.unique`. NULLs are not counted. */
  readonly unique: Proof['unique'];
  /** NULL stays NULL and nothing else becomes NULL. */
  readonly keepsNull: boolean;
  /** The one transformer of all rows, if there is one. */
  readonly spec?: TransformerSpec;
  readonly proof?: Proof;
  /** Why `unique` is so, as half a sentence. */
  readonly why: string;
}

export function sameSpec(a: TransformerSpec, b: TransformerSpec): boolean {
  return canonicalJson(a) === canonicalJson(b);
}

/** Every transformer of the branches, each once. */
export function specsOf(branches: readonly Branch[]): TransformerSpec[] {
  const all = branches.flatMap((branch) => [branch.apply, ...(branch.otherwise ? [branch.otherwise] : [])]);
  return all.filter((spec, at) => all.findIndex((other) => sameSpec(other, spec)) === at);
}

/**
 * @param own the column's own type; @param compiled the type its transformers are compiled for. Where the latter's
 * equality is coarser, values that differ in this column count as equal, and get equal outputs.
 */
export function effectOf(branches: readonly Branch[], own: ColumnType, compiled: ColumnType): Effect {
  const specs = specsOf(branches);
  const [spec] = specs;
  if (!spec) return { kind: 'kept', unique: 'injective', keepsNull: true, why: 'it is undecided' };
  if (specs.length === 1) return effectOfOne(spec, own, compiled);
  const effects = specs.map((each) => effectOfOne(each, own, compiled));
  // NULLs are distinct, so a branch that gives only NULL collides with nothing.
  const valued = effects.filter((effect) => effect.kind !== 'nulled');
  const narrow = valued.filter((effect) => effect.unique !== 'wide');
  const apart = narrow.length <= 1 && valued.every((effect) => effect.unique !== 'no');
  const keepsNull = effects.every((effect) => effect.keepsNull);
  const [only, ...others] = valued;
  if (only && others.length === 0) return { kind: 'changed', unique: only.unique, keepsNull, why: only.why };
  return {
    kind: 'changed',
    unique: apart ? 'wide' : 'no',
    keepsNull,
    why: apart
      ? 'at most one of its branches is not made from 96 keyed bits'
      : `its branches (${specs.map((each) => each.name).join(', ')}) may give equal values`,
  };
}

function effectOfOne(spec: TransformerSpec, own: ColumnType, compiled: ColumnType): Effect {
  if (spec.name === 'keep')
    return { kind: 'kept', unique: 'injective', keepsNull: true, spec, why: 'it is kept' };
  if (spec.name === 'null')
    return { kind: 'nulled', unique: 'no', keepsNull: false, spec, why: 'it is NULL' };
  const proof = proofOf(spec, compiled);
  if (!proof)
    return { kind: 'changed', unique: 'no', keepsNull: false, spec, why: `${spec.name} is not known` };
  const effect = { kind: 'changed', keepsNull: proof.keepsNull, spec, proof } as const;
  if (isCoarser(compiled, own)) {
    return {
      ...effect,
      unique: 'no',
      why: `its domain compares ${compiled.equality === 'caseless' ? 'without letter case' : 'without trailing spaces'}, and the column does not`,
    };
  }
  const why = {
    injective: `${spec.name} is injective`,
    wide: `${spec.name} is made from at least 96 keyed bits`,
    no: `${spec.name} may give equal values`,
  }[proof.unique];
  return { ...effect, unique: proof.unique, why };
}

/** The proof of a transformer for a type; undefined when there is no such transformer. */
export function proofOf(spec: TransformerSpec, type: ColumnType): Proof | undefined {
  return findTransformer(spec.name)?.proof(type, spec.options);
}

export function findTransformer(name: string): Transformer | undefined {
  return transformers.find((transformer) => transformer.name === name);
}

function isCoarser(compiled: ColumnType, own: ColumnType): boolean {
  if (isInteger(own) || own.kind === 'numeric') return false;
  return compiled.equality !== own.equality && own.equality === 'exact';
}
