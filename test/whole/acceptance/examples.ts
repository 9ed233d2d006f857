import type { Identifying } from './leaks.js';

/** An example database with its job file, and what tests know about its data. */
export interface Example {
  readonly name: string;
  readonly job: string;
  readonly sql: string;
  readonly identifying: Identifying;
  /** Of tables without a primary key. */
  readonly keys: Record<string, string[]>;
  /** Surrogate keys and e-mail addresses, of which two runs with `consistency: run` share none. */
  readonly unlinkable: readonly { readonly select: string; readonly range: number }[];
  /** Joins whose results hold nothing but counts and kept columns: equal on both sides. */
  readonly joins: Record<string, string>;
  /** What an application inserts next, without naming keys that a sequence makes. */
  readonly inserts: readonly string[];
}

const PERMUTED = 2 ** 30 - 1;

export const sakila: Example = {
  name: 'sakila',
  job: 'examples/sakila/job.yaml',
  sql: 'sakila.sql',
  identifying: {
    values: [
      'SELECT email FROM public.customer UNION SELECT email FROM public.staff',
      'SELECT phone FROM public.address',
      `SELECT address FROM public.address WHERE address ~ '\\d' UNION SELECT address2 FROM public.address WHERE address2 ~ '\\d'`,
      'SELECT password FROM public.staff',
    ],
    names: ['customer', 'staff', 'actor'].map(
      (table) => `SELECT DISTINCT first_name AS first, last_name AS last FROM public.${table}`,
    ),
  },
  keys: Object.fromEntries(
    ['01', '02', '03', '04', '05', '06'].map((month) => [`public.payment_p2007_${month}`, ['payment_id']]),
  ),
  unlinkable: [
    ...['customer', 'staff', 'store', 'actor', 'address', 'inventory', 'rental', 'payment'].map((table) => ({
      select: `SELECT ${table}_id FROM public.${table}`,
      range: PERMUTED,
    })),
    { select: 'SELECT email FROM public.customer', range: Infinity },
  ],
  joins: {
    'amounts by category': `SELECT c.name, count(*), sum(p.amount) FROM public.payment p
      JOIN public.rental r USING (rental_id) JOIN public.inventory i USING (inventory_id)
      JOIN public.film_category fc ON fc.film_id = i.film_id JOIN public.category c USING (category_id)
      GROUP BY 1 ORDER BY 1`,
    'rentals by city': `SELECT co.country, ci.city, count(*), count(DISTINCT c.customer_id), min(r.rental_date)
      FROM public.rental r JOIN public.customer c USING (customer_id) JOIN public.address a USING (address_id)
      JOIN public.city ci USING (city_id) JOIN public.country co USING (country_id) GROUP BY 1, 2 ORDER BY 1, 2`,
    'casts and copies of films': `SELECT f.title, count(DISTINCT a.actor_id), count(DISTINCT i.inventory_id)
      FROM public.film f LEFT JOIN public.film_actor fa USING (film_id) LEFT JOIN public.actor a USING (actor_id)
      LEFT JOIN public.inventory i ON i.film_id = f.film_id GROUP BY 1 ORDER BY 1`,
    'stores, their managers and staff': `SELECT ci.city, m.active, count(DISTINCT t.staff_id), count(DISTINCT c.customer_id),
        bool_and(m.store_id = s.store_id)
      FROM public.store s JOIN public.staff m ON m.staff_id = s.manager_staff_id
      JOIN public.staff t ON t.store_id = s.store_id JOIN public.customer c ON c.store_id = s.store_id
      JOIN public.address a ON a.address_id = s.address_id JOIN public.city ci USING (city_id) GROUP BY 1, 2 ORDER BY 1, 2`,
    'payments by table': `SELECT p.tableoid::regclass, count(*), sum(p.amount), count(DISTINCT p.payment_id),
        count(DISTINCT p.customer_id), min(p.payment_date), max(p.payment_date)
      FROM public.payment p JOIN public.staff s USING (staff_id) GROUP BY 1 ORDER BY 1::text`,
    'a view of sums': 'SELECT * FROM public.sales_by_film_category ORDER BY category',
    'views of people': `SELECT (SELECT count(*) FROM public.customer_list), (SELECT count(*) FROM public.staff_list),
      (SELECT count(*) FROM public.actor_info), (SELECT count(*) FROM public.sales_by_store),
      (SELECT count(*) FROM public.nicer_but_slower_film_list)`,
    'what the triggers and generated texts gave': `SELECT film_id, fulltext, special_features, rating, release_year
      FROM public.film ORDER BY film_id`,
  },
  inserts: [
    `INSERT INTO public.actor (first_name, last_name) VALUES ('N', 'N')`,
    `INSERT INTO public.category (name) VALUES ('N')`,
    `INSERT INTO public.address (address, district, city_id, phone) SELECT 'N', 'N', min(city_id), 'N' FROM public.city`,
    `INSERT INTO public.customer (store_id, first_name, last_name, address_id)
       SELECT store_id, 'N', 'N', address_id FROM public.store LIMIT 1`,
    `INSERT INTO public.staff (first_name, last_name, address_id, store_id, username)
       SELECT 'N', 'N', address_id, store_id, 'N' FROM public.store LIMIT 1`,
    `INSERT INTO public.film (title, language_id, fulltext) SELECT 'N', min(language_id), '' FROM public.language`,
    `INSERT INTO public.inventory (film_id, store_id) SELECT film_id, store_id FROM public.inventory LIMIT 1`,
    `INSERT INTO public.rental (rental_date, inventory_id, customer_id, staff_id)
       SELECT '2030-01-01', inventory_id, customer_id, staff_id FROM public.rental LIMIT 1`,
    // A rule of the table sends it to its month.
    `INSERT INTO public.payment (customer_id, staff_id, rental_id, amount, payment_date)
       SELECT customer_id, staff_id, rental_id, 1, '2007-01-15' FROM public.rental LIMIT 1`,
  ],
};

export const chinook: Example = {
  name: 'chinook',
  job: 'examples/chinook/job.yaml',
  sql: 'chinook.sql',
  identifying: {
    values: [
      'SELECT email FROM public.customer UNION SELECT email FROM public.employee',
      `SELECT v FROM public.customer, unnest(ARRAY[phone, fax]) v UNION SELECT v FROM public.employee, unnest(ARRAY[phone, fax]) v`,
      `SELECT address FROM public.customer WHERE address ~ '\\d' UNION SELECT address FROM public.employee WHERE address ~ '\\d'
       UNION SELECT billing_address FROM public.invoice WHERE billing_address ~ '\\d'`,
      'SELECT company FROM public.customer',
    ],
    names: ['customer', 'employee'].map(
      (table) => `SELECT DISTINCT first_name AS first, last_name AS last FROM public.${table}`,
    ),
  },
  keys: {},
  unlinkable: [
    ...['customer', 'employee', 'invoice', 'invoice_line', 'track'].map((table) => ({
      select: `SELECT ${table}_id FROM public.${table}`,
      range: PERMUTED,
    })),
    { select: 'SELECT email FROM public.customer', range: Infinity },
  ],
  joins: {
    'sales by genre': `SELECT g.name, count(*), sum(l.unit_price * l.quantity), count(DISTINCT i.customer_id)
      FROM public.invoice_line l JOIN public.invoice i USING (invoice_id) JOIN public.track t USING (track_id)
      JOIN public.genre g USING (genre_id) GROUP BY 1 ORDER BY 1`,
    'customers by country and agent': `SELECT c.country, e.title, count(*), count(DISTINCT e.employee_id), sum(i.total)
      FROM public.customer c JOIN public.employee e ON e.employee_id = c.support_rep_id
      JOIN public.invoice i USING (customer_id) GROUP BY 1, 2 ORDER BY 1, 2`,
    'tracks of playlists': `SELECT p.name, a.title, count(*), sum(t.milliseconds) FROM public.playlist p
      JOIN public.playlist_track USING (playlist_id) JOIN public.track t USING (track_id)
      JOIN public.album a USING (album_id) GROUP BY 1, 2 ORDER BY 1, 2`,
    'the tree of employees': `WITH RECURSIVE tree AS (
        SELECT employee_id, title::text AS path FROM public.employee WHERE reports_to IS NULL
        UNION ALL SELECT e.employee_id, path || ' > ' || e.title FROM public.employee e
          JOIN tree t ON t.employee_id = e.reports_to)
      SELECT path, count(*) FROM tree GROUP BY 1 ORDER BY 1`,
    'invoices that repeat the address of their customer': `SELECT count(*),
        count(*) FILTER (WHERE i.billing_address = c.address), count(*) FILTER (WHERE i.billing_city = c.city),
        count(*) FILTER (WHERE i.billing_postal_code = c.postal_code), count(DISTINCT i.billing_address)
      FROM public.invoice i JOIN public.customer c USING (customer_id)`,
  },
  inserts: [
    `INSERT INTO public.employee (employee_id, last_name, first_name, reports_to)
       SELECT max(employee_id) + 1, 'N', 'N', max(employee_id) FROM public.employee`,
  ],
};
