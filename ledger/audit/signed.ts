import { verifies } from '../../crypto/sign.js';
import { ruleSetHash, versionsOf } from '../../plan/pins.js';
import type { Plan } from '../../plan/plan.js';
import { headsDigest } from '../chain.js';
import {
  type PartitionHead,
  pinsDigest,
  type QuarantineRecord,
  quarantineDigest,
  type RunRecord,
  type Segment,
  type SignedReport,
} from '../records.js';
import { reportedPartitions, reportText } from '../report.js';
import { isOpen } from '../states.js';
import type { Pins } from '../types.js';
import type { Findings } from './findings.js';
import type { Walked } from './walk.js';

/** Who the signatures must be of. */
export interface TrustedKey {
  /** Ed25519, 32 bytes, base64. */
  readonly publicKey: string;
}

/**
 * Checks that every report was signed by the job key and about what was pinned, and that the newest one says what the
 * ledger says. Returns that one.
 */
export function compareSigned(
  run: RunRecord,
  segments: readonly Segment[],
  trusted: TrustedKey | undefined,
  findings: Findings,
): SignedReport | undefined {
  const reports = segments.flatMap(({ signed }) => signed ?? []);
  for (const [i, { signed, pins }] of segments.entries()) {
    if (!signed) continue;
    const name =
      i === 0 ? (segments.length === 1 ? 'the report' : 'the first report') : `the report of replay ${i}`;
    checkSignature(signed, name, trusted, findings);
    comparePins(run, pins, signed, name, findings);
  }
  if (reports.length > 0 && !trusted) {
    findings.add(
      'unchecked',
      'signature',
      'Without the job key, or --public-key, anybody could have signed with a key of their own.',
    );
  }
  const last = segments.at(-1)?.signed ?? undefined;
  if (!last) {
    unsigned(run, findings);
    return undefined;
  }
  findings.looked(
    'signature',
    `${reports.length === 1 ? 'the report' : `${reports.length} reports`}, Ed25519`,
  );
  compareRun(run, last, findings);
  return last;
}

function unsigned({ state }: RunRecord, findings: Findings): void {
  const ended = !isOpen(state) && state !== 'superseded';
  findings.add(
    ended ? 'mismatch' : 'unchecked',
    'signature',
    ended
      ? `The run is ${state}, and its signed report is missing.`
      : `The run is ${state}, and what it did is not signed: whether batches are missing at the end of a partition is not known.`,
  );
}

function checkSignature(
  { report, signature, publicKey }: SignedReport,
  name: string,
  trusted: TrustedKey | undefined,
  findings: Findings,
): void {
  const mismatch = (message: string) => findings.add('mismatch', 'signature', message);
  if (trusted && publicKey !== trusted.publicKey) {
    mismatch(
      `The public key beside ${name} is not that of the job key: whoever signed it did not hold the job key.`,
    );
  }
  const key = trusted?.publicKey ?? publicKey;
  if (signature === null || key === null || !verifies(key, reportText(report), signature)) {
    mismatch(
      `The signature does not fit ${name}: its text or the signature was changed, or another key signed it.`,
    );
  }
}

/** What was pinned beside what was signed of it. */
function comparePins(
  run: RunRecord,
  pins: Pins,
  { report }: SignedReport,
  name: string,
  findings: Findings,
): void {
  const mismatch = (what: string) =>
    findings.add('mismatch', 'signature', `${what}, and something else stands in ${name}.`);
  if (report.run !== run.run || report.job !== run.job) mismatch(`This is run ${run.run} of job ${run.job}`);
  if (report.runTime !== pins.runTime) mismatch(`The run time is ${pins.runTime}`);
  if (report.ruleSet !== pins.plan.ruleSet) mismatch(`The rule set is ${pins.plan.ruleSet.slice(0, 12)}`);
  if (report.pins !== undefined && report.pins !== pinsDigest(pins)) {
    mismatch('What was pinned (plan, job file, check value of the key, source) was changed afterwards');
  }
}

/** The run's row beside the newest report. */
function compareRun(run: RunRecord, { report }: SignedReport, findings: Findings): void {
  const differs = (what: string, stored: string, signed: string | undefined) => {
    if (signed === undefined || stored === signed) return;
    findings.add(
      'mismatch',
      'signature',
      `The run's ${what} is ${stored} in the ledger, and ${signed} was signed.`,
    );
  };
  differs('mode', run.mode, report.mode);
  differs('start', run.startedAt, report.startedAt);
  // A later run may take over what a failed one left.
  if (run.state !== 'superseded' || report.state === 'complete') differs('state', run.state, report.state);
}

/** The last links beside the signed ones; names the tables and partitions that differ. */
export function compareHeads(
  heads: readonly PartitionHead[],
  plan: Plan,
  nameOf: (table: number) => string,
  { report }: SignedReport,
  findings: Findings,
): void {
  const digest = headsDigest(new Map(heads.map(({ partition, link }) => [partition.partition, link])));
  let named = false;
  for (const { id } of plan.tables) {
    const signed = report.tables.find(({ name }) => name === nameOf(id));
    const here = reportedPartitions(heads, id);
    if (!signed?.partitions || signed.partitions === here.partitions) continue;
    const marks = { ...signed.heads, ...here.heads };
    const different = Object.keys(marks).filter((n) => signed.heads?.[n] !== here.heads?.[n]);
    const which =
      different.length > 0
        ? `partition ${different.join(', ')}: batches were changed, taken away or put in`
        : 'the range, snapshot or end of a partition was changed';
    named = true;
    const message = `The partitions of ${nameOf(id)} are not those that were signed (${which}).`;
    findings.add('mismatch', 'signature', message, { table: nameOf(id) });
  }
  if (digest !== report.heads && !named) {
    findings.add('mismatch', 'signature', 'The last links of the partitions are not those that were signed.');
  }
}

/** Rules as pinned, and as this version of Lethe knows them. */
export function compareRules(plan: Plan, findings: Findings): void {
  const mismatch = (message: string) => findings.add('mismatch', 'rules', message);
  findings.looked(
    'rules',
    `rule set ${plan.ruleSet.slice(0, 12)}, ${Object.keys(plan.versions).length} versions and value lists`,
  );
  if (ruleSetHash(plan.tables, plan.versions) !== plan.ruleSet) {
    mismatch('The rules that the run pinned do not give the hash beside them: rules or hash were changed.');
  }
  const here = versionsOf(plan.tables);
  for (const [name, version] of Object.entries(plan.versions)) {
    if (here[name] === version) continue;
    const now = here[name] === undefined ? 'is unknown' : `is ${short(here[name])}`;
    mismatch(`${name} was ${short(version)} when the run started and ${now} in this version of Lethe.`);
  }
}

function short(version: string): string {
  return version.length > 12 ? version.slice(0, 12) : version;
}

/** Rows by table as batches say and as was signed; the quarantine likewise. */
export function compareCounts(
  walked: Walked,
  quarantine: readonly QuarantineRecord[],
  plan: Plan,
  nameOf: (table: number) => string,
  { report }: SignedReport,
  findings: Findings,
): void {
  findings.looked('counts', `${report.tables.length} tables`);
  findings.looked('quarantine', `${quarantine.length} rows`);
  for (const { id } of plan.tables) {
    const name = nameOf(id);
    const signed = report.tables.find((table) => table.name === name);
    const rows = walked.rows.get(id) ?? 0;
    const waiting = quarantine.filter(({ table, replayed }) => table === id && !replayed).length;
    const place = { table: name };
    if (!signed) {
      if (rows > 0)
        findings.add(
          'mismatch',
          'counts',
          `${name} has ${rows} rows by its batches and was not signed.`,
          place,
        );
      continue;
    }
    if (signed.rows !== rows) {
      findings.add(
        'mismatch',
        'counts',
        `${name} has ${rows} rows by its batches, and ${signed.rows} were signed.`,
        place,
      );
    }
    if (signed.quarantined !== waiting) {
      const message = `${name} has ${waiting} rows in quarantine, and ${signed.quarantined} were signed.`;
      findings.add('mismatch', 'quarantine', message, place);
    }
  }
  if (report.quarantine !== undefined && report.quarantine !== quarantineDigest(quarantine)) {
    findings.add(
      'mismatch',
      'quarantine',
      'The quarantine is not the one that was signed: a row or its reason was changed, taken away or put in.',
    );
  }
}
