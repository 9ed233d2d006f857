/**
 * The steps of a destruction, in order. Each is recorded when it is done, and can be done again: a destruction that was
 * killed anywhere goes on with the step after the last recorded one.
 *
 *     begun      the id of the new master is written down
 *     created    the new master exists, was read back, and is active: new day keys are wrapped under it
 *     rewrapped  in one transaction: old masters take no more keys (which waits for writers), holds are looked at again,
 *                survivors are wrapped under the new master, the others have tombstones in place of keys
 *     copied     the second copy holds the survivors and the new master, and was read back
 *     verified   no row names an old master, standbys have replayed, each survivor opens under the new master
 *     destroyed  the old masters are destroyed, here and in the second copy
 *     receipted  receipts are signed and chained
 *     done       the second copy holds the receipts
 *
 * Up to `verified` every surviving key opens under an old master or the new one; from `destroyed` on nothing opens the
 * others, in no backup either.
 */
export const STEPS = [
  'begun',
  'created',
  'rewrapped',
  'copied',
  'verified',
  'destroyed',
  'receipted',
  'done',
] as const;

export type Step = (typeof STEPS)[number];

/** What each step after `begun` does; `record` writes it down, in the same transaction where there is one. */
export type StepActions = Readonly<Record<Exclude<Step, 'begun'>, (record: RecordStep) => Promise<void>>>;

/** Writes a step down as done. */
export type RecordStep = () => Promise<void>;

/** Says when a step did its work (`acted`) and when it was written down (`recorded`): tests stop there. */
export type Witness = (step: Step, what: 'acted' | 'recorded') => void | Promise<void>;

/**
 * Does what is left of a destruction.
 *
 * @param from The last step that was recorded.
 */
export async function runSteps(
  from: Step,
  actions: StepActions,
  record: (step: Step) => Promise<void>,
  witness: Witness = () => undefined,
): Promise<void> {
  for (const step of STEPS.slice(STEPS.indexOf(from) + 1)) {
    await actions[step as Exclude<Step, 'begun'>](async () => {
      await witness(step, 'acted');
      await record(step);
    });
    await witness(step, 'recorded');
  }
}
