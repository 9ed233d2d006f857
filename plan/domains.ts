import type { ColumnType } from '../anonymize/transformer.js';
import type { Job } from '../job/types.js';
import type { Findings } from './findings.js';
import { components, shortestPath } from './graph.js';
import { byBytes } from './json.js';
import type { ColumnPair, Reference, TablePair } from './model.js';
import { findColumn } from './references.js';
import { narrowest } from './types.js';

/** Columns in which equal inputs must give equal outputs: a connected component of the references over columns. */
export interface DomainGroup {
  /** Feeds the sub-key: the job's name, else the first, in byte order, of `roots`. */
  readonly name: string;
  /** In byte order of their names. */
  readonly members: readonly ColumnPair[];
  /** Members that reference no other member; all of a cycle's, if it references nothing outside itself. */
  readonly roots: readonly ColumnPair[];
  /** The narrowest type of the members; undefined when they are of different families. */
  readonly type?: ColumnType;
  /** `a → b → c`, how one member is connected with another. */
  path(from: ColumnPair, to: ColumnPair): string;
}

/** Groups every column of the job into domains. */
export function groupDomains(
  job: Job,
  tables: readonly TablePair[],
  references: readonly Reference[],
  findings: Findings,
): DomainGroup[] {
  const columns = tables.flatMap((table) => table.columns).sort((a, b) => byBytes(a.key, b.key));
  const parents = new Map<ColumnPair, ColumnPair[]>(columns.map((column) => [column, []]));
  const neighbours = new Map<ColumnPair, ColumnPair[]>(columns.map((column) => [column, []]));
  const connect = (a: ColumnPair, b: ColumnPair) => {
    neighbours.get(a)?.push(b);
    neighbours.get(b)?.push(a);
  };
  for (const reference of references) {
    for (const { from, to } of reference.pairs) {
      if (from === to) continue;
      parents.get(from)?.push(to);
      connect(from, to);
    }
  }
  const given = new Map<ColumnPair, string>();
  for (const [name, keys] of Object.entries(job.domains)) {
    const listed = keys
      .map((key) => findColumn(key, tables, findings))
      .filter((column) => column !== undefined);
    for (const [at, column] of listed.entries()) {
      given.set(column, given.get(column) ?? name);
      if (at > 0 && listed[0] && listed[0] !== column) connect(listed[0], column);
      if (given.get(column) !== name) {
        findings.refuse(
          'domains-meet',
          `${column.key} is listed in two domains, ${given.get(column)} and ${name}: list it in one`,
        );
      }
    }
  }
  const groups = connected(columns, neighbours).map((members) =>
    describe(members, parents, neighbours, given, findings),
  );
  refuseEqualNames(groups, findings);
  return groups;
}

function describe(
  members: readonly ColumnPair[],
  parents: ReadonlyMap<ColumnPair, readonly ColumnPair[]>,
  neighbours: ReadonlyMap<ColumnPair, readonly ColumnPair[]>,
  given: ReadonlyMap<ColumnPair, string>,
  findings: Findings,
): DomainGroup {
  const path = (from: ColumnPair, to: ColumnPair) =>
    shortestPath(from, to, (column) => neighbours.get(column) ?? [])
      .map((column) => column.key)
      .join(' → ');
  const roots = rootsOf(members, parents);
  const named = members.filter((member) => given.has(member));
  const [first] = named;
  const other = named.find((member) => first && given.get(member) !== given.get(first));
  if (first && other) {
    findings.refuse(
      'domains-meet',
      `domains ${given.get(first)} and ${given.get(other)} are one, since foreign keys connect them (${path(first, other)}): give their columns one name under \`domains\``,
      { table: other.table, column: other.source.name },
    );
  }
  const type = narrowest(members.map((member) => member.type));
  const name = (first && given.get(first)) ?? roots[0]?.key ?? '';
  return { name, members, roots, ...(type && { type }), path };
}

function rootsOf(
  members: readonly ColumnPair[],
  parents: ReadonlyMap<ColumnPair, readonly ColumnPair[]>,
): ColumnPair[] {
  const up = (column: ColumnPair) => parents.get(column) ?? [];
  return components(members, up)
    .filter((cycle) => cycle.every((column) => up(column).every((parent) => cycle.includes(parent))))
    .flat()
    .sort((a, b) => byBytes(a.key, b.key));
}

function connected(
  columns: readonly ColumnPair[],
  neighbours: ReadonlyMap<ColumnPair, readonly ColumnPair[]>,
): ColumnPair[][] {
  const seen = new Set<ColumnPair>();
  const groups: ColumnPair[][] = [];
  for (const column of columns) {
    if (seen.has(column)) continue;
    const group = [column];
    seen.add(column);
    for (const member of group) {
      for (const next of neighbours.get(member) ?? []) {
        if (!seen.has(next)) group.push(next);
        seen.add(next);
      }
    }
    groups.push(group.sort((a, b) => byBytes(a.key, b.key)));
  }
  return groups;
}

function refuseEqualNames(groups: readonly DomainGroup[], findings: Findings): void {
  const byName = new Map<string, DomainGroup>();
  for (const group of groups) {
    const other = byName.get(group.name);
    if (other) {
      findings.refuse(
        'domain-name-taken',
        `the domain name ${group.name} would be used by ${other.members[0]?.key} and by ${group.members[0]?.key}: choose another name under \`domains\``,
      );
    }
    byName.set(group.name, group);
  }
}
