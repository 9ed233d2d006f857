import { parseHTML } from 'linkedom';
import { expect, test } from 'vitest';
import type { BatchRecord } from '../../ledger/records.js';
import type { ReportModel } from '../../report/model.js';
import { reportPage } from '../../report/page.js';
import { BatchTotals } from '../../report/totals.js';

const HOSTILE = `"><script>alert(1)</script><img src=x onerror='x'>&`;

function model(overrides: Partial<ReportModel> = {}): ReportModel {
  return {
    run: '01a2',
    job: 'shop',
    mode: 'replace',
    state: 'failed',
    startedAt: '2026-03-01T12:00:00.000Z',
    endedAt: '2026-03-01T12:01:40.000Z',
    runTime: '2026-03-01T12:00:00.000Z',
    plan: {
      ...{
        job: 'shop',
        mode: 'replace',
        consistency: 'job',
        source: 'crm',
        destination: 'copy',
        rows: 9,
        bytes: 9,
      },
      tables: [
        {
          ...{ name: HOSTILE, rows: 9, bytes: 9, batches: 1, cutBy: 'id', where: HOSTILE, needsParents: [] },
          columns: [
            { name: HOSTILE, type: 'text', what: 'email', rules: [HOSTILE] },
            { name: 'kept', type: 'text', what: 'keep', rules: ['columns'] },
          ],
        },
      ],
      ...{ domains: [], inherited: [], verdicts: [], undecided: [], order: [], cycles: [] },
      ...{ refusals: [], warnings: [], notes: [] },
    },
    ruleSet: 'ab12',
    versions: { email: '1' },
    tables: [{ name: HOSTILE, rows: 9, quarantined: 2, bytes: 90, batches: 3, seconds: 4 }],
    rules: [{ table: HOSTILE, rule: HOSTILE, values: 18 }],
    checks: [
      { name: 'leak-scan', ok: true, message: HOSTILE, observed: 3, expected: 4.25 },
      { name: 'drift', ok: false, severity: 'warn', message: 'far' },
      { name: 'rows', ok: false, message: 'few' },
    ],
    distributions: [
      {
        ...{ table: HOSTILE, column: HOSTILE, distance: 0.125 },
        source: { rows: 10, nulls: 2, distinct: 3, length: { least: 1, most: 9, mean: 4 }, top: [4, 3, 1] },
        destination: { rows: 10, nulls: 10, distinct: 0, top: [] },
      },
    ],
    timeline: [
      {
        table: HOSTILE,
        partition: 1,
        batch: 0,
        from: '2026-03-01T12:00:01.000Z',
        to: '2026-03-01T12:00:02.000Z',
        rows: 5,
      },
      {
        table: HOSTILE,
        partition: 1,
        batch: 1,
        from: '2026-03-01T12:00:02.000Z',
        to: '2026-03-01T12:00:02.000Z',
        rows: 4,
      },
    ],
    failures: {
      error: { type: 'RowsQuarantined', message: HOSTILE },
      quarantined: [{ table: HOSTILE, count: 2, reason: HOSTILE }],
      batches: [{ table: HOSTILE, error: '57014', count: 1 }],
      replays: [{ n: 1, endedAt: '2026-03-02T12:00:00.000Z', state: 'failed' }],
      ...{ replayedRows: 3, emptied: [HOSTILE], owed: [] },
    },
    evidence: {
      checks: [{ check: 'chain', result: 'mismatch', message: HOSTILE }],
      findings: [{ kind: 'mismatch', check: 'chain', message: HOSTILE }],
      heads: HOSTILE,
    },
    ...overrides,
  };
}

test('whatever names a database gives, the page has no element of theirs', () => {
  const page = reportPage(model());
  const { document } = parseHTML(page);
  expect([...document.querySelectorAll('script, img, link, iframe, [onerror]')]).toEqual([]);
  expect([...document.querySelectorAll('svg title')].length).toBeGreaterThan(0);
  expect(page.match(/&lt;script&gt;/g)!.length).toBeGreaterThan(10);
  expect(page).toContain(`default-src 'none'`);
  expect(page.match(/<svg/g)).toHaveLength(3);
  expect(page).toContain('The ledger was changed or is not what it says');
  expect(page).toMatch(/9 rows of 1 table were written\. 2 rows are in quarantine\. 1 of 3 checks failed\./);
  expect(page).toMatch(/<td class="n">3<\/td><td class="n">4\.3<\/td>/);
});

test('what is not known is left out, heading and all', () => {
  const page = reportPage(
    model({
      ...{ endedAt: null, checks: [], distributions: [], timeline: [], rules: [] },
      failures: { quarantined: [], batches: [], replays: [], replayedRows: 0, emptied: [], owed: [] },
    }),
  );
  for (const id of ['checks', 'distributions', 'timeline', 'rules', 'failures']) {
    expect(page).not.toContain(`id="${id}"`);
  }
  expect(page).toContain('It was not checked.');
  expect(page).toContain('not ended');
});

test('batches add up, and partitions stand for them when there are too many', async () => {
  const totals = new BatchTotals((id) => `t${id}`);
  for await (const _ of totals.see(batches(3_500))) {
    // Counted as they go by.
  }
  expect(totals.table(1, 0)).toMatchObject({ name: 't1', rows: 7_000, bytes: 35_000, batches: 3_500 });
  expect(totals.rules()).toEqual([{ table: 't1', rule: 'columns', values: 3_500 }]);
  const spans = totals.spans();
  expect(spans).toHaveLength(7);
  expect(spans[0]).toEqual({
    ...{ table: 't1', partition: 0, rows: 1_000 },
    ...{ from: '2026-03-01T12:00:00.000Z', to: '2026-03-01T12:08:20.000Z' },
  });
  expect(totals.unfinished()).toEqual([{ table: 't2', error: '57014', count: 1 }]);
});

async function* batches(count: number): AsyncGenerator<BatchRecord> {
  const time = (second: number) =>
    `${new Date(Date.UTC(2026, 2, 1, 12, 0, second)).toISOString().slice(0, 19).replace('T', ' ')}+00`;
  for (let i = 0; i < count; i++) {
    const id = { partition: Math.floor(i / 500), batch: i % 500, table: 1 };
    yield {
      ...id,
      state: 'committed',
      chain: 'x',
      attempt: 1,
      claimedAt: time(i),
      error: null,
      facts: facts(id, time(i + 1)),
    };
  }
  const id = { partition: 99, batch: 0, table: 2 };
  yield {
    ...id,
    state: 'failed',
    chain: null,
    attempt: 1,
    claimedAt: time(0),
    error: '57014',
    facts: facts(id, ''),
  };
}

function facts(
  id: { partition: number; batch: number; table: number },
  committedAt: string,
): BatchRecord['facts'] {
  const counts = { rows: 2, quarantined: 0, bytes: 10, rules: { columns: 1 }, leaks: {}, generation: 1 };
  return {
    run: 'r',
    ...id,
    ...counts,
    bounds: '',
    sourceDigest: '',
    outputDigest: '',
    evidenceDigest: '',
    committedAt,
  };
}
