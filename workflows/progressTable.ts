import type { Progress, TableState } from './messages.js';

/** Rows of the table that the Temporal UI shows; those under way and those in trouble come first. */
const SHOWN = 60;
const RANK: Readonly<Record<TableState['state'], number>> = {
  failed: 0,
  loading: 1,
  settling: 2,
  waiting: 3,
  done: 4,
};

/** The web UI sets no space between columns, and trims what is one; so an em space that does not end its cell. */
const GAP = '\u2003\u200b';
const row = (cells: readonly string[]) => `| ${cells.join(`${GAP} | `)} |`;

/** Markdown for a workflow's current details. */
export function progressTable(progress: Progress): string {
  const tables = [...progress.tables].sort((a, b) => RANK[a.state] - RANK[b.state] || a.id - b.id);
  const done = tables.filter(({ state }) => state === 'done').length;
  const lines = [
    `**${progress.job}** · ${phaseText(progress)} · ${done} of ${tables.length} tables · run \`${progress.run}\``,
    '',
    row(['table', 'state', 'rows', 'expected', 'quarantined']),
    '| --- | --- | ---: | ---: | ---: |',
    ...tables
      .slice(0, SHOWN)
      .map((t) =>
        row([
          t.name.replaceAll('|', '\\|'),
          t.state,
          String(t.rows),
          `~${t.expected}`,
          String(t.quarantined),
        ]),
      ),
  ];
  if (tables.length > SHOWN) lines.push(`| … ${tables.length - SHOWN} more | | | | |`);
  for (const warning of progress.warnings) lines.push('', `⚠ ${warning}`);
  return lines.join('\n');
}

function phaseText({ phase, paused, waitsUntil }: Progress): string {
  if (phase === 'waiting') return `waits for replay until ${waitsUntil?.slice(0, 16).replace('T', ' ')} UTC`;
  return paused ? 'paused' : phase;
}
