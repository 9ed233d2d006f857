import type { CheckResult } from '../ledger/checks.js';

/** The checks there are. */
export type CheckName =
  | 'owner'
  | 'complete'
  | 'rows'
  | 'constraints'
  | 'recompute'
  | 'leaks'
  | 'leak-scan'
  | 'residual'
  | 'drift'
  | 'k-anonymity'
  | 'sealed';

/** Outcome of one check of a finished run. A check that holds everywhere is one; each failure is one more. */
export interface Check extends CheckResult {
  readonly name: CheckName;
}

/** The failures, or that there are none. */
export function orAll(failures: readonly Check[], passed: Check): Check[] {
  return failures.length > 0 ? [...failures] : [passed];
}
