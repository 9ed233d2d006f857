/** What an audit looks at, in this order. */
export const AUDIT_CHECKS = {
  chain: 'Batches are linked without a gap, and each fits its link.',
  bounds: 'The key ranges of batches follow each other and fill their partition.',
  signature: 'What was signed is what stands in the ledger, by the holder of the job key.',
  rules: 'The rules are those that the run pinned, and give the same output here.',
  counts: 'Rows by table are as signed.',
  quarantine: 'The quarantine is as signed.',
  sample: 'Rows read again from the source are as they were, and come out as they did.',
} as const;

export type AuditCheck = keyof typeof AUDIT_CHECKS;

/**
 * `mismatch`: the ledger contradicts itself, its signature or its rules: somebody changed it, or it was made otherwise
 * than it says. `changed`: the source is not as it was then, which says nothing about the run. `unchecked`: could not be
 * looked at.
 */
export type FindingKind = 'mismatch' | 'changed' | 'unchecked';

export interface AuditFinding {
  readonly kind: FindingKind;
  readonly check: AuditCheck;
  /** What does not fit. Names, counts and numbers; no value. */
  readonly message: string;
  /** `schema.table` of the source. */
  readonly table?: string;
  readonly partition?: number;
  readonly batch?: number;
}

/** One check with its outcome, the worst of its findings. */
export interface CheckOutcome {
  readonly check: AuditCheck;
  readonly result: 'ok' | FindingKind;
  /** What was looked at, or that it was not. */
  readonly message: string;
}

/** Findings of one check that are listed; more are counted. */
const LISTED = 50;

/** Collects what an audit finds and what it looked at. */
export class Findings {
  private readonly found: AuditFinding[] = [];
  private readonly seen = new Map<AuditCheck, string>();

  add(kind: FindingKind, check: AuditCheck, message: string, place: Partial<AuditFinding> = {}): void {
    this.found.push({ kind, check, message, ...place });
  }

  /** Says what a check looked at: `12 batches in 3 partitions`. */
  looked(check: AuditCheck, at: string): void {
    this.seen.set(check, at);
  }

  /** Those of one check beyond the first fifty are counted in one more. */
  list(): AuditFinding[] {
    return (Object.keys(AUDIT_CHECKS) as AuditCheck[]).flatMap((check) =>
      (['mismatch', 'changed', 'unchecked'] as const).flatMap((kind) => {
        const all = this.found.filter((one) => one.check === check && one.kind === kind);
        if (all.length <= LISTED) return all;
        return [...all.slice(0, LISTED), { kind, check, message: `… and ${all.length - LISTED} more.` }];
      }),
    );
  }

  outcomes(): CheckOutcome[] {
    return (Object.keys(AUDIT_CHECKS) as AuditCheck[]).flatMap((check): CheckOutcome[] => {
      const kinds = this.found.filter((one) => one.check === check).map(({ kind }) => kind);
      const looked = this.seen.get(check);
      if (kinds.length === 0 && looked === undefined) return [];
      const result =
        (['mismatch', 'changed', 'unchecked'] as const).find((kind) => kinds.includes(kind)) ?? 'ok';
      return [{ check, result, message: looked ?? AUDIT_CHECKS[check] }];
    });
  }
}
