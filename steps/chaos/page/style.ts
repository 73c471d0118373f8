/** Follows the reader's light or dark; on paper it is black on white. The states of a node differ in height as well as in colour. */
export const STYLE = `
:root { color-scheme: light dark; --fg: #1b2330; --dim: #5a6678; --bg: #fff; --card: #f5f7fa; --line: #d8dee7;
  --bad: #c0262d; --open: #9a6200; --good: #1a7f4b; --W: #2f9e77; --U: #e08a1e; --S: #8fb3da; --D: #c0262d; --N: #98a2b1; --ok: #2f6fb7; --missed: #c0262d; }
@media (prefers-color-scheme: dark) { :root { --fg: #dfe5ec; --dim: #97a3b3; --bg: #11151b; --card: #1a2029; --line: #303947;
  --bad: #ff7b72; --open: #e6b450; --good: #4cc38a; --W: #5fd0a5; --U: #f0a94e; --S: #4b6f96; --D: #ff7b72; --N: #707c8c; --ok: #6cb0f5; --missed: #ff7b72; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; color: var(--fg); background: var(--bg); max-width: 76rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .7rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
p { margin: .3rem 0; } .dim { color: var(--dim); } .small { font-size: .87rem; }
.valid { --tone: var(--good); } .invalid { --tone: var(--bad); } .unknown { --tone: var(--open); } .tone { color: var(--tone); }
.verdict { border-left: 5px solid var(--tone); padding: .15rem 0 .15rem .9rem; margin: 0 0 .4rem; } .verdict strong { color: var(--tone); }
article + article { margin-top: 3.5rem; border-top: 3px solid var(--line); padding-top: 2rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.6rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.tile .value { font-size: 1.4rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; color: var(--tone, var(--fg)); }
.tile .label, .tile .note { color: var(--dim); font-size: .84rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .7rem .8rem; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, "DejaVu Sans", sans-serif; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
svg text { fill: var(--dim); } svg .name { fill: var(--fg); font-weight: 600; } svg .grid { stroke: var(--line); } svg .mark { stroke: var(--fg); stroke-dasharray: 3 3; } svg .phase { fill: var(--fg); }
.W { fill: var(--W); } .U { fill: var(--U); } .S { fill: var(--S); } .D { fill: var(--D); } .N { fill: var(--N); } .okay { fill: var(--ok); } .missed { fill: var(--missed); }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1.1rem; font-size: .87rem; margin: .6rem 0 0; color: var(--dim); }
.legend svg { width: .9em; height: .9em; display: inline-block; margin-right: .35em; vertical-align: -.1em; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; } .scroll { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .3rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; font-size: .92em; white-space: nowrap; } td.claim { width: 30%; } td:first-child, th:first-child { padding-left: 0; } td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
td.sign { width: 1.6rem; font-weight: 700; }
code, pre { font: 12.5px/1.45 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; } pre { background: var(--card); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .7rem; white-space: pre-wrap; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 0 2rem; } .columns > * { min-width: 0; }
footer { margin-top: 2.5rem; padding-top: .6rem; border-top: 1px solid var(--line); color: var(--dim); font-size: .85rem; }
@media print {
  :root { color-scheme: light; --fg: #000; --dim: #444; --bg: #fff; --card: #fff; --line: #b5b5b5; --bad: #a40000; --open: #7a4f00; --good: #0a6b38;
    --W: #2f9e77; --U: #e08a1e; --S: #8fb3da; --D: #c0262d; --N: #98a2b1; --ok: #2f6fb7; --missed: #c0262d; }
  @page { margin: 14mm; } body { max-width: none; padding: 0; font-size: 9.5pt; } table { font-size: 8.5pt; } code, pre { font-size: 8pt; } footer { display: none; }
  .tiles { grid-template-columns: repeat(3, 1fr); gap: .4rem; } .columns { grid-template-columns: 1fr 1fr; } h2 { break-after: avoid; } tr, .tile, figure { break-inside: avoid; } article + article { break-before: page; border: 0; margin: 0; padding: 0; } .scroll { overflow: visible; }
}
`;
