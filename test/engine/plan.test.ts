import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileTable } from '../../anonymize/compile.js';
import { jobKeys } from '../../anonymize/keys.js';
import type { Column } from '../../anonymize/transformer.js';
import { parseJob } from '../../job/load.js';
import type { Job } from '../../job/types.js';
import { buildPlan } from '../../plan/build.js';
import { type Catalog, tableText } from '../../plan/catalog.js';
import type { Plan } from '../../plan/plan.js';
import { refusePlan } from '../../plan/refuse.js';
import { planSummary } from '../../plan/summary.js';
import { readCatalog } from '../../postgres/catalog/read.js';
import { quoteIdent, quoteTable } from '../../postgres/identifiers.js';
import { query, type Session, type SessionOptions, withSession } from '../../postgres/session.js';
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

type Rows = ReadonlyMap<string, Column>;

function sessionOf({ url }: TestDatabase): SessionOptions {
  return { url, role: 'source', applicationName: 'lethe:plan-test' };
}

/** Output of every table by column; a value that cannot be transformed fails the test. */
async function transformAll(session: Session, plan: Plan): Promise<Map<string, Rows>> {
  const keys = jobKeys(Buffer.alloc(32, 7));
  const tables = new Map<string, Rows>();
  for (const { source, columns, key } of plan.tables) {
    const select = columns.map((column) => quoteIdent(column.name)).join(', ');
    const rows = await query(session, `SELECT ${select} FROM ONLY ${quoteTable(source)}`);
    const read = (column: string) => rows.map((row) => row[column] ?? null);
    const compiled = compileTable(
      { columns, key: key.kind === 'columns' ? key.columns : [] },
      keys,
      columns.map(({ domain, compileType }) => ({ name: domain, type: compileType })),
    );
    const made = compiled.transform({ size: rows.length, column: read, condition: () => new Uint8Array() });
    expect(made.failed).toEqual([]);
    const output = new Map(columns.map((column) => [column.name, read(column.name) as Column]));
    for (const [at, column] of compiled.writes.entries()) output.set(column, made.columns[at]!);
    tables.set(tableText(source), output);
  }
  return tables;
}

/** The values of some columns, row by row; rows with a NULL among them are left out. */
function tuples(rows: Rows, columns: readonly string[]): string[] {
  const values = columns.map((column) => rows.get(column)!);
  const first = values[0] ?? [];
  return first.flatMap((_, row) => {
    const tuple = values.map((column) => column[row]);
    return tuple.includes(null) ? [] : [JSON.stringify(tuple)];
  });
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
        catalog = await withSession(sessionOf(database), readCatalog);
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

      test('holds for the rows: every value is taken, unique keys stay apart, references are met', async () => {
        const rows = await withSession(sessionOf(database), (session) => transformAll(session, plan));
        for (const table of catalog.tables) {
          const own = rows.get(tableText(table))!;
          for (const { unique, name: key, columns } of table.indexes) {
            const keys = tuples(own, columns as string[]);
            if (unique) expect([key, new Set(keys).size]).toEqual([key, keys.length]);
          }
          for (const { name: key, columns, references, referencedColumns } of table.foreignKeys) {
            const parents = new Set(tuples(rows.get(tableText(references))!, referencedColumns));
            const orphans = tuples(own, columns).filter((tuple) => !parents.has(tuple));
            expect([key, orphans.length]).toEqual([key, 0]);
          }
        }
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
