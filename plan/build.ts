import type { Job } from '../job/types.js';
import type { Catalog } from './catalog.js';
import { refuseMissing } from './columns.js';
import { type Decisions, decide } from './decide.js';
import { groupDomains } from './domains.js';
import { findTransformer, specsOf } from './effects.js';
import { Findings } from './findings.js';
import { chooseKey } from './keys.js';
import { type ColumnPair, columnOf, type Reference, type TablePair } from './model.js';
import { orderTables } from './order.js';
import { pinRules } from './pins.js';
import type { ColumnPlan, Plan, TablePlan } from './plan.js';
import { collectReferences } from './references.js';
import { pairTables } from './tables.js';

export interface PlanInput {
  readonly job: Job;
  readonly source: Catalog;
  readonly destination: Catalog;
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
  const groups = groupDomains(
    job,
    tables,
    references,
    (reference, column) => leaves(reference, column),
    findings,
  );
  const decisions = decide(job, tables, groups, findings);
  for (const table of tables) {
    refuseMissing(table.source, table.destination, (column) => isNulled(table, column), findings);
  }
  const { layers, cycles } = orderTables(tables, references);
  const plans = tables.map((table) => planTable(job, table, decisions, findings));
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
    order: layers,
    cycles,
    findings: findings.sorted(),
    ...pinRules(plans),
    execution: {
      batchRows: job.batchRows,
      concurrency: job.concurrency,
      onFailure: job.onFailure,
      evidence: job.evidence,
      whenBusy: job.whenBusy,
      sampleRows: job.validate.sampleRows,
    },
  };
}

/** A referencing column that the job nulls explicitly references nothing, so it need not follow the referenced one. */
function leaves(reference: Reference, column: ColumnPair): boolean {
  if (!column.destination.type.nullable) return false;
  if (!reference.matchFull) return isNulled(reference.from, column.source.name);
  return reference.pairs.every((pair) => isNulled(reference.from, pair.from.source.name));
}

function isNulled(table: TablePair, column: string): boolean {
  return table.rules?.columns[column]?.spec.name === 'null';
}

function planTable(job: Job, table: TablePair, decisions: Decisions, findings: Findings): TablePlan {
  const { source, destination } = table;
  const key = chooseKey(table, findings);
  return {
    id: table.id,
    source: { schema: source.schema, name: source.name },
    destination: { schema: destination.schema, name: destination.name },
    destinationOid: destination.oid,
    destinationKind: destination.kind,
    units: source.leaves.map(({ schema, name, oid, pages, rows, bytes }) => ({
      schema,
      name,
      oid,
      pages,
      rows,
      bytes,
    })),
    key,
    ...(table.rules?.where !== undefined && { where: table.rules.where }),
    semiJoins: [],
    columns: table.columns.map((column) => planColumn(table, column, key, decisions, findings)),
    conditions: decisions.conditions(table),
    deleteMissing: job.destination.deleteMissing,
    rows: source.rows,
    bytes: source.bytes,
    fingerprint: source.fingerprint,
    destinationFingerprint: destination.fingerprint,
    sequences: [],
  };
}

function planColumn(
  table: TablePair,
  column: ColumnPair,
  key: TablePlan['key'],
  decisions: Decisions,
  findings: Findings,
): ColumnPlan {
  const decision = decisions.of.get(column.key);
  const branches = decision?.branches ?? [];
  const needs = [
    ...new Set(specsOf(branches).flatMap((spec) => findTransformer(spec.name)?.needs?.(spec.options) ?? [])),
  ];
  const place = { table: table.name, column: column.source.name, position: decision?.position };
  for (const need of needs) {
    if (need === 'key' && key.kind === 'ctid') {
      findings.refuse(
        'needs-key',
        `${column.key} is shifted by its row's key, but ${table.name} has no primary key and no unique index without NULLs: name a column to go by in the transformer's options, or choose another transformer`,
        place,
      );
    }
    if (need !== 'key' && !columnOf(table, need)) {
      findings.refuse(
        'needs-column',
        `${column.key}: its transformer reads ${need}, which ${table.name} does not have or the destination computes: name a column that is copied`,
        place,
      );
    }
  }
  return {
    name: column.source.name,
    destination: column.destination.name,
    type: column.source.type,
    branches,
    domain: decision?.group.name ?? column.key,
    compileType: decision?.compileType ?? column.type,
    needs,
  };
}
