import type { RetentionFile, SealedColumn, SealedTable } from '../../job/retention/types.js';
import { type CatalogColumn, type CatalogTable, type TableName, tableText } from '../../plan/catalog.js';
import { quoteIdent, quoteLiteral, quoteTable } from '../identifiers.js';
import { byPolicy, chosenPolicies } from './choices.js';

/** What others than readers see in the place of a value. */
export const HIDDEN = '[hidden]';

/** `schema.name` as two names. */
export function tableName(text: string): TableName {
  const at = text.indexOf('.');
  return { schema: text.slice(0, at), name: text.slice(at + 1) };
}

/**
 * The masked view of a table: all its columns, in their order and with their types, the sealed ones readable for those
 * who may. Roles are decided in the view's body, once a query; a role that is gone decides nothing.
 */
export function maskedView(
  table: CatalogTable,
  sealed: SealedTable,
  policies: RetentionFile['policies'],
): string[] {
  const view = quoteTable(tableName(sealed.view));
  const readers = [...new Set([table.owner, ...sealed.readers])];
  const columns = table.columns.map((column) => {
    const how = sealed.columns[column.name];
    const name = quoteIdent(column.name);
    return how ? `${shown(column, how, sealed, policies, readers)} AS ${name}` : `t.${name}`;
  });
  return [
    `CREATE OR REPLACE VIEW ${view} WITH (security_barrier = true) AS\nSELECT ${columns.join(',\n  ')}\nFROM ${quoteTable(table)} AS t`,
    `COMMENT ON VIEW ${view} IS ${quoteLiteral(viewComment(table))}`,
    ...sealed.readers.map((role) => `GRANT SELECT ON ${view} TO ${quoteIdent(role)}`),
  ];
}

/** How a view is known to be Lethe's. */
export function viewComment(table: TableName): string {
  return `Masked view of ${tableText(table)}, made by Lethe.`;
}

function shown(
  column: CatalogColumn,
  how: SealedColumn,
  sealed: SealedTable,
  policies: RetentionFile['policies'],
  readers: readonly string[],
): string {
  const value = `t.${quoteIdent(column.name)}`;
  const json = column.type.kind === 'json';
  const reads = `(SELECT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = ANY (ARRAY[${readers
    .map(quoteLiteral)
    .join(', ')}]::name[]) AND pg_catalog.pg_has_role(r.oid, 'USAGE')))`;
  const ids = chosenPolicies(how, policies).map(({ policy }) => quoteLiteral(policy.id));
  // Not correlated: evaluated once a query, when the first token is met.
  const keys = `(SELECT lethe.readable_keys(ARRAY[${ids.join(', ')}]))`;
  const reveal = (context: string, expired: string | null) => {
    const named =
      expired === '[expired]' ? '' : `, expired => ${expired === null ? 'NULL' : quoteLiteral(expired)}`;
    if (json) return `lethe.reveal_json(${value}::jsonb, ${quoteLiteral(context)}${named})`;
    if (column.type.kind === 'bytea')
      return `lethe.reveal_column(${value}, ${quoteLiteral(context)}${named})`;
    const routine = how.pattern === undefined ? 'lethe.reveal_with' : 'lethe.reveal_inside';
    return `${routine}(${textOf(value, column)}, ${quoteLiteral(context)}, ${keys}${named})`;
  };
  const revealed = byPolicy(
    how,
    policies,
    ({ context, policy }) => reveal(context, policy.expired),
    reveal(how.context ?? '', '[expired]'),
    't.',
  );
  const masked = others(value, column, how, sealed.others);
  return `CASE WHEN ${reads} THEN ${typed(revealed, column)} ELSE ${typed(masked, column)} END`;
}

/** A text column that holds one token or plain text is hidden whole; of longer texts and documents, the tokens. */
function others(value: string, column: CatalogColumn, how: SealedColumn, say: 'marker' | 'null'): string {
  const marker = say === 'null' ? 'NULL' : quoteLiteral(HIDDEN);
  if (column.type.kind === 'json') return `lethe.mask_json(${value}::jsonb, ${marker})`;
  if (say === 'null') return 'NULL';
  if (how.pattern === undefined) return `CASE WHEN ${value} IS NULL THEN NULL ELSE ${marker} END`;
  return `lethe.mask(${textOf(value, column)}, ${marker})`;
}

function textOf(value: string, { type }: CatalogColumn): string {
  return type.name === 'text' ? value : `${value}::text`;
}

function typed(expression: string, { type }: CatalogColumn): string {
  return type.name === 'jsonb' || (type.name === 'text' && expression !== 'NULL')
    ? expression
    : `(${expression})::${type.name}`;
}
