import type { Job } from '../job/types.js';
import { tableText } from '../plan/catalog.js';
import { refuseSealedReference } from '../plan/documents/sealing.js';
import type { DocumentCatalog } from '../plan/documents/types.js';
import { Findings } from '../plan/findings.js';
import type { Finding, Plan } from '../plan/plan.js';
import { retainsOf } from '../plan/sealing.js';
import { type FieldPath, parseFieldPath } from './documents/paths.js';
import { type Place, placesOf } from './documents/places.js';
import type { CollectionRules } from './documents/types.js';

/**
 * What a plan has to say about ends of references and unique indexes that rules with wildcards seal (`*`, `**.email`),
 * which only the compiled rules show.
 */
export function judgeSealedPlaces(plan: Plan, job: Job, source: DocumentCatalog): Finding[] {
  const findings = new Findings();
  for (const { id, source: of, collection } of plan.tables) {
    const table = tableText(of);
    const own = job.collections?.[table];
    const rules = collection!.rules;
    const at = (column: string) => ({ table, column, ...(own && { position: own.position }) });
    for (const side of plan.documents!.references.flatMap(({ from, to }) => [from, to])) {
      if (side.table !== id) continue;
      for (const rule of sealing(rules, side.path))
        refuseSealedReference(`${table}.${side.path}`, at(rule), findings);
    }
    const indexes = source.collections.find((one) => tableText(one) === table)?.indexes ?? [];
    for (const { name, paths } of indexes.filter(({ unique }) => unique)) {
      // Rules without a wildcard are compared with the index where the plan is built.
      const by = paths.flatMap((path) => sealing(rules, path, true)).filter((rule) => rule.includes('*'));
      if (by.length === 0 || own?.accept?.includes(name)) continue;
      findings.refuse(
        'unproved-unique',
        `Unique index ${name}: ${[...new Set(by)].join(', ')} (retain) may collide. Decide its fields by rules of their own, in arrays too (list[].field), or accept it: accept: [${name}].`,
        { table, ...(own && { position: own.position }) },
      );
    }
  }
  return findings.sorted();
}

/** Paths of the rules that seal what a path leads to; paths of indexes do not show where arrays are. */
function sealing(rules: CollectionRules, text: string, throughArrays = false): string[] {
  const path = throughArrays ? namesOf(text) : parseFieldPath(text);
  if (typeof path === 'string') return [];
  const named = rules.fields.flatMap(({ path: of }) => {
    const parsed = parseFieldPath(of);
    return typeof parsed === 'string' ? [] : parsed.steps;
  });
  const indices = [-1, ...named.flatMap((step) => (step.kind === 'index' ? [step.index] : []))];
  const names = ['\0', ...named.flatMap((step) => (step.kind === 'name' ? [step.name] : []))];
  const elements = (place: Place) => indices.map((index) => place.element(index));
  const spread = (places: readonly Place[]) =>
    throughArrays ? unique([...places, ...places.flatMap(elements)]) : unique(places);
  let places: readonly Place[] = [placesOf(rules)];
  for (const step of path.steps) {
    const next = places.flatMap((place) => {
      if (step.kind === 'name') return [place.child(step.name)];
      if (step.kind === 'anyName') return names.map((name) => place.child(name));
      return step.kind === 'index' ? [place.element(step.index)] : elements(place);
    });
    places = spread(next);
  }
  const sealed = places.flatMap(({ rule }) => {
    if (!rule) return [];
    const specs = 'name' in rule ? [rule.apply] : [rule.apply, ...Object.values(rule.types ?? {})];
    return specs.some((spec) => retainsOf(spec).length > 0) ? ['name' in rule ? rule.name : rule.path] : [];
  });
  return unique(sealed);
}

function namesOf(text: string): FieldPath {
  return {
    steps: text.split('.').map((name) => ({ kind: 'name' as const, name, deep: false })),
    keys: false,
  };
}

function unique<T>(list: readonly T[]): T[] {
  return [...new Set(list)];
}
