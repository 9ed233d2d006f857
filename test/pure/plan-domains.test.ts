import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { codes, columnPlan, plan, refusals, type TableSketch } from './plan-fixture.js';

const SHOP: Record<string, TableSketch> = {
  'public.customer': { columns: { id: 'int8 not null', email: 'text' }, key: ['id'] },
  'public.order': {
    columns: { id: 'int8 not null', customer_id: 'int4' },
    key: ['id'],
    references: ['customer_id -> public.customer.id'],
  },
};

const PERMUTE = 'unlisted: keep\ntables: { public.customer: { columns: { id: permute } } }';

function domainOf(made: ReturnType<typeof plan>, column: string) {
  return made.domains.find(({ members }) => members.includes(column));
}

describe('a domain', () => {
  it('is what foreign keys connect: one name, one transformer, the narrowest type', () => {
    const made = plan(PERMUTE, SHOP);
    expect(codes(made)).toEqual([]);
    expect(domainOf(made, 'public.order.customer_id')).toMatchObject({
      name: 'public.customer.id',
      members: ['public.customer.id', 'public.order.customer_id'],
      transformer: { name: 'permute' },
      type: { kind: 'int4' },
    });
    const column = columnPlan(made, 'public.order.customer_id');
    expect(column).toMatchObject({ domain: 'public.customer.id', compileType: { kind: 'int4' } });
    expect(column.branches).toMatchObject([{ rule: 'foreign key', apply: { name: 'permute' } }]);
    expect(columnPlan(made, 'public.customer.id').branches[0]?.rule).toBe('columns');
  });

  it('may be decided at any member, by an explicit entry', () => {
    const made = plan(
      'unlisted: keep\ntables: { public.order: { columns: { customer_id: permute } } }',
      SHOP,
    );
    expect(columnPlan(made, 'public.customer.id').branches).toMatchObject([
      { rule: 'foreign key', apply: { name: 'permute' } },
    ]);
  });

  it('is decided by a rule that matches the member that references no other; wildcards on others do nothing', () => {
    const rules = (column: string) =>
      `unlisted: keep\nrules: [{ name: r, match: { column: ${column} }, apply: permute }]`;
    const root = plan(rules('id'), SHOP);
    expect(columnPlan(root, 'public.order.customer_id').branches).toMatchObject([
      { rule: 'foreign key', apply: { name: 'permute' } },
    ]);
    const child = plan(rules('customer_id'), SHOP);
    expect(columnPlan(child, 'public.order.customer_id').branches).toMatchObject([
      { apply: { name: 'keep' } },
    ]);
    expect(codes(child, 'warning')).toContain('unused-rule');
    expect(child.findings.find(({ code }) => code === 'rule-overridden')?.message).toContain(
      'rule r matches public.order.customer_id, which follows public.customer.id by foreign keys, so it is kept',
    );
  });

  it('is undecided once, at its root', () => {
    const made = plan('rules: [{ name: r, match: { column: customer_id }, apply: permute }]', SHOP);
    expect(refusals(made)[1]?.message).toContain('(rule r matches public.order.customer_id, which follows');
    expect(
      refusals(made)
        .filter(({ column }) => column?.includes('id'))
        .map(({ table, column }) => `${table}.${column}`),
    ).toEqual(['public.customer.id', 'public.order.id']);
  });

  it('is refused when explicit entries disagree, naming the path', () => {
    const made = plan(
      `unlisted: keep
tables:
  public.customer: { columns: { id: permute } }
  public.line: { columns: { buyer: keep } }`,
      {
        ...SHOP,
        'public.line': {
          columns: { id: 'int4 not null', buyer: 'int4' },
          references: ['buyer -> public.order.customer_id'],
        },
      },
    );
    expect(codes(made)).toEqual(['domain-disagrees']);
    expect(refusals(made)[0]?.message).toContain(
      'public.customer.id → public.order.customer_id → public.line.buyer',
    );
    expect(refusals(made)[0]?.position?.line).toBe(8);
  });

  it('takes no condition, no transformer that reads more than the value, none that gives NULL', () => {
    const conditional = plan(
      `unlisted: keep
rules: [{ name: r, match: { table: public.customer, column: id }, when: "id > 5", apply: permute, otherwise: keep }]`,
      SHOP,
    );
    expect(codes(conditional)).toEqual(['conditional-domain']);
    const dates = {
      'public.day': { columns: { at: 'date not null' }, key: ['at'] },
      'public.event': {
        columns: { id: 'int4 not null', at: 'date' },
        key: ['id'],
        references: ['at -> public.day.at'],
      },
    };
    const shifted = plan('unlisted: keep\ntables: { public.day: { columns: { at: dateShift } } }', dates);
    expect(codes(shifted)).toContain('not-total');
  });

  it('pairs composite keys by position, not by name or number', () => {
    const made = plan('unlisted: keep\ntables: { public.p: { columns: { a: permute } } }', {
      'public.p': { columns: { a: 'int4 not null', b: 'int4 not null' }, key: ['a', 'b'] },
      'public.c': { columns: { a: 'int4', b: 'int4' }, references: ['(b, a) -> public.p.(a, b)'] },
    });
    expect(columnPlan(made, 'public.c.b').branches).toMatchObject([{ apply: { name: 'permute' } }]);
    expect(columnPlan(made, 'public.c.a').branches).toMatchObject([{ apply: { name: 'keep' } }]);
  });

  it('follows self references, cycles, chains and references of the job file', () => {
    const made = plan(
      `unlisted: keep
references: ["public.log.who -> public.b.id"]
tables: { public.a: { columns: { id: permute } } }`,
      {
        'public.a': {
          columns: { id: 'int4 not null', boss: 'int4', b: 'int4 not null' },
          key: ['id'],
          references: ['boss -> public.a.id', 'b -> public.b.id'],
        },
        'public.b': { columns: { id: 'int4 not null' }, key: ['id'], references: ['id -> public.a.id'] },
        'public.log': { columns: { who: 'int4' } },
      },
    );
    expect(codes(made)).toEqual([]);
    expect(domainOf(made, 'public.log.who')).toMatchObject({
      name: 'public.a.id',
      members: ['public.a.b', 'public.a.boss', 'public.a.id', 'public.b.id', 'public.log.who'],
    });
  });

  it('of a cycle is called by its first member in byte order', () => {
    const made = plan('unlisted: keep\ntables: { public.a: { columns: { id: permute } } }', {
      'public.b': { columns: { id: 'int4 not null' }, key: ['id'], references: ['id -> public.a.id'] },
      'public.a': { columns: { id: 'int4 not null' }, key: ['id'], references: ['id -> public.b.id'] },
    });
    expect(domainOf(made, 'public.b.id')?.name).toBe('public.a.id');
  });

  it('follows foreign keys to and from partitioned tables, also by a partition’s name', () => {
    const leaf = { schema: 'public', name: 'ev_1', oid: 7, rows: 1, bytes: 1, pages: 1 };
    const made = plan('unlisted: keep\ntables: { public.ev: { columns: { id: permute } } }', {
      'public.ev': {
        columns: { id: 'int4 not null' },
        key: ['id'],
        kind: 'partitioned',
        leaves: [leaf],
        partitionKey: { columns: ['id'], expression: false, takesAny: true },
      },
      'public.note': { columns: { ev: 'int4' }, references: ['ev -> public.ev_1.id'] },
    });
    expect(codes(made)).toEqual([]);
    expect(domainOf(made, 'public.note.ev')?.name).toBe('public.ev.id');
  });

  it('takes foreign keys that only one end declares', () => {
    const bare = { ...SHOP, 'public.order': { ...SHOP['public.order'], references: [] } } as typeof SHOP;
    for (const made of [plan(PERMUTE, SHOP, bare), plan(PERMUTE, bare, SHOP)]) {
      expect(columnPlan(made, 'public.order.customer_id').branches).toMatchObject([
        { apply: { name: 'permute' } },
      ]);
    }
  });

  it('is left by a column that the job nulls', () => {
    const made = plan(`${PERMUTE.slice(0, -2)}, public.order: { columns: { customer_id: null } } }`, SHOP);
    expect(codes(made)).toEqual([]);
    expect(domainOf(made, 'public.customer.id')?.members).toEqual(['public.customer.id']);
    expect(columnPlan(made, 'public.order.customer_id').branches).toMatchObject([
      { rule: 'columns', apply: { name: 'null' } },
    ]);
  });

  it('compares as coarsely as its coarsest member', () => {
    const tables = {
      'public.u': { columns: { nick: 'citext not null' }, unique: [['nick']] },
      'public.v': { columns: { nick: 'text' }, references: ['nick -> public.u.nick'] },
    };
    const made = plan('tables: { public.u: { columns: { nick: username } } }', tables);
    expect(codes(made)).toEqual([]);
    expect(columnPlan(made, 'public.v.nick').compileType.equality).toBe('caseless');
    const unique = plan('tables: { public.u: { columns: { nick: username } } }', {
      ...tables,
      'public.v': { ...tables['public.v'], unique: [['nick']] },
    });
    expect(codes(unique)).toEqual(['unproved-unique']);
  });
});

describe('names of domains', () => {
  it('are the job’s where it gives one, and connect the columns listed', () => {
    const made = plan(
      `unlisted: keep
domains: { buyers: [public.customer.email, public.news.address] }
tables: { public.news: { columns: { address: email } } }`,
      { ...SHOP, 'public.news': { columns: { address: 'varchar(60)' } } },
    );
    expect(codes(made)).toEqual([]);
    expect(domainOf(made, 'public.customer.email')).toMatchObject({
      name: 'buyers',
      type: { maxLength: 60 },
    });
  });

  it('are refused when two meet, naming the path', () => {
    const made = plan(
      `domains: { x: [public.customer.id], y: [public.order.customer_id] }\n${PERMUTE}`,
      SHOP,
    );
    expect(codes(made)).toEqual(['domains-meet']);
    expect(refusals(made)[0]?.message).toContain('public.customer.id → public.order.customer_id');
  });

  it('are refused when another domain has them', () => {
    const made = plan(`domains: { public.customer.id: [public.order.id] }\n${PERMUTE}`, SHOP);
    expect(codes(made)).toEqual(['domain-name-taken']);
  });

  it('of unknown columns are refused with the nearest', () => {
    const made = plan(`domains: { x: [public.customer.mail] }\n${PERMUTE}`, SHOP);
    expect(refusals(made)[0]?.message).toContain('did you mean "public.customer.email"?');
  });

  it('do not depend on the order of tables or foreign keys, nor on tables that reference the root', () => {
    const graph = fc.array(fc.tuple(fc.nat(7), fc.nat(7)), { maxLength: 14 });
    fc.assert(
      fc.property(graph, fc.infiniteStream(fc.nat(1000)), (edges, noise) => {
        const sketch = (names: readonly number[], pairs: readonly (readonly [number, number])[]) =>
          Object.fromEntries(
            names.map((n): [string, TableSketch] => [
              `public.t${n}`,
              {
                columns: { id: 'int4 not null' },
                key: ['id'],
                references: pairs.filter(([from]) => from === n).map(([, to]) => `id -> public.t${to}.id`),
              },
            ]),
          );
        const names = [0, 1, 2, 3, 4, 5, 6, 7];
        const shuffle = <V>(list: readonly V[]) =>
          list
            .map((value) => ({ value, at: noise.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ value }) => value);
        const text = 'rules: [{ name: all, match: { column: "*" }, apply: permute }]';
        const before = plan(text, sketch(names, edges));
        const after = plan(text, sketch(shuffle(names), shuffle(edges)));
        expect(after.domains).toEqual(before.domains);
        expect(after.order).toEqual(before.order);
        expect(after.ruleSet).toBe(before.ruleSet);
        const grown = plan(text, {
          ...sketch(names, edges),
          'public.a_child': {
            columns: { id: 'int4 not null' },
            references: [`id -> public.t${edges[0]?.[0] ?? 0}.id`],
          },
        });
        for (const { members, name } of before.domains)
          expect(domainOf(grown, members[0] ?? '')?.name).toBe(name);
      }),
      { numRuns: 60 },
    );
  });
});
