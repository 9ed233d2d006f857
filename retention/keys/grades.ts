import type { Destroyed } from './masters.js';
import type { Grade } from './policy.js';

const BEST_FIRST: readonly Grade[] = ['erased', 'pending', 'bestEffort', 'none'];

/** Whether a grade is as good as the one that is asked for, or better. */
export function reaches(grade: Grade, required: Grade): boolean {
  return BEST_FIRST.indexOf(grade) <= BEST_FIRST.indexOf(required);
}

/** The worst of several: what wrapped a key under all of them is gone no better than that. */
export function worst(all: readonly Destroyed[]): Destroyed {
  return all.reduce((a, b) => (reaches(a.grade, b.grade) ? b : a), { grade: 'erased' } as Destroyed);
}
