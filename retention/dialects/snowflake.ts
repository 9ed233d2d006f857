import { readFileSync } from 'node:fs';
import { LetheError } from '../../errors/errors.js';
import type { Policy } from '../keys/policy.js';
import { dateOf } from '../token/day.js';
import type { Ring } from '../token/ring.js';

/** A sealed column of a warehouse's table. */
export interface MaskedColumn {
  /** `schema.table`. */
  readonly table: string;
  readonly column: string;
  /** What it holds: one value, a text with values in it, or JSON (a VARIANT). */
  readonly holds: 'value' | 'text' | 'json';
  /** What its values were sealed under. */
  readonly context: string;
  /** The policies that its tokens may have. */
  readonly policies: readonly Policy[];
  /** Roles that see values; at least one. */
  readonly readers: readonly string[];
  /** What all others see: `[hidden]` in the place of a value, or nothing. */
  readonly others: 'marker' | 'null';
}

export interface SnowflakeOptions {
  /** What the functions are written in. Default `javascript`. */
  readonly language?: 'javascript' | 'java';
  /** Where functions and masking policies are made. Default `LETHE`. */
  readonly schema?: string;
}

/** Most bytes of a session variable. */
const VARIABLE_BYTES = 256;
/** Bytes of a day with its key: `yymmdd`, 86 of base64url, `;`. */
const DAY_BYTES = 93;
const DAYS_A_VARIABLE = Math.floor(VARIABLE_BYTES / DAY_BYTES);
/** Days of a ring beyond its window: today, and two ahead. */
const MORE_DAYS = 3;

/**
 * Statements for Snowflake that make its functions and masking policies and apply these to columns. They may run again:
 * bodies are replaced, policies stay on their columns. They only open tokens, and hold no key.
 *
 * @throws LetheError `RetentionInvalid` for a column without readers.
 */
export function snowflakeDdl(columns: readonly MaskedColumn[], options: SnowflakeOptions = {}): string {
  const schema = identifier(options.schema ?? 'LETHE');
  const policies = new Map(columns.flatMap(({ policies }) => policies.map((policy) => [policy.id, policy])));
  return [
    header([...policies.values()]),
    `CREATE SCHEMA IF NOT EXISTS ${schema};`,
    ...(options.language === 'java' ? javaFunctions(schema) : javascriptFunctions(schema)),
    ...columns.map((column) => maskingPolicy(schema, column)),
  ].join('\n\n');
}

/**
 * The session variables that hand a ring to the functions of `snowflakeDdl`. Set them as properties of the connection,
 * never by SET: statements stay in the query history for a year.
 */
export function snowflakeVariables(rings: Iterable<Ring>): Record<string, string> {
  const variables: Record<string, string> = {};
  for (const { policy, asOf, first, window, gone, keys, simulated } of rings) {
    const name = `LETHE_${policy.toUpperCase()}_`;
    variables[`${name}0`] = `${dateOf(asOf)},${dateOf(first)},${simulated ? '' : window};`;
    const days = [
      ...gone.filter((day) => day >= first).map((day) => `${dateOf(day)};`),
      ...[...keys]
        .filter(([day]) => !gone.includes(day))
        .map(([day, key]) => `${dateOf(day)}${Buffer.from(key).toString('base64url')};`),
    ].sort();
    let at = 1;
    let text = '';
    for (const day of days) {
      if (text.length + day.length > VARIABLE_BYTES) {
        variables[name + at++] = text;
        text = '';
      }
      text += day;
    }
    variables[name + at] = text;
  }
  return variables;
}

/** Variables of a policy besides its first: as many as the days that a ring can have. */
export function keyVariables({ window }: Policy): number {
  return Math.ceil((window + MORE_DAYS) / DAYS_A_VARIABLE);
}

function header(policies: readonly Policy[]): string {
  const variables = policies.map((policy) => {
    const name = `LETHE_${policy.id.toUpperCase()}`;
    return `--   ${policy.id} (${oneLine(policy.name)}, ${policy.window} days): ${name}_0 (days), ${name}_1 to ${name}_${keyVariables(policy)} (keys)`;
  });
  return `-- Reveals what Lethe sealed. Nothing below holds a key: a session brings its keys in session variables, which its
-- connection sets as properties ("$NAME" in JDBC). Never set them by SET: statements stay in the query history.
${variables.join('\n')}`;
}

const ARGUMENTS = 'context VARCHAR, ring VARCHAR, today VARCHAR';

/** Name, result, and what does it in the body. */
const FUNCTIONS = [
  ['REVEAL', 'VARCHAR', 'reveal'],
  ['REVEAL_JSON', 'VARCHAR', 'revealJson'],
  ['REVEAL_BYTES', 'BINARY', 'revealBytes'],
] as const;

function javascriptFunctions(schema: string): string[] {
  const library = readBody('reveal.javascript');
  const functions = FUNCTIONS.map(([name, result, handler]) =>
    dollarQuoted(
      `CREATE OR REPLACE FUNCTION ${schema}.${name}(value VARCHAR, ${ARGUMENTS})
RETURNS ${result}
LANGUAGE JAVASCRIPT
STRICT IMMUTABLE
AS`,
      `${library}return lethe1.${handler}(VALUE, CONTEXT, RING, TODAY);\n`,
    ),
  );
  return [...functions, xorFunction(schema)];
}

function javaFunctions(schema: string): string[] {
  const library = readBody('LetheReveal.java');
  const functions = FUNCTIONS.map(([name, result, handler]) =>
    dollarQuoted(
      `CREATE OR REPLACE FUNCTION ${schema}.${name}(value VARCHAR, ${ARGUMENTS})
RETURNS ${result}
LANGUAGE JAVA
STRICT IMMUTABLE
RUNTIME_VERSION = '11'
HANDLER = 'LetheReveal.${handler}'
AS`,
      library,
    ),
  );
  return [...functions, xorFunction(schema)];
}

/** The XOR of two binaries, as long as the shorter: Snowflake's own functions do that for numbers. */
function xorFunction(schema: string): string {
  return dollarQuoted(
    `CREATE OR REPLACE FUNCTION ${schema}.XOR_BINARY(a BINARY, b BINARY)
RETURNS BINARY
LANGUAGE JAVASCRIPT
STRICT IMMUTABLE
AS`,
    readBody('xor.javascript'),
  );
}

function dollarQuoted(head: string, body: string): string {
  if (body.includes('$$')) throw new LetheError('Internal', 'A function body for Snowflake holds $$.');
  return `${head} $$\n${body}$$;`;
}

/** A masking policy of its own for each column, so that what is applied somewhere never changes its meaning. */
function maskingPolicy(schema: string, column: MaskedColumn): string {
  const place = `${column.table}.${column.column}`;
  if (column.readers.length === 0)
    throw new LetheError(
      'RetentionInvalid',
      `Nobody would see values of ${place}: name roles in readers, or give --reader.`,
    );
  const name = `${schema}."LETHE ${place.replaceAll('"', '""')}"`;
  const type = column.holds === 'json' ? 'VARIANT' : 'VARCHAR';
  const roles = column.readers.map((role) => `IS_ROLE_IN_SESSION(${literal(roleName(role))})`);
  const body = `CASE
  WHEN ${roles.join('\n    OR ')}
  THEN ${revealed(schema, column)}
  ELSE ${hidden(column)}
END`;
  return `CREATE MASKING POLICY IF NOT EXISTS ${name} AS (val ${type}) RETURNS ${type} -> NULL::${type};
ALTER MASKING POLICY ${name} SET BODY -> ${body};
ALTER TABLE ${column.table.split('.').map(identifier).join('.')} MODIFY COLUMN ${identifier(column.column)}
  SET MASKING POLICY ${name} FORCE;`;
}

function revealed(schema: string, column: MaskedColumn): string {
  const more = `${literal(column.context)},\n    ${ring(column)},\n    TO_CHAR(SYSDATE(), 'YYMMDD')`;
  return column.holds === 'json'
    ? `PARSE_JSON(${schema}.REVEAL_JSON(TO_JSON(val), ${more}))`
    : `${schema}.REVEAL(val, ${more})`;
}

/** What looks like a token; a class stands for the point, because a backslash would have to be written twice. */
const TOKEN = 'l[tpbq]1[.][a-z0-9]{2}[0-9]{6}[.][A-Za-z0-9_-]{38,}[.]';

function hidden({ holds, others }: MaskedColumn): string {
  if (others === 'null') return 'NULL';
  if (holds === 'value') return `IFF(val IS NULL, NULL, '[hidden]')`;
  const replaced = (text: string) => `REGEXP_REPLACE(${text}, '${TOKEN}', '[hidden]')`;
  return holds === 'json' ? `PARSE_JSON(${replaced('TO_JSON(val)')})` : replaced('val');
}

/** The rings of the session, joined from its variables; what is not set is an empty text. */
function ring({ policies }: MaskedColumn): string {
  return policies
    .map((policy) => {
      const names = Array.from(
        { length: keyVariables(policy) + 1 },
        (_, i) => `LETHE_${policy.id.toUpperCase()}_${i}`,
      );
      const parts = names.map((name) => `COALESCE(GETVARIABLE('${name}'), '')`);
      return `'${policy.id}=${marker(policy)}=' || ${parts.join(' || ')}`;
    })
    .join(` || '|' ||\n    `);
}

/** What an expired value gives, in hexadecimal; `-` for null. */
function marker({ expired }: Policy): string {
  return expired === null ? '-' : Buffer.from(expired).toString('hex');
}

/** Names in small letters are those that nobody quoted: Snowflake has them in capitals. */
function identifier(name: string): string {
  return /^([a-z_][a-z0-9_]*|[A-Z_][A-Z0-9_]*)$/.test(name)
    ? `"${name.toUpperCase()}"`
    : `"${name.replaceAll('"', '""')}"`;
}

function roleName(role: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(role) ? role.toUpperCase() : role;
}

function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ');
}

function readBody(file: string): string {
  return readFileSync(new URL(file, import.meta.url), 'utf8');
}
