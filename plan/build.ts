import type { Job } from '../job/types.js';
import { Acceptance } from './accept.js';
import { type Catalog, tableText } from './catalog.js';
import { closeFilters } from './closure.js';
import { refuseMissing } from './columns.js';
import { proveConstraints } from './constraints.js';
import { decide } from './decide.js';
import { groupDomains } from './domains.js';
import type { ExpressionProblem } from './expressions.js';
import { Findings } from './findings.js';
import type { Reference, TablePair } from './model.js';
import { orderTables } from './order.js';
import { judgeOutside } from './outside.js';
import { pinRules } from './pins.js';
import type { Plan } from './plan.js';
import { collectReferences } from './references.js';
import { compareDomains, type RememberedDomains } from './remembered.js';
import { judgeSealing } from './sealing.js';
import { planFreeSequences } from './sequences.js';
import { planTable } from './table-plan.js';
import { pairTables } from './tables.js';
import { proveUniqueness } from './uniqueness.js';
import { judgeUpsert } from './upsert.js';

export interface PlanInput {
  readonly job: Job;
  readonly source: Catalog;
  readonly destination: Catalog;
  /** Domains of earlier runs of the job, as the destination remembers them. Default: none. */
  readonly remembered?: RememberedDomains;
  /** Somebody accepted that domains change their output. Default false. */
  readonly acceptDomains?: boolean;
  /** What the source said about the conditions of an earlier plan (`planExpressions`). Default: nothing. */
  readonly expressionProblems?: readonly ExpressionProblem[];
}

/**
 * Decides what a run will do: pure, without a database, a key or a clock. Never throws for a user's mistake; every
 * refusal, warning and note is in `findings` (`refusePlan` throws).
 */
export function buildPlan(input: PlanInput): Plan {
  const { job, source, destination } = input;
  const findings = new Findings();
  const tables = pairTables(job, source, destination, findings);
  const references = collectReferences(job, tables, findings);
  const live = references.filter((reference) => !isCut(reference));
  const decisions = decide(job, tables, groupDomains(job, tables, live, findings), findings);
  for (const { source: table, destination: counterpart, rules } of tables) {
    refuseMissing(table, counterpart, (column) => rules?.columns[column]?.spec.name === 'null', findings);
  }
  const acceptance = new Acceptance(findings);
  proveUniqueness(tables, decisions, acceptance, findings);
  proveConstraints(tables, decisions, acceptance, findings);
  judgeSealing(job, tables, decisions, findings);
  acceptance.reportUnused(tables);
  judgeOutside(job, tables, source, destination, decisions, findings);
  judgeUpsert(job, findings);
  const order = orderTables(tables, references);
  const isNulled = ({ pairs }: Reference) =>
    pairs.some(({ from }) => decisions.of.get(from.key)?.effect.kind === 'nulled');
  const semiJoins = closeFilters(tables, live, order, isNulled, findings);
  const plans = tables.map((table) =>
    planTable({ job, table, decisions, destination, semiJoins: semiJoins.get(table.id) ?? [], findings }),
  );
  findings.add(
    compareDomains(
      input.remembered ?? {},
      { domains: decisions.domains, tables: plans, consistency: job.consistency, mode: job.destination.mode },
      input.acceptDomains,
    ),
  );
  for (const { expression, message } of input.expressionProblems ?? []) {
    const { table, position } = expression;
    findings.refuse('expression', `${expression.kind} of ${tableText(table)}: ${message}`, {
      table: tableText(table),
      position,
    });
  }
  return {
    version: 1,
    job: job.job,
    mode: job.destination.mode,
    consistency: job.consistency,
    engine: source.engine,
    source: source.database,
    destination: destination.database,
    tables: plans,
    domains: decisions.domains,
    order: order.layers,
    cycles: order.cycles,
    findings: findings.sorted(),
    ...pinRules(plans),
    freeSequences: planFreeSequences(tables, source, destination),
    execution: {
      batchRows: job.batchRows,
      concurrency: job.concurrency,
      onFailure: job.onFailure,
      evidence: job.evidence,
      whenBusy: job.whenBusy,
      checks: job.checks,
      ledger: job.ledger,
    },
  };
}

/** The job nulls referencing columns explicitly: then nothing is referenced, and they need not follow. */
function isCut({ from, pairs, matchFull }: Reference): boolean {
  const nulled = pairs.filter((pair) => nulls(from, pair.from.source.name));
  return matchFull ? nulled.length === pairs.length : nulled.length > 0;
}

function nulls(table: TablePair, column: string): boolean {
  return table.rules?.columns[column]?.spec.name === 'null';
}
