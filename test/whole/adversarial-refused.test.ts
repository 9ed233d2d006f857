import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { query } from '../../postgres/session.js';
import { onVersions } from '../harness/servers.js';
import { contents, type Ends, fanOuts, openEnds, rowCounts } from './acceptance/databases.js';
import { definitions } from './acceptance/definitions.js';
import { alignRows, planOf } from './acceptance/leaks.js';
import { type Ended, histories, jobText, openStage, type Stage, sync } from './acceptance/stage.js';

let opened: Promise<Stage> | undefined;
const stage = () => {
  opened ??= openStage();
  return opened;
};
afterAll(async () => (await opened)?.stop());

const JOB = {
  job: 'refused',
  unlisted: 'keep',
  include: ['bad.*'],
  batchRows: 100,
  tables: {
    'bad.dates': { columns: { d: { dateShift: 30 } } },
    'bad.numbers': { columns: { n: 'noise', f: 'noise' } },
    'bad.cards': { columns: { card: 'creditCard' } },
    'bad.keys': { columns: { id: 'permute' } },
    'bad.checked': { accept: ['positive'] },
    'bad.short': { columns: { v: { js: '(v) => v + v' } } },
    'bad.twins': { columns: { id: 'permute' } },
    'bad.parent': { columns: { id: 'permute', d: { dateShift: 30 } } },
  },
};

/** What the destination asks for beyond the source. */
const STRICTER = `
  ALTER TABLE bad.checked ADD CONSTRAINT positive CHECK (n > 0);
  ALTER TABLE bad.required ALTER v SET NOT NULL;
  CREATE UNIQUE INDEX no_twins ON bad.twins (v);
  ALTER TABLE bad.rooms ADD CONSTRAINT apart EXCLUDE USING gist (room WITH =, during WITH &&);
  ALTER TABLE bad.node ADD CONSTRAINT lucky CHECK (n <> 113);
  ALTER TABLE bad.b ADD CONSTRAINT luckier CHECK (n <> 113)`;

/** Rows in quarantine by table, code and constraint or column. */
const QUARANTINED: Record<string, number> = {
  // A ring of ten that misses one of its twenty rows.
  'a 23503 a_b_id_fkey': 10,
  'b 23503 b_a_id_fkey': 9,
  'b 23514 luckier': 1,
  'cards transformer card': 2,
  'checked 23514 positive': 3,
  'child 23503 child_parent_id_fkey': 3,
  'dates transformer d': 2,
  'grandchild 23503 grandchild_child_id_fkey': 2,
  'key_child transformer key_id': 1,
  'keys transformer id': 1,
  'node 23503 node_parent_id_fkey': 7,
  'node 23514 lucky': 1,
  'numbers transformer f': 1,
  'numbers transformer n': 1,
  'parent transformer d': 1,
  'required 23502 v': 2,
  'rooms 23P01 apart': 3,
  'short transformer v': 1,
  'twins 23505 no_twins': 2,
};

onVersions('rows that cannot be copied', (version) => {
  let ends: Ends;
  let ended: Ended;
  let before: string[];

  beforeAll(async () => {
    ends = await openEnds({ version, file: 'test/whole/acceptance/refused.sql' });
    await query(ends.destination, STRICTER);
    before = await definitions(ends.destination);
    ended = await sync(await stage(), jobText(JOB, ends));
  }, 300_000);
  afterAll(() => ends?.drop());

  it('go to quarantine with a reason, and the run says so', async () => {
    expect(ended.error?.type).toBe('RowsQuarantined');
    expect(await quarantined(ends, ended.run!)).toEqual(QUARANTINED);
    for (const told of [
      'bad.checked: 3 × Refused by the destination: SQLSTATE 23514, constraint positive',
      'bad.child: 3 × The row that it references by child_parent_id_fkey is not in the destination',
      'bad.dates: 2 × not a finite date',
    ])
      expect(ended.error?.message).toContain(told);
  });

  it('leave all others, and every constraint valid', async () => {
    const counts = await rowCounts(ends.source);
    const missing: Record<string, number> = {};
    for (const [what, n] of Object.entries(QUARANTINED)) {
      const table = `bad.${what.split(' ')[0]}`;
      counts[table]! -= n;
      missing[table] = (missing[table] ?? 0) + n;
    }
    expect(await rowCounts(ends.destination)).toEqual(counts);
    const refused = [9223372036854775807n].map(String);
    await query(
      ends.source,
      `DELETE FROM bad.key_child WHERE key_id = ${refused}; DELETE FROM bad.keys WHERE id = ${refused}`,
    );
    for (const table of ['bad.keys', 'bad.key_child']) delete missing[table];
    const aligned = await alignRows(ends, await planOf(ends, ended.run!), ended.run!, {});
    expect(aligned).toMatchObject({ missing, leaks: {}, changed: {} });
    await query(
      ends.source,
      `INSERT INTO bad.keys VALUES (${refused}); INSERT INTO bad.key_child VALUES (301, ${refused})`,
    );
    expect(await definitions(ends.destination)).toEqual(before);
    for (const fan of Object.values(await fanOuts(ends.destination))) expect(fan).toMatch(/ without 0$/);
  });

  it('are told by nothing but an encrypted key', async () => {
    const ledger = Object.entries(await contents(ends.destination, true));
    const texts = [
      ended.error!.message,
      await histories(await stage(), ended.workflowId),
      (await stage()).logs(),
      ...ledger.filter(([table]) => table.startsWith('lethe.')).map(([, text]) => text),
    ];
    for (const text of texts) expect(/geheim|9223372036854775807|4111 1111/i.test(text)).toBe(false);
  });

  it.each([
    ['fail', 'QuarantineLimit'],
    [{ quarantine: 2 }, 'QuarantineLimit'],
  ])('end the run with onFailure: %j', async (onFailure, type) => {
    const again = await sync(await stage(), jobText(JOB, ends, { onFailure }));
    expect(again.error?.type).toBe(type);
    // Whichever table is through first: what its rows forbid to put back stays owed, by name.
    const owed = await query(
      ends.destination,
      `SELECT object_name AS name FROM lethe.ddl WHERE state <> 'restored'`,
    );
    expect(owed.filter(({ name }) => !['apart', 'no_twins'].includes(name!))).toEqual([]);
    const others = (lines: string[]) =>
      lines.filter(
        (line) => !owed.some(({ name }) => line.includes(` ${name}:`) || line.includes(`.${name}:`)),
      );
    expect(others(await definitions(ends.destination))).toEqual(others(before));
    for (const fan of Object.values(await fanOuts(ends.destination))) expect(fan).toMatch(/ without 0$/);
  });

  it('are refused by the plan where it can tell', async () => {
    await query(ends.destination, 'TRUNCATE bad.twins; ALTER TABLE bad.twins ALTER v TYPE varchar(5)');
    const planned = await sync(await stage(), jobText({ ...JOB, include: ['bad.twins'] }, ends));
    expect(planned.error?.type).toBe('PlanRefused');
    expect(planned.error?.message).toContain(
      'bad.twins.v is text in the source and only character varying(5)',
    );
  });

  it('are never left out because a role does not see them', async () => {
    const role = `half_${randomBytes(4).toString('hex')}`;
    await query(
      ends.source,
      `CREATE ROLE ${role} LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA bad TO ${role}; GRANT SELECT ON ALL TABLES IN SCHEMA bad TO ${role};
       ALTER TABLE bad.dates ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON bad.dates USING (id % 2 = 0)`,
    );
    const url = new URL(ends.urls.source);
    url.username = role;
    url.password = 'p';
    await ends.refer('source', url.href);
    const seen = await sync(await stage(), jobText({ ...JOB, include: ['bad.dates'] }, ends));
    expect(seen.error?.type).toBe('PermissionDenied');
    expect(seen.error?.message).toMatch(/row.level security/i);
    expect(seen.error?.message).toContain('bad.dates');
    await query(ends.source, `DROP OWNED BY ${role}; DROP ROLE ${role}`);
  });
});

async function quarantined({ destination }: Ends, run: string): Promise<Record<string, number>> {
  const rows = await query(
    destination,
    `SELECT concat_ws(' ', t->'source'->>'name', q.code, q.constraint_name, q.column_name) AS what, count(*) AS n
       FROM lethe.quarantine q JOIN lethe.run r USING (run), jsonb_array_elements(r.pins->'plan'->'tables') t
      WHERE q.run = $1::uuid AND (t->>'id')::int = q.table_id GROUP BY 1 ORDER BY 1`,
    [run],
  );
  return Object.fromEntries(rows.map(({ what, n }) => [what!, Number(n)]));
}
