/** 15 columns, about 285 bytes a row as COPY text; a random order in nothing but the values. */
export const TABLE = `CREATE TABLE public.customer (
  id          bigint PRIMARY KEY,
  email       text NOT NULL,
  first_name  text NOT NULL,
  last_name   text NOT NULL,
  phone       text,
  street      text,
  city        text,
  postal_code text,
  country     char(2),
  birth_date  date,
  created_at  timestamptz NOT NULL,
  balance     numeric(12, 2),
  status      text,
  token       uuid,
  note        text
)`;

export const INDEXES = [
  'CREATE INDEX customer_email ON public.customer (email)',
  'CREATE INDEX customer_created ON public.customer (created_at)',
];

/** Names are picked from short lists, as real ones repeat. */
export function rowsSql(rows: number): string {
  return `INSERT INTO public.customer
  SELECT i,
    lower(f.name) || '.' || lower(l.name) || i || '@' || (ARRAY['example.com', 'mail.example.org', 'post.example.net'])[1 + i % 3],
    f.name, l.name,
    '+49 ' || (150 + i % 30) || ' ' || lpad((i * 7919 % 10000000)::text, 7, '0'),
    (ARRAY['Hauptstraße', 'Lindenallee', 'Bahnhofstr.', 'Am Markt'])[1 + i % 4] || ' ' || (i % 200),
    (ARRAY['Berlin', 'Hamburg', 'Köln', 'München', 'Leipzig'])[1 + i % 5],
    lpad((i * 31 % 100000)::text, 5, '0'),
    (ARRAY['DE', 'AT', 'CH'])[1 + i % 3],
    date '1940-01-01' + (i * 13 % 25000)::int,
    timestamptz '2015-01-01' + i % 300000000 * interval '1 second',
    (i * 17 % 1000000) / 100.0,
    (ARRAY['active', 'dormant', 'blocked'])[1 + i % 3],
    md5(i::text)::uuid,
    CASE WHEN i % 10 = 0 THEN NULL ELSE repeat(md5((i % 1000)::text) || ' ', 3) END
  FROM generate_series(1::bigint, ${rows}) AS i,
    LATERAL (SELECT (ARRAY['Anna', 'Ben', 'Clara', 'David', 'Emma', 'Felix', 'Greta', 'Hannes', 'Ida', 'Jonas', 'Katharina', 'Lukas'])[1 + i % 12] AS name) AS f,
    LATERAL (SELECT (ARRAY['Müller', 'Schmidt', 'Schneider', 'Fischer', 'Weber', 'Meyer', 'Wagner', 'Becker', 'Schulz', 'Hoffmann', 'Koch'])[1 + i % 11] AS name) AS l`;
}
