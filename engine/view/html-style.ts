/** Style of a report: follows the reader's light or dark; prints on white, unfolded but for the raw output. */
export const STYLE = `
:root { color-scheme: light dark; --fg: #1c2430; --dim: #5b6675; --bg: #fff; --card: #f5f7fa; --line: #d5dce5;
  --ok: #1a7f4b; --bad: #c22f2f; --warn: #9a6400; --calm: #2464b4; --skip: #8a94a3; }
@media (prefers-color-scheme: dark) { :root { --fg: #dde3ea; --dim: #93a0b0; --bg: #12161c; --card: #1b212a; --line: #323b48;
  --ok: #4cc38a; --bad: #ff7b72; --warn: #e3b341; --calm: #79b8ff; --skip: #76818f; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); max-width: 72rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
pre, code, .mono { font: 13px/1.45 ui-monospace, monospace; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .6rem .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere; margin: .4rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .8rem 0; }
dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; } .scroll { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; white-space: nowrap; } td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody th { color: inherit; font-weight: 500; white-space: normal; }
.green { color: var(--ok); } .red { color: var(--bad); } .yellow { color: var(--warn); } .cyan, .blue { color: var(--calm); } .dim { color: var(--skip); }
.status { font-weight: 600; white-space: nowrap; } .note { color: var(--dim); }
.failure { border-left: 4px solid var(--bad); background: var(--card); padding: .6rem .9rem; border-radius: 0 6px 6px 0; margin: .5rem 0; overflow-wrap: anywhere; }
.failure p { margin: .2rem 0; }
summary { cursor: pointer; color: var(--dim); }
.steps tbody tr:has(+ .detail) > * { border-bottom: 0; padding-bottom: 0; } .steps .detail td { padding-top: .1rem; padding-left: 1.6rem; } .steps tbody th { width: 100%; }
.steps .status { padding-right: 1.2rem; }
svg { width: 100%; height: auto; display: block; font: 12px ui-monospace, monospace; }
svg text { fill: var(--fg); } svg .axis { fill: var(--dim); } svg line { stroke: var(--line); }
rect.green { fill: var(--ok); } rect.red { fill: var(--bad); } rect.yellow { fill: var(--warn); } rect.cyan { fill: var(--calm); } rect.dim { fill: var(--skip); }
rect.undo { fill-opacity: .45; stroke: currentColor; stroke-dasharray: 3 2; }
button { font: inherit; color: var(--fg); background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .15rem .7rem; cursor: pointer; }
@media print { :root { color-scheme: light; --fg: #000; --dim: #444; --bg: #fff; --card: #fff; --line: #999; --ok: #0a6b38; --bad: #a40000; --warn: #7a4f00; --calm: #003f8a; --skip: #666; }
  body { max-width: none; padding: 0; font-size: 10pt; } button { display: none; } tr:not(.detail), .failure { break-inside: avoid; } tr:has(+ .detail) { break-after: avoid; } details.raw { display: none; } h2 { break-after: avoid; }
  pre { overflow: visible; } * { print-color-adjust: exact; } }
`;

/** Folds and unfolds all details, and unfolds them for paper; the page reads without it. */
export const SCRIPT = `
const all = () => document.querySelectorAll("details");
document.getElementById("unfold").addEventListener("click", () => { const open = [...all()].some((d) => !d.open); all().forEach((d) => { d.open = open; }); });
addEventListener("beforeprint", () => all().forEach((d) => { d.open = !d.classList.contains("raw"); }));
`;
