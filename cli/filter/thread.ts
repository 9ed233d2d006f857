import { workerData } from 'piscina';
import { type ErrorType, LetheError } from '../../errors/errors.js';
import type { FilterSettings } from '../../retention/filter/settings.js';
import { createTransform, type FilterTask, type Transformed } from '../../retention/filter/transform.js';

/** Classes do not survive the way between threads, so a failure travels as what it is made of. */
export type ThreadAnswer =
  | { readonly done: Transformed }
  | { readonly failure: { readonly type: ErrorType; readonly message: string } };

const transform = createTransform(workerData as FilterSettings);

/** Entry of a filter's thread. */
export default function run(task: FilterTask): ThreadAnswer {
  try {
    return { done: transform(task) };
  } catch (error) {
    if (error instanceof LetheError) return { failure: { type: error.type, message: error.message } };
    // Its message may hold a value.
    const name = error instanceof Error ? error.name : typeof error;
    return { failure: { type: 'Internal', message: `A thread of the filter failed (${name}).` } };
  }
}
