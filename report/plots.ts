import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';
import { Markup } from './markup.js';
import type { ReportedDistribution } from './model.js';
import type { BatchSpan } from './totals.js';

/* Plots as SVG, drawn without a browser. Colours are the page's, so they follow light and dark. */

const { document } = parseHTML('<!doctype html><html lang="en"><body></body></html>');
const WIDTH = 960;
/** Tables with a lane of their own in the timeline; the rest share one. */
const LANES = 16;
const BINS = 96;

/** When batches were worked on, a lane a table; below, on the same axis, the rows written a second. */
export function timelinePlots(spans: readonly BatchSpan[]): {
  readonly batches: Markup;
  readonly rates: Markup;
} {
  const lanes = lanesOf(spans);
  const begin = Math.min(...spans.map(({ from }) => Date.parse(from)));
  const since = (iso: string) => (Date.parse(iso) - begin) / 1000;
  const rows = spans.map((span) => ({
    lane: lanes.includes(span.table) ? span.table : 'others',
    from: since(span.from),
    to: since(span.to),
    rows: span.rows,
    title: spanText(span),
  }));
  const end = Math.max(...rows.map(({ to }) => to), 0.001);
  const domain = [...lanes, ...(rows.some(({ lane }) => lane === 'others') ? ['others'] : [])];
  const marginLeft = Math.min(280, Math.max(60, 24 + 6.2 * Math.max(...domain.map(({ length }) => length))));
  const x = { domain: [0, end], label: null, grid: true, tickFormat: elapsed };
  const batches = draw(`Batches of ${domain.length} tables over time`, {
    ...{ height: 40 + domain.length * 24, marginLeft, marginTop: 6, x },
    y: { domain, label: null, tickSize: 0, padding: 0.25 },
    marks: [
      Plot.barX(rows, {
        ...{ y: 'lane', x1: 'from', x2: 'to', title: 'title' },
        ...{ fill: 'var(--after)', fillOpacity: 0.55, stroke: 'var(--page)', strokeWidth: 0.5 },
      }),
    ],
  });
  const rates = draw('Rows written a second, over time', {
    ...{ height: 130, marginLeft, marginTop: 10, x: { ...x, grid: false } },
    y: { label: null, grid: true, ticks: 4, tickFormat: '~s', nice: true },
    marks: [
      Plot.rectY(ratesOf(rows, end), {
        x1: 'from',
        x2: 'to',
        y: 'rate',
        fill: 'var(--after)',
        fillOpacity: 0.75,
      }),
      Plot.ruleY([0], { stroke: 'var(--line)' }),
    ],
  });
  return { batches, rates };
}

/** Seconds since the start, as short as can be. */
function elapsed(seconds: number): string {
  if (seconds < 120) return `${Number(seconds.toFixed(2))} s`;
  const minutes = seconds / 60;
  return minutes < 120 ? `${Number(minutes.toFixed(1))} min` : `${Number((minutes / 60).toFixed(1))} h`;
}

/** How often the most frequent values of a column occur, before and after. Not which they are. */
export function frequencyPlot({
  source,
  destination,
  table,
  column,
}: ReportedDistribution): Markup | undefined {
  const bars = [...sharesOf(source, 'before'), ...sharesOf(destination, 'after')];
  if (bars.length === 0) return undefined;
  return draw(`Shares of the most frequent values of ${table}.${column}: before and after`, {
    ...{ width: 300, height: 72, marginLeft: 34, marginRight: 0, marginTop: 6, marginBottom: 4 },
    x: { axis: null, padding: 0.12, domain: ['before', 'after'] },
    fx: { axis: null, padding: 0.25 },
    y: { label: null, ticks: 2, tickFormat: '~%', tickSize: 0, nice: true },
    color: { domain: ['before', 'after'], range: ['var(--before)', 'var(--after)'] },
    marks: [
      Plot.barY(bars, { fx: 'rank', x: 'side', y: 'share', fill: 'side', title: 'title' }),
      Plot.ruleY([0], { stroke: 'var(--line)' }),
    ],
  });
}

interface Bar {
  readonly rank: number;
  readonly side: 'before' | 'after';
  readonly share: number;
  readonly title: string;
}

function sharesOf({ rows, nulls, top }: ReportedDistribution['source'], side: Bar['side']): Bar[] {
  const there = rows - nulls;
  if (there <= 0) return [];
  return top.map((n, i) => ({
    rank: i + 1,
    side,
    share: n / there,
    title: `${side}: the value in place ${i + 1} occurs ${n} times`,
  }));
}

/** The busiest tables, in the order in which they began. */
function lanesOf(spans: readonly BatchSpan[]): string[] {
  const tables = new Map<string, { from: string; busy: number }>();
  for (const { table, from, to } of spans) {
    const known = tables.get(table);
    const busy = (known?.busy ?? 0) + Date.parse(to) - Date.parse(from);
    tables.set(table, { from: known && known.from < from ? known.from : from, busy });
  }
  return [...tables]
    .sort(([, a], [, b]) => b.busy - a.busy)
    .slice(0, LANES)
    .sort(([, a], [, b]) => (a.from < b.from ? -1 : 1))
    .map(([table]) => table);
}

/** A batch's rows are spread evenly over its time. Seconds since the start. */
function ratesOf(
  spans: readonly { readonly from: number; readonly to: number; readonly rows: number }[],
  end: number,
): { from: number; to: number; rate: number }[] {
  const width = end / BINS;
  const rows = new Float64Array(BINS);
  for (const { from, to, rows: all } of spans) {
    const first = Math.min(BINS - 1, Math.floor(from / width));
    const last = Math.min(BINS - 1, Math.floor(to / width));
    for (let bin = first; bin <= last; bin++) {
      const overlap = Math.min(to, (bin + 1) * width) - Math.max(from, bin * width);
      rows[bin] = rows[bin]! + (first === last ? all : (all * Math.max(0, overlap)) / (to - from));
    }
  }
  return Array.from(rows, (n, bin) => ({ from: bin * width, to: (bin + 1) * width, rate: n / width }));
}

function spanText({ table, partition, batch, from, to, rows }: BatchSpan): string {
  const seconds = ((Date.parse(to) - Date.parse(from)) / 1000).toFixed(1);
  const what = batch === undefined ? `partition ${partition}` : `partition ${partition}, batch ${batch}`;
  return `${table}, ${what}: ${rows.toLocaleString('en-US')} rows, ${seconds} s`;
}

function draw(label: string, options: Plot.PlotOptions): Markup {
  const svg = Plot.plot({
    document: document as NonNullable<Plot.PlotOptions['document']>,
    width: WIDTH,
    style: { fontSize: '11px', overflow: 'visible', background: 'none' },
    ...options,
  });
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', label);
  return new Markup(svg.outerHTML);
}
