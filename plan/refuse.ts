import { LetheError } from '../errors/errors.js';
import type { Finding, Plan } from './plan.js';

/** `file:line:column: message`, or the message alone. */
export function findingText(finding: Finding): string {
  const { position } = finding;
  return position
    ? `${position.file}:${position.line}:${position.column}: ${finding.message}`
    : finding.message;
}

/**
 * Lets a plan through that proves enough.
 * @throws LetheError `PlanRefused` with every refusal, one a line.
 */
export function refusePlan(plan: Plan): void {
  const refusals = plan.findings.filter((finding) => finding.level === 'refusal');
  if (refusals.length === 0) return;
  const head =
    refusals.length === 1 ? 'The plan is refused' : `The plan is refused for ${refusals.length} reasons`;
  throw new LetheError(
    'PlanRefused',
    `${head}:\n${refusals.map((finding) => `- ${findingText(finding)}`).join('\n')}`,
    {
      codes: [...new Set(refusals.map((finding) => finding.code))],
      count: refusals.length,
    },
  );
}

/** @throws LetheError `PlanRefused` with everything of a corrected job that a replay cannot do, if there is anything. */
export function refuseCorrection(refused: readonly string[], copied: 'rows' | 'documents'): void {
  if (refused.length === 0) return;
  throw new LetheError(
    'PlanRefused',
    `The corrected job cannot be replayed, since most ${copied} were copied by the job as it was:\n${refused.map((line) => `- ${line}`).join('\n')}\nUndo that in the job file, or copy everything anew: \`lethe sync\`.`,
    { count: refused.length },
  );
}
