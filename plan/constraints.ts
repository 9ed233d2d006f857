import { type Acceptance, PARTITION_KEY } from './accept.js';
import { type CatalogCheck, type CatalogIndex, tableText } from './catalog.js';
import { type CheckedColumn, checkStaysTrue } from './checks.js';
import type { Decision, Decisions } from './decide.js';
import type { Findings } from './findings.js';
import { destinationColumnOf, type TablePair } from './model.js';

/** Judges everything but uniqueness that the destination demands of a row. */
export function proveConstraints(
  tables: readonly TablePair[],
  decisions: Decisions,
  acceptance: Acceptance,
  findings: Findings,
): void {
  for (const table of tables) {
    const prover = new ConstraintProver(table, decisions, acceptance, findings);
    const relations = [table.destination, ...table.destination.leaves];
    for (const check of relations.flatMap(({ checks }) => checks ?? [])) prover.check(check);
    for (const index of relations.flatMap(({ indexes }) => indexes ?? [])) {
      if (index.exclusion) prover.exclusion(index);
    }
    prover.partitionKey();
    prover.columns();
    prover.computed();
  }
}

class ConstraintProver {
  readonly #where: string;

  constructor(
    private readonly table: TablePair,
    private readonly decisions: Decisions,
    private readonly acceptance: Acceptance,
    private readonly findings: Findings,
  ) {
    this.#where = tableText(table.destination);
  }

  check(check: CatalogCheck): void {
    const read = check.columns.flatMap((name) => this.#sources(name).map((decision) => ({ name, decision })));
    const changed = read.find(({ decision }) => decision.effect.kind !== 'kept');
    const { checks, leaves } = this.table.source;
    const equal = [...checks, ...leaves.flatMap((leaf) => leaf.checks ?? [])].some(
      (other) => other.validated && other.definition === check.definition,
    );
    if (!equal) {
      this.findings.warn(
        'check-destination-only',
        `${check.name} of ${this.#where} has no equal, validated counterpart in the source: rows that violate it go to quarantine`,
        { table: this.table.name },
      );
    }
    if (!changed) return;
    const columns = new Map<string, CheckedColumn>(
      read.map(({ name, decision }) => [name, { effect: decision.effect, type: decision.compileType }]),
    );
    const direct = check.columns.every((name) => destinationColumnOf(this.table, name) !== undefined);
    if (direct && checkStaysTrue(check.definition, columns)) {
      this.findings.note(
        'check',
        `${check.name} of ${this.#where} stays true: what it demands of ${changed.name} survives the change`,
        {
          table: this.table.name,
        },
      );
      return;
    }
    this.acceptance.refuse(
      'unproved-check',
      this.table,
      [check.name],
      `${check.name} of ${this.#where} (${check.definition}) reads ${changed.name}, which is changed by ${changed.decision.effect.spec?.name ?? 'its rules'}`,
      { column: changed.name, wayOut: `keep ${changed.name}` },
    );
  }

  /** Rows that did not exclude each other must not begin to. */
  exclusion(index: CatalogIndex): void {
    const names = [
      ...new Set([...index.columns.filter((name) => name !== null), ...index.expressionColumns]),
    ];
    const changed = names.find((name) => {
      const [decision] = this.#sources(name);
      if (!decision || decision.effect.kind === 'kept') return false;
      const plain = index.columns.includes(name) && !index.expressionColumns.includes(name);
      return !(plain && decision.effect.unique !== 'no' && this.#comparedByEquality(index, name));
    });
    if (changed === undefined) return;
    if (
      names.some((name) => index.columns.includes(name) && this.#sources(name)[0]?.effect.kind === 'nulled')
    )
      return;
    this.acceptance.refuse(
      'unproved-exclusion',
      this.table,
      [index.constraint?.name ?? index.name],
      `exclusion constraint ${index.constraint?.name ?? index.name} of ${this.#where} reads ${changed}, which is changed, so that rows may exclude each other`,
      { column: changed, wayOut: `keep ${changed}` },
    );
  }

  #comparedByEquality(index: CatalogIndex, name: string): boolean {
    const key = index.keys[index.columns.indexOf(name)] ?? name;
    const definition = index.constraint?.definition ?? '';
    return definition.includes(`(${key} WITH =`) || definition.includes(`, ${key} WITH =`);
  }

  partitionKey(): void {
    const key = this.table.destination.partitionKey;
    if (!key || key.takesAny) return;
    const changed = key.columns.find((name) =>
      this.#sources(name).some(({ effect }) => effect.kind !== 'kept'),
    );
    if (changed === undefined) return;
    this.acceptance.refuse(
      'unproved-partition-key',
      this.table,
      [PARTITION_KEY],
      `${changed} is in the partition key of ${this.#where} and is changed, so that rows may find no partition`,
      { column: changed, wayOut: `keep ${changed}, or add a default partition` },
    );
  }

  /** Types with checks of their own, NOT NULL, collations that no canonical form covers. */
  columns(): void {
    for (const column of this.table.columns) {
      const decision = this.decisions.of.get(column.key);
      if (!decision) continue;
      const place = { table: this.table.name, column: column.source.name };
      const { effect } = decision;
      if (effect.kind === 'changed' && column.destination.domainChecks.length > 0) {
        this.acceptance.refuse(
          'unproved-check',
          this.table,
          column.destination.domainChecks,
          `${column.key} has a type whose own check (${column.destination.domainChecks.join(', ')}) its new values may violate`,
          { column: column.source.name, wayOut: `keep ${column.source.name}` },
        );
      }
      if (!column.destination.type.nullable && effect.kind !== 'nulled') {
        if (column.source.type.nullable) {
          this.findings.warn(
            'null-possible',
            `${column.key} is NOT NULL in the destination only: rows without a value go to quarantine`,
            place,
          );
        } else if (effect.kind === 'changed' && !effect.keepsNull && effect.spec?.name !== 'constant') {
          this.findings.warn(
            'null-possible',
            `${column.key} is NOT NULL, but its transformer may give NULL: such rows go to quarantine`,
            place,
          );
        }
      }
      if (
        effect.kind === 'changed' &&
        decision.group.members.length > 1 &&
        column.source.collation?.deterministic === false
      ) {
        this.findings.warn(
          'collation',
          `${column.key} has the nondeterministic collation ${column.source.collation.name}: keys that are equal in more than letter case and composition get different values, and their references go to quarantine`,
          place,
        );
      }
    }
  }

  /** Generated columns follow their sources; foreign keys over them do only if those are kept. */
  computed(): void {
    for (const column of this.table.destination.columns) {
      if (column.generated === 'no') continue;
      const changed = (column.generatedFrom ?? []).filter((name) =>
        this.#sources(name).some(({ effect }) => effect.kind !== 'kept'),
      );
      if (changed.length === 0) continue;
      const place = { table: this.table.name, column: column.name };
      this.findings.note(
        'generated-changes',
        `${this.table.name}.${column.name} is computed anew from ${changed.join(', ')}`,
        place,
      );
      const key = this.table.destination.foreignKeys.find(({ columns }) => columns.includes(column.name));
      if (!key) continue;
      this.findings.refuse(
        'generated-reference',
        `foreign key ${key.name} of ${this.#where} is over ${column.name}, which is computed from ${changed.join(', ')}, and that is changed: keep ${changed.join(', ')}`,
        place,
      );
    }
  }

  /** The decisions behind a destination column: its own, or of what it is computed from. */
  #sources(name: string): Decision[] {
    const column = destinationColumnOf(this.table, name);
    if (column) return [this.decisions.of.get(column.key)].filter((decision) => decision !== undefined);
    const computed = this.table.destination.columns.find((candidate) => candidate.name === name);
    return (computed?.generatedFrom ?? []).flatMap((from) => {
      const source = destinationColumnOf(this.table, from);
      const decision = source && this.decisions.of.get(source.key);
      return decision ? [decision] : [];
    });
  }
}
