import type pg from 'pg';
import { count, paint, table } from '../../cli/terminal.js';

/** What the demo compares, each an open connection. */
export interface Pair {
  readonly source: pg.Client;
  readonly copy: pg.Client;
}

interface Sample {
  readonly table: string;
  /** Which row of the source. */
  readonly where: string;
  /** A column that the job keeps and that is unique: it finds the same row in the copy. */
  readonly kept: string;
  readonly columns: readonly string[];
}

const SAMPLES: readonly Sample[] = [
  {
    table: 'shop.customer',
    where: "iban LIKE 'DE%' AND phone IS NOT NULL AND referred_by IS NOT NULL AND preferences ? 'contacts'",
    kept: 'created_at',
    columns: [
      'id',
      'first_name',
      'last_name',
      'email',
      'phone',
      'born',
      'iban',
      'signup_ip',
      'referred_by',
      'preferences',
    ],
  },
  {
    table: 'shop.payment',
    where: 'card IS NOT NULL',
    kept: 'id',
    columns: ['order_id', 'amount', 'card', 'holder'],
  },
  { table: 'shop.review', where: "body LIKE '%@%'", kept: 'id', columns: ['customer_id', 'rating', 'body'] },
];

/** A few rows before and after. */
export async function sampleText({ source, copy }: Pair): Promise<string> {
  const parts: string[] = [];
  for (const { table: name, where, kept, columns } of SAMPLES) {
    const list = columns.map((column) => `${column}::text`).join(', ');
    const [before] = await rowsOf(
      source,
      `SELECT ${kept}::text AS kept_key, ${list} FROM ${name} WHERE ${where} ORDER BY 1 LIMIT 1`,
    );
    const [after] = await rowsOf(copy, `SELECT ${list} FROM ${name} WHERE ${kept}::text = $1`, [
      before?.kept_key,
    ]);
    const line = (column: string) => [column, shown(before?.[column]), shown(after?.[column])];
    const heads = [{ head: 'column' }, { head: 'source', width: 40 }, { head: 'copy', width: 40 }];
    parts.push(paint.bold(name), table(heads, columns.map(line)), '');
  }
  return parts.join('\n');
}

function shown(value: string | null | undefined): string {
  return value == null ? paint.dim('NULL') : value;
}

/** Rows of every table on both sides. `equal` is false as soon as one differs. */
export async function countsText(pair: Pair): Promise<{ text: string; equal: boolean }> {
  const tables = await rowsOf(
    pair.source,
    `SELECT c.oid::regclass::text AS name, CASE c.relkind WHEN 'p' THEN '' ELSE 'ONLY ' END AS only
     FROM pg_class c WHERE c.relnamespace = 'shop'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
     ORDER BY 1`,
  );
  const lines: string[][] = [];
  let equal = true;
  for (const { name, only } of tables) {
    const [before, after] = await both(pair, `SELECT count(*)::text AS n FROM ${only}${name}`);
    equal &&= before === after;
    lines.push([
      name ?? '',
      count(Number(before)),
      count(Number(after)),
      before === after ? paint.green('equal') : paint.red('differs'),
    ]);
  }
  const heads = [
    { head: 'table' },
    { head: 'source', right: true },
    { head: 'copy', right: true },
    { head: '' },
  ];
  return { text: table(heads, lines), equal };
}

async function both({ source, copy }: Pair, sql: string): Promise<[string, string]> {
  const [[before], [after]] = [await rowsOf(source, sql), await rowsOf(copy, sql)];
  return [before?.n ?? '', after?.n ?? ''];
}

/** Looks for rows of the copy whose parent is missing, key by key, whatever the server believes of its constraints. */
export async function foreignKeysText({ source, copy }: Pair): Promise<{ text: string; valid: boolean }> {
  const wanted = await rowsOf(source, FOREIGN_KEYS);
  const there = await rowsOf(copy, FOREIGN_KEYS);
  let orphans = 0;
  for (const { check } of there) orphans += Number((await rowsOf(copy, check ?? ''))[0]?.n);
  const validated = there.filter(({ valid }) => valid === 'true').length;
  const valid = orphans === 0 && validated === wanted.length && there.length === wanted.length;
  const mark = valid ? paint.green('✓') : paint.red('✗');
  return {
    text: `${mark} ${validated} of ${wanted.length} foreign keys valid, ${orphans} rows without their parent`,
    valid,
  };
}

const FOREIGN_KEYS = `
  SELECT convalidated::text AS valid, format(
    'SELECT count(*)::text AS n FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)', conrelid::regclass,
    string_agg(format('c.%I IS NOT NULL', f.attname), ' AND '), confrelid::regclass,
    string_agg(format('p.%I = c.%I', t.attname, f.attname), ' AND ')) AS check
  FROM pg_constraint, unnest(conkey, confkey) k (f, t)
  JOIN pg_attribute f ON f.attnum = k.f JOIN pg_attribute t ON t.attnum = k.t
  WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'shop'::regnamespace
    AND f.attrelid = conrelid AND t.attrelid = confrelid
  GROUP BY pg_constraint.oid, conrelid, confrelid, convalidated`;

async function rowsOf(
  client: pg.Client,
  sql: string,
  values: unknown[] = [],
): Promise<Record<string, string>[]> {
  return (await client.query<Record<string, string>>(sql, values)).rows;
}
