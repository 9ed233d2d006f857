import { tableText } from '../../plan/catalog.js';
import type { Plan, TablePlan } from '../../plan/plan.js';
import { driver } from '../driver.js';
import { selection } from '../load/context.js';
import { shownPushdown } from './judge.js';
import { pipelinesOf } from './pipelines.js';

/** Longer functions are shown by their size: what they hold is the transformer's own source. */
const SHOWN = 200;

/** The pipelines of the collections that a plan pushes down, for people: names in the place of keys. */
export function pushdownTexts(plan: Plan): string[] {
  return plan.tables.flatMap((table) => (table.collection?.pushdown ? (pushdownText(table) ?? []) : []));
}

function pushdownText(table: TablePlan): string | undefined {
  const pushdown = shownPushdown(table);
  if (!pushdown) return undefined;
  const { schema } = table.destination;
  const filter = selection(table, { bracket: 'number', from: null, to: null });
  const { merge, left } = pipelinesOf(pushdown, filter, { schema, name: `lethe.<run>.${table.id}` });
  const name = tableText(table.source);
  return [
    `Pushed down: ${name}, by a range of _id (here all numbers), on the server:`,
    text(merge),
    ...(left ? [`What it leaves to workers:`, text(left)] : []),
  ].join('\n');
}

function text(pipeline: readonly unknown[]): string {
  return pipeline
    .map((stage) => `  ${driver().BSON.EJSON.stringify(shortened(stage) as object, { relaxed: true })}`)
    .join('\n');
}

function shortened(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shortened);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const long = key === 'body' && typeof inner === 'string' && inner.length > SHOWN;
      return [key, long ? `function of ${Math.ceil(inner.length / 1024)} KB` : shortened(inner)];
    }),
  );
}
