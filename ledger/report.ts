import type { Signer } from '../crypto/sign.js';
import { headsDigest } from './chain.js';
import type { Pins, RunState } from './types.js';

/** What is kept of a run when it ends, and signed. Names, counts and our own texts; no value of any row. */
export interface RunReport {
  readonly run: string;
  readonly job: string;
  readonly state: RunState;
  readonly runTime: string;
  readonly endedAt: string;
  /** Hash of the rules as resolved. */
  readonly ruleSet: string;
  /** Digest over the last links of all partitions' hash chains. */
  readonly heads: string;
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly quarantined: number }[];
  readonly quarantined: readonly {
    readonly table: string;
    readonly count: number;
    readonly reason: string;
  }[];
  readonly checks: readonly { readonly name: string; readonly ok: boolean; readonly message: string }[];
  /** Type and message of what ended it, unless it is complete. */
  readonly error?: { readonly type: string; readonly message: string };
  /** Tables emptied and keys left owed by putting things back. */
  readonly restored?: { readonly emptied: readonly string[]; readonly owed: readonly string[] };
}

/** The text that a run's signature covers. */
export function reportText(report: RunReport): string {
  return `lethe/1/report\n${JSON.stringify(report)}`;
}

/** Signs a report with the job's signing key. */
export function signReport(report: RunReport, signer: Signer): { signature: string; publicKey: string } {
  return { signature: signer.sign(reportText(report)), publicKey: signer.publicKey };
}

/** The parts of a report that do not depend on how the run ended. */
export function reportBase(
  run: string,
  pins: Pins,
  heads: ReadonlyMap<number, string>,
): Pick<RunReport, 'run' | 'job' | 'runTime' | 'ruleSet' | 'heads'> {
  const { plan, runTime } = pins;
  return { run, job: plan.job, runTime, ruleSet: plan.ruleSet, heads: headsDigest(heads) };
}
