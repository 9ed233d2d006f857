import type { Catalog, CatalogTable, TableName } from '../plan/catalog.js';
import { quoteIdent, quoteTable } from './identifiers.js';

export interface GrantsInput {
  /** The role that Lethe logs in as: the user of the URL. */
  readonly role: string;
  /** The catalog of that side, holding the tables of the job only (`readCatalog` with `include`). */
  readonly catalog: Catalog;
  /** The job makes the destination's schema by pg_dump. */
  readonly createSchema: boolean;
}

export interface DestinationGrantsInput extends GrantsInput {
  readonly mode: 'replace' | 'upsert';
  readonly deleteMissing: boolean;
}

/**
 * The least SQL that lets a role read a job's tables: rows of every partition by itself, values of free sequences, and
 * row security that hides nothing. To be run by the owner of the tables, or a superuser.
 */
export function sourceGrants(input: GrantsInput): string {
  const { role, catalog } = input;
  const to = quoteIdent(role);
  const hidden = catalog.tables.filter((table) => table.rowSecurity !== 'off');
  // pg_dump reads the state of every sequence and locks every table, also partition roots.
  const sequences = input.createSchema ? catalog.sequences : drawnOnly(catalog);
  return sql([
    '-- Source: read the tables of the job, export a snapshot, keep bounds in a temporary table.',
    `GRANT CONNECT, TEMPORARY ON DATABASE ${quoteIdent(catalog.database.name)} TO ${to}`,
    ...schemasOf(catalog.tables).map((schema) => `GRANT USAGE ON SCHEMA ${quoteIdent(schema)} TO ${to}`),
    ...catalog.tables
      .flatMap(relationsOf)
      .map((name) => `GRANT SELECT ON TABLE ${quoteTable(name)} TO ${to}`),
    ...sequences.map((name) => `GRANT SELECT ON SEQUENCE ${quoteTable(name)} TO ${to}`),
    ...(hidden.length > 0
      ? [
          `-- Row security is on at ${names(hidden)}: without this, reading fails rather than copy some rows.`,
          `ALTER ROLE ${to} BYPASSRLS`,
        ]
      : []),
  ]);
}

/**
 * The least SQL that lets a role load a job's tables. `replace` takes indexes, keys and triggers away and puts them
 * back, which PostgreSQL allows to a table's owner only: so the role is made a member of each owner. To be run by a
 * superuser, or the owners.
 */
export function destinationGrants(input: DestinationGrantsInput): string {
  const { role, catalog } = input;
  const to = quoteIdent(role);
  const database = quoteIdent(catalog.database.name);
  return sql([
    '-- Destination: keep the ledger in the schema lethe, and load the tables of the job.',
    `GRANT CONNECT, TEMPORARY, CREATE ON DATABASE ${database} TO ${to}`,
    ...(input.createSchema
      ? ['-- createSchema: what the role creates belongs to it, so no more is needed on tables.']
      : input.mode === 'replace'
        ? replaceGrants(input, to)
        : upsertGrants(input, to)),
    '-- Optional (PostgreSQL 15 and newer): switch triggers off for the session instead of one by one.',
    `-- GRANT SET ON PARAMETER session_replication_role TO ${to}`,
  ]);
}

function replaceGrants({ role, catalog }: DestinationGrantsInput, to: string): string[] {
  const outside = referencedOutside(catalog.tables);
  return [
    ...schemasOf(catalog.tables).map(
      (schema) => `GRANT USAGE, CREATE ON SCHEMA ${quoteIdent(schema)} TO ${to}`,
    ),
    ...ownersOf(catalog.tables, role).map((owner) => `GRANT ${quoteIdent(owner)} TO ${to}`),
    ...outside.map((name) => `GRANT REFERENCES ON TABLE ${quoteTable(name)} TO ${to}`),
    ...drawnOnly(catalog).map((name) => `GRANT SELECT, UPDATE ON SEQUENCE ${quoteTable(name)} TO ${to}`),
    ...dependentsNote(catalog.tables),
  ];
}

function upsertGrants({ role, catalog, deleteMissing }: DestinationGrantsInput, to: string): string[] {
  const rights = `SELECT, INSERT, UPDATE${deleteMissing ? ', DELETE' : ''}`;
  const guarded = catalog.tables.filter(
    (table) => table.triggers.some((trigger) => trigger.enabled !== 'D') || table.rules.length > 0,
  );
  const owners = ownersOf(guarded, role);
  return [
    ...schemasOf(catalog.tables).map((schema) => `GRANT USAGE ON SCHEMA ${quoteIdent(schema)} TO ${to}`),
    ...catalog.tables.map((table) => `GRANT ${rights} ON TABLE ${quoteTable(table)} TO ${to}`),
    ...catalog.sequences.map((name) => `GRANT SELECT, UPDATE ON SEQUENCE ${quoteTable(name)} TO ${to}`),
    ...(owners.length > 0
      ? [
          `-- Triggers and rules of ${names(guarded)} are switched off while loading: only an owner may.`,
          ...owners.map((owner) => `GRANT ${quoteIdent(owner)} TO ${to}`),
        ]
      : []),
  ];
}

function dependentsNote(tables: readonly CatalogTable[]): string[] {
  const outside = tables.flatMap((table) =>
    table.dependents.filter((text) => /^(foreign key|materialized view) /.test(text)),
  );
  return outside.length > 0
    ? [
        `-- The role must own these too, to put them back or refresh them: ${[...new Set(outside)].join(', ')}`,
      ]
    : [];
}

/** Reading a partition by itself asks for rights on it; those on the root do not count. */
function relationsOf(table: CatalogTable): TableName[] {
  const leaves = table.leaves.filter((leaf) => leaf.oid !== table.oid);
  return [table, ...leaves];
}

function schemasOf(tables: readonly CatalogTable[]): string[] {
  return [...new Set(tables.flatMap(relationsOf).map((relation) => relation.schema))].sort();
}

function ownersOf(tables: readonly CatalogTable[], role: string): string[] {
  return [...new Set(tables.map((table) => table.owner))].filter((owner) => owner !== role).sort();
}

/** Sequences that belong to no table's owner by themselves. */
function drawnOnly(catalog: Catalog): TableName[] {
  return catalog.sequences.filter((sequence) => {
    const owner = sequence.ownedBy;
    return (
      !owner || catalog.tables.some((table) => table.schema === owner.schema && table.name === owner.name)
    );
  });
}

function referencedOutside(tables: readonly CatalogTable[]): TableName[] {
  const inside = new Set(tables.map(quoteTable));
  const outside = tables
    .flatMap((table) => table.foreignKeys.map((key) => key.references))
    .filter((name) => !inside.has(quoteTable(name)));
  return [...new Map(outside.map((name) => [quoteTable(name), name])).values()];
}

function names(tables: readonly CatalogTable[]): string {
  return tables.map((table) => `${table.schema}.${table.name}`).join(', ');
}

function sql(lines: readonly string[]): string {
  return `${lines.map((line) => (line.startsWith('--') ? line : `${line};`)).join('\n')}\n`;
}
