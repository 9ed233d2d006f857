import { describe, expect, it } from 'vitest';
import { codes, columnPlan, plan, refusals } from './plan-fixture.js';

const STAFF = {
  'public.staff': {
    columns: { id: 'int4 not null', email: 'varchar(80)', country: 'char(2)', name: 'text', born: 'date' },
    key: ['id'],
  },
};

function branches(text: string, column: string) {
  const made = plan(text, STAFF);
  return {
    codes: codes(made),
    branches: columnPlan(made, `public.staff.${column}`).branches.map(
      ({ rule, when, apply, otherwise }) =>
        `${rule}${when === undefined ? '' : ` when ${when}`}: ${apply.name}${otherwise ? ` else ${otherwise.name}` : ''}`,
    ),
    conditions: made.tables[0]?.conditions,
  };
}

describe('rules', () => {
  it('let the first match win', () => {
    const rules = `unlisted: keep
rules:
  - { name: mails, match: { column: "*MAIL*", type: text }, apply: email }
  - { name: texts, match: { column: "*", type: text }, apply: scramble }
`;
    expect(branches(rules, 'email').branches).toEqual(['mails: email']);
    expect(branches(rules, 'name').branches).toEqual(['texts: scramble']);
    expect(branches(rules, 'born').branches).toEqual(['unlisted: keep']);
  });

  it('match types by kind, full name, name without length and short name', () => {
    for (const type of ['text', 'character varying(80)', 'character varying', 'varchar*', 'varchar(80)']) {
      const rules = `unlisted: keep\nrules: [{ name: r, match: { column: email, type: "${type}" }, apply: email }]`;
      expect(branches(rules, 'email').branches).toEqual(['r: email']);
    }
  });

  it('are beaten by explicit columns, which never fall through', () => {
    const rules = `unlisted: keep
rules: [{ name: mails, match: { column: "*mail*" }, apply: email }]
tables: { public.staff: { columns: { email: "null" } } }`;
    expect(branches(rules, 'email').branches).toEqual(['columns: null']);
  });

  it('fall through when a condition is not true, and share conditions of one text', () => {
    const rules = `rules:
  - { name: germans, match: { table: public.staff }, when: "country = 'DE'", apply: { email: email, name: scramble } }
  - { name: again, match: { column: name }, when: "country = 'DE'", apply: mask }
  - { name: rest, match: { column: "*" }, apply: keep }`;
    expect(branches(rules, 'email').branches).toEqual(['germans when 0: email', 'rest: keep']);
    expect(branches(rules, 'name')).toEqual({
      codes: [],
      branches: ['germans when 0: scramble', 'again when 0: mask', 'rest: keep'],
      conditions: ["country = 'DE'"],
    });
  });

  it('end at otherwise', () => {
    const rules = `unlisted: keep
rules:
  - { name: germans, match: { column: email }, when: "country = 'DE'", apply: email, otherwise: keep }
  - { name: never, match: { column: email }, apply: mask }`;
    expect(branches(rules, 'email').branches).toEqual(['germans when 0: email else keep']);
  });

  it('leave no row undecided: a `when` alone is refused', () => {
    const rules = `rules:
  - { name: germans, match: { column: email }, when: "country = 'DE'", apply: email }
  - { name: rest, match: { column: "{id,country,name,born}" }, apply: keep }`;
    expect(branches(rules, 'email').codes).toEqual(['undecided-rows']);
  });

  it('that match nothing are pointed out', () => {
    const made = plan(
      'unlisted: keep\nrules: [{ name: typo, match: { column: "*emial*" }, apply: email }]',
      STAFF,
    );
    expect(codes(made, 'warning')).toEqual(['unused-rule']);
    expect(made.findings.find(({ code }) => code === 'unused-rule')?.position?.line).toBe(6);
  });
});

describe('columns that nobody decided on', () => {
  it('stop the plan, each by name', () => {
    const made = plan('', STAFF);
    expect(refusals(made).map(({ code, column }) => `${code} ${column}`)).toEqual([
      'undecided-column born',
      'undecided-column country',
      'undecided-column email',
      'undecided-column id',
      'undecided-column name',
    ]);
    expect(columnPlan(made, 'public.staff.name').branches).toEqual([]);
  });

  it('are kept or nulled as the job says; NOT NULL stands in the way', () => {
    expect(codes(plan('unlisted: keep', STAFF))).toEqual([]);
    const nulled = plan('unlisted: null', STAFF);
    expect(refusals(nulled).map(({ code, column }) => `${code} ${column}`)).toEqual(['null-forbidden id']);
    expect(columnPlan(nulled, 'public.staff.name').branches).toMatchObject([
      { rule: 'unlisted', apply: { name: 'null' } },
    ]);
  });
});

describe('transformers', () => {
  it('are refused on types they do not take', () => {
    const made = plan('unlisted: keep\ntables: { public.staff: { columns: { id: email } } }', STAFF);
    expect(codes(made)).toContain('not-accepted');
    expect(refusals(made)[0]).toMatchObject({ table: 'public.staff', column: 'id', position: { line: 6 } });
  });

  it('that need the row’s key are refused where there is none', () => {
    const { key: _, ...keyless } = STAFF['public.staff'];
    const text = 'unlisted: keep\ntables: { public.staff: { columns: { born: dateShift } } }';
    expect(codes(plan(text, { 'public.staff': keyless }))).toEqual(['needs-key']);
    const made = plan(text, STAFF);
    expect(codes(made)).toEqual([]);
    expect(columnPlan(made, 'public.staff.born').needs).toEqual(['key']);
  });
});
