import { LetheError } from '../../errors/errors.js';
import { type Clocks, decideCutoff } from '../../retention/keys/cutoff.js';
import { runSteps, type Step, type Witness } from '../../retention/keys/destruction.js';
import type { Destroyed } from '../../retention/keys/masters.js';
import type { Day } from '../../retention/token/day.js';
import { query, type Session } from '../session.js';
import { locked, type StoreContext, withStore } from './context.js';
import { newMasterId } from './create.js';
import { readDestruction, readOpen, type Target, victims } from './destruction.js';
import { changed, noteCutoff, readPolicies, readStore } from './rows.js';
import { stepActions } from './steps.js';

export interface DestroyRequest {
  /** The time that this run is for, milliseconds since 1970. Default now. */
  readonly logical?: number;
  /** Temporal's clock; default this machine's. Milliseconds since 1970. */
  readonly temporal?: number;
  /** A person said that a way of more than seven days from the last run is right. */
  readonly confirmGap?: boolean;
  /** For tests: hears of each step, and may stop there. */
  readonly witness?: Witness;
}

export interface EarlyRequest extends DestroyRequest {
  readonly policy: string;
  /** Default: every day of the policy, which then gets no keys any more. */
  readonly days?: readonly Day[];
  readonly actor: string;
  readonly reason: string;
}

/** What a run of destruction did. */
export interface Destruction {
  /** ISO 8601. */
  readonly cutoff: string;
  readonly destroyed: readonly PolicyDay[];
  /** Due, and kept by a hold. */
  readonly held: readonly PolicyDay[];
  /** How the old masters were destroyed; left out where nothing was. */
  readonly grade?: Destroyed;
}

export interface PolicyDay {
  readonly policy: string;
  readonly day: Day;
}

/**
 * Finishes what an earlier run left, then destroys every day key that is due. Safe to run at any time, twice, and at once:
 * one destroys, others wait for it and find nothing left.
 *
 * @throws LetheError `ClocksDiffer`, `Unconfirmed`, `KeyCopyFailed`, `MasterKeyUnusable`: then no key that lives is touched.
 */
export function destroyDue(context: StoreContext, request: DestroyRequest = {}): Promise<Destruction> {
  return asDestroyer(context, async (session) => {
    const before = await resume(session, context, request.witness);
    const { clocks, cutoff } = await cutoffOf(session, context, request);
    const target: Target = { cause: 'due', cutoff };
    const { due, held } = await victims(session, target);
    if (due.length === 0) {
      await locked(session, () => noteCutoff(session, cutoff));
      return {
        cutoff: iso(cutoff),
        held,
        destroyed: before.destroyed,
        ...(before.grade && { grade: before.grade }),
      };
    }
    const done = await destroyNow(session, context, { target, clocks }, request.witness);
    return { cutoff: iso(cutoff), held, ...done, destroyed: [...before.destroyed, ...done.destroyed] };
  });
}

/**
 * Destroys keys before their time, on request.
 * @throws LetheError `OnHold` when a hold keeps one of them, `RetentionInvalid` when there is none.
 */
export function destroyEarly(context: StoreContext, request: EarlyRequest): Promise<Destruction> {
  const { policy, days, actor, reason } = request;
  if (!actor.trim() || !reason.trim())
    throw new LetheError(
      'RetentionInvalid',
      'Early destruction has an actor and a reason: --actor and --reason.',
    );
  return asDestroyer(context, async (session) => {
    const before = await resume(session, context, request.witness);
    const { clocks, cutoff } = await cutoffOf(session, context, { ...request, confirmGap: true });
    const target: Target = { cause: 'early', cutoff, policy, ...(days && { days }), actor, reason };
    const { due, held } = await victims(session, target);
    if (held.length > 0) {
      throw new LetheError(
        'OnHold',
        `A legal hold keeps ${held.length} of these days (${held.map(({ day }) => day).join(', ')}): release it first, or leave them out.`,
      );
    }
    if (due.length === 0 && !(await readPolicies(session)).has(policy))
      throw new LetheError('RetentionInvalid', `The key store has no policy "${policy}".`);
    if (due.length === 0)
      throw new LetheError('RetentionInvalid', `Policy ${policy} has no key for these days.`);
    const done = await destroyNow(session, context, { target, clocks }, request.witness);
    return { cutoff: iso(cutoff), held: [], ...done, destroyed: [...before.destroyed, ...done.destroyed] };
  });
}

/** Wraps every day key under a fresh master and destroys the old one; no day key ends. */
export function rotateMaster(context: StoreContext, request: DestroyRequest = {}): Promise<Destruction> {
  return asDestroyer(context, async (session) => {
    await resume(session, context, request.witness);
    const { clocks, cutoff } = await cutoffOf(session, context, { ...request, confirmGap: true });
    const done = await destroyNow(
      session,
      context,
      { target: { cause: 'rotate', cutoff }, clocks },
      request.witness,
    );
    return { cutoff: iso(cutoff), held: [], ...done };
  });
}

/** One destroys at a time; the lock goes with the connection, so a killed one does not keep it. */
export function asDestroyer<T>(context: StoreContext, body: (session: Session) => Promise<T>): Promise<T> {
  return withStore(context, async (session) => {
    await query(session, `SELECT pg_advisory_lock(hashtext('lethe_keys/destroy'))`);
    return body(session);
  });
}

/** The clocks of a run, and up to when keys are due by them. */
export async function cutoffOf(session: Session, context: StoreContext, request: DestroyRequest) {
  const { now, simulated, lastCutoff } = await readStore(session, context);
  const clocks: Clocks = {
    logical: request.logical ?? now,
    database: now,
    temporal: simulated ? now : (request.temporal ?? Date.now()),
  };
  return { clocks, cutoff: decideCutoff(clocks, lastCutoff, request.confirmGap || simulated) };
}

/** What a destruction begins with. */
export interface Begin {
  readonly target: Target;
  readonly clocks: Clocks;
}

async function destroyNow(
  session: Session,
  context: StoreContext,
  begin: Begin,
  witness: Witness | undefined,
): Promise<Pick<Destruction, 'destroyed' | 'grade'>> {
  const id = await recordBegin(session, begin);
  await witness?.('begun', 'recorded');
  return finish(session, context, id, 'begun', witness);
}

/** Writes down that a destruction begins, with the id of its new master. Returns its number. */
export function recordBegin(session: Session, { target, clocks }: Begin): Promise<number> {
  return locked(session, async () => {
    const [row] = await query(
      session,
      `INSERT INTO lethe_keys.destruction (id, cause, policy, days, actor, reason, step, new_master, cutoff, clocks)
       VALUES ((SELECT coalesce(max(id), 0) + 1 FROM lethe_keys.destruction), $1, $2, $3, $4, $5, 'begun', $6,
         to_timestamp($7::float8), $8) RETURNING id`,
      [
        target.cause,
        target.policy ?? null,
        target.days ?? null,
        target.actor ?? null,
        target.reason ?? null,
        newMasterId(clocks.database),
        target.cutoff / 1000,
        JSON.stringify({
          logical: iso(clocks.logical),
          database: iso(clocks.database),
          temporal: iso(clocks.temporal),
        }),
      ],
    );
    await changed(session);
    return Number(row?.id);
  });
}

/** Does what is left of a destruction that was killed. */
async function resume(
  session: Session,
  context: StoreContext,
  witness: Witness | undefined,
): Promise<Pick<Destruction, 'destroyed' | 'grade'>> {
  await readStore(session, context);
  const open = await readOpen(session);
  return open ? finish(session, context, open.id, open.step, witness) : { destroyed: [] };
}

async function finish(
  session: Session,
  context: StoreContext,
  id: number,
  from: Step,
  witness: Witness | undefined,
): Promise<Pick<Destruction, 'destroyed' | 'grade'>> {
  await runSteps(from, stepActions(session, context, id), (step) => recordStep(session, id, step), witness);
  return readDestruction(session, id);
}

/** Writes a step of a destruction down as done. */
export async function recordStep(session: Session, id: number, step: Step): Promise<void> {
  await query(
    session,
    `UPDATE lethe_keys.destruction SET step = $2, ended_at = CASE WHEN $2 = 'done' THEN clock_timestamp() END WHERE id = $1`,
    [id, step],
  );
}

export function iso(time: number): string {
  return new Date(time).toISOString();
}
