import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseJob } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import { buildPlan } from '../../plan/build.js';
import type { Catalog } from '../../plan/catalog.js';
import type { Plan } from '../../plan/plan.js';
import { refusePlan } from '../../plan/refuse.js';
import { planSummary } from '../../plan/summary.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { withSession } from '../../postgres/session.js';
import {
  createDatabase,
  describeUnless,
  onVersions,
  sharedData,
  type TestDatabase,
} from '../harness/servers.js';

async function exampleJob(name: string): Promise<Job> {
  const file = new URL(`../../examples/${name}/job.yaml`, import.meta.url);
  const { job, mistakes } = parseJob(await readFile(file, 'utf8'), 'job.yaml');
  expect(mistakes).toEqual([]);
  return job!;
}

for (const name of ['sakila', 'chinook']) {
  const data = sharedData(`${name}.sql`);
  describeUnless(data.missing, `the example ${name}`, () => {
    onVersions('planned', (version) => {
      let database: TestDatabase;
      let catalog: Catalog;
      let job: Job;
      let plan: Plan;
      beforeAll(async () => {
        database = await createDatabase(version, data.path);
        catalog = await withSession(
          { url: database.url, role: 'source', applicationName: 'lethe:plan-test' },
          readCatalog,
        );
        job = await exampleJob(name);
        plan = buildPlan({ job, source: catalog, destination: catalog });
      });
      afterAll(() => database?.drop());

      test('proves everything', () => {
        refusePlan(plan);
        const { undecided, warnings } = planSummary(plan);
        expect([undecided, warnings]).toEqual([[], []]);
        expect(plan.tables).toHaveLength(catalog.tables.length);
      });

      test('permutes every surrogate key of people and shops, and what references them', () => {
        for (const table of ['customer', 'staff', 'store', 'employee']) {
          const domain = plan.domains.find(({ name: key }) => key === `public.${table}.${table}_id`);
          if (!catalog.tables.some((each) => each.name === table)) continue;
          expect(domain?.transformer.name).toBe('permute');
          for (const { schema, name: child, foreignKeys } of catalog.tables) {
            for (const { columns, references } of foreignKeys) {
              if (references.name === table)
                expect(domain?.members).toContain(`${schema}.${child}.${columns[0]}`);
            }
          }
        }
      });

      test('keeps no column that a name, an address or a number of a person may stand in', () => {
        const personal =
          /^(first|last)_name$|^(email|phone|fax|username|password|picture|composer)$|address2?$|postal_code$/;
        const kept = plan.tables.flatMap((table) =>
          table.columns
            .filter(
              ({ name: column, branches }) =>
                personal.test(column) && branches.some(({ apply }) => apply.name === 'keep'),
            )
            .map((column) => `${table.source.name}.${column.name}`),
        );
        expect(kept).toEqual([]);
      });

      test('is the same whatever database it is made from', () => {
        const again = buildPlan({
          job,
          source: { ...catalog, tables: [...catalog.tables].reverse() },
          destination: catalog,
        });
        expect(again).toEqual(plan);
      });
    });
  });
}
