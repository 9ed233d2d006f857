import { setCurrentDetails } from '@temporalio/workflow';
import type { KeysInput, MadeKeys } from '../activities/keyTypes.js';
import { eachKeyStore } from './keyStores.js';
import { checkKeysInput, logicalTime } from './keysInput.js';
import { activitiesOf, type Tuning } from './options.js';

/** Input of `generateDayKeys`. */
export interface GenerateDayKeysInput extends KeysInput {
  /** For tests. */
  tuning?: Tuning;
}

export interface GeneratedStore extends MadeKeys {
  keyStore: string;
}

/**
 * Makes the day keys of today and the next two days where they are missing. It looks at what is there, so it may run twice, at
 * once, late, or for a day that is past: then that day's keys are made as well, while its window lasts.
 */
export async function generateDayKeys(input?: GenerateDayKeysInput): Promise<GeneratedStore[]> {
  const checked = checkKeysInput('generateDayKeys', input, ['keyStore', 'file', 'logicalDate']);
  const activities = activitiesOf(checked.tuning);
  const logical = logicalTime(checked);
  const lines: string[] = [];
  return eachKeyStore(activities, checked, 'generate', async (ref) => {
    const { keyStore } = ref;
    const made = await activities.control.makeDayKeys.executeWithOptions({ summary: keyStore }, [
      ref,
      logical,
    ]);
    lines.push(`- **${keyStore}**: ${made.made} day keys made, for ${made.policies.join(', ')}`);
    setCurrentDetails(lines.join('\n'));
    return { keyStore, ...made };
  });
}
