/** The look of a report: light, dark and on paper. No font, image or script from anywhere. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --page: #fcfcfb; --panel: #ffffff; --ink: #1c1e21; --soft: #5c636b; --line: #dfe2e6; --wash: #f2f4f6;
  --before: #9aa1a9; --after: #2463c4; --ok: #1a7f45; --bad: #bf2c2c; --warn: #8f5f00;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14161a; --panel: #1b1e23; --ink: #e6e8eb; --soft: #a2a9b2; --line: #33383f; --wash: #23272d;
    --before: #7d858e; --after: #6ea6ff; --ok: #52c283; --bad: #ff8080; --warn: #e6b450;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 5rem; max-width: 66rem; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums;
}
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0; letter-spacing: -0.01em; }
h2 { font-size: 1.2rem; margin: 3rem 0 0.4rem; }
h3 { font-size: 1rem; margin: 1.6rem 0 0.3rem; }
p { margin: 0.3rem 0 0.8rem; max-width: 48rem; }
.soft, caption, .note { color: var(--soft); }
.lead { font-size: 1.05rem; margin-top: 0.7rem; }
code, .digest { font: 0.87em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
.state {
  display: inline-block; margin-left: 0.6rem; padding: 0.1rem 0.65rem; border: 1px solid currentColor; border-radius: 1rem;
  font-size: 0.85rem; font-weight: 600; vertical-align: 0.25rem; letter-spacing: 0;
}
.ok { color: var(--ok); } .bad { color: var(--bad); } .warn { color: var(--warn); }
dl.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: 0.9rem 1.5rem; margin: 1.4rem 0 0;
  padding: 1.1rem 1.3rem; background: var(--panel); border: 1px solid var(--line); border-radius: 0.5rem;
}
dl.facts dt { color: var(--soft); font-size: 0.8rem; } dl.facts dd { margin: 0; overflow-wrap: anywhere; }
dl.facts .wide { grid-column: 1 / -1; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 0.5rem 0 1rem; font-size: 0.92rem; }
caption { text-align: left; padding: 0 0 0.3rem; font-size: 0.88rem; }
th, td { padding: 0.38rem 0.9rem 0.38rem 0; text-align: left; vertical-align: top; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 500; font-size: 0.82rem; white-space: nowrap; }
tbody th { font-weight: 500; }
td.n, th.n { text-align: right; white-space: nowrap; padding-right: 1.4rem; }
td.n:last-child, th.n:last-child { padding-right: 0; }
td.mark { width: 1.6rem; font-weight: 700; }
tfoot td, tfoot th { font-weight: 600; border-bottom: 0; }
details { border-bottom: 1px solid var(--line); }
details > summary { cursor: pointer; padding: 0.5rem 0; }
details > summary .soft { margin-left: 0.5rem; }
details[open] { padding-bottom: 0.6rem; }
.kept td { color: var(--soft); }
figure { margin: 0.8rem 0 1.2rem; } figcaption { color: var(--soft); font-size: 0.88rem; margin-bottom: 0.3rem; }
svg { max-width: 100%; height: auto; }
.key { display: inline-block; width: 0.7rem; height: 0.7rem; border-radius: 2px; margin: 0 0.3rem 0 0.8rem; }
.key:first-child { margin-left: 0; }
.before { background: var(--before); } .after { background: var(--after); }
.columns { display: grid; grid-template-columns: repeat(auto-fill, minmax(18rem, 1fr)); gap: 1rem; margin: 0.6rem 0; }
.column { border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.7rem 0.9rem; background: var(--panel); break-inside: avoid; }
.column h4 { margin: 0 0 0.3rem; font-size: 0.9rem; overflow-wrap: anywhere; display: flex; justify-content: space-between; gap: 0.6rem; }
.column h4 span { font-weight: 400; color: var(--soft); white-space: nowrap; }
.column table { margin: 0.2rem 0 0; font-size: 0.82rem; } .column td, .column th { padding: 0.12rem 0; border: 0; }
.column td.n, .column th.n { padding-left: 0.8rem; padding-right: 0; }
ul.findings { padding-left: 1.2rem; margin: 0.4rem 0 1rem; }
footer { margin-top: 3.5rem; color: var(--soft); font-size: 0.85rem; border-top: 1px solid var(--line); padding-top: 0.8rem; }
@media print {
  :root { color-scheme: light; --page: #fff; --panel: #fff; --ink: #000; --soft: #444; --line: #ccc; --wash: #fff;
    --before: #999; --after: #2463c4; --ok: #1a7f45; --bad: #bf2c2c; --warn: #8f5f00; }
  body { padding: 0; max-width: none; font-size: 11px; }
  h2, h3 { break-after: avoid; } tr, figure { break-inside: avoid; } thead { display: table-header-group; }
  details::details-content { content-visibility: visible; display: block; height: auto; }
}
`;
