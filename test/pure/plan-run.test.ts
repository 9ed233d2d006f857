import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { planExpressions } from '../../plan/expressions.js';
import { components } from '../../plan/graph.js';
import { planSummary } from '../../plan/summary.js';
import { codes, index, job, plan, refusals, SHOP, type TableSketch } from './plan-fixture.js';

const KEEP = 'unlisted: keep\n';

describe('keys to cut by', () => {
  const keyOf = (sketch: Partial<TableSketch>) =>
    plan(KEEP, { 'public.t': { columns: { a: 'int4 not null', b: 'text not null', c: 'text' }, ...sketch } })
      .tables[0]?.key;

  it('are the primary key, else a unique index without NULLs, else blocks', () => {
    expect(keyOf({ key: ['b', 'a'], unique: [['a']] })).toEqual({ kind: 'columns', columns: ['b', 'a'] });
    expect(keyOf({ unique: [['a', 'b'], ['b']] })).toEqual({ kind: 'columns', columns: ['b'] });
    expect(keyOf({ unique: [['c']] })).toEqual({ kind: 'ctid' });
    expect(keyOf({})).toEqual({ kind: 'ctid' });
    for (const more of [{ valid: false }, { predicate: '(a > 1)' }, { method: 'hash' }]) {
      expect(keyOf({ unique: [{ ...index('u', ['a']), ...more }] })).toEqual({ kind: 'ctid' });
    }
  });

  it('of a partition root stand for its leaves', () => {
    const leaf = (name: string) => ({
      schema: 'public',
      name,
      oid: 5,
      rows: 1,
      bytes: 2,
      pages: 3,
      filenode: '77',
    });
    const made = plan(KEEP, {
      'public.t': {
        columns: { a: 'int4 not null' },
        key: ['a'],
        kind: 'partitioned',
        leaves: [leaf('t1'), leaf('t2')],
      },
    });
    expect(made.tables[0]?.units).toEqual([leaf('t1'), leaf('t2')]);
    expect(made.tables[0]?.destinationKind).toBe('partitioned');
  });
});

describe('order', () => {
  it('has parents before children, cycles together, self references ignored', () => {
    const made = plan(KEEP, {
      ...SHOP,
      'public.a': {
        columns: { id: 'int4 not null', b: 'int4', up: 'int4' },
        key: ['id'],
        references: ['b -> public.b.id', 'up -> public.a.id'],
      },
      'public.b': {
        columns: { id: 'int4 not null', a: 'int4', c: 'int4' },
        key: ['id'],
        references: ['a -> public.a.id', 'c -> public.customer.id'],
      },
    });
    const names = planSummary(made);
    expect(names.order).toEqual([
      ['public.customer'],
      ['public.a', 'public.b', 'public.order'],
      ['public.line'],
    ]);
    expect(names.cycles).toEqual([['public.a', 'public.b']]);
  });

  it('finds strongly connected components, successors first', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(9), fc.nat(9)), { maxLength: 25 }), (edges) => {
        const nodes = [...Array(10).keys()];
        const next = (node: number) => edges.filter(([from]) => from === node).map(([, to]) => to);
        const reach = (from: number) => {
          const seen = new Set([from]);
          for (const node of seen) for (const to of next(node)) seen.add(to);
          return seen;
        };
        const found = components(nodes, next);
        expect(found.flat().sort((a, b) => a - b)).toEqual(nodes);
        const place = new Map(found.flatMap((group, at) => group.map((node) => [node, at] as const)));
        for (const [from, to] of edges) expect(place.get(to)).toBeLessThanOrEqual(place.get(from) ?? -1);
        for (const a of nodes) {
          for (const b of nodes)
            expect(place.get(a) === place.get(b)).toBe(reach(a).has(b) && reach(b).has(a));
        }
      }),
    );
  });
});

describe('where', () => {
  const filtered = (tables: string) =>
    plan(`${KEEP}tables: { public.customer: { where: "country = 'DE'" }, ${tables} }`, SHOP);

  it('on a table that others reference is refused, unless they say what becomes of orphans', () => {
    const made = filtered('');
    expect(codes(made)).toEqual(['filtered-parent']);
    expect(refusals(made)[0]?.message).toContain('`orphans: drop` under `tables` → public.order');
    const next = filtered('public.order: { orphans: drop }');
    expect(refusals(next).map(({ table }) => table)).toEqual(['public.line']);
    const closed = filtered('public.order: { orphans: drop }, public.line: { orphans: drop }');
    expect(codes(closed)).toEqual([]);
    const parent = {
      columns: ['customer_id'],
      parent: { schema: 'public', name: 'customer' },
      parentColumns: ['id'],
      where: "country = 'DE'",
      semiJoins: [],
    };
    expect(closed.tables.map(({ semiJoins }) => semiJoins)).toEqual([
      [],
      [
        {
          columns: ['order_id'],
          parent: { schema: 'public', name: 'order' },
          parentColumns: ['id'],
          semiJoins: [parent],
        },
      ],
      [parent],
    ]);
  });

  it('does not matter to a column that is nulled', () => {
    expect(codes(filtered('public.order: { columns: { customer_id: null } }'))).toEqual([]);
  });

  it('of the child itself, and references that are not enforced, are warned of', () => {
    const own = filtered('public.order: { where: "id > 5" }, public.line: { orphans: drop }');
    expect([codes(own), codes(own, 'warning')]).toEqual([[], ['filtered-parent']]);
    const tree = plan(`${KEEP}tables: { public.t: { where: "a > 5" } }`, {
      'public.t': {
        columns: { a: 'int4 not null', up: 'int4' },
        key: ['a'],
        references: ['up -> public.t.a'],
      },
    });
    expect([codes(tree), codes(tree, 'warning')]).toEqual([[], ['filtered-parent']]);
  });

  it('and when are listed for the source to check, and its answer refuses the plan', () => {
    const text = `${KEEP}rules: [{ name: r, match: { column: email }, when: "now() > x", apply: email, otherwise: keep }]
tables: { public.line: { where: "no > 1" } }`;
    const made = plan(text, SHOP);
    const expressions = planExpressions(job(text), made);
    expect(expressions.map(({ kind, sql, position }) => `${kind} ${sql} ${position?.line}`)).toEqual([
      'when now() > x 6',
      'where no > 1 7',
    ]);
    const expressionProblems = expressions
      .slice(0, 1)
      .map((expression) => ({ expression, message: 'now() is volatile' }));
    expect(codes(plan(text, SHOP, SHOP, { expressionProblems }))).toEqual(['expression']);
  });
});

const LEAF = { schema: 'public', name: '', oid: 2, rows: 0, bytes: 8192, pages: 0 };

describe('tables outside the job', () => {
  const inside = (exclude: string, columns: string, more: Partial<TableSketch> = {}) =>
    plan(`${KEEP}exclude: [${exclude}]\ntables: ${columns}`, SHOP, {
      ...SHOP,
      'public.order': { ...SHOP['public.order'], ...more } as TableSketch,
    });

  it('that are referenced need kept values', () => {
    const customer = '"public.customer"';
    expect(codes(inside(customer, '{}'), 'warning')).toEqual(['outside-parent']);
    expect(codes(inside(customer, '{ public.order: { columns: { customer_id: permute } } }'))).toEqual([
      'outside-parent',
    ]);
    expect(codes(inside(customer, '{ public.order: { columns: { customer_id: null } } }'))).toEqual([]);
    const empty = { ...SHOP['public.customer'], leaves: [{ ...LEAF, name: 'customer' }] } as TableSketch;
    const made = plan(`${KEEP}exclude: [${customer}]`, SHOP, { ...SHOP, 'public.customer': empty });
    expect(codes(made)).toEqual(['outside-parent']);
    expect(refusals(made)[0]?.message).toContain('is empty in the destination');
  });

  it('that reference the job’s need kept values, or to be empty', () => {
    const order = '"public.order", "public.line"';
    expect(codes(inside(order, '{}'), 'warning')).toEqual(['outside-child']);
    expect(codes(inside(order, '{ public.customer: { columns: { id: permute } } }'))).toEqual([
      'outside-child',
    ]);
    const leaves = [{ ...LEAF, name: 'order' }];
    expect(codes(inside(order, '{ public.customer: { columns: { id: permute } } }', { leaves }))).toEqual([]);
  });
});

describe('plain inheritance', () => {
  it('warns of children whose rows would be missing', () => {
    const tables = {
      'public.payment': { columns: { id: 'int4 not null' } },
      'public.payment_1': {
        columns: { id: 'int4 not null' },
        inherits: [{ schema: 'public', name: 'payment' }],
      },
    };
    expect(codes(plan(KEEP, tables), 'warning')).toEqual([]);
    expect(codes(plan(`${KEEP}exclude: ["*_1"]`, tables), 'warning')).toEqual(['inheritance']);
  });
});
