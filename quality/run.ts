import { DEFAULT_CHECKS } from '../job/checkSettings.js';
import type { CheckSettings } from '../job/types.js';
import { tableText } from '../plan/catalog.js';
import type { Plan } from '../plan/plan.js';
import type { Session } from '../postgres/session.js';
import { type RunFacts, readRunFacts } from '../postgres/validate.js';
import type { Check } from './checks.js';
import type { Distribution, Inspection } from './inspection.js';
import { judgeRun } from './judge.js';
import { judgeInspection } from './judgeInspection.js';

/** The checks of a run as its job declares them; of a run of before there was a choice, the usual ones. */
export function settingsOf(plan: Pick<Plan, 'execution'>): CheckSettings {
  return plan.execution.checks ?? DEFAULT_CHECKS;
}

/** Checks a run that has loaded and settled by its ledger and catalog: owners, counts, constraints, row-aligned leaks. */
export async function checkRun(session: Session, run: string, plan: Plan): Promise<Check[]> {
  return judgeRun(plan, await readRunFacts(session, run, plan));
}

/** All checks of a run, from what its ledger says and what looking at its rows gave. */
export function judge(plan: Plan, settings: CheckSettings, facts: RunFacts, inspection: Inspection): Check[] {
  const severities: Partial<Record<Check['name'], CheckSettings['leaks']['severity']>> = {
    rows: settings.rowCounts.severity,
    constraints: settings.constraints.severity,
    leaks: settings.leaks.severity,
  };
  const counted = judgeRun(plan, facts).flatMap((check): Check[] => {
    const severity = severities[check.name] ?? 'fail';
    return severity === 'off' ? [] : [{ ...check, severity }];
  });
  return [...counted, ...judgeInspection(plan, settings, facts, inspection)];
}

/** A distribution as the ledger keeps it: with the source's name of its table, `schema.table`. */
export type DistributionRecord = Omit<Distribution, 'table'> & { readonly table: string };

export function distributionRecords(
  plan: Pick<Plan, 'tables'>,
  { distributions }: Pick<Inspection, 'distributions'>,
): DistributionRecord[] {
  const names = new Map(plan.tables.map((table) => [table.id, tableText(table.source)]));
  return distributions.map(({ table, ...rest }) => ({ table: names.get(table) ?? String(table), ...rest }));
}
