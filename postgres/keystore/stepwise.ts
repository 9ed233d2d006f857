import { STEPS, type Step } from '../../retention/keys/destruction.js';
import type { Destroyed } from '../../retention/keys/masters.js';
import { locked, type StoreContext, withStore } from './context.js';
import {
  asDestroyer,
  cutoffOf,
  type DestroyRequest,
  iso,
  type PolicyDay,
  recordBegin,
  recordStep,
} from './destroy.js';
import { readDestruction, readOpen, readRow, type Target, victims } from './destruction.js';
import { noteCutoff, readStore } from './rows.js';
import { stepActions } from './steps.js';

/** What is to be done next. */
export interface NextDestruction {
  /** Left out where nothing is due. */
  readonly destruction?: {
    readonly id: number;
    /** The last step that was recorded. */
    readonly step: Step;
    /** An earlier run left it. */
    readonly unfinished: boolean;
  };
  /** ISO 8601: keys whose time ended at or before it are due. Left out before what an earlier run left is done. */
  readonly cutoff?: string;
  /** Due, and kept by a hold. */
  readonly held: readonly PolicyDay[];
}

/** What a destruction that is done came to. */
export interface EndedDestruction {
  readonly destroyed: readonly PolicyDay[];
  readonly grade?: Destroyed;
}

/**
 * The destruction to go on with: one that an earlier run left, else one that begins for what is due. Several may ask at
 * once, and get the same one.
 *
 * @throws LetheError `ClocksDiffer`, `Unconfirmed`: then nothing is destroyed.
 */
export function beginDue(context: StoreContext, request: DestroyRequest = {}): Promise<NextDestruction> {
  return asDestroyer(context, async (session) => {
    await readStore(session, context);
    const open = await readOpen(session);
    if (open) return { destruction: { id: open.id, step: open.step, unfinished: true }, held: [] };
    const { clocks, cutoff } = await cutoffOf(session, context, request);
    const target: Target = { cause: 'due', cutoff };
    const { due, held } = await victims(session, target);
    const days = held.map(({ policy, day }) => ({ policy, day }));
    if (due.length === 0) {
      await locked(session, () => noteCutoff(session, cutoff));
      return { cutoff: iso(cutoff), held: days };
    }
    const id = await recordBegin(session, { target, clocks });
    return { destruction: { id, step: 'begun', unfinished: false }, cutoff: iso(cutoff), held: days };
  });
}

/**
 * Does a destruction up to a step, and nothing where that is recorded already: by this run, or by another that goes on with
 * the same one.
 *
 * @throws LetheError `ObjectMissing` when the store was restored to a state without it; `KeyCopyFailed`,
 * `MasterKeyUnusable`: then the steps up to the last recorded one stand.
 */
export function destroyUpTo(context: StoreContext, id: number, step: Step): Promise<void> {
  return asDestroyer(context, async (session) => {
    const { step: last } = await readRow(session, id);
    const actions = stepActions(session, context, id);
    for (const next of STEPS.slice(STEPS.indexOf(last) + 1, STEPS.indexOf(step) + 1))
      await actions[next as Exclude<Step, 'begun'>](() => recordStep(session, id, next));
  });
}

/** What a destruction destroyed. */
export function endedDestruction(context: StoreContext, id: number): Promise<EndedDestruction> {
  return withStore(context, (session) => readDestruction(session, id));
}
