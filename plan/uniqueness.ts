import { transformers } from '../anonymize/registry.js';
import type { ColumnType } from '../anonymize/transformer.js';
import type { Acceptance } from './accept.js';
import { type CatalogIndex, tableText } from './catalog.js';
import type { Decision, Decisions } from './decide.js';
import { proofOf } from './effects.js';
import type { Findings } from './findings.js';
import { columnOf, destinationColumnOf, type TablePair } from './model.js';

/** Whether what is unique stays unique, and why. */
interface Verdict {
  readonly proved: boolean;
  readonly why: string;
  /** The column that stands in the way. */
  readonly column?: string;
}

type End = 'source' | 'destination';

/** Judges every unique index of both ends; exclusion constraints stand in `exclusion.ts`. */
export function proveUniqueness(
  tables: readonly TablePair[],
  decisions: Decisions,
  acceptance: Acceptance,
  findings: Findings,
): void {
  for (const table of tables) {
    const prover = new IndexProver(table, decisions);
    const there = table.destination.indexes.filter(isUnique);
    for (const index of there) judgeDestination(index, table, prover, acceptance, findings);
    for (const index of table.destination.leaves.flatMap((leaf) => leaf.indexes ?? []).filter(isUnique)) {
      judgeDestination(index, table, prover.ofOnePartition(), acceptance, findings);
    }
    for (const index of table.source.indexes.filter(isUnique)) {
      if (there.some((other) => sameKeys(index, other))) continue;
      judgeSourceOnly(index, table, prover, findings);
    }
  }
}

function isUnique(index: CatalogIndex): boolean {
  return index.unique && !index.exclusion;
}

function sameKeys(a: CatalogIndex, b: CatalogIndex): boolean {
  return (
    a.keys.join('\n') === b.keys.join('\n') &&
    a.predicate === b.predicate &&
    a.nullsNotDistinct === b.nullsNotDistinct
  );
}

function judgeDestination(
  index: CatalogIndex,
  table: TablePair,
  prover: IndexProver,
  acceptance: Acceptance,
  findings: Findings,
): void {
  const label = `unique index ${index.name} (${index.keys.join(', ')}) of ${tableText(table.destination)}`;
  const place = { table: table.name };
  const verdict = prover.prove(index, 'destination');
  if (!verdict.proved) {
    const names = [index.name, ...(index.constraint ? [index.constraint.name] : [])];
    acceptance.refuse(
      'unproved-unique',
      table,
      [...new Set(names)],
      `${label} may get duplicates, because ${verdict.why}`,
      {
        ...(verdict.column !== undefined && { column: verdict.column }),
        wayOut: prover.wayOut(verdict.column),
      },
    );
    return;
  }
  const known = [...table.source.indexes, ...table.source.leaves.flatMap((leaf) => leaf.indexes ?? [])];
  const implied = known.some(
    (other) => isUnique(other) && other.valid && (sameKeys(other, index) || impliesUnique(other, index)),
  );
  if (!implied) {
    findings.warn(
      'unique-destination-only',
      `${label} has no counterpart in the source: duplicates go to quarantine`,
      place,
    );
  } else if (verdict.why !== '') {
    findings.note('unique', `${label} stays unique, because ${verdict.why}`, place);
  }
}

function judgeSourceOnly(
  index: CatalogIndex,
  table: TablePair,
  prover: IndexProver,
  findings: Findings,
): void {
  const verdict = prover.prove(index, 'source');
  if (verdict.proved) return;
  findings.warn(
    'unique-source-only',
    `${index.name} (${index.keys.join(', ')}) is unique in the source and not in the destination, where it may get duplicates, because ${verdict.why}`,
    { table: table.name, ...(verdict.column !== undefined && { column: verdict.column }) },
  );
}

/** A unique index over all rows whose columns, none nullable, are among those of the other. */
function impliesUnique(smaller: CatalogIndex, larger: CatalogIndex): boolean {
  return (
    smaller.predicate === undefined &&
    smaller.columns.every((column) => column !== null && larger.columns.includes(column))
  );
}

/** Proves that the tuples of an index stay distinct under what was decided for their columns. */
class IndexProver {
  constructor(
    private readonly table: TablePair,
    private readonly decisions: Decisions,
    private readonly local = false,
  ) {}

  /** For an index of a single partition: it holds for other rows once rows move between partitions. */
  ofOnePartition(): IndexProver {
    return new IndexProver(this.table, this.decisions, true);
  }

  prove(index: CatalogIndex, end: End): Verdict {
    const direct = this.#proveKeys(index, end);
    if (direct.proved) return direct;
    const inner = this.table.source.indexes.find(
      (other) =>
        isUnique(other) &&
        other.valid &&
        impliesUnique(other, index) &&
        other.keys.length < index.keys.length &&
        other.columns.every((name) => columnOf(this.table, name ?? '')?.source.type.nullable === false) &&
        this.#proveKeys(other, 'source').proved,
    );
    return inner
      ? { proved: true, why: `its columns include those of ${inner.name}, which stay unique` }
      : direct;
  }

  /** Transformers that would prove the column, for a refusal. */
  wayOut(column: string | undefined): string {
    const decision = column === undefined ? undefined : this.#decision(column, 'source');
    if (!decision) return 'keep the columns that its expression or predicate reads';
    const names = transformersThatStayUnique(decision.compileType);
    const choice = names.length > 0 ? `choose ${names.join(', ')} or keep` : 'choose keep';
    return `${choice} for ${column}`;
  }

  #proveKeys(index: CatalogIndex, end: End): Verdict {
    const mover =
      this.local && this.table[end].partitionKey?.columns.find((name) => this.#isChanged(name, end));
    if (mover)
      return {
        proved: false,
        column: mover,
        why: `${mover} is changed, so that rows move to other partitions`,
      };
    const predicate = this.#provePredicate(index, end);
    if (!predicate.proved) return predicate;
    const reasons: string[] = [];
    for (const [at, name] of index.columns.entries()) {
      const verdict =
        name === null
          ? this.#proveExpression(index, index.keys[at] ?? '', end)
          : this.#proveColumn(index, name, end);
      if (verdict === 'null')
        return { proved: true, why: `${name} is NULL in every row, and NULLs are distinct` };
      if (!verdict.proved) return verdict;
      if (verdict.why !== '') reasons.push(verdict.why);
    }
    return { proved: true, why: [...new Set(reasons)].join(' and ') };
  }

  #proveColumn(index: CatalogIndex, name: string, end: End): Verdict | 'null' {
    const decision = this.#decision(name, end);
    if (!decision) return this.#proveComputed(name, end);
    const { effect, column } = decision;
    if (effect.kind === 'kept') return { proved: true, why: '' };
    const nullable = column.source.type.nullable || !effect.keepsNull;
    if (effect.kind === 'nulled') {
      return index.nullsNotDistinct
        ? { proved: false, column: name, why: `${name} is NULL in every row, and its NULLs are not distinct` }
        : 'null';
    }
    if (index.nullsNotDistinct && nullable && !effect.keepsNull) {
      return { proved: false, column: name, why: `${name} may become NULL, and its NULLs are not distinct` };
    }
    if (effect.unique === 'no') return { proved: false, column: name, why: `${name}: ${effect.why}` };
    if (hasCollation(index) && decision.compileType.kind === 'text' && !isWideCaseless(decision)) {
      return {
        proved: false,
        column: name,
        why: `${name}: ${effect.why}, but the index compares by a collation of its own`,
      };
    }
    return { proved: true, why: effect.why };
  }

  /** A column that the destination computes, or fills with its default: only what it is computed from counts. */
  #proveComputed(name: string, end: End): Verdict {
    const column = this.table[end].columns.find((candidate) => candidate.name === name);
    const changed = (column?.generatedFrom ?? []).find((from) => this.#isChanged(from, end));
    if (changed === undefined) return { proved: true, why: '' };
    return { proved: false, column: changed, why: `${name} is computed from ${changed}, which is changed` };
  }

  #proveExpression(index: CatalogIndex, key: string, end: End): Verdict {
    const changed = index.expressionColumns.find((name) => this.#isChanged(name, end));
    if (changed === undefined) return { proved: true, why: '' };
    const decision = this.#decision(changed, end);
    if (decision && foldedColumn(key) === changed && isWideCaseless(decision)) {
      return { proved: true, why: `${decision.effect.why}, also without letter case` };
    }
    return {
      proved: false,
      column: changed,
      why: `it is over the expression ${key}, and ${changed} is changed`,
    };
  }

  /** Rows must not enter a partial index that were not in it, except with distinct keys. */
  #provePredicate(index: CatalogIndex, end: End): Verdict {
    if (index.predicate === undefined) return { proved: true, why: '' };
    const changed = index.expressionColumns.filter((name) => this.#isChanged(name, end));
    const tested = nullTestedColumns(index.predicate);
    const moved = changed.find(
      (name) => !(tested?.includes(name) && this.#decision(name, end)?.effect.keepsNull === true),
    );
    if (moved === undefined || index.columns.includes(null)) return { proved: true, why: '' };
    return { proved: false, column: moved, why: `its predicate reads ${moved}, which is changed` };
  }

  #isChanged(name: string, end: End): boolean {
    const decision = this.#decision(name, end);
    return decision !== undefined && decision.effect.kind !== 'kept';
  }

  #decision(name: string, end: End): Decision | undefined {
    const column = end === 'source' ? columnOf(this.table, name) : destinationColumnOf(this.table, name);
    return column && this.decisions.of.get(column.key);
  }
}

function hasCollation(index: CatalogIndex): boolean {
  return /\bCOLLATE\b/.test(index.definition);
}

/** Outputs stay distinct when letter case is not counted. */
function isWideCaseless(decision: Decision): boolean {
  const { spec } = decision.effect;
  if (!spec || decision.effect.unique === 'no') return false;
  return proofOf(spec, { ...decision.compileType, equality: 'caseless' })?.unique === 'wide';
}

/** The column of `lower(column)` or `upper((column)::text)`. */
function foldedColumn(key: string): string | undefined {
  const match =
    /^(?:lower|upper)\(\(*(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*))\)*(?:::[a-z ]+)?\)*$/u.exec(key);
  return match?.[1]?.replaceAll('""', '"') ?? match?.[2];
}

/** Columns of a predicate that is made of `column IS [NOT] NULL` alone; undefined when it holds anything else. */
function nullTestedColumns(predicate: string): string[] | undefined {
  const columns: string[] = [];
  const rest = predicate
    .replace(/(?:"((?:[^"]|"")+)"|([\p{L}_][\p{L}\p{N}_$]*)) IS (?:NOT )?NULL/gu, (_, quoted, plain) => {
      columns.push(quoted?.replaceAll('""', '"') ?? plain);
      return '';
    })
    .replace(/\b(AND|OR)\b/g, '');
  return /^[()\s]*$/.test(rest) ? columns : undefined;
}

function transformersThatStayUnique(type: ColumnType): string[] {
  return transformers
    .filter((transformer) => transformer.name !== 'keep')
    .filter((transformer) => {
      const options = transformer.options.safeParse({});
      return (
        options.success &&
        transformer.accepts(type, options.data) === true &&
        transformer.proof(type, options.data).unique !== 'no'
      );
    })
    .map((transformer) => transformer.name);
}
