import { type Catalog, type CatalogSequence, type TableName, tableText } from './catalog.js';
import type { Decisions } from './decide.js';
import type { Findings } from './findings.js';
import type { ColumnPair, TablePair } from './model.js';
import type { SequencePlan } from './plan.js';

const INTEGER_MAX: Readonly<Record<string, bigint>> = {
  int2: 32767n,
  int4: 2147483647n,
  int8: 9223372036854775807n,
};

/** What the sequences behind a table's columns must hand out after the load. */
export function planSequences(
  table: TablePair,
  decisions: Decisions,
  destination: Catalog,
  findings: Findings,
): SequencePlan[] {
  return table.columns.flatMap((column) => {
    const name = column.destination.sequence;
    if (!name) return [];
    const sequence = destination.sequences.find((candidate) => tableText(candidate) === tableText(name));
    const action = planAction(table, column, decisions, sequence, findings);
    return action
      ? [{ sequence: { schema: name.schema, name: name.name }, column: column.destination.name, action }]
      : [];
  });
}

function planAction(
  table: TablePair,
  column: ColumnPair,
  decisions: Decisions,
  sequence: CatalogSequence | undefined,
  findings: Findings,
): SequencePlan['action'] | undefined {
  const effect = decisions.of.get(column.key)?.effect;
  if (!effect || effect.kind === 'nulled') return undefined;
  if (table.rules?.sequence === 'keep') return column.source.sequence ? { kind: 'copy' } : undefined;
  const largest = effect.proof?.maxInteger;
  if (largest === undefined) return { kind: 'max' };
  const next = BigInt(largest) + 1n;
  const limit = limitOf(column, sequence);
  if (next > limit.value) {
    findings.refuse(
      'sequence-range',
      `${column.key} is permuted up to ${largest}, so its sequence ${sequence ? tableText(sequence) : ''} must go on at ${next}, which ${limit.why} forbids: permute fewer bits (\`permute: { bits: n }\`), widen it in the destination, or say \`sequence: keep\` under \`tables\` → ${table.name}`,
      { table: table.name, column: column.source.name, position: decisions.of.get(column.key)?.position },
    );
  }
  return { kind: 'restart', value: String(next) };
}

function limitOf(column: ColumnPair, sequence: CatalogSequence | undefined): { value: bigint; why: string } {
  const type = INTEGER_MAX[column.destination.type.kind];
  const max = sequence && BigInt(sequence.maxValue);
  if (max !== undefined && (type === undefined || max < type))
    return { value: max, why: `its MAXVALUE (${max})` };
  return {
    value: type ?? BigInt(Number.MAX_SAFE_INTEGER),
    why: `the column's type (${column.destination.type.name})`,
  };
}

/** Sequences that no column owns and that both ends have, in the schemas of the job: they are copied as they are. */
export function planFreeSequences(
  tables: readonly TablePair[],
  source: Catalog,
  destination: Catalog,
): { readonly source: TableName; readonly destination: TableName }[] {
  const schemas = new Map(tables.map((table) => [table.source.schema, table.destination.schema]));
  const used = new Set(
    tables.flatMap((table) =>
      table.source.columns.map((column) => (column.sequence ? tableText(column.sequence) : '')),
    ),
  );
  return source.sequences.flatMap((sequence) => {
    const schema = schemas.get(sequence.schema);
    if (sequence.ownedBy || schema === undefined || used.has(tableText(sequence))) return [];
    const counterpart = destination.sequences.find(
      (candidate) => candidate.schema === schema && candidate.name === sequence.name && !candidate.ownedBy,
    );
    return counterpart ? [{ source: plainName(sequence), destination: plainName(counterpart) }] : [];
  });
}

function plainName({ schema, name }: TableName): TableName {
  return { schema, name };
}
