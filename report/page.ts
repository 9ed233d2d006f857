import { count, counted, duration, moment } from './format.js';
import { html, Markup } from './markup.js';
import type { ReportModel } from './model.js';
import { checksSection, evidenceSection, failuresSection } from './outcome.js';
import { columnsSection, distributionsSection, rulesSection, timelineSection } from './sections.js';
import { STYLE } from './style.js';

/** The whole report as one HTML file: no script, no request to anywhere. */
export function reportPage(model: ReportModel): string {
  const title = `${model.job}: run of ${moment(model.startedAt)}`;
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="generator" content="lethe report">
<title>${title}</title>
<style>${new Markup(STYLE)}</style>
</head>
<body>
<header>${heading(model)}</header>
<main>
${checksSection(model)}
${failuresSection(model)}
${timelineSection(model)}
${columnsSection(model)}
${rulesSection(model)}
${distributionsSection(model)}
${evidenceSection(model)}
</main>
<footer>Made by <code>lethe report ${model.run}</code> from the ledger of the destination. It holds names, counts and digests, and no value of any row.</footer>
</body>
</html>
`;
  return page.text;
}

const STATE_LOOKS: Readonly<Record<string, string>> = {
  complete: 'ok',
  failed: 'bad',
  cancelled: 'warn',
  superseded: 'warn',
};

function heading(model: ReportModel): Markup {
  const { plan } = model;
  const fact = (name: string, value: string | Markup, wide = false) =>
    html`<div${wide ? html` class="wide"` : ''}><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<h1>${model.job} <span class="state ${STATE_LOOKS[model.state] ?? ''}">${model.state}</span></h1>
<p class="lead">${summary(model)}</p>
<dl class="facts">
${fact('Started', moment(model.startedAt))}
${fact('Took', model.endedAt ? duration(secondsOf(model)) : 'not ended')}
${fact('Source', plan.source)}
${fact('Destination', plan.destination)}
${fact('Mode', model.mode)}
${fact('Consistency', plan.consistency === 'job' ? 'same output every run' : 'unlinkable between runs')}
${fact('Run', html`<code>${model.run}</code>`, true)}
${fact('Rule set', html`<code>${model.ruleSet}</code>`, true)}
</dl>`;
}

function summary(model: ReportModel): string {
  const rows = model.tables.reduce((sum, table) => sum + table.rows, 0);
  const waiting = model.tables.reduce((sum, table) => sum + table.quarantined, 0);
  const failed = model.checks.filter(({ ok, severity }) => !ok && severity !== 'warn').length;
  const warned = model.checks.filter(({ ok, severity }) => !ok && severity === 'warn').length;
  const contradicted = model.evidence.findings.some(({ kind }) => kind === 'mismatch');
  const sentences = [
    `${counted(rows, 'row')} of ${counted(model.tables.length, 'table')} ${rows === 1 ? 'was' : 'were'} written.`,
    waiting > 0 ? `${counted(waiting, 'row')} ${waiting === 1 ? 'is' : 'are'} in quarantine.` : '',
    model.checks.length === 0
      ? 'It was not checked.'
      : failed > 0
        ? `${count(failed)} of ${counted(model.checks.length, 'check')} failed.`
        : `All ${counted(model.checks.length, 'check')} passed${warned > 0 ? `, ${count(warned)} with a warning` : ''}.`,
    contradicted
      ? 'The ledger was changed or is not what it says: see the evidence below.'
      : 'Nothing contradicts the ledger.',
  ];
  return sentences.filter(Boolean).join(' ');
}

function secondsOf({ startedAt, endedAt }: ReportModel): number {
  return (Date.parse(endedAt ?? startedAt) - Date.parse(startedAt)) / 1000;
}
