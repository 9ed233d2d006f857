import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { LetheError } from '../../errors/errors.js';
import type { StepActions } from '../../retention/keys/destruction.js';
import { worst } from '../../retention/keys/grades.js';
import type { Destroyed } from '../../retention/keys/masters.js';
import type { Grade } from '../../retention/keys/policy.js';
import { unwrapKey, wrapKey } from '../../retention/keys/wrapping.js';
import { execute, query, type Session } from '../session.js';
import { locked, type StoreContext, withStore } from './context.js';
import { copiedMasters, openAll, openCopy, readCopy, writeCopy } from './copy.js';
import { type DestructionRow, readRow, victims } from './destruction.js';
import { issueReceipts } from './receipts.js';
import { changed, noteCutoff, readDayKeys } from './rows.js';

/** So long a standby may take to replay what the primary has. Milliseconds. */
const REPLAY_MS = 60_000;

/** What each step of a destruction does; see `STEPS`. Each can be done again. */
export function stepActions(session: Session, context: StoreContext, id: number): StepActions {
  const row = () => readRow(session, id);
  return {
    async created(record) {
      const { newMaster } = await row();
      await createMaster(context, newMaster);
      await locked(session, async () => {
        await query(
          session,
          `INSERT INTO lethe_keys.master (id, state) VALUES ($1, 'created') ON CONFLICT DO NOTHING`,
          [newMaster],
        );
        await changed(session);
        await record();
      });
    },
    async rewrapped(record) {
      await locked(session, async () => {
        await rewrap(session, context, await row());
        await record();
      });
    },
    async copied(record) {
      await writeCopy(session, context);
      await locked(session, record);
    },
    async verified(record) {
      await verifySurvivors(session, context, await row());
      await locked(session, record);
    },
    async destroyed(record) {
      // A destruction that goes on after days must not trust what was true then.
      await verifySurvivors(session, context, await row());
      const ends = await destroyMasters(session, context, (await row()).newMaster);
      await locked(session, async () => {
        for (const [master, { grade, until }] of ends) {
          await query(
            session,
            `UPDATE lethe_keys.master SET state = 'destroyed', grade = $2, until = $3, destroyed_at = clock_timestamp()
             WHERE id = $1 AND state <> 'destroyed'`,
            [master, grade, until ?? null],
          );
        }
        await changed(session, true);
        await noteGrades(session, id);
        await record();
      });
    },
    async receipted(record) {
      await locked(session, async () => {
        const destruction = await row();
        await issueReceipts(session, context, destruction);
        await noteCutoff(session, destruction.cutoff);
        await changed(session, true);
        await record();
      });
    },
    async done(record) {
      await writeCopy(session, context);
      await locked(session, record);
    },
  };
}

/** Made, and read back by wrapping with it. */
async function createMaster(context: StoreContext, id: string): Promise<void> {
  await context.masters.create(id);
  const probe = randomBytes(32);
  const about = Buffer.from('lethe/probe');
  const back = await context.masters.unwrap(id, await context.masters.wrap(id, probe, about), about);
  if (!back?.equals(probe))
    throw new LetheError('MasterKeyUnusable', 'A new master key does not open what it sealed.');
}

/** Inside one transaction: from here on new keys are wrapped under the new master, and the victims are gone for readers. */
async function rewrap(session: Session, context: StoreContext, row: DestructionRow): Promise<void> {
  // Waits for whoever writes a key under one of them.
  await query(
    session,
    `UPDATE lethe_keys.master SET state = 'retiring' WHERE state IN ('active', 'created') AND id <> $1`,
    [row.newMaster],
  );
  await query(session, `UPDATE lethe_keys.master SET state = 'active' WHERE id = $1`, [row.newMaster]);
  for (const { policy, day } of (await victims(session, row)).due) {
    await query(
      session,
      `WITH gone AS (DELETE FROM lethe_keys.day_key WHERE policy = $1 AND day = $2 RETURNING *)
       INSERT INTO lethe_keys.tombstone (policy, day, destroy_at, fingerprint, canary, destruction)
       SELECT policy, day, destroy_at, fingerprint, canary, $3 FROM gone`,
      [policy, day, row.id],
    );
  }
  if (row.cause === 'early' && !row.days)
    await query(session, 'UPDATE lethe_keys.policy SET ended_at = clock_timestamp() WHERE id = $1', [
      row.policy,
    ]);
  for (const survivor of await readDayKeys(session, 'k.master <> $1', [row.newMaster])) {
    const key = await unwrapKey(context.masters, survivor.wrapped, survivor);
    const wrapped = await wrapKey(context.masters, key, { ...survivor, master: row.newMaster });
    key.fill(0);
    await query(
      session,
      'UPDATE lethe_keys.day_key SET master = $3, wrapped = $4 WHERE policy = $1 AND day = $2',
      [survivor.policy, survivor.day, row.newMaster, wrapped],
    );
  }
  await changed(session, true);
}

/** Over a new connection: nothing lives under another master than the new one, here, in the copy and on standbys. */
async function verifySurvivors(
  session: Session,
  context: StoreContext,
  { newMaster }: DestructionRow,
): Promise<void> {
  await standbysReplayed(session);
  await withStore(context, async (fresh) => {
    const [other] = await query(fresh, 'SELECT count(*) AS n FROM lethe_keys.day_key WHERE master <> $1', [
      newMaster,
    ]);
    if (other?.n !== '0')
      throw new LetheError('KeyStoreTampered', 'Day keys still need an old master key: it is not destroyed.');
    await openAll(fresh, context);
  });
  const folder = context.settings.copy;
  if (folder === undefined) return;
  const content = await readCopy(context, folder);
  const keys = JSON.parse(content.tables.day_key) as { master: string }[];
  if (keys.some(({ master }) => master !== newMaster))
    throw new LetheError('KeyCopyFailed', `The second copy in ${folder} still needs an old master key.`);
  await openCopy(context, folder, content);
}

async function standbysReplayed(session: Session): Promise<void> {
  const [now] = await query(session, 'SELECT pg_current_wal_lsn() AS lsn');
  const until = Date.now() + REPLAY_MS;
  for (;;) {
    const [row] = await query(
      session,
      `SELECT count(*) FILTER (WHERE replay_lsn < $1::pg_lsn) AS behind, count(*) FILTER (WHERE state IS NULL) AS hidden
       FROM pg_catalog.pg_stat_replication
       WHERE pid NOT IN (SELECT active_pid FROM pg_catalog.pg_replication_slots
         WHERE slot_type = 'logical' AND active_pid IS NOT NULL)`,
      [now?.lsn],
    );
    if (row?.hidden !== '0') {
      throw new LetheError(
        'PermissionDenied',
        'The key store has standbys whose state this role may not see. Let a superuser run: GRANT pg_monitor TO the role of the key store.',
      );
    }
    if (row?.behind === '0') return;
    if (Date.now() > until)
      throw new LetheError(
        'Unreachable',
        'A standby of the key store does not keep up: the old master key is kept until it does.',
      );
    await sleep(200);
  }
}

/** Old masters, in the second copy first; what is gone already counts as well. */
async function destroyMasters(
  session: Session,
  context: StoreContext,
  newMaster: string,
): Promise<Map<string, Destroyed>> {
  const ends = new Map<string, Destroyed>();
  const old = await query(session, `SELECT id FROM lethe_keys.master WHERE state = 'retiring' AND id <> $1`, [
    newMaster,
  ]);
  const folder = context.settings.copy;
  const copied = folder === undefined ? undefined : copiedMasters(context, folder);
  // A copy that is written now would bring it back.
  await query(session, `SELECT pg_advisory_lock(hashtext('lethe_keys/copy'))`);
  try {
    for (const { id } of old) {
      const there = copied && (await copied.masters.destroy(id!));
      const here = await context.masters.destroy(id!);
      ends.set(id!, worst(there ? [there, here] : [here]));
    }
  } finally {
    await query(session, `SELECT pg_advisory_unlock(hashtext('lethe_keys/copy'))`);
  }
  return ends;
}

/** The grade of a tombstone is that of the masters that this destruction ended. */
async function noteGrades(session: Session, destruction: number): Promise<void> {
  const masters = await query(
    session,
    `SELECT m.grade, m.until FROM lethe_keys.master m, lethe_keys.destruction d
     WHERE d.id = $1 AND m.state = 'destroyed' AND m.destroyed_at >= d.started_at`,
    [destruction],
  );
  const end = worst(
    masters.map((row) => ({ grade: row.grade as Grade, ...(row.until !== null && { until: row.until }) })),
  );
  await execute(
    session,
    `UPDATE lethe_keys.tombstone SET destroyed_at = (SELECT coalesce(clock, clock_timestamp()) FROM lethe_keys.store),
       grade = $2, until = $3 WHERE destruction = $1`,
    [destruction, end.grade, end.until ?? null],
  );
}
