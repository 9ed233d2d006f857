/** Outcome of one check of a finished run. Names and counts; no value of any row. */
export interface CheckResult {
  /** Stable, kebab-case. */
  readonly name: string;
  readonly ok: boolean;
  /** What was found; when not ok, also what to do. */
  readonly message: string;
  /** What it means when not ok. Default `fail`: the run fails. `warn`: it is only said. */
  readonly severity?: 'fail' | 'warn';
  /** `schema.table` of the destination, and its column, when it is about one. */
  readonly table?: string;
  readonly column?: string;
  /** What was counted or measured, beside what was to be expected (by chance) or allowed. */
  readonly observed?: number;
  readonly expected?: number;
  /** Further numbers, by name. */
  readonly details?: Readonly<Record<string, number | readonly number[]>>;
}

/** It speaks against the run: not ok, and more than a warning. */
export function fails({ ok, severity }: Pick<CheckResult, 'ok' | 'severity'>): boolean {
  return !ok && severity !== 'warn';
}

/** It is to be said, and fails nothing. */
export function warns({ ok, severity }: Pick<CheckResult, 'ok' | 'severity'>): boolean {
  return !ok && severity === 'warn';
}

/** One time that a run was checked. */
export interface CheckRecord {
  readonly run: string;
  readonly job: string;
  /** ISO 8601, UTC. */
  readonly checkedAt: string;
  /** `run`: at its end; `validate`: by `lethe validate`. */
  readonly origin: 'run' | 'validate';
  readonly ok: boolean;
  readonly seconds: number;
  /** State of the source that was read, where it has states that can be named. */
  readonly sourceSnapshot?: string;
  readonly checks: readonly CheckResult[];
  /** By column, as the report shows it: numbers only. */
  readonly distributions: readonly unknown[];
}
