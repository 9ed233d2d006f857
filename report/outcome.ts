import { count, counted, duration, moment } from './format.js';
import { html, type Markup } from './markup.js';
import type { ReportedCheck, ReportModel } from './model.js';

/** What was checked, with what was found beside what was to be expected. */
export function checksSection({ checks, checked }: ReportModel): Markup | undefined {
  if (checks.length === 0) return undefined;
  const measured = checks.some(({ observed, expected }) => observed !== undefined || expected !== undefined);
  return html`<section aria-labelledby="checks">
<h2 id="checks">Checks</h2>
${checked && html`<p class="soft">Made ${checked.origin === 'run' ? 'at the end of the run' : html`later, by <code>lethe validate</code>`}, ${moment(checked.at)}, in ${duration(checked.seconds)}.</p>`}
<div class="scroll"><table>
<thead><tr><td></td><th scope="col">Check</th><th scope="col">What was found</th>
${measured && html`<th scope="col" class="n">Observed</th><th scope="col" class="n">Expected, or allowed</th>`}</tr></thead>
<tbody>${checks.map((check) => checkRow(check, measured))}</tbody>
</table></div>
</section>`;
}

function checkRow(
  { name, ok, message, severity, observed, expected }: ReportedCheck,
  measured: boolean,
): Markup {
  const [look, mark, word] = ok
    ? ['ok', '✓', 'passed']
    : severity === 'warn'
      ? ['warn', '!', 'warning']
      : ['bad', '✗', 'failed'];
  const number = (value: number | undefined) => (value === undefined ? '' : figure(value));
  return html`<tr><td class="mark ${look}" aria-label="${word}">${mark}</td><th scope="row">${name}</th><td>${message}</td>
${measured && html`<td class="n">${number(observed)}</td><td class="n">${number(expected)}</td>`}</tr>`;
}

function figure(value: number): string {
  return Number.isInteger(value) ? count(value) : value.toPrecision(2);
}

/** Why the run failed, what is in quarantine, what was done about it. Nothing where all went well. */
export function failuresSection({ failures }: ReportModel): Markup | undefined {
  const { error, quarantined, batches, replays, replayedRows, emptied, owed } = failures;
  const parts = [
    error && html`<p><strong class="bad">${error.type}</strong> ${lines(error.message)}</p>`,
    quarantined.length > 0 &&
      listing(
        'Rows that were refused and wait in quarantine. Their keys are encrypted in the ledger.',
        ['Table', 'Rows', 'Reason'],
        quarantined.map(
          (row) =>
            html`<tr><th scope="row">${row.table}</th><td class="n">${count(row.count)}</td><td>${row.reason}</td></tr>`,
        ),
      ),
    batches.length > 0 &&
      listing(
        'Batches that are not committed',
        ['Table', 'Batches', 'Last error'],
        batches.map(
          (row) =>
            html`<tr><th scope="row">${row.table}</th><td class="n">${count(row.count)}</td><td>${row.error}</td></tr>`,
        ),
      ),
    replays.length > 0 &&
      listing(
        `Replays; ${counted(replayedRows, 'row')} left the quarantine`,
        ['Replay', 'Ended', 'Outcome'],
        replays.map(
          (row) =>
            html`<tr><th scope="row">${row.n}</th><td class="n">${moment(row.endedAt)}</td><td>${row.state}</td></tr>`,
        ),
      ),
    emptied.length > 0 && html`<p>Emptied, because their load was incomplete: ${emptied.join(', ')}.</p>`,
    owed.length > 0 && html`<p>Still not valid: ${owed.join(', ')}.</p>`,
  ].filter((part): part is Markup => part instanceof Object);
  if (parts.length === 0) return undefined;
  return html`<section aria-labelledby="failures"><h2 id="failures">Failures and replays</h2>${parts}</section>`;
}

function listing(caption: string, heads: readonly [string, string, string], rows: readonly Markup[]): Markup {
  const [first, second, third] = heads;
  return html`<div class="scroll"><table><caption>${caption}</caption>
<thead><tr><th scope="col">${first}</th><th scope="col" class="n">${second}</th><th scope="col">${third}</th></tr></thead>
<tbody>${rows}</tbody></table></div>`;
}

function lines(text: string): Markup[] {
  return text.split('\n').map((line) => html`${line}<br>`);
}

const WORDS = {
  ok: ['ok', '✓', 'fits'],
  mismatch: ['bad', '✗', 'does not match'],
  changed: ['warn', '~', 'changed since'],
  unchecked: ['soft', '?', 'not checked'],
} as const;

/** What proves the rest of the page. */
export function evidenceSection({ evidence, versions, run }: ReportModel): Markup {
  const { checks, findings, heads, publicKey, signature } = evidence;
  const digest = (name: string, value: string | undefined) =>
    value !== undefined && html`<tr><th scope="row">${name}</th><td class="digest">${value}</td></tr>`;
  return html`<section aria-labelledby="evidence">
<h2 id="evidence">Evidence</h2>
<p>Every batch is linked to the one before it by a hash; the last links, the rules, counts and checks are signed with a key
derived from the job key. <code>lethe audit ${run}</code> verifies this at any time, and reads samples of the source again.</p>
<div class="scroll"><table><caption>The ledger when this page was made</caption>
<thead><tr><td></td><th scope="col">What</th><th scope="col">Looked at</th></tr></thead>
<tbody>${checks.map(({ check, result, message }) => {
    const [look, mark, word] = WORDS[result];
    return html`<tr><td class="mark ${look}" aria-label="${word}">${mark}</td><th scope="row">${check}</th><td>${message}</td></tr>`;
  })}</tbody></table></div>
${findings.length > 0 && html`<ul class="findings">${findings.map(({ message }) => html`<li>${message}</li>`)}</ul>`}
<div class="scroll"><table><caption>Digests and versions</caption>
<tbody>${digest('Last links', heads)}${digest('Public key (Ed25519)', publicKey)}${digest('Signature', signature)}
${Object.entries(versions).map(([name, version]) => digest(name.startsWith('list ') ? `Value ${name}` : `Version of ${name}`, version))}</tbody></table></div>
</section>`;
}
