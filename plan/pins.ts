import { createHash } from 'node:crypto';
import { versions } from '../anonymize/registry.js';
import { specsOf } from './effects.js';
import { canonicalJson } from './json.js';
import type { Plan, TablePlan } from './plan.js';
import { shortType } from './types.js';

/** What two workers must agree on, beside key and databases: the rules as resolved and all that they draw from. */
export function pinRules(tables: readonly TablePlan[]): Pick<Plan, 'ruleSet' | 'versions'> {
  const pinned = versionsOf(tables);
  return { ruleSet: ruleSetHash(tables, pinned), versions: pinned };
}

/** Versions of the transformers, and hashes of the value lists, that the tables' rules use, as they are here. */
export function versionsOf(tables: readonly TablePlan[]): Plan['versions'] {
  return versions(tables.flatMap(({ columns }) => columns.flatMap(({ branches }) => specsOf(branches))));
}

/** SHA-256, hex, of rules with the versions behind them. */
export function ruleSetHash(tables: readonly TablePlan[], pinned: Plan['versions']): string {
  const resolved = tables.map((table) => ({
    source: table.source,
    destination: table.destination,
    where: table.where,
    semiJoins: table.semiJoins,
    conditions: table.conditions,
    columns: table.columns.map((column) => ({
      name: column.name,
      destination: column.destination,
      branches: column.branches,
      domain: column.domain,
      type: shortType(column.compileType),
      needs: column.needs,
    })),
  }));
  const text = canonicalJson({ tables: resolved, versions: pinned });
  return createHash('sha256').update(text).digest('hex');
}
