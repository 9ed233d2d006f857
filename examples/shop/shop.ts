import { readFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Value } from './rows.js';
import { type ShopTable, TABLES } from './tables.js';

/** Makes the schema `shop`, without rows: what a destination has before its first run. */
export function createShopSchema(url: string): Promise<void> {
  return connected(url, async (client) => {
    await client.query(await readFile(new URL('schema.sql', import.meta.url), 'utf8'));
  });
}

/**
 * Makes the schema `shop` and fills it with about 200,000 rows, always the same ones. Needs a superuser: triggers
 * are off while it loads.
 */
export async function createShop(url: string): Promise<void> {
  await createShopSchema(url);
  await connected(url, async (client) => {
    await client.query('BEGIN; SET LOCAL session_replication_role = replica');
    for (const table of TABLES) await load(client, table);
    await client.query('COMMIT');
    await client.query(CATCH_UP);
    await client.query('REFRESH MATERIALIZED VIEW shop.revenue');
    await client.query('ANALYZE');
  });
}

/** Rows were written with their numbers: sequences go on above them. */
const CATCH_UP = `
  SELECT setval(pg_get_serial_sequence('shop.' || t, 'id'), (xpath('/row/max/text()',
    query_to_xml('SELECT max(id) FROM shop.' || t, false, true, '')))[1]::text::bigint)
  FROM unnest(ARRAY['address', 'store', 'employee', 'customer', 'product', 'supplier', '"order"', 'payment', 'review']) t;
  SELECT setval('shop.order_number', max(number)) FROM shop."order"`;

async function load(client: pg.Client, { name, columns, rows }: ShopTable): Promise<void> {
  const copy = client.query(copyFrom(`COPY shop.${name} (${columns}) FROM STDIN`));
  await pipeline(Readable.from(chunks(rows())), copy);
}

/** COPY text, about 64 kB at a time. */
function* chunks(rows: Iterable<readonly Value[]>): Generator<string> {
  let chunk = '';
  for (const row of rows) {
    chunk += `${row.map(field).join('\t')}\n`;
    if (chunk.length < 65_536) continue;
    yield chunk;
    chunk = '';
  }
  yield chunk;
}

function field(value: Value): string {
  if (value === null) return '\\N';
  if (typeof value !== 'string') return String(value);
  return value.replace(/\\/g, '\\\\').replace(/\n/g, '\\n').replace(/\t/g, '\\t').replace(/\r/g, '\\r');
}

async function connected(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
