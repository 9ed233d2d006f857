import { eachLeaf } from '../mongo/documents/leaves.js';
import { parseFieldPath } from '../mongo/documents/paths.js';
import { type Place, placesOf } from '../mongo/documents/places.js';
import type { FieldSpec } from '../mongo/documents/types.js';
import type { TablePlan } from '../plan/plan.js';
import { isSealed, retainsOf } from '../plan/sealing.js';
import { type SealedBy, type SealedColumn, type SealedField, sealedField } from './sealed.js';

/** Looks for plain text in the sealed fields of the documents of one collection of the destination. */
export class SealedLook {
  private readonly root;
  private readonly fields = new Map<string, Map<FieldSpec, SealedField>>();

  constructor(
    private readonly table: TablePlan,
    private readonly by: SealedBy,
  ) {
    this.root = placesOf(table.collection!.rules);
  }

  /** Names at the top that sealed fields stand below; undefined where a projection cannot say them. */
  get names(): readonly string[] | undefined {
    const { fields, derive } = this.table.collection!.rules;
    const sealed = new Set(this.table.columns.filter(isSealed).map(({ name }) => name));
    const firsts = fields.flatMap(({ path }) => {
      if (!sealed.has(path)) return [];
      const parsed = parseFieldPath(path);
      const step = typeof parsed === 'string' ? undefined : parsed.steps[0];
      return [step?.kind === 'name' && !step.deep ? step.name : undefined];
    });
    const names = [...firsts, ...derive.flatMap(({ name }) => (sealed.has(name) ? name : []))];
    return names.every(isProjectable) ? [...new Set(names)] : undefined;
  }

  look(document: Uint8Array): void {
    eachLeaf(document, this.root, ({ kind, place, spec, text }) => {
      if (!spec || kind === 'null' || retainsOf(spec).length === 0) return;
      this.fieldOf(place, spec)?.take(kind === 'text' ? text : null);
    });
  }

  /** @param every All documents of the collection were looked at. */
  columns(every: boolean): SealedColumn[] {
    return [...this.fields]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .flatMap(([column, specs]) =>
        [...specs.values()].map(({ counts }) => ({ table: this.table.id, column, every, ...counts })),
      );
  }

  private fieldOf({ path, rule }: Place, spec: FieldSpec): SealedField | undefined {
    const specs = this.fields.get(path) ?? new Map<FieldSpec, SealedField>();
    this.fields.set(path, specs);
    const known = specs.get(spec);
    if (known) return known;
    const beside = rule && 'types' in rule ? [rule.apply, ...Object.values(rule.types ?? {})] : [];
    const field = sealedField(spec, this.by, beside);
    if (field) specs.set(spec, field);
    return field;
  }
}

/** Projections read dots as a path, and `$` as an operator. */
function isProjectable(name: string | undefined): name is string {
  return name !== undefined && !/^$|^\$|\./.test(name);
}

/** Sealed fields of a plan of which nothing can be said without keys. */
export function mixedFields({ tables }: { readonly tables: readonly TablePlan[] }, by: SealedBy): number {
  const specs = tables.flatMap(({ collection }) => [
    ...collection!.rules.fields.flatMap(({ apply, types }) => [apply, ...Object.values(types ?? {})]),
    ...collection!.rules.derive.map(({ apply }) => apply),
  ]);
  return specs.filter((spec) => retainsOf(spec).length > 0 && !sealedField(spec, by)).length;
}
