import { describe, expect, it } from 'vitest';
import { parseJob } from '../../job/load.js';
import { draftJob } from '../../plan/draft.js';
import { Advisor } from '../../plan/suggest.js';
import { catalog, type TableSketch } from './plan-fixture.js';

type Tables = Readonly<Record<string, TableSketch>>;

function advice(tables: Tables, table: string, column: string) {
  const source = catalog(tables);
  const advisor = new Advisor(source);
  const found = source.tables.find((one) => `${one.schema}.${one.name}` === table)!;
  return advisor.advise(found, found.columns.find(({ name }) => name === column)!);
}

/** What is suggested for a nullable text column (or another type) of some table. */
function suggested(column: string, type = 'text', table = 'public.thing') {
  const given = advice(
    { [table]: { columns: { id: 'serial', [column]: type }, key: ['id'] } },
    table,
    column,
  );
  return given.kind === 'use' ? given.suggestion.spec : given.kind;
}

describe('suggestions', () => {
  it.each([
    ['email', 'email'],
    ['ContactEmail', 'email'],
    ['e_mail_address', 'email'],
    ['first_name', 'firstName'],
    ['firstName', 'firstName'],
    ['Nachname', 'lastName'],
    ['phone2', 'phone'],
    ['street', 'street'],
    ['address_line1', 'street'],
    ['city', 'city'],
    ['zip', 'postalCode'],
    ['iban', 'iban'],
    ['card_number', 'creditCard'],
    ['homepage', 'url'],
    ['password', null],
    ['password_hash', null],
    ['session_token', 'hash'],
    ['email_token', 'hash'],
    ['notes', 'scramble'],
    ['currency', 'keep'],
    ['title', 'undecided'],
    ['mailbox', 'undecided'],
    ['emailed', 'undecided'],
  ])('%s → %s', (column, spec) => {
    expect(suggested(column)).toEqual(spec);
  });

  it('follow the type where the name says nothing', () => {
    expect(suggested('quantity', 'int4')).toBe('keep');
    expect(suggested('mood', 'enum(a,b)')).toBe('keep');
    expect(suggested('created_at', 'timestamptz')).toBe('keep');
    expect(suggested('extra', 'jsonb')).toBe('undecided');
    expect(suggested('total', 'int4 = (computed from) a, b')).toBe('generated');
    expect(suggested('name', 'text', 'public.customer')).toBe('fullName');
    expect(suggested('name', 'text', 'public.country')).toBe('undecided');
  });

  const people: Tables = {
    'public.person': {
      columns: { id: 'serial', email: 'text not null', boss_id: 'int4', country_id: 'int4' },
      key: ['id'],
      unique: [['email']],
      references: ['boss_id -> public.person.id', 'country_id -> public.country.id'],
    },
    'public.country': { columns: { id: 'serial', code: 'text' }, key: ['id'] },
    'public.visit': {
      columns: { id: 'serial', person_id: 'int4', device_id: 'int4' },
      key: ['id'],
      references: ['person_id -> public.person.id'],
    },
  };

  it('permute keys of persons, keep others, and let foreign keys follow', () => {
    expect(advice(people, 'public.person', 'id')).toMatchObject({ suggestion: { spec: 'permute' } });
    expect(advice(people, 'public.country', 'id')).toMatchObject({ suggestion: { spec: 'keep' } });
    expect(advice(people, 'public.visit', 'person_id')).toEqual({
      kind: 'follows',
      column: 'public.person.id',
    });
    expect(advice(people, 'public.person', 'boss_id')).toEqual({
      kind: 'follows',
      column: 'public.person.id',
    });
    expect(advice(people, 'public.visit', 'device_id')).toMatchObject({
      kind: 'undecided',
      reason: expect.stringContaining('references'),
    });
  });

  it('in a cycle of keys, one column decides', () => {
    const cycle: Tables = {
      'public.a': { columns: { id: 'int4 not null' }, key: ['id'], references: ['id -> public.b.id'] },
      'public.b': { columns: { id: 'int4 not null' }, key: ['id'], references: ['id -> public.a.id'] },
    };
    expect(advice(cycle, 'public.a', 'id')).toMatchObject({ kind: 'use' });
    expect(advice(cycle, 'public.b', 'id')).toEqual({ kind: 'follows', column: 'public.a.id' });
  });

  it('never suggest what would break a unique index', () => {
    const tables: Tables = {
      'public.t': {
        columns: { id: 'serial', city: 'text', zip: 'text' },
        key: ['id'],
        unique: [['city'], ['zip']],
      },
    };
    const given = advice(tables, 'public.t', 'city');
    expect(given).not.toMatchObject({ suggestion: { spec: 'city' } });
  });
});

describe('a drafted job file', () => {
  const tables: Tables = {
    'public.person': {
      columns: { id: 'serial', email: 'text', 'odd: "name"': 'text', notes: 'jsonb' },
      key: ['id'],
    },
    'Sales.Order Line': {
      columns: { id: 'serial', person_id: 'int4' },
      key: ['id'],
      references: ['person_id -> public.person.id'],
    },
  };

  it('is valid, names every table, and leaves the undecided out', () => {
    const draft = draftJob(catalog(tables), { job: 'crm', source: 'env:A', destination: 'env:B' });
    const { job, mistakes } = parseJob(draft.text, 'crm.yaml');
    expect(mistakes).toEqual([]);
    expect(Object.keys(job!.tables).sort()).toEqual(['Sales.Order Line', 'public.person']);
    expect(Object.keys(job!.tables['public.person']!.columns)).toEqual(['id', 'email']);
    expect(draft.undecided).toEqual(['public.person.odd: "name"', 'public.person.notes']);
    expect(draft.text).toContain('# person_id: follows public.person.id');
  });

  it('is valid too once its undecided lines are uncommented', () => {
    const draft = draftJob(catalog(tables), { job: 'crm', source: 'env:A', destination: 'env:B' });
    const text = draft.text.replace(/^( +)# (.*# undecided)/gm, '$1$2');
    const { job, mistakes } = parseJob(text, 'crm.yaml');
    expect(mistakes).toEqual([]);
    expect(Object.keys(job!.tables['public.person']!.columns)).toEqual([
      'id',
      'email',
      'odd: "name"',
      'notes',
    ]);
  });
});
