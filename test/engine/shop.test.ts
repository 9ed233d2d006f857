import pg from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createShop } from '../../examples/shop/shop.js';
import { createDatabase, onVersions, type TestDatabase } from '../harness/servers.js';

interface ForeignKey {
  name: string;
  child: string;
  parent: string;
  pairs: [string, string][];
}

onVersions('the sample shop', (version) => {
  let database: TestDatabase;
  let client: pg.Client;
  beforeAll(async () => {
    database = await createDatabase(version);
    await createShop(database.url);
    client = new pg.Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await database.drop();
  });

  async function value(sql: string): Promise<unknown> {
    const { rows } = await client.query<Record<string, unknown>>(sql);
    return Object.values(rows[0] ?? {})[0];
  }

  async function count(table: string): Promise<number> {
    return Number(await value(`SELECT count(*) FROM ${table}`));
  }

  test('has about 200,000 rows', async () => {
    const { rows } = await client.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class
       WHERE relnamespace = 'shop'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition`,
    );
    expect(rows.length).toBeGreaterThanOrEqual(12);
    let all = await count('shop.payment');
    for (const { name } of rows) all += await count(`ONLY ${name}`);
    expect(all).toBeGreaterThan(195_000);
    expect(all).toBeLessThan(220_000);
  });

  test('has no orphan, though it was loaded without checks', async () => {
    const { rows } = await client.query<ForeignKey>(FOREIGN_KEYS);
    expect(rows.length).toBeGreaterThanOrEqual(20);
    for (const { name, child, parent, pairs } of rows) {
      const set = pairs.map(([from]) => `c.${from} IS NOT NULL`).join(' AND ');
      const on = pairs.map(([from, to]) => `p.${to} = c.${from}`).join(' AND ');
      const orphans = `${child} c WHERE ${set} AND NOT EXISTS (SELECT FROM ${parent} p WHERE ${on})`;
      expect(await count(orphans), name).toBe(0);
    }
  });

  test('holds rows of every special kind', async () => {
    expect(await count(`shop.payment_2024`)).toBeGreaterThan(1_000);
    expect(await count(`shop.payment_rest`)).toBeGreaterThan(1_000);
    expect((await count(`shop.event`)) - (await count('ONLY shop.event'))).toBe(8_000);
    expect(await count(`shop.customer WHERE first_name ~ '[^\\x01-\\x7f]'`)).toBeGreaterThan(1_000);
    expect(await count(`shop.newsletter n JOIN shop.customer c ON c.email = n.email`)).toBe(4_800);
    expect(await count(`shop.revenue`)).toBeGreaterThan(100);
  });

  test('says of each product what its trigger would have counted', async () => {
    const wrong = `shop.product p WHERE reviews <> (SELECT count(*) FROM shop.review WHERE product_id = p.id)`;
    expect(await count(wrong)).toBe(0);
  });

  test('goes on with new rows', async () => {
    await client.query(
      `INSERT INTO shop.address (street, city, country_code) VALUES ('Neu 1', 'Köln', 'DE')`,
    );
    expect(await value('SELECT max(id)::int FROM shop.address')).toBe(14_001);
  });

  test('is always the same', async () => {
    const digest = await value(`SELECT md5(string_agg(c::text, E'\\n' ORDER BY id)) FROM shop.customer c`);
    expect(digest).toBe('bc8522b3db0c2704e1e539de1827fd02');
  });
});

const FOREIGN_KEYS = `
  SELECT conname AS name, conrelid::regclass::text AS child, confrelid::regclass::text AS parent,
    (SELECT array_agg(ARRAY[quote_ident(f.attname), quote_ident(t.attname)]::text[] ORDER BY n)
     FROM unnest(conkey, confkey) WITH ORDINALITY k (f, t, n)
     JOIN pg_attribute f ON f.attrelid = conrelid AND f.attnum = k.f
     JOIN pg_attribute t ON t.attrelid = confrelid AND t.attnum = k.t) AS pairs
  FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND connamespace = 'shop'::regnamespace`;
