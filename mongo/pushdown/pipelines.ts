import type { TableName } from '../../plan/catalog.js';
import type { Pushdown, Stage } from './compile.js';

/** The two pipelines of a range: what the server does itself, and what it leaves. */
export interface Pipelines {
  readonly merge: readonly Stage[];
  /** `_id`s of the documents that a worker has to look at; absent where there can be none. */
  readonly left?: readonly Stage[];
}

/**
 * @param selection Filter of the range and of the job.
 * @param into Collection of the same deployment. Documents there are replaced by `_id`.
 */
export function pipelinesOf(pushdown: Pushdown, selection: unknown, into: TableName): Pipelines {
  const { allowed, made, stages, probe } = pushdown;
  const match = { $match: selection };
  const that = (expression: unknown): Stage => ({ $match: { $expr: expression } });
  const left = leftOver(pushdown);
  return {
    merge: [
      match,
      ...(allowed === undefined ? [] : [that(allowed)]),
      ...stages,
      ...(made === undefined ? [] : [that(made)]),
      {
        $merge: {
          into: { db: into.schema, coll: into.name },
          on: '_id',
          whenMatched: 'replace',
          whenNotMatched: 'insert',
        },
      },
    ],
    ...(left && { left: [match, ...left, { $project: { _id: 1 } }] }),
  };

  function leftOver({ allowed: may }: Pushdown): Stage[] | undefined {
    if (probe === undefined) return may === undefined ? undefined : [that({ $not: [may] })];
    const asked = { $project: { _id: 1, allowed: may ?? { $literal: true }, ...probe.fields } };
    return [asked, that({ $not: [{ $and: ['$allowed', probe.made] }] })];
  }
}
