import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Epoch, fence, readEpochs, registerTables, takeEpochs } from '../../postgres/fence.js';
import { migrate } from '../../postgres/ledger/migrate.js';
import { openSession, query, type Session, withTransaction } from '../../postgres/session.js';
import { createDatabase, onVersions, type TestDatabase } from '../harness/servers.js';

onVersions('the fence', (version) => {
  let db: TestDatabase;
  const sessions: Session[] = [];
  const open = async (name: string) => {
    const session = await openSession({ url: db.url, role: 'destination', applicationName: name });
    sessions.push(session);
    return session;
  };
  const newRun = async (session: Session) => {
    const run = randomUUID();
    await query(
      session,
      `INSERT INTO lethe.run (run, job, mode, state, pins, namespace, workflow_id) VALUES ($1, 'j', 'replace', 'loading', '{}', 'n', 'w')`,
      [run],
    );
    return run;
  };
  const take = (session: Session, run: string, ids: number[], patienceMs = 30_000) =>
    withTransaction(session, () => takeEpochs(session, run, ids, { patienceMs }));
  /** Waits until a session waits for a lock: its statement can only go on when somebody else ends. */
  const waits = async (observer: Session, pid: number) => {
    for (;;) {
      const [row] = await query(observer, 'SELECT cardinality(pg_blocking_pids($1::int)) AS n', [pid]);
      if (Number(row?.n) > 0) return;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };

  beforeAll(async () => {
    db = await createDatabase(version);
    await migrate(await open('setup'));
  });
  afterAll(async () => {
    await Promise.all(sessions.map((session) => session.close()));
    await db.drop();
  });

  test('a writer of the owner passes, one of another run or an older epoch does not', async () => {
    const s = await open('a');
    const [id] = await registerTables(s, [{ schema: 'public', name: 'one' }]);
    expect(await registerTables(s, [{ schema: 'public', name: 'one' }])).toEqual([id]);
    const run = await newRun(s);
    const [first] = await take(s, run, [id!]);
    await withTransaction(s, () => fence(s, first!));
    const [second] = await take(s, run, [id!]);
    expect((await readEpochs(s, run)).get(id!)).toEqual(second);
    await expect(withTransaction(s, () => fence(s, first!))).rejects.toMatchObject({ type: 'RunSuperseded' });
    const other = await newRun(s);
    await take(s, other, [id!]);
    await expect(withTransaction(s, () => fence(s, second!))).rejects.toMatchObject({
      type: 'RunSuperseded',
    });
  });

  test('a starter comes after the writers that were there and before those that come later', async () => {
    const [observer, early, starter, late] = [
      await open('o'),
      await open('early'),
      await open('starter'),
      await open('late'),
    ];
    const [id] = await registerTables(observer, [{ schema: 'public', name: 'two' }]);
    const run = await newRun(observer);
    const [epoch] = await take(observer, run, [id!]);
    await query(early, 'BEGIN');
    await fence(early, epoch!);
    const order: string[] = [];
    const taken = take(starter, await newRun(observer), [id!]).then((epochs) => {
      order.push('starter');
      return epochs;
    });
    await waits(observer, starter.pid);
    // With a shared row lock this one would pass, and so would the next, and the starter would starve.
    const outcome = withTransaction(late, () => fence(late, epoch!)).then(
      () => order.push('late wrote'),
      (error: { type: string }) => order.push(`late: ${error.type}`),
    );
    await waits(observer, late.pid);
    expect(order).toEqual([]);
    await query(early, 'COMMIT');
    await Promise.all([taken, outcome]);
    // Who was first is in what the other met; which answer arrives first is chance.
    expect(order.sort()).toEqual(['late: RunSuperseded', 'starter']);
  });

  test('two starters of the same tables do not deadlock', async () => {
    const [a, b] = [await open('a'), await open('b')];
    const ids = await registerTables(
      a,
      ['x', 'y', 'z'].map((name) => ({ schema: 'public', name })),
    );
    const runs = [await newRun(a), await newRun(a)];
    for (let round = 0; round < 10; round++) {
      await Promise.all([take(a, runs[0]!, ids), take(b, runs[1]!, [...ids].reverse())]);
    }
    const epochs: Epoch[] = [
      ...(await readEpochs(a, runs[0]!)).values(),
      ...(await readEpochs(a, runs[1]!)).values(),
    ];
    expect(epochs.map(({ n }) => n)).toEqual(['20', '20', '20']);
  });

  test('a writer that holds the table longer than the patience is ended', async () => {
    const [observer, starter] = [await open('o'), await open('starter')];
    const [id] = await registerTables(observer, [{ schema: 'public', name: 'three' }]);
    const run = await newRun(observer);
    const [epoch] = await take(observer, run, [id!]);
    const frozen = await open(`lethe:${run}/1/1`);
    await query(frozen, 'BEGIN');
    await fence(frozen, epoch!);
    const [mine] = await take(starter, await newRun(observer), [id!], 200);
    expect(mine!.n).toBe('2');
    await expect(query(frozen, 'SELECT 1')).rejects.toMatchObject({ type: 'Unreachable' });
  });
});
