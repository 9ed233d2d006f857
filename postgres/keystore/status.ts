import { stat } from 'node:fs/promises';
import { LetheError } from '../../errors/errors.js';
import { decideCutoff } from '../../retention/keys/cutoff.js';
import { DAY_MS, type Day } from '../../retention/token/day.js';
import { query, type Session } from '../session.js';
import { type StoreContext, withStore } from './context.js';
import { copyFile, onOtherDisk } from './copy.js';
import { readOpen } from './destruction.js';
import { type Hold, readHolds } from './holds.js';
import { type DayKeyRow, readDayKeys, readPolicies, readStore, type StoreRow } from './rows.js';

/** So long after its end a day key counts as overdue. Milliseconds. */
const OVERDUE_MS = DAY_MS + 3_600_000;

/** How a key store stands. Times are ISO 8601. */
export interface StoreStatus {
  readonly store: string;
  readonly simulated: boolean;
  readonly now: string;
  readonly policies: readonly PolicyStatus[];
  readonly holds: readonly Hold[];
  readonly copies: CopyStatus;
  /** When the next day key is due that no hold keeps. */
  readonly nextDestruction?: string;
  readonly lastDestruction: string;
  readonly lastGeneration?: string;
  /** The step after which a destruction stands that is not done. */
  readonly unfinished?: string;
  /** Seconds since the oldest key of any policy was due that is still there and not held; 0 when none is. */
  readonly overdueSeconds: number;
  /** What somebody has to look at; empty is well. */
  readonly alarms: readonly string[];
}

export interface PolicyStatus {
  readonly id: string;
  readonly name: string;
  /** Days. */
  readonly window: number;
  /** No longer in the retention file; its keys are destroyed all the same. */
  readonly removed: boolean;
  /** Destroyed on request. */
  readonly ended: boolean;
  readonly live: number;
  readonly oldest?: Day;
  readonly newest?: Day;
  readonly due: number;
  readonly held: number;
  readonly destroyed: number;
  /** Seconds since the oldest key was due that is still there and not held; 0 when none is. */
  readonly overdueSeconds: number;
  /** Worst grade of its destroyed days. */
  readonly grade?: string;
}

export interface CopyStatus {
  /** 1 or 2. */
  readonly current: number;
  /** Of the second copy, seconds; left out where there is none. */
  readonly age?: number;
}

/** Looks at a key store; changes nothing. */
export function readStatus(context: StoreContext): Promise<StoreStatus> {
  return withStore(context, async (session) => {
    const store = await readStore(session, context);
    const rows = await readDayKeys(session);
    const policies = await policyStatus(session, context, rows, store.now);
    const copies = await copyStatus(context, store.copied >= store.revision);
    const next = earliest(rows);
    const open = await readOpen(session);
    const status = {
      store: context.name,
      simulated: store.simulated,
      now: iso(store.now),
      policies,
      holds: await readHolds(session),
      copies,
      ...(next && { nextDestruction: iso(next.destroyAt) }),
      lastDestruction: iso(store.lastCutoff),
      ...(store.lastGenerated !== undefined && { lastGeneration: iso(store.lastGenerated) }),
      ...(open && { unfinished: open.step }),
      overdueSeconds: Math.max(0, ...policies.map(({ overdueSeconds }) => overdueSeconds)),
    };
    const alarms = [...alarmsOf(status), ...clockAlarms(store), ...(await masterAlarms(session, context))];
    return { ...status, alarms };
  });
}

function earliest(rows: readonly DayKeyRow[]): DayKeyRow | undefined {
  return rows.filter(({ held }) => !held).sort((a, b) => a.destroyAt - b.destroyAt)[0];
}

async function policyStatus(
  session: Session,
  context: StoreContext,
  rows: readonly DayKeyRow[],
  now: number,
): Promise<PolicyStatus[]> {
  const ended = await query(
    session,
    `SELECT policy, count(*) AS n, (array_agg(grade ORDER BY array_position(ARRAY['none', 'bestEffort', 'pending', 'erased'], grade)))[1] AS grade
     FROM lethe_keys.tombstone GROUP BY policy`,
  );
  const known = await readPolicies(session);
  const ids = new Set([...known.keys(), ...rows.map(({ policy }) => policy)]);
  return [...ids].sort().map((id) => {
    const mine = rows.filter(({ policy }) => policy === id);
    const live = mine.filter(({ destroyAt }) => destroyAt > now);
    const due = mine.filter(({ destroyAt, held }) => destroyAt <= now && !held);
    const tombs = ended.find(({ policy }) => policy === id);
    return {
      id,
      name: context.policies.get(id)?.name ?? id,
      window: known.get(id)?.window ?? 0,
      removed: !context.policies.has(id),
      ended: known.get(id)?.ended ?? false,
      live: live.length,
      ...(live[0] && { oldest: live[0].day, newest: live.at(-1)!.day }),
      due: due.length,
      held: mine.filter(({ held }) => held).length,
      destroyed: Number(tombs?.n ?? 0),
      overdueSeconds: Math.max(0, ...due.map(({ destroyAt }) => (now - destroyAt) / 1000)),
      ...(tombs?.grade && { grade: tombs.grade }),
    };
  });
}

async function copyStatus(context: StoreContext, current: boolean): Promise<CopyStatus> {
  const folder = context.settings.copy;
  if (folder === undefined) return { current: 1 };
  const found = await stat(copyFile(folder)).catch(() => undefined);
  return {
    current: found && current ? 2 : 1,
    ...(found && { age: Math.max(0, (Date.now() - found.mtimeMs) / 1000) }),
  };
}

function alarmsOf({ policies, copies, unfinished }: Omit<StoreStatus, 'alarms'>): string[] {
  const alarms: string[] = [];
  if (copies.current < 2)
    alarms.push(
      'There is one current copy of the keys only: give the store a copy: on another disk, and mount it.',
    );
  if (unfinished !== undefined)
    alarms.push(`A destruction stands after its step "${unfinished}": the next run finishes it.`);
  for (const { id, overdueSeconds, live, removed, ended } of policies) {
    if (overdueSeconds * 1000 > OVERDUE_MS)
      alarms.push(
        `Keys of policy ${id} have been due for ${Math.floor(overdueSeconds / 3600)} h: run \`lethe retention destroy\`.`,
      );
    if (live === 0 && !removed && !ended)
      alarms.push(`Policy ${id} has no key to seal with: run \`lethe retention generate\`.`);
  }
  return alarms;
}

/** Why the next destruction will be refused. */
function clockAlarms({ simulated, now, lastCutoff }: StoreRow): string[] {
  if (simulated) return [];
  try {
    decideCutoff({ logical: now, database: now, temporal: Date.now() }, lastCutoff);
    return [];
  } catch (error) {
    if (error instanceof LetheError) return [error.message];
    throw error;
  }
}

async function masterAlarms(session: Session, context: StoreContext): Promise<string[]> {
  const alarms: string[] = [];
  const masters = await query(session, `SELECT id FROM lethe_keys.master WHERE state = 'active'`);
  for (const { id } of masters) {
    try {
      await context.masters.check(id!);
    } catch (error) {
      alarms.push(error instanceof LetheError ? error.message : 'The master key cannot be used.');
    }
  }
  const { copy, masters: where, simulated } = context.settings;
  if (copy !== undefined && 'file' in where && !simulated && (await onOtherDisk(copy, where.file)) === false)
    alarms.push('The second copy lies on the same disk as the master keys: one failure takes both.');
  return alarms;
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
