/** Outcome of one check of a finished run. Names and counts; no value of any row. */
export interface Check {
  /** Stable, kebab-case. */
  readonly name: 'rows' | 'complete' | 'constraints' | 'leaks' | 'owner';
  readonly ok: boolean;
  /** What was found; when not ok, also what to do. */
  readonly message: string;
  /** `schema.table` of the destination, when it is about one. */
  readonly table?: string;
}
