import { jobKeys } from '../../anonymize/keys.js';
import { tableText } from '../../plan/catalog.js';
import { Findings } from '../../plan/findings.js';
import type { Finding, Plan, TablePlan } from '../../plan/plan.js';
import { compilePushdown, type Pushdown } from './compile.js';

/** What a plan has to say about the collections that are to be pushed down. */
export function judgePushdown(plan: Plan, oneDeployment: boolean): Finding[] {
  const findings = new Findings();
  for (const table of plan.tables) {
    if (!table.collection?.pushdown) continue;
    const name = tableText(table.source);
    const refused = refusals(plan, table, oneDeployment);
    if (refused.length > 0) {
      findings.refuse(
        'pushdown',
        `${name} cannot be pushed down: ${refused.join('; ')}. Take pushdown away, and workers transform it.`,
        { table: name },
      );
      continue;
    }
    for (const warning of shownPushdown(table)?.warnings ?? []) {
      findings.warn('pushdown', `${name} is pushed down: ${warning}.`, { table: name });
    }
    findings.note(
      'pushdown',
      `${name}: the server transforms and writes; documents that it cannot do are read by a worker. The ledger counts documents, and has neither digests of their bytes nor counts by rule; an audit cannot verify them.`,
      { table: name },
    );
  }
  return findings.sorted();
}

/** The compiled rules with names in the place of keys, for people; undefined where they cannot be pushed down. */
export function shownPushdown({ collection }: TablePlan): Pushdown | undefined {
  const compiled = compile(collection!);
  return 'pushdown' in compiled ? compiled.pushdown : undefined;
}

function compile({ rules, pushdown }: NonNullable<TablePlan['collection']>) {
  return compilePushdown(rules, jobKeys(new Uint8Array(32)), {
    allowKeyOnServer: pushdown?.allowKeyOnServer === true,
    keyText: (domain) => `<key of ${domain}>`,
  });
}

function refusals({ mode }: Plan, { collection }: TablePlan, oneDeployment: boolean): string[] {
  const { rules, capped } = collection!;
  const id = rules.fields.find(({ path }) => path === '_id');
  const compiled = compile(collection!);
  return [
    ...(oneDeployment
      ? []
      : ['source and destination are not known to be one deployment, and $merge writes only into its own']),
    ...(mode === 'upsert' ? ['mode upsert writes in transactions, which $merge takes no part in'] : []),
    ...(capped ? ['it is capped, and $merge writes into no capped collection'] : []),
    ...(id?.apply.name === 'keep' && !id.types
      ? []
      : ['its _id is changed, and $merge finds documents by it']),
    ...('refused' in compiled ? compiled.refused : []),
  ];
}
