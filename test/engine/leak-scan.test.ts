import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { afterAll, expect, it } from 'vitest';
import { describeUnless, sharedData } from '../harness/servers.js';
import { chinook, sakila } from '../whole/acceptance/examples.js';
import { exampleScene, inspected, plant, problems } from './inspect-fixture.js';
import type { Scene } from './load-fixture.js';

const scenes: Scene[] = [];
afterAll(async () => {
  for (const scene of scenes) await scene.end();
});

const key = (name: string) => createHash('sha256').update(name).digest();
const CLEAN_RUNS = 10;

for (const example of [sakila, chinook]) {
  const { path, missing } = sharedData(example.sql);
  describeUnless(missing, `clean copies of ${example.name}`, () => {
    it.each(Array.from({ length: CLEAN_RUNS / 2 }, (_, n) => n))(
      'hold nothing that identifies, whatever the key (%i)',
      async (n) => {
        const scene = await exampleScene(example, path, n % 2 === 0 ? 18 : 15, key(`${example.name} ${n}`));
        scenes.push(scene);
        const { inspection, checks } = await inspected(scene);
        expect(problems(checks)).toEqual([]);
        expect(inspection.leaks).toMatchObject({ leaks: [], overflow: false });
        expect(inspection.leaks!.searched.values).toBeGreaterThan(1000);
        expect(inspection.leaks!.searched.texts).toBeGreaterThan(5000);
        expect(inspection.recomputed.map(({ missing: lost, differing }) => [lost, differing])).toEqual(
          inspection.recomputed.map(() => [0, {}]),
        );
      },
    );
  });
}

const { path, missing } = sharedData(sakila.sql);
describeUnless(missing, 'leaks planted in a copy of sakila', () => {
  it('are found, 20 of 20 of five kinds, each in its place', async () => {
    const scene = await exampleScene(sakila, path, 18, key('planted'));
    scenes.push(scene);
    const people = await scene.rows(
      'source',
      `SELECT email, first_name, last_name, address FROM customer JOIN address USING (address_id)
        ORDER BY customer_id LIMIT 200`,
    );
    const lastNames = new Set(
      readFileSync('anonymize/lists/lastName.v1.ts', 'utf8').toLowerCase().split('\n'),
    );
    const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
    const [same, other, inside, free] = [0, 10, 20, 30].map((from) => people.slice(from, from + 4)) as [
      typeof people,
      typeof people,
      typeof people,
      typeof people,
    ];
    const named = people
      .slice(40)
      .filter((row) => !lastNames.has(row.last_name!.toLowerCase()))
      .slice(0, 4);
    expect(named).toHaveLength(4);
    const of = (table: string, n: number) =>
      `${table}_id = (SELECT ${table}_id FROM ${table} ORDER BY ${table}_id OFFSET ${n} LIMIT 1)`;
    await plant(
      scene,
      ...same.map((row, n) => `UPDATE customer SET email = ${text(row.email!)} WHERE ${of('customer', n)}`),
      ...other.map((row, n) => `UPDATE film SET title = ${text(row.address!)} WHERE ${of('film', n)}`),
      ...inside.map(
        (row, n) =>
          `UPDATE film SET description = jsonb_build_object('contact', jsonb_build_object('mail', ${text(row.email!)}))::text WHERE ${of('film', 100 + n)}`,
      ),
      ...free.map(
        (row, n) =>
          `UPDATE film SET description = ${text(`Please call back soon: ${row.address!.toUpperCase().replaceAll(' ', '\n')}, she said.`)} WHERE ${of('film', 200 + n)}`,
      ),
      ...named
        .slice(0, 2)
        .map(
          (row, n) =>
            `UPDATE film SET description = ${text(`Ask ${row.first_name} ${row.last_name} about it`)} WHERE ${of('film', 300 + n)}`,
        ),
      ...named
        .slice(2)
        .map(
          (row, n) =>
            `UPDATE actor SET first_name = ${text(row.first_name!)}, last_name = ${text(row.last_name!)} WHERE ${of('actor', n)}`,
        ),
    );
    const { inspection } = await inspected(scene);
    const found = Object.fromEntries(
      inspection.leaks!.leaks.map(({ from, to, hits }) => [`${from} in ${to}`, hits]),
    );
    expect(found).toEqual({
      'public.customer.email in public.customer.email': 4,
      'public.address.address in public.film.title': 4,
      'public.customer.email in public.film.description': 4,
      'public.address.address in public.film.description': 4,
      'public.customer.first_name+last_name in public.film.description': 2,
      'public.customer.first_name+last_name in public.actor.first_name+last_name': 2,
    });
  });
});
