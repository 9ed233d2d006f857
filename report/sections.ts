import type { ColumnSummary, TableSummary } from '../plan/summary.js';
import { bytes, count, counted, duration, share } from './format.js';
import { html, type Markup } from './markup.js';
import type { ColumnCounts, ReportedDistribution, ReportModel } from './model.js';
import { frequencyPlot, timelinePlots } from './plots.js';
import type { TableTotal } from './totals.js';

/** When batches were written, and how fast. */
export function timelineSection({ timeline }: ReportModel): Markup | undefined {
  const spans = timeline.filter(({ from, to }) => from !== '' && to !== '');
  if (spans.length === 0) return undefined;
  const single = spans.every(({ batch }) => batch !== undefined);
  const what = single ? counted(spans.length, 'batch', 'batches') : counted(spans.length, 'partition');
  const { batches, rates } = timelinePlots(spans);
  return html`<section aria-labelledby="timeline"><h2 id="timeline">Timeline</h2>
<figure><figcaption>${what}, from the time it was claimed until its rows were written. Darker: several at once.</figcaption>
${batches}</figure>
<figure><figcaption>Rows written a second</figcaption>${rates}</figure></section>`;
}

/** Tables with what was written, and what became of each column. */
export function columnsSection(model: ReportModel): Markup {
  const totals = model.tables;
  const sum = (of: (table: TableTotal) => number) => totals.reduce((all, table) => all + of(table), 0);
  const waiting = sum(({ quarantined }) => quarantined);
  return html`<section aria-labelledby="tables"><h2 id="tables">Tables and columns</h2>
<div class="scroll"><table>
<thead><tr><th scope="col">Table</th><th scope="col" class="n">Rows</th>${waiting > 0 && html`<th scope="col" class="n">In quarantine</th>`}
<th scope="col" class="n">Written</th><th scope="col" class="n">Batches</th><th scope="col" class="n">Time</th><th scope="col" class="n">Columns changed</th></tr></thead>
<tbody>${totals.map((table) => totalRow(table, waiting > 0, columnsOf(model, table.name)))}</tbody>
<tfoot><tr><th scope="row">${counted(totals.length, 'table')}</th><td class="n">${count(sum(({ rows }) => rows))}</td>
${waiting > 0 && html`<td class="n">${count(waiting)}</td>`}<td class="n">${bytes(sum((table) => table.bytes))}</td>
<td class="n">${count(sum(({ batches }) => batches))}</td><td></td><td></td></tr></tfoot>
</table></div>
<h3>What became of each column</h3>
${model.plan.tables.map((table) => treatment(table, model.plan.tables.length <= 4))}
</section>`;
}

function columnsOf({ plan }: ReportModel, name: string): readonly ColumnSummary[] {
  return plan.tables.find((table) => table.name === name)?.columns ?? [];
}

function totalRow(table: TableTotal, quarantine: boolean, columns: readonly ColumnSummary[]): Markup {
  const changed = columns.filter((column) => !isKept(column)).length;
  return html`<tr><th scope="row">${table.name}</th><td class="n">${count(table.rows)}</td>
${quarantine && html`<td class="n">${table.quarantined === 0 ? '' : count(table.quarantined)}</td>`}
<td class="n">${bytes(table.bytes)}</td><td class="n">${count(table.batches)}</td><td class="n">${table.batches === 0 ? '' : duration(table.seconds)}</td>
<td class="n">${changed} of ${columns.length}</td></tr>`;
}

function isKept({ what }: ColumnSummary): boolean {
  return what === 'keep';
}

function treatment(table: TableSummary, open: boolean): Markup {
  const kept = table.columns.filter(isKept).length;
  return html`<details${open ? html` open` : ''}><summary><strong>${table.name}</strong><span class="soft">${table.columns.length - kept} changed, ${kept} kept${table.where !== undefined ? ', some rows only' : ''}</span></summary>
${table.where !== undefined && html`<p class="soft">Only rows where <code>${table.where}</code></p>`}
${table.needsParents.length > 0 && html`<p class="soft">Only rows whose parent in ${table.needsParents.join(', ')} is copied.</p>`}
<div class="scroll"><table><thead><tr><th scope="col">Column</th><th scope="col">Type</th><th scope="col">Becomes</th><th scope="col">By rule</th></tr></thead>
<tbody>${table.columns.map(
    (column) =>
      html`<tr${isKept(column) ? html` class="kept"` : ''}><th scope="row">${column.name}</th><td>${column.type}</td><td>${isKept(column) ? 'kept as it is' : html`<code>${column.what}</code>`}</td><td>${[...new Set(column.rules)].join(', ')}</td></tr>`,
  )}</tbody></table></div></details>`;
}

/** How many values each rule changed. */
export function rulesSection({ rules }: ReportModel): Markup | undefined {
  if (rules.length === 0) return undefined;
  const names = [...new Set(rules.map(({ rule }) => rule))];
  const total = (name: string) =>
    rules.filter(({ rule }) => rule === name).reduce((sum, { values }) => sum + values, 0);
  const sorted = names.map((name) => ({ name, values: total(name) })).sort((a, b) => b.values - a.values);
  return html`<section aria-labelledby="rules"><h2 id="rules">Rules</h2>
<p>How many values each rule changed. <em>columns</em> are those that the job file names one by one, <em>foreign key</em> those that follow the column they reference.</p>
<div class="scroll"><table><thead><tr><th scope="col">Rule</th><th scope="col" class="n">Values</th><th scope="col">In tables</th></tr></thead>
<tbody>${sorted.map(
    ({ name, values }) =>
      html`<tr><th scope="row">${name}</th><td class="n">${count(values)}</td><td>${rules
        .filter(({ rule }) => rule === name)
        .map(({ table }) => table)
        .join(', ')}</td></tr>`,
  )}</tbody></table></div></section>`;
}

/** Columns that are shown at most: a page of thousands of plots helps nobody. */
const SHOWN = 120;

/** Columns before and after, as far as validation counted them. */
export function distributionsSection({ distributions }: ReportModel): Markup | undefined {
  if (distributions.length === 0) return undefined;
  const furthest = [...distributions].sort((a, b) => (b.distance ?? 0) - (a.distance ?? 0)).slice(0, SHOWN);
  const shown = distributions.filter((one) => furthest.includes(one));
  const tables = [...new Set(shown.map(({ table }) => table))];
  const left = distributions.length - shown.length;
  return html`<section aria-labelledby="distributions"><h2 id="distributions">Distributions</h2>
<p>Counted over samples of both sides. The bars are the shares of the most frequent values, the most frequent first; which
values they are is not told. <span class="key before"></span>source <span class="key after"></span>destination</p>
${tables.map(
  (
    table,
  ) => html`<details${tables.length <= 3 ? html` open` : ''}><summary><strong>${table}</strong><span class="soft">${counted(shown.filter((one) => one.table === table).length, 'column')}</span></summary>
<div class="columns">${shown.filter((one) => one.table === table).map(columnCard)}</div></details>`,
)}
${left > 0 && html`<p class="soft">${counted(left, 'column')} that changed least ${left === 1 ? 'is' : 'are'} left out here; <code>--json</code> has all.</p>`}
</section>`;
}

function columnCard(one: ReportedDistribution): Markup {
  const { column, source, destination, distance } = one;
  const row = (name: string, of: (counts: ColumnCounts) => string) =>
    html`<tr><th scope="row" class="soft">${name}</th><td class="n">${of(source)}</td><td class="n">${of(destination)}</td></tr>`;
  return html`<div class="column"><h4>${column}${distance !== undefined && html`<span>distance ${distance.toFixed(2)}</span>`}</h4>
${frequencyPlot(one)}
<table><thead><tr><td></td><th scope="col" class="n">source</th><th scope="col" class="n">destination</th></tr></thead><tbody>
${row('NULL', ({ nulls, rows }) => share(nulls, rows))}
${row('distinct', ({ distinct }) => count(distinct))}
${row('characters', ({ length }) => (length ? `${length.least}–${length.most}` : '–'))}
${row('on average', ({ length }) => (length ? length.mean.toFixed(1) : '–'))}
</tbody></table></div>`;
}
