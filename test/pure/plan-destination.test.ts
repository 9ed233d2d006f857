import { describe, expect, it } from 'vitest';
import { compareDomains, rememberDomains } from '../../plan/remembered.js';
import { planSummary } from '../../plan/summary.js';
import { catalog, codes, index, plan, refusals, SHOP, type TableSketch } from './plan-fixture.js';

const KEEP = 'unlisted: keep\n';

describe('sequences', () => {
  const sequences = (text: string, more: Parameters<typeof plan>[3] = {}) =>
    plan(`${KEEP}${text}`, SHOP, SHOP, more);

  it('go on behind the range of a permuted key, and behind the largest kept one', () => {
    const made = sequences('tables: { public.customer: { columns: { id: permute } } }');
    expect(made.tables.flatMap((table) => table.sequences)).toEqual([
      {
        sequence: { schema: 'public', name: 'customer_id_seq' },
        column: 'id',
        action: { kind: 'restart', value: String(2 ** 30) },
      },
      { sequence: { schema: 'public', name: 'order_id_seq' }, column: 'id', action: { kind: 'max' } },
    ]);
  });

  it('are refused when MAXVALUE forbids it, unless they are kept', () => {
    const destination = catalog(SHOP, 'staging');
    const small = {
      ...destination,
      sequences: destination.sequences.map((each) => ({ ...each, maxValue: '1000000' })),
    };
    const text = 'tables: { public.customer: { columns: { id: permute } } }';
    const made = sequences(text, { destination: small });
    expect(codes(made)).toEqual(['sequence-range']);
    expect(refusals(made)[0]?.message).toContain('its MAXVALUE (1000000) forbids');
    const kept = sequences(text.replace('columns', 'sequence: keep, columns'), { destination: small });
    expect(codes(kept)).toEqual([]);
    expect(kept.tables[0]?.sequences[0]?.action).toEqual({ kind: 'copy' });
  });

  it('that no column uses are copied', () => {
    const free = {
      schema: 'public',
      name: 'ticket',
      dataType: 'bigint',
      maxValue: '9',
      increment: '1',
      cycles: false,
    };
    const both = catalog(SHOP, 'crm', { sequences: [free, { ...free, schema: 'other' }] });
    const made = sequences('', { source: both, destination: both });
    expect(made.freeSequences).toEqual([
      { source: { schema: 'public', name: 'ticket' }, destination: { schema: 'public', name: 'ticket' } },
    ]);
  });
});

describe('upsert', () => {
  const upsert = (text: string, tables = SHOP, destination = tables) =>
    plan(`destination: { postgres: env:B, mode: upsert }\n${KEEP}${text}`, tables, destination);

  it('finds rows by the primary key, or by unique columns that the job names', () => {
    const made = upsert('');
    expect(codes(made)).toEqual([]);
    expect(made.tables.map(({ conflictKey }) => conflictKey)).toEqual([['id'], ['order_id', 'no'], ['id']]);
    expect(made.tables.map((table) => table.overridingSystemValue)).toEqual([false, false, true]);
    const named = { 'public.t': { columns: { a: 'int4 not null', b: 'int4' }, unique: [['b', 'a']] } };
    expect(upsert('tables: { public.t: { conflictKey: [a, b] } }', named).tables[0]?.conflictKey).toEqual([
      'a',
      'b',
    ]);
  });

  it('is refused without such a key', () => {
    const bare = { 'public.t': { columns: { a: 'int4 not null', b: 'int4' } } };
    expect(codes(upsert('', bare))).toEqual(['upsert-key']);
    expect(codes(upsert('tables: { public.t: { conflictKey: [a] } }', bare))).toEqual(['upsert-key']);
    expect(codes(upsert('tables: { public.t: { conflictKey: [c] } }', bare))).toEqual([
      'upsert-key',
      'upsert-key',
    ]);
    const deferrable = {
      'public.t': {
        ...bare['public.t'],
        unique: [
          { ...index('u', ['a']), constraint: { name: 'u', definition: 'UNIQUE (a)', deferrable: true } },
        ],
      },
    };
    expect(codes(upsert('tables: { public.t: { conflictKey: [a] } }', deferrable))).toEqual(['upsert-key']);
  });

  it('is refused when the key does not keep rows apart', () => {
    const text =
      'tables: { public.t: { conflictKey: [a], accept: [u], columns: { a: { range: { size: 5 } } } } }';
    const table = { 'public.t': { columns: { a: 'int4 not null' }, unique: [index('u', ['a'])] } };
    expect(codes(upsert(text, table))).toEqual(['upsert-key']);
  });

  it('is refused on tables with rules and on other GENERATED ALWAYS identities', () => {
    const table = { columns: { a: 'int4 not null', n: 'identity' }, key: ['a'] };
    expect(codes(upsert('', { 'public.t': table }))).toEqual(['upsert-identity']);
    const ruled = { columns: { a: 'int4 not null' }, key: ['a'], rules: [{ name: 'r', definition: '' }] };
    expect(codes(upsert('', { 'public.t': ruled }))).toEqual(['upsert-rule']);
  });
});

describe('what a destination remembers of domains', () => {
  const text = (id: string) => `${KEEP}tables: { public.customer: { columns: { id: ${id} } } }`;
  const first = plan(text('permute'), SHOP);
  const remembered = rememberDomains(first);

  it('is silent while nothing changes, also when members join', () => {
    expect(compareDomains(remembered, first)).toEqual([]);
    const grown = plan(text('permute'), {
      ...SHOP,
      'public.note': { columns: { c: 'int4' }, references: ['c -> public.customer.id'] },
    });
    expect(compareDomains(remembered, grown)).toEqual([]);
  });

  it('refuses another name, range or version until it is accepted, and never under upsert', () => {
    const renamed = {
      ...SHOP,
      'public.person': { columns: { id: 'int4 not null' }, key: ['id'] },
      'public.customer': {
        ...SHOP['public.customer'],
        references: ['id -> public.person.id'],
      } as TableSketch,
    };
    const made = plan(text('permute'), renamed, renamed, { remembered });
    expect(codes(made)).toEqual(['domain-changed']);
    expect(refusals(made)[0]?.message).toContain('its name was public.customer.id');
    expect(refusals(made)[0]?.message).toContain('`domains: { "public.customer.id": [public.customer.id] }`');
    const kept = plan(
      `domains: { public.customer.id: [public.customer.id] }\n${text('permute')}`,
      renamed,
      renamed,
      { remembered },
    );
    expect(codes(kept)).toEqual([]);
    const accepted = plan(text('permute'), renamed, renamed, { remembered, acceptDomains: true });
    expect([codes(accepted), codes(accepted, 'warning')]).toEqual([[], ['domain-changed']]);
    expect(compareDomains(remembered, { ...made, mode: 'upsert' }, true)[0]?.level).toBe('refusal');

    const smaller = {
      ...SHOP,
      'public.order': { ...SHOP['public.order'], columns: { id: 'identity', customer_id: 'int2' } },
    } as typeof SHOP;
    const narrowed = compareDomains(remembered, plan(text('{ permute: { allowSmall: true } }'), smaller));
    expect(narrowed.map(({ level }) => level)).toEqual(['warning']);
    const range = compareDomains(remembered, {
      ...first,
      domains: first.domains.map((domain) => ({
        ...domain,
        type: { ...domain.type, kind: 'int8' as const },
      })),
    });
    expect(range[0]).toMatchObject({ level: 'refusal', code: 'domain-changed' });
    const [name = '', domain] = Object.entries(remembered)[0] ?? [];
    const older = { [name]: { ...domain!, versions: { permute: '0' } } };
    expect(compareDomains(older, first)[0]?.message).toContain('the version of permute changed');
  });

  it('keeps domains that a run does not touch', () => {
    const other = { 'public.x.y': { ...remembered['public.customer.id']!, members: ['public.x.y'] } };
    expect(Object.keys(rememberDomains(first, other)).sort()).toEqual(['public.customer.id', 'public.x.y']);
  });

  it('does not matter when runs cannot be linked', () => {
    expect(
      compareDomains({ other: remembered['public.customer.id']! }, { ...first, consistency: 'run' }),
    ).toEqual([]);
  });
});

describe('pins', () => {
  it('hash the rules as resolved, not sizes or oids', () => {
    const text = `${KEEP}tables: { public.customer: { columns: { email: email } } }`;
    const first = plan(text, SHOP);
    const grown = {
      ...SHOP,
      'public.customer': { ...SHOP['public.customer'], rows: 5, oid: 99 } as TableSketch,
    };
    expect(plan(text, grown).ruleSet).toBe(first.ruleSet);
    expect(plan(text.replace('email: email', 'email: hash'), SHOP).ruleSet).not.toBe(first.ruleSet);
    expect(first.versions).toMatchObject({ email: expect.any(String), keep: expect.any(String) });
    expect(Object.keys(first.versions).some((name) => name.startsWith('list '))).toBe(true);
  });
});

describe('the summary', () => {
  it('says everything in names', () => {
    const made = plan(
      `rules:
  - { name: mails, match: { column: email }, when: "country = 'DE'", apply: { email: { keepDomain: true } }, otherwise: keep }
  - { name: keys, match: { column: id }, apply: permute }`,
      SHOP,
    );
    const summary = planSummary(made);
    expect(summary.tables[0]).toMatchObject({
      name: 'public.customer',
      rows: 1000,
      batches: 1,
      cutBy: 'id',
      columns: [
        { name: 'id', what: 'permute', rules: ['keys'] },
        {
          name: 'email',
          what: "email { keepDomain: true } when country = 'DE', else keep",
          rules: ['mails'],
        },
        { name: 'country', what: 'undecided' },
      ],
    });
    expect(summary.inherited).toEqual([
      { column: 'public.line.order_id', from: 'public.order.id', transformer: 'permute' },
      { column: 'public.order.customer_id', from: 'public.customer.id', transformer: 'permute' },
    ]);
    expect(summary.undecided).toEqual(['public.customer.country', 'public.line.no']);
    expect(summary.refusals).toHaveLength(2);
    expect(summary.verdicts).toContain(
      'unique index customer_pkey (id) of public.customer stays unique, because permute is injective',
    );
    expect(summary.domains.find(({ name }) => name === 'public.customer.id')).toMatchObject({
      unique: 'injective',
      range: 'integers up to 1073741823',
    });
  });
});
