import { ApplicationFailure, setCurrentDetails } from '@temporalio/workflow';
import type { DayOf, DestroyedKeys, DestroyKeysInput, KeyStoreRef } from '../activities/keyTypes.js';
import { STEPS, type Step } from '../retention/keys/destruction.js';
import { eachKeyStore } from './keyStores.js';
import { checkKeysInput, logicalTime } from './keysInput.js';
import { type Activities, activitiesOf, type Tuning } from './options.js';

/** Input of `destroyDayKeys`. */
export interface DestroyDayKeysInput extends DestroyKeysInput {
  /** For tests. */
  tuning?: Tuning;
}

export interface DestroyedStore extends DestroyedKeys {
  keyStore: string;
  /** ISO 8601: keys whose time ended at or before it were due. */
  cutoff: string;
  /** Due, and kept by a hold. */
  held: DayOf[];
}

const SAYS: Readonly<Record<Step, string>> = {
  begun: 'begun',
  created: 'a fresh master key',
  rewrapped: 'living keys wrapped under it, the others are tombstones',
  copied: 'second copy replaced and read back',
  verified: 'each living key opens, nothing needs the old master',
  destroyed: 'old master keys destroyed',
  receipted: 'receipts signed',
  done: 'second copy holds the receipts',
};

/** Destructions one after the other that a run takes part in: those that others left or began, and its own. */
const ROUNDS = 20;

/**
 * Destroys the day keys whose window is over, in recorded steps: a run that was killed anywhere is finished by the next. It
 * looks at what is due, so it may run twice, at once, late, or for a day that is past. Nothing is destroyed while clocks
 * differ, nor, until confirmed, when the last run was more than seven days ago.
 */
export async function destroyDayKeys(input?: DestroyDayKeysInput): Promise<DestroyedStore[]> {
  const fields = ['keyStore', 'file', 'logicalDate', 'confirmGap'];
  const checked = checkKeysInput('destroyDayKeys', input, fields);
  const { confirmGap, tuning } = checked;
  const activities = activitiesOf(tuning);
  const logical = logicalTime(checked);
  const details = new Details();
  return eachKeyStore(activities, checked, 'destroy', (ref) =>
    destroyIn(activities, ref, details, {
      ...(logical !== undefined && { logical }),
      ...(confirmGap && { confirmGap }),
    }),
  );
}

async function destroyIn(
  activities: Activities,
  ref: KeyStoreRef,
  details: Details,
  run: { logical?: number; confirmGap?: boolean },
): Promise<DestroyedStore> {
  const { keyStore } = ref;
  const destroyed: DayOf[] = [];
  let grade: DestroyedKeys['grade'];
  for (let round = 0; round < ROUNDS; round += 1) {
    const begun = await activities.longControl.beginDestruction.executeWithOptions({ summary: keyStore }, [
      ref,
      run,
    ]);
    const { destruction, cutoff, held } = begun;
    if (!destruction) {
      details.say(`- **${keyStore}**: ${destroyed.length} day keys destroyed, ${held.length} held`);
      return { keyStore, cutoff: cutoff!, held, destroyed, ...(grade && { grade }) };
    }
    const { id, step: last, unfinished } = destruction;
    details.say(`- **${keyStore}**: destruction ${id}${unfinished ? ', which an earlier run left' : ''}`);
    for (const step of STEPS.slice(STEPS.indexOf(last) + 1)) {
      const summary = `${keyStore}: ${SAYS[step]}`;
      await activities.longControl.destroyUpTo.executeWithOptions({ summary }, [ref, id, step]);
      details.say(`- ${SAYS[step]}`);
    }
    const ended = await activities.control.endedDestruction(ref, id);
    destroyed.push(...ended.destroyed);
    grade = ended.grade ?? grade;
    for (const { policy, day } of ended.destroyed) details.say(`- ${policy} ${day} is gone`);
  }
  throw ApplicationFailure.nonRetryable(
    'Other runs keep destroying keys of this store: nothing is lost, the next run finishes it.',
    'DestinationBusy',
  );
}

/** What the Temporal UI shows while it goes on. */
class Details {
  private readonly lines: string[] = [];

  say(line: string): void {
    this.lines.push(line);
    setCurrentDetails(this.lines.slice(-200).join('\n'));
  }
}
