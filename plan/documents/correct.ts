import { tableText } from '../catalog.js';
import { canonicalJson } from '../json.js';
import type { Plan, TablePlan } from '../plan.js';
import { refuseCorrection } from '../refuse.js';

/**
 * What a replay under a corrected job works by. Most documents are copied already, by the plan that the run pinned, so
 * the correction may change no `_id`, no field of a reference or of a unique index, and no collection's place.
 *
 * @param pinned The plan of the run.
 * @param corrected The plan of the corrected job, as the databases are now.
 * @returns The run's plan with the corrected job's rules, and the paths whose treatment changed.
 * @throws LetheError `PlanRefused` with everything that may not change.
 */
export function correctDocumentPlan(
  pinned: Plan,
  corrected: Plan,
): { readonly plan: Plan; readonly changed: readonly string[] } {
  const refused: string[] = [];
  for (const what of ['job', 'mode', 'consistency'] as const) {
    if (pinned[what] !== corrected[what])
      refused.push(`its ${what} is ${corrected[what]}, the run's is ${pinned[what]}`);
  }
  for (const side of ['source', 'destination'] as const) {
    if (!same(pinned[side], corrected[side])) refused.push(`its ${side} is another database than the run's`);
  }
  const places = (plan: Plan) => plan.tables.map(({ source, destination }) => [source, destination]);
  if (!same(places(pinned), places(corrected)))
    refused.push('it copies other collections than the run, or to other places');
  if (!same(pinned.documents?.references, corrected.documents?.references))
    refused.push('its references are not those of the run');
  const changed: string[] = [];
  for (const table of refused.length > 0 ? [] : pinned.tables) {
    const now = corrected.tables.find(({ id }) => id === table.id)!;
    for (const path of changedPaths(table, now)) {
      changed.push(`${tableText(table.source)}.${path}`);
      const why = dependence(pinned, table, path);
      if (why) refused.push(`${tableText(table.source)}.${path} is treated differently, and ${why}`);
    }
  }
  refuseCorrection(refused, 'documents');
  const { ruleSet, versions, execution, domains } = corrected;
  const tables = pinned.tables.map((table): TablePlan => {
    const { columns, collection } = corrected.tables.find(({ id }) => id === table.id)!;
    return { ...table, columns, collection: { ...table.collection!, rules: collection!.rules } };
  });
  return { changed, plan: { ...pinned, ruleSet, versions, execution, domains, tables } };
}

function changedPaths(before: TablePlan, now: TablePlan): string[] {
  const treatments = ({ collection }: TablePlan) =>
    new Map<string, unknown>([
      ...collection!.rules.fields.map((field) => [field.path, field] as const),
      ...collection!.rules.derive.map((field) => [field.name, field] as const),
      ['*', collection!.rules.unlisted],
    ]);
  const [old, next] = [treatments(before), treatments(now)];
  const paths = new Set([...old.keys(), ...next.keys()]);
  return [...paths].filter((path) => !same(old.get(path), next.get(path)));
}

/** Why a path's treatment may not change. */
function dependence(plan: Plan, { id, collection }: TablePlan, path: string): string | undefined {
  if (path === '_id') return 'documents are known by it';
  const sides = plan.documents?.references.flatMap(({ from, to }) => [from, to]) ?? [];
  if (sides.some((side) => side.table === id && side.path === path)) return 'references depend on it';
  const unique = collection!.indexes.find(({ definition }) => {
    const index = JSON.parse(definition) as { unique?: boolean; key?: Record<string, unknown> };
    return index.unique === true && Object.keys(index.key ?? {}).includes(path.replace(/\[[^\]]*\]/g, ''));
  });
  return unique && `unique index ${unique.name} holds it`;
}

function same(a: unknown, b: unknown): boolean {
  return canonicalJson(a ?? null) === canonicalJson(b ?? null);
}
