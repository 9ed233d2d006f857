import { stringify } from 'yaml';
import type { TransformerSpec } from '../../anonymize/transformer.js';
import type { Branch } from '../../plan/plan.js';

/** A transformer as the job file would say it, in one line. */
export function specText(spec: TransformerSpec): string {
  const options = Object.entries(spec.options).filter(([, value]) => value !== undefined);
  if (options.length === 0) return spec.name;
  const shown = options.map(([name, value]) => `${name}: ${optionText(value)}`).join(', ');
  return `${spec.name} { ${shown} }`;
}

function optionText(value: unknown): string {
  if (isSpec(value)) return specText(value);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const entries = Object.entries(value).map(([name, inner]) => `${name}: ${optionText(inner)}`);
    return `{ ${entries.join(', ')} }`;
  }
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trim();
}

function isSpec(value: unknown): value is TransformerSpec {
  const { name, options } = (value ?? {}) as Partial<TransformerSpec>;
  return typeof name === 'string' && typeof options === 'object';
}

/** What happens to a column, a line for each branch: `email`, or `mask … when country = 'DE'`. */
export function branchTexts(branches: readonly Branch[], conditions: readonly string[]): string[] {
  return branches.flatMap((branch) => {
    if (branch.when === undefined) return [specText(branch.apply)];
    const lines = [`${specText(branch.apply)} when ${conditions[branch.when] ?? '?'}`];
    if (branch.otherwise) lines.push(`${specText(branch.otherwise)} otherwise`);
    return lines;
  });
}
