import { isDeepStrictEqual } from 'node:util';
import { stringify } from 'yaml';
import { parseSpec } from '../../anonymize/registry.js';
import type { TransformerSpec } from '../../anonymize/transformer.js';
import type { Branch } from '../../plan/plan.js';

/** A transformer as the job file would say it, in one line, without the options that are as usual. */
export function specText(spec: TransformerSpec): string {
  const usual = parseSpec(spec.name);
  const defaults = 'spec' in usual ? usual.spec.options : {};
  const options = Object.entries(spec.options).filter(
    ([name, value]) => value !== undefined && !isDeepStrictEqual(value, defaults[name]),
  );
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
