import type { RetentionFile, SealedColumn, SealedTable } from '../../job/retention/types.js';
import { parsePath } from '../../json/path.js';
import { type CatalogColumn, type CatalogTable, tableText } from '../../plan/catalog.js';
import { hexOf } from '../../retention/token/wholes.js';
import { quoteColumns, quoteIdent, quoteLiteral, quoteTable } from '../identifiers.js';
import { byPolicy, type ChosenPolicy, chosenPolicies } from './choices.js';
import { databasePattern } from './patterns.js';

const TRIGGER = 'lethe_seal';
/** Text as it is: a column's own collation may take different tokens, or a token and a marker, for the same. */
const asText = (value: string) => `${value}::text COLLATE "C"`;

/**
 * The trigger that seals what is inserted, or updated, in plain. It fires whatever `session_replication_role` says, and
 * raises where the session has no key: a value that cannot be sealed is not stored. What redaction writes stays.
 */
export function sealTrigger(
  table: CatalogTable,
  sealed: SealedTable,
  policies: RetentionFile['policies'],
): string[] {
  const name = quoteTable(table);
  const drop = `DROP TRIGGER IF EXISTS ${TRIGGER} ON ${name}`;
  const routine = `lethe.${quoteIdent(`seal ${tableText(table)}`.slice(0, 63))}`;
  if (!sealed.trigger) return [drop];
  const columns = table.columns.filter((column) => sealed.columns[column.name]);
  const day = dayOfRow(table, sealed);
  const steps = columns.map((column) => sealStep(column, sealed.columns[column.name]!, policies));
  return [
    `CREATE OR REPLACE FUNCTION ${routine}() RETURNS trigger LANGUAGE plpgsql AS ${quoteLiteral(
      `DECLARE
  day date := ${day};
BEGIN
${steps.join('\n')}
  RETURN NEW;
END`,
    )}`,
    drop,
    `CREATE TRIGGER ${TRIGGER} BEFORE INSERT OR UPDATE OF ${quoteColumns(columns.map((column) => column.name))} ON ${name} FOR EACH ROW EXECUTE FUNCTION ${routine}()`,
    `ALTER TABLE ${name} ENABLE ALWAYS TRIGGER ${TRIGGER}`,
  ];
}

/**
 * CHECKs that admit tokens, and what the column's policies say of expired values. Not validated: rows that are there may
 * hold plain values.
 */
export function sealChecks(
  table: CatalogTable,
  sealed: SealedTable,
  policies: RetentionFile['policies'],
): string[] {
  const name = quoteTable(table);
  return Object.entries(sealed.columns).flatMap(([column, how]) => {
    const bytes = table.columns.find(({ name }) => name === column)?.type.kind === 'bytea';
    const check = quoteIdent(`lethe_sealed_${column}`.slice(0, 63));
    const drop = `ALTER TABLE ${name} DROP CONSTRAINT IF EXISTS ${check}`;
    if (!sealed.check || how.pattern !== undefined || how.paths !== undefined) return [drop];
    const markers = chosenPolicies(how, policies).flatMap(({ policy }) => policy.expired ?? []);
    const value = bytes ? `encode(${quoteIdent(column)}, 'escape')` : asText(quoteIdent(column));
    const is = (text: string) =>
      bytes
        ? `${quoteIdent(column)} = ${quoteLiteral(hexOf(text))}::bytea`
        : `${value} = ${quoteLiteral(text)}`;
    const admits = [`lethe.is_token(${value})`, ...markers.map(is)];
    return [drop, `ALTER TABLE ${name} ADD CONSTRAINT ${check} CHECK (${admits.join(' OR ')}) NOT VALID`];
  });
}

function dayOfRow(table: CatalogTable, { date }: SealedTable): string {
  if (date === undefined) return 'lethe.today()';
  const type = table.columns.find(({ name }) => name === date)?.type.kind;
  const value = `NEW.${quoteIdent(date)}`;
  return type === 'timestamptz' ? `(${value} AT TIME ZONE 'UTC')::date` : `${value}::date`;
}

function sealStep(column: CatalogColumn, how: SealedColumn, policies: RetentionFile['policies']): string {
  const value = `NEW.${quoteIdent(column.name)}`;
  const changed = `${value} IS NOT NULL AND (TG_OP = 'INSERT' OR ${asText(value)} IS DISTINCT FROM OLD.${quoteIdent(column.name)}::text)`;
  const sealed = byPolicy(how, policies, (chosen) => seal(value, column, how, chosen), 'NULL', 'NEW.');
  return `  IF ${changed} THEN
    ${value} := ${sealed};
    IF ${value} IS NULL THEN
      RAISE EXCEPTION ${quoteLiteral(`No policy is said for this row of column ${column.name}`)} USING ERRCODE = 'check_violation';
    END IF;
  END IF;`;
}

/** What is a token already, as far as this session can tell, stays. */
function seal(
  value: string,
  { type }: CatalogColumn,
  { paths, pattern }: SealedColumn,
  { policy, context }: ChosenPolicy,
): string {
  const given = `${quoteLiteral(policy.id)}, ${quoteLiteral(context)}, day, ${policy.pad ?? 0}, ${policy.deterministic}`;
  const stays = policy.expired === null ? 'NULL' : quoteLiteral(policy.expired);
  if (paths !== undefined) {
    const steps = quoteLiteral(JSON.stringify(paths.map((path) => parsePath(path))));
    const whole = `lethe.seal_paths(${value}::jsonb, ${steps}, ${given}, ${stays})`;
    return type.name === 'json' ? `(${whole})::json` : whole;
  }
  if (pattern !== undefined) {
    const { expression, flags, accepts } = databasePattern(pattern)!;
    const finds = [expression, flags].map(quoteLiteral).join(', ');
    return `lethe.seal_matches(${asText(value)}, ${finds}, ${accepts === null ? 'NULL' : quoteLiteral(accepts)}, ${given})`;
  }
  if (type.kind === 'bytea') return `lethe.seal_column(${value}, ${given}, ${stays})`;
  const kept = policy.expired === null ? '' : `${asText(value)} = ${stays} OR `;
  return `CASE WHEN ${kept}lethe.is_sealed(${asText(value)}, ${quoteLiteral(context)}) THEN ${asText(value)} ELSE lethe.seal_as(${asText(value)}, ${given}) END`;
}
