import type { SealingKeys } from '../anonymize/sealing.js';
import type { RetainOptions } from '../anonymize/transformers/retain.js';
import { LetheError } from '../errors/errors.js';
import { parseRetention } from '../job/retention/load.js';
import type { RetentionFile } from '../job/retention/types.js';
import type { Job, RetentionText } from '../job/types.js';
import type { Pins } from '../ledger/types.js';
import { retainsOfPlan } from '../plan/sealing.js';
import { openRingSource } from '../postgres/keystore/sources.js';
import { type SealedBy, sealedBy } from '../quality/sealed.js';
import { chosenPolicies, type Policy } from '../retention/keys/policy.js';
import { addDays, type Day, dayAt } from '../retention/token/day.js';
import { Keyring } from '../retention/token/ring.js';
import type { Dependencies } from './dependencies.js';

/**
 * The day keys that a run seals with, from the key stores of the retention file that it pinned: they stay in this process.
 * Nothing for a run that seals nothing.
 */
export async function sealingOf(
  { resolve }: Dependencies,
  pins: Pick<Pins, 'plan' | 'retention' | 'runTime'>,
): Promise<{ sealing?: SealingKeys }> {
  const rules = retainsOfPlan(pins.plan);
  if (rules.length === 0) return {};
  const file = pinnedFile(pins);
  if (!file) throw new LetheError('PlanRefused', 'The run seals values and pinned no retention file.');
  const day = pins.runTime.slice(0, 10);
  const ids = [...new Set(rules.flatMap(({ policy }) => chosenPolicies(policy)))];
  const dated = new Set(
    rules.flatMap(({ policy, date }) => (date === undefined ? [] : chosenPolicies(policy))),
  );
  const keys = await sealingKeys(file, resolve, ids, { day, dated });
  return { sealing: { ...keys, contexts: contextsOf(rules) } };
}

/** What the sealed values of a run are judged by where its keys are at hand. Nothing for a run that seals nothing. */
export function judgedBy(pins: Pick<Pins, 'plan' | 'retention'>): { sealed?: SealedBy } {
  if (retainsOfPlan(pins.plan).length === 0) return {};
  return { sealed: sealedBy(pinnedFile(pins), dayAt(Date.now())) };
}

/**
 * What is needed to look at the sealed values of a run that has ended: the day keys are only read, and where they are not
 * at hand `sealed` says why. Nothing for a run that seals nothing.
 */
export async function openingOf(
  resolve: Dependencies['resolve'],
  pins: Pick<Pins, 'plan' | 'retention' | 'runTime'>,
): Promise<{ sealed?: { sealed: SealedBy; sealing?: SealingKeys } }> {
  const rules = retainsOfPlan(pins.plan);
  if (rules.length === 0) return {};
  const file = pinnedFile(pins);
  const without = (why: string) => ({ sealed: { sealed: sealedBy(file, dayAt(Date.now()), why) } });
  if (!file) return without('the run pinned no retention file');
  const ids = [...new Set(rules.flatMap(({ policy }) => chosenPolicies(policy)))];
  const policies = ids.flatMap((id) => file.policies[id] ?? []);
  if (policies.some(({ store }) => file.stores[store]?.simulated))
    return without('the key store goes by a clock of its own, which is not where it was during the run');
  const source = openRingSource(file, resolve);
  try {
    const rings = await source.rings({ policies: policies.map(({ id }) => id) });
    const byId = Object.fromEntries(policies.map((policy) => [policy.id, policy]));
    const day = pins.runTime.slice(0, 10);
    const sealing = { day, policies: byId, rings, contexts: contextsOf(rules) };
    return { sealed: { sealed: sealedBy(file, dayAt(Date.now())), sealing } };
  } catch (error) {
    if (!(error instanceof LetheError)) throw error;
    return without(`the day keys are not at hand here. ${error.message}`);
  } finally {
    await source.close();
  }
}

/**
 * The retention file that a replay under a corrected job goes by: most rows are sealed already, by the one that the run pinned.
 *
 * @throws LetheError `PlanRefused` where the run sealed nothing, and the corrected job would.
 */
export function retentionOfReplay(
  { retention }: Pick<Pins, 'retention'>,
  corrected: Pick<Job, 'retention'>,
): RetentionText | undefined {
  if (corrected.retention && !retention) {
    throw new LetheError(
      'PlanRefused',
      'The corrected job names a retention file, and the run pinned none: a replay cannot begin to seal. Run the whole job: `lethe sync`.',
    );
  }
  return retention && { ...retention, name: `${retention.name}, as the run pinned it` };
}

function pinnedFile({ retention }: Pick<Pins, 'retention'>): RetentionFile | undefined {
  const { name = 'retention file', text = '' } = retention ?? {};
  return parseRetention(text, name).retention;
}

function contextsOf(rules: readonly RetainOptions[]): string[] {
  return [...new Set(rules.flatMap(({ context }) => context ?? []))];
}

/**
 * Policies with their rings, and the day of the values that no column dates: the given one, or where the key store is
 * simulated, its own. Keys that are missing are made: of the day itself, and of policies whose values are dated by
 * a column, of every day from which a value can still be read.
 *
 * @throws LetheError `DayKeyMissing` when a policy has no key for the day.
 */
export async function sealingKeys(
  file: RetentionFile,
  resolve: Dependencies['resolve'],
  ids: readonly string[],
  { day: real, dated }: { readonly day: Day; readonly dated: ReadonlySet<string> },
): Promise<Pick<SealingKeys, 'day' | 'policies' | 'rings'>> {
  const policies = ids.flatMap((id) => file.policies[id] ?? []);
  const source = openRingSource(file, resolve);
  try {
    const simulated = policies.find(({ store }) => file.stores[store]?.simulated);
    const [ring] = simulated ? await source.rings({ policies: [simulated.id] }) : [];
    const day = ring?.asOf ?? real;
    for (const policy of policies)
      await source.ensureDayKeys(policy.id, dated.has(policy.id) ? daysInside(policy, day) : [day]);
    const rings = await source.rings({ policies: policies.map(({ id }) => id) });
    const keyring = new Keyring(rings);
    // A day that is over is no obstacle: what is dated so is written as expired.
    const missing = policies.find(({ id }) => keyring.find(id, day) === 'noKey');
    if (missing)
      throw new LetheError(
        'DayKeyMissing',
        `There is no key of policy ${missing.id} for ${day}. Look at the clocks of the worker and of the key store, and at \`lethe retention status\`.`,
      );
    return { day, policies: Object.fromEntries(policies.map((policy) => [policy.id, policy])), rings };
  } finally {
    await source.close();
  }
}

function daysInside({ window }: Policy, day: Day): Day[] {
  return Array.from({ length: window }, (_, back) => addDays(day, -back));
}
