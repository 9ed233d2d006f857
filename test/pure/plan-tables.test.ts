import { describe, expect, it } from 'vitest';
import { LetheError } from '../../errors/errors.js';
import { refusePlan } from '../../plan/refuse.js';
import { codes, columnPlan, plan, refusals } from './plan-fixture.js';

const KEEP = 'unlisted: keep\n';
const T = { columns: { id: 'int4 not null', name: 'varchar(40)' }, key: ['id'] };

describe('which tables', () => {
  it('takes what include matches, without excluded, skipped and Lethe’s own', () => {
    const made = plan(
      `${KEEP}include: ["public.*", "lethe.*"]\nexclude: ["*.tmp_*"]\ntables: { public.old: { skip: true } }`,
      { 'public.a': T, 'public.tmp_x': T, 'public.old': T, 'other.b': T, 'lethe.run': T },
    );
    expect(made.tables.map(({ source }) => source.name)).toEqual(['a']);
    expect(codes(made)).toEqual([]);
  });

  it('numbers tables in byte order of their names, whatever the catalog’s order', () => {
    const made = plan(KEEP, { 'public.b': T, 'public.Z': T, 'public.é': T, 'public.a': T });
    expect(made.tables.map(({ id, source }) => `${id} ${source.name}`)).toEqual(['1 Z', '2 a', '3 b', '4 é']);
  });

  it('refuses a job that matches nothing', () => {
    expect(codes(plan(`${KEEP}include: ["crm.*"]`, { 'public.a': T }))).toEqual(['no-tables']);
  });

  it('names missing tables and columns of the job file with their place and the nearest name', () => {
    const made = plan(
      `${KEEP}tables:
  public.custmer: { where: "true" }
  public.customer:
    columns:
      nmae: mask`,
      { 'public.customer': T },
    );
    expect(
      refusals(made).map(
        ({ code, position, message }) => `${code} ${position?.line}:${position?.column} ${message}`,
      ),
    ).toEqual([
      'missing-table 7:3 public.custmer is not in the source (did you mean "public.customer"?)',
      'missing-column 10:7 public.customer has no column nmae (did you mean "name"?)',
    ]);
  });

  it('maps renamed tables', () => {
    const source = { 'public.a': T, 'public.b': T, 'public.c': T };
    const made = plan(
      `${KEEP}tables: { public.b: { rename: staging.bb }, public.c: { rename: staging.a } }`,
      source,
      { 'public.a': T, 'staging.a': T, 'staging.bb': T },
    );
    expect(codes(made)).toEqual([]);
    expect(made.tables.map(({ destination }) => `${destination.schema}.${destination.name}`)).toEqual([
      'public.a',
      'staging.bb',
      'staging.a',
    ]);
  });

  it('refuses what the destination lacks, with the nearest name, and what would be written twice', () => {
    const made = plan(KEEP, { 'public.customer': T }, { 'public.customers': T });
    expect(codes(made)).toEqual(['missing-destination']);
    expect(refusals(made)[0]?.message).toContain('did you mean "public.customers"?');
    const twice = plan(
      `${KEEP}tables: { public.b: { rename: public.a } }`,
      { 'public.a': T, 'public.b': T },
      { 'public.a': T },
    );
    expect(codes(twice)).toEqual(['shared-destination']);
  });

  it('maps whole schemas, foreign keys included', () => {
    const parent = { columns: { id: 'int4 not null' }, key: ['id'] };
    const child = (schema: string) => ({ columns: { p: 'int4' }, references: [`p -> ${schema}.p.id`] });
    const text = (schemas: string) =>
      `${KEEP}destination: { postgres: env:B, schemas: ${schemas} }\ntables: { crm.p: { columns: { id: permute } } }`;
    const source = { 'crm.p': parent, 'crm.c': child('crm') };
    const destination = { 'staging.p': parent, 'staging.c': child('staging') };
    const made = plan(text('{ crm: staging }'), source, destination);
    expect(codes(made)).toEqual([]);
    expect(made.tables.map((table) => table.destination.schema)).toEqual(['staging', 'staging']);
    expect(made.domains[0]?.members).toEqual(['crm.c.p', 'crm.p.id']);
    expect(codes(plan(text('{ crm: staging, cmr: x }'), source, destination))).toEqual(['missing-schema']);
  });

  it('refuses partitions that are foreign tables', () => {
    const leaves = [{ schema: 'public', name: 'far', oid: 9, rows: 1, bytes: 1, pages: 1, foreign: true }];
    const made = plan(KEEP, { 'public.a': { ...T, kind: 'partitioned', leaves } }, { 'public.a': T });
    expect(codes(made)).toEqual(['foreign-leaf']);
  });
});

describe('which columns', () => {
  it('leaves out generated columns, and says what the destination computes anew', () => {
    const made = plan(`${KEEP}tables: { public.a: { columns: { name: scramble } } }`, {
      'public.a': { columns: { id: 'int4 not null', name: 'text', upper: 'text = name' }, key: ['id'] },
    });
    expect(made.tables[0]?.columns.map(({ name }) => name)).toEqual(['id', 'name']);
    expect(codes(made, 'note')).toContain('generated-changes');
    expect(codes(made)).toEqual([]);
  });

  it('refuses columns that the destination lacks, unless the job nulls them', () => {
    const source = {
      'public.a': { columns: { id: 'int4 not null', fax: 'text', note: 'text' }, key: ['id'] },
    };
    const there = { 'public.a': { columns: { id: 'int4 not null', notes: 'text' }, key: ['id'] } };
    const made = plan(`${KEEP}tables: { public.a: { columns: { fax: null } } }`, source, there);
    expect(refusals(made).map(({ code, column }) => `${code} ${column}`)).toEqual([
      'missing-destination-column note',
    ]);
    expect(refusals(made)[0]?.message).toContain('did you mean "notes"?');
  });

  it('refuses columns that nothing fills', () => {
    const there = (text: string, more = {}) =>
      plan(
        KEEP,
        { 'public.a': T },
        { 'public.a': { ...T, columns: { ...T.columns, extra: text }, override: { extra: more } } },
      );
    expect(codes(there('int4 not null'))).toEqual(['unfilled-column']);
    expect(codes(there('int4'))).toEqual([]);
    expect(codes(there('int4 not null', { default: '0' }))).toEqual([]);
    expect(codes(there('identity'))).toEqual([]);
  });

  it.each([
    ['int4', 'int4', [], []],
    ['int4', 'int8', [], ['type-wider']],
    ['int8', 'int4', ['type-narrower'], []],
    ['varchar(40)', 'text', [], ['type-wider']],
    ['text', 'varchar(40)', ['type-narrower'], []],
    ['numeric(10,2)', 'numeric(12,2)', [], ['type-wider']],
    ['numeric(10,2)', 'numeric(10,1)', ['type-narrower'], []],
    ['enum(a,b)', 'enum(a,b,c)', [], []],
    ['enum(a,b)', 'enum(a)', ['type-narrower'], []],
    ['uuid', 'text', [], ['type-wider']],
    ['text', 'uuid', ['type-mismatch'], []],
    ['timestamp', 'timestamptz', ['type-mismatch'], []],
  ])('compares types: %s into %s', (from, to, refused, warned) => {
    const table = (text: string) => ({
      'public.a': { columns: { id: 'int4 not null', x: text }, key: ['id'] },
    });
    const made = plan(KEEP, table(from), table(to));
    expect([codes(made), codes(made, 'warning')]).toEqual([refused, warned]);
  });

  it('compiles a transformer for the narrower of both ends', () => {
    const table = (text: string) => ({
      'public.a': { columns: { id: 'int4 not null', x: text }, key: ['id'] },
    });
    const made = plan(
      `${KEEP}tables: { public.a: { columns: { x: scramble } } }`,
      table('text'),
      table('varchar(10)'),
    );
    expect(codes(made)).toEqual([]);
    expect(columnPlan(made, 'public.a.x').compileType.maxLength).toBe(10);
    expect(columnPlan(made, 'public.a.x').type.maxLength).toBeUndefined();
  });

  it('warns of NOT NULL in the destination only', () => {
    const made = plan(
      KEEP,
      { 'public.a': T },
      { 'public.a': { ...T, columns: { ...T.columns, name: 'varchar(40) not null' } } },
    );
    expect(codes(made, 'warning')).toEqual(['null-possible']);
  });

  it('says which role row-level security needs', () => {
    const made = plan(KEEP, { 'public.a': { ...T, rowSecurity: 'on' } });
    expect(made.findings.find(({ code }) => code === 'row-security')?.message).toContain(
      'own it (crm) or have BYPASSRLS',
    );
  });
});

describe('a refused plan', () => {
  it('throws with every refusal and where it stands', () => {
    const made = plan('tables: { public.a: { columns: { nam: mask } } }', { 'public.a': T });
    let thrown: unknown;
    try {
      refusePlan(made);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(LetheError);
    expect((thrown as LetheError).type).toBe('PlanRefused');
    expect((thrown as LetheError).message).toMatch(
      /^The plan is refused for 3 reasons:\n- crm\.yaml:5:\d+: public\.a has no column nam/,
    );
    expect((thrown as LetheError).details).toEqual({
      codes: ['missing-column', 'undecided-column'],
      count: 3,
    });
    expect(() => refusePlan(plan(KEEP, { 'public.a': T }))).not.toThrow();
  });
});
