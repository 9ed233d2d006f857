import { inspect } from 'node:util';
import { BSON } from 'mongodb';
import { describe, expect, it } from 'vitest';
import { jobKeys } from '../../anonymize/keys.js';
import { DEFAULT_CHECKS } from '../../job/checkSettings.js';
import { parseJob } from '../../job/load.js';
import type { CheckSettings } from '../../job/types.js';
import { fails } from '../../ledger/checks.js';
import { parseFields } from '../../mongo/documents/rules.js';
import type { ColumnPlan, Plan, TablePlan } from '../../plan/plan.js';
import { sampleSizes, shareOut } from '../../quality/budget.js';
import { DocumentCounts } from '../../quality/documentDistributions.js';
import { type ColumnAggregates, columnDrift, driftScope } from '../../quality/drift.js';
import type { Inspection } from '../../quality/inspection.js';
import { judgeInspection } from '../../quality/judgeInspection.js';
import { passesLuhn, passesMod97, personalKinds } from '../../quality/residual.js';
import { atLeast } from '../../quality/scan/chance.js';
import { LeakScan } from '../../quality/scan/leakScan.js';

const JOB = `job: crm
source: { postgres: env:A }
destination: { postgres: env:B }
key: env:K
`;

describe('checks in a job file', () => {
  const read = (text: string) => parseJob(JOB + text, 'crm.yaml');

  it('have defaults, and take a severity alone or a map', () => {
    expect(read('').job!.checks).toEqual(DEFAULT_CHECKS);
    expect(read('checks: { drift: off, residual: fail, leaks: { rows: all, rare: 2 } }').job!.checks).toEqual(
      {
        ...DEFAULT_CHECKS,
        drift: { ...DEFAULT_CHECKS.drift, severity: 'off' },
        residual: { severity: 'fail', share: 0 },
        leaks: { severity: 'fail', rows: 'all', rare: 2, minLength: 8 },
      },
    );
    const [group] = read('checks: { kAnonymity: [{ table: public.a, columns: [x], k: 5 }] }').job!.checks
      .kAnonymity;
    expect(group).toMatchObject({ table: 'public.a', columns: ['x'], k: 5, severity: 'fail' });
  });

  it('are refused with the place of every mistake', () => {
    const text = `checks:
  leeks: warn
  drift: loud
  rowCounts: off
  residual: { share: 2 }
  recompute: { rows: -1 }
  kAnonymity:
    - { table: customer, columns: [], k: 1 }
`;
    expect(read(text).mistakes.map(({ position, message }) => `${position.line}: ${message}`)).toEqual([
      expect.stringMatching(/^6: unknown key "leeks" \(did you mean "leaks"\?\)/),
      expect.stringMatching(/^7: expected fail, warn, off, or a map/),
      expect.stringMatching(/^8: expected fail, warn, or a map/),
      expect.stringMatching(/^9: /),
      expect.stringMatching(/^10: /),
      expect.stringMatching(/^12: "customer" does not name its schema/),
      expect.stringMatching(/^12: must not be empty/),
      expect.stringMatching(/^12: must be at least 2/),
    ]);
  });
});

describe('what looks like personal data', () => {
  it.each([
    ['Write to ann.lee+news@shop.example.org!', ['email']],
    ['+49 30 901820', ['phone']],
    ['call (030) 9018-20 now', ['phone']],
    ['555-123-4567', ['phone']],
    ['paid with 4111 1111 1111 1111', ['card']],
    ['DE89 3704 0044 0532 0130 00', ['iban']],
    ['GB82WEST12345698765432', ['iban']],
    ['from 192.168.17.4', ['ip']],
    ['2001:db8:85a3:0:0:8a2e:370:7334', ['ip']],
    ['ann@shop.test, +1 212 555 0187', ['email', 'phone']],
  ])('%s', (value, kinds) => expect(personalKinds(value)).toEqual(kinds));

  it.each([
    ['ACADEMY DINOSAUR'],
    ['2026-03-01 12:00:00'],
    ['2026-03-01T12:00:00.000Z'],
    ['4111 1111 1111 1112'],
    ['0000 0000 0000 0000'],
    ['DE88 3704 0044 0532 0130 00'],
    ['version 1.2.3, build 20260301'],
    ['999.1.1.1'],
    ['a @ b'],
    ['12:30:45'],
    ['order 1234567890'],
  ])('not %s', (value) => expect(personalKinds(value)).toEqual([]));

  it('by check digits', () => {
    expect(['4242424242424242', '378282246310005', '79927398713'].map(passesLuhn)).toEqual([
      true,
      true,
      false,
    ]);
    expect(['FR1420041010050500013M02606', 'FR1420041010050500013M02607'].map(passesMod97)).toEqual([
      true,
      false,
    ]);
  });
});

describe('drift', () => {
  const all = { nulls: true, distinct: true, top: true, length: true, range: true };
  const base: ColumnAggregates = {
    rows: 100,
    nulls: 10,
    distinct: 90,
    length: { least: 1, most: 9, mean: 5 },
    range: { least: 0, most: 100, mean: 50 },
    top: [1, 1, 1],
  };

  it('is nothing between equals, and as large as its largest part', () => {
    expect(columnDrift(base, base, all).distance).toBe(0);
    expect(columnDrift(base, { ...base, nulls: 60, distinct: 40 }, all)).toMatchObject({
      nulls: 0.5,
      distance: 0.5,
    });
    expect(columnDrift(base, { ...base, distinct: 9 }, all)).toMatchObject({ distinct: 0.9, distance: 0.9 });
    expect(columnDrift(base, { ...base, length: { least: 1, most: 9, mean: 7 } }, all)).toMatchObject({
      length: 0.25,
    });
    expect(columnDrift(base, { ...base, range: { least: 100, most: 200, mean: 150 } }, all)).toMatchObject({
      range: 0.5,
    });
    expect(columnDrift({ ...base, top: [45, 45] }, { ...base, top: [90] }, all)).toMatchObject({ top: 0.5 });
  });

  it('counts only what the transformer leaves', () => {
    const other = { ...base, length: { least: 20, most: 90, mean: 50 }, top: [90] };
    expect(columnDrift(base, other, { ...all, length: false, top: false }).distance).toBe(0);
    const of = (name: string, options: Record<string, unknown> = {}) =>
      driftScope({
        branches: [{ rule: 'columns', apply: { name, options } }],
        compileType: { kind: 'text', name: 'text', nullable: true, equality: 'exact' },
      } as unknown as ColumnPlan);
    expect(of('keep')).toEqual(all);
    expect(of('firstName')).toEqual({ nulls: true, distinct: false, top: true, length: false, range: false });
    expect(of('null')).toEqual({ nulls: false, distinct: false, top: false, length: false, range: false });
  });

  it('of an empty column, or against one, is its null share alone', () => {
    const empty = { rows: 100, nulls: 100, distinct: 0, top: [] };
    expect(columnDrift(base, empty, all).distance).toBeCloseTo(0.9);
    expect(columnDrift({ ...empty, rows: 0, nulls: 0 }, { ...empty, rows: 0, nulls: 0 }, all).distance).toBe(
      0,
    );
  });
});

describe('values of documents', () => {
  it('are counted, long ones without being kept', () => {
    const collection = {
      rules: { collection: 'shop.people', ...parseFields({ note: 'keep' }), unlisted: 'keep' },
    };
    const counts = new DocumentCounts({ id: 1, collection } as unknown as TablePlan);
    const long = 'a long text that somebody wrote about somebody. '.repeat(3);
    for (const note of [long, long, `${long}!`, 'short', 'short', 'short'])
      counts.add(BSON.serialize({ note }));
    expect(counts.compare(counts)).toMatchObject([
      { column: 'note', source: { rows: 6, distinct: 3, top: [3, 2, 1], length: { most: long.length + 1 } } },
    ]);
    expect(inspect(counts, { depth: null, maxStringLength: null })).not.toContain('somebody');
  });
});

describe('samples', () => {
  it('take small tables whole and share what is left', () => {
    const whole = Number.POSITIVE_INFINITY;
    expect(shareOut([10, 1000, 5000], 2010)).toEqual([whole, whole, 1000]);
    expect(shareOut([10, 900, 5000], 2010)).toEqual([whole, whole, 1100]);
    expect(shareOut([10, 5000, 5000], 2010)).toEqual([whole, 1000, 1000]);
    expect(shareOut([], 5)).toEqual([]);
  });

  it('grow with the database, and not below what other checks need', () => {
    expect(sampleSizes([10_000_000], DEFAULT_CHECKS)).toEqual([100_000]);
    expect(sampleSizes([1_000_000], DEFAULT_CHECKS)).toEqual([20_000]);
    const leaks = { ...DEFAULT_CHECKS.leaks, severity: 'off' as const };
    expect(sampleSizes([1_000_000], { ...DEFAULT_CHECKS, leaks })).toEqual([2000]);
  });
});

describe('the leak scan', () => {
  const plan = {
    tables: [],
    versions: { 'list firstName.v1': '', 'list lastName.v1': '' },
  } as unknown as Plan;
  const scan = (rare = 5) =>
    new LeakScan({ plan, keys: jobKeys(new Uint8Array(32).fill(7)), rows: 10, rare, minLength: 8 });
  const value = (...texts: string[]) => ({ first: [], last: [], value: texts });
  const found = (leaks: LeakScan, rows: ReturnType<typeof value>[], text: string, kept = '') => {
    for (const row of rows) leaks.learn(row);
    leaks.look(text, 's.t.note', { words: false, shapes: false });
    if (!leaks.settle()) return 0;
    for (const row of rows) leaks.confirm(row, 's.t.c');
    leaks.confirmKept(kept);
    return leaks.result().leaks.reduce((sum, { hits }) => sum + hits, 0);
  };

  it.each([
    ['ann.lee@shop.test', 'Mail ANN.LEE@shop.test today'],
    ['+49 (30) 9018-2012', 'tel 493090182012.'],
    ['493090182012', 'tel +49 30 9018 2012'],
    ['DE89370400440532013000', 'DE89 3704 0044 0532 0130 00'],
    ['12 Rue de l’Église', 'lives at 12 rue de l’église, alone'],
    ['Łódź Kowalewska 7b', '{"a":"łódź\tkowalewska 7B"}'],
  ])('finds %s in another form', (source, text) => expect(found(scan(), [value(source)], text)).toBe(1));

  it.each([
    ['short', '12 Li', '12 Li'],
    ['a word that may be any', 'business', 'a business'],
    ['a part of it only', 'ann.lee@shop.test', 'shop.test'],
    ['a few digits', '12345678', '12345678'],
  ])('lets pass what does not identify: %s', (_, source, text) =>
    expect(found(scan(), [value(source)], text)).toBe(0),
  );

  it('lets pass what many rows have, and what a kept column has', () => {
    const rows = Array.from({ length: 6 }, () => value('Hauptstrasse 12b'));
    expect(found(scan(), rows, 'Hauptstrasse 12b')).toBe(0);
    expect(found(scan(6), rows, 'Hauptstrasse 12b')).toBe(1);
    expect(found(scan(), [value('ann.lee@shop.test')], 'ann.lee@shop.test', 'by Ann.Lee@shop.test')).toBe(0);
  });

  it('counts names of the lists beside chance where names are drawn, and as leaks elsewhere', () => {
    const people = { first: ['Mary'], last: ['Zulauf'], value: [] };
    const drawing = scan();
    drawing.learn(people);
    drawing.look('Mary Zulauf', 's.t.name', { words: true, shapes: false });
    expect(drawing.settle()).toBe(false);
    expect(drawing.result().chance.observed).toBe(1);
    expect(drawing.result().chance.expected).toBeGreaterThan(0);
    expect(found(scan(), [people as never], 'ask Zulauf, Mary')).toBe(1);
  });
});

describe('numbers that a transformer draws in the shape of others', () => {
  const phones = (from: number, count: number) =>
    Array.from(
      { length: count },
      (_, n) => `+49 777 ${String(1_000_000 + (((from + n) * 7919) % 9_000_000))}`,
    );
  const leaks = (written: readonly string[], place: string, shapes: boolean) => {
    const scan = new LeakScan({
      plan: { tables: [], versions: {} } as unknown as Plan,
      keys: jobKeys(new Uint8Array(32).fill(7)),
      rows: 4000,
      rare: 5,
      minLength: 8,
    });
    const rows = phones(0, 4000).map((phone) => ({ first: [], last: [], value: [phone] }));
    for (const row of rows) scan.learn(row);
    for (const text of written) scan.look(text, place, { words: false, shapes });
    if (scan.settle()) for (const row of rows) scan.confirm(row, 's.t.phone');
    return scan.result();
  };
  const made = phones(1_000_000, 30_000);

  it('meet one of the source by chance, which is told and fails nothing', () => {
    const { leaks: none, chance } = leaks([...made, phones(5, 1)[0]!], 's.t.phone', true);
    expect(none).toEqual([]);
    expect(chance.observed).toBe(1);
    expect(chance.expected).toBeGreaterThan(0.01);
  });

  it('are leaks where chance gives fewer, and where nothing draws', () => {
    expect(leaks([...made, ...phones(5, 10)], 's.t.phone', true).leaks).toMatchObject([{ hits: 10 }]);
    expect(leaks([...made, phones(5, 1)[0]!], 's.t.note', false).leaks).toMatchObject([{ hits: 1 }]);
  });

  it.each([
    [0, 3, 1],
    [1, 1e-6, 1e-6],
    [2, 0.01, 4.9668e-5],
    [3, 1, 0.0803014],
    [30, 10, 2.5088e-7],
  ])('P(X ≥ %d) at %d is %d', (n, mean, expected) => expect(atLeast(n, mean) / expected).toBeCloseTo(1, 1));
});

describe('what was found', () => {
  const inspection: Inspection = {
    recomputed: [{ table: 1, rows: 10, missing: 0, differing: {}, changed: 0, unsteady: false, opened: 0 }],
    leaks: {
      leaks: [],
      chance: { observed: 0, expected: 0 },
      searched: { values: 5, texts: 9 },
      overflow: false,
    },
    residual: [],
    distributions: [],
    constraints: { checked: 3, invalid: [] },
    orphans: [],
    groups: [],
  };
  const plan = { tables: [{ id: 1, destination: { schema: 'public', name: 'a' } }] } as unknown as Plan;
  const facts = { tables: [], away: [], owed: [], broken: [] };
  const verdict = (more: Partial<Inspection>, settings: Partial<CheckSettings> = {}) =>
    judgeInspection(plan, { ...DEFAULT_CHECKS, ...settings }, facts, { ...inspection, ...more })
      .filter(({ ok }) => !ok)
      .map((check) => [check.name, fails(check)]);

  it('warns of sealed values of which none was compared', () => {
    const column = { table: 1, column: 'ip', every: true, looked: 3, plain: 0, foreign: 0, undated: 0 };
    const of = (looked: number, opened: number) =>
      verdict({ sealed: { columns: [{ ...column, looked }], mixed: 0, opened } });
    expect([of(3, 0), of(3, 2), of(0, 0)]).toEqual([[['sealed', false]], [], []]);
  });

  it('is nothing in a clean run', () => expect(verdict({})).toEqual([]));

  it('fails or warns as the job says', () => {
    const differing = [{ ...inspection.recomputed[0]!, differing: { email: 2 } }];
    expect(verdict({ recomputed: differing })).toEqual([['recompute', true]]);
    expect(verdict({ recomputed: differing }, { recompute: { severity: 'warn', rows: 1 } })).toEqual([
      ['recompute', false],
    ]);
    expect(verdict({ recomputed: [{ ...differing[0]!, unsteady: true }] })).toEqual([['recompute', false]]);
    const residual = [{ table: 1, column: 'note', looked: 100, found: { email: 2 } }];
    expect(verdict({ residual })).toEqual([['residual', false]]);
    expect(verdict({ residual }, { residual: { severity: 'fail', share: 0.02 } })).toEqual([]);
    expect(verdict({ residual }, { residual: { severity: 'off', share: 0 } })).toEqual([]);
    const leaks = { ...inspection.leaks!, leaks: [{ from: 'public.a.email', to: 'public.a.note', hits: 1 }] };
    expect(verdict({ leaks })).toEqual([['leak-scan', true]]);
    expect(verdict({ unread: 'gone', recomputed: [] })).toEqual(
      ['recompute', 'leak-scan', 'residual', 'drift'].map((name) => [name, false]),
    );
  });

  it('says groups that are too small, and columns that are not there', () => {
    const position = { file: 'f', line: 1, column: 1 };
    const kAnonymity = [{ table: 'public.a', columns: ['zip'], k: 5, severity: 'fail' as const, position }];
    expect(verdict({}, { kAnonymity })).toEqual([['k-anonymity', true]]);
    expect(verdict({ groups: [{ check: 0, rows: 3, groups: 1, smallest: 3 }] }, { kAnonymity })).toEqual([
      ['k-anonymity', true],
    ]);
    expect(verdict({ groups: [{ check: 0, rows: 0, groups: 0, smallest: 7 }] }, { kAnonymity })).toEqual([]);
  });
});
