import type { Job } from '../job/types.js';
import type { Catalog } from './catalog.js';
import type { Decisions } from './decide.js';
import { findTransformer, specsOf } from './effects.js';
import type { Findings } from './findings.js';
import { chooseKey } from './keys.js';
import { type ColumnPair, columnOf, type TablePair } from './model.js';
import type { ColumnPlan, SemiJoin, TablePlan } from './plan.js';
import { planSequences } from './sequences.js';
import { chooseConflictKey } from './upsert.js';

export interface TablePlanInput {
  readonly job: Job;
  readonly table: TablePair;
  readonly decisions: Decisions;
  readonly destination: Catalog;
  readonly semiJoins: readonly SemiJoin[];
  readonly findings: Findings;
}

/** Puts together what is known of a table, and chooses its keys and sequences. */
export function planTable(input: TablePlanInput): TablePlan {
  const { job, table, decisions, findings } = input;
  const { source, destination } = table;
  const key = chooseKey(table, findings);
  const upsert = job.destination.mode === 'upsert';
  const conflictKey = upsert ? chooseConflictKey(table, decisions, findings) : undefined;
  return {
    id: table.id,
    source: { schema: source.schema, name: source.name },
    destination: { schema: destination.schema, name: destination.name },
    destinationOid: destination.oid,
    destinationKind: destination.kind,
    units: source.leaves.map(({ schema, name, oid, pages, rows, bytes, filenode }) => ({
      ...{ schema, name, oid, pages, rows, bytes },
      ...(filenode !== undefined && { filenode }),
    })),
    key,
    ...(table.rules?.where !== undefined && { where: table.rules.where }),
    semiJoins: input.semiJoins,
    columns: table.columns.map((column) => planColumn(table, column, key, decisions, findings)),
    conditions: decisions.conditions(table),
    ...(conflictKey && { conflictKey }),
    overridingSystemValue: table.columns.some((column) => column.destination.identity === 'always'),
    deleteMissing: upsert && job.destination.deleteMissing,
    rows: source.rows,
    bytes: source.bytes,
    fingerprint: source.fingerprint,
    destinationFingerprint: destination.fingerprint,
    sequences: planSequences(table, decisions, input.destination, findings),
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
