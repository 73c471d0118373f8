/**
 * Follows the reader's light or dark; on paper it is black on white with everything unfolded, and without the foot, which would often
 * have a page of its own and says nothing that the head does not.
 */
export const STYLE = `
:root { color-scheme: light dark; --fg: #1b2330; --dim: #5a6678; --bg: #fff; --card: #f5f7fa; --line: #d8dee7; --track: #e4e9f0;
  --critical: #c0262d; --warning: #9a6200; --info: #2563a8; --ok: #1a7f4b; --c1: #2f6fb7; --c2: #e08a1e; --c3: #7b61b8; --c4: #2f9e77; --c5: #98a2b1; }
@media (prefers-color-scheme: dark) { :root { --fg: #dfe5ec; --dim: #97a3b3; --bg: #11151b; --card: #1a2029; --line: #303947; --track: #2a323e;
  --critical: #ff7b72; --warning: #e6b450; --info: #79b8ff; --ok: #4cc38a; --c1: #6cb0f5; --c2: #f0a94e; --c3: #b39ddb; --c4: #5fd0a5; --c5: #707c8c; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; color: var(--fg); background: var(--bg); max-width: 76rem; margin: 0 auto; padding: 1.5rem; }
a { color: var(--info); text-decoration: none; } a:hover { text-decoration: underline; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .8rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.3rem 0 .5rem; }
p { margin: .3rem 0; }
.dim { color: var(--dim); } .small { font-size: .87rem; }
.critical { --tone: var(--critical); } .warning { --tone: var(--warning); } .info { --tone: var(--info); } .ok { --tone: var(--ok); }
.tone { color: var(--tone); }
nav { display: flex; flex-wrap: wrap; gap: .2rem 1rem; margin: .9rem 0 0; font-size: .93rem; }
.verdict { border-left: 5px solid var(--tone); padding: .15rem 0 .15rem .9rem; margin: 0 0 .4rem; }
.verdict strong { color: var(--tone); }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.6rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
@media (min-width: 62rem) { .of-4 { --n: 4; } .of-5 { --n: 5; } .of-6 { --n: 6; } .of-7 { --n: 7; } .tiles { grid-template-columns: repeat(var(--n), 1fr); } }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; }
.tile .value { font-size: 1.45rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; color: var(--tone, var(--fg)); overflow-wrap: anywhere; }
.tile .label { color: var(--dim); font-size: .85rem; } .tile .note { color: var(--dim); font-size: .82rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: .9rem; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem .4rem; min-width: 0; }
figcaption { display: flex; justify-content: space-between; gap: 1rem; font-size: .9rem; } figcaption b { font-weight: 600; font-variant-numeric: tabular-nums; }
svg { display: block; width: 100%; height: auto; font: 11px system-ui, "DejaVu Sans", sans-serif; }
svg text { fill: var(--dim); } svg .grid { stroke: var(--line); stroke-width: 1; }
svg .line { fill: none; stroke: var(--c1); stroke-width: 2; stroke-linejoin: round; } svg .area { fill: var(--c1); opacity: .14; } svg .dot { fill: var(--c1); }
svg .line.critical, svg .line.warning, svg .line.info { stroke: var(--tone); } svg .dot.critical, svg .dot.warning, svg .dot.info { fill: var(--tone); }
.c1 { --series: var(--c1); } .c2 { --series: var(--c2); } .c3 { --series: var(--c3); } .c4 { --series: var(--c4); } .c5 { --series: var(--c5); }
.track { fill: var(--track); } rect.c1, rect.c2, rect.c3, rect.c4, rect.c5 { fill: var(--series); }
.bar { width: 22%; min-width: 7rem; vertical-align: middle !important; } .bar svg { height: 12px; border-radius: 3px; }
.legend { display: flex; flex-wrap: wrap; gap: .15rem 1rem; font-size: .87rem; margin: .4rem 0; color: var(--dim); }
.legend i { display: inline-block; width: .75em; height: .75em; border-radius: 2px; margin-right: .35em; background: var(--series); print-color-adjust: exact; -webkit-print-color-adjust: exact; }
table { border-collapse: collapse; width: 100%; font-size: .93rem; } .scroll { overflow-x: auto; }
th, td { text-align: left; vertical-align: top; padding: .32rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; font-size: .92em; white-space: nowrap; }
td:first-child, th:first-child { padding-left: 0; } td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; } td.name { min-width: 9rem; } td.short { white-space: nowrap; }
code, pre, .mono { font: 12.5px/1.45 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; }
pre { background: var(--bg); border: 1px solid var(--line); border-radius: 6px; padding: .5rem .7rem; margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.query { max-height: 7.25em; overflow: auto; white-space: pre-wrap; min-width: 18rem; }
.finding { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--tone); border-radius: 6px; padding: .6rem .9rem; margin: .6rem 0; }
.finding h3, summary h3 { display: inline; margin: 0 .5rem 0 0; } .finding ul { margin: .4rem 0; padding-left: 1.2rem; } .finding li { overflow-wrap: anywhere; margin: .1rem 0; }
.badge { display: inline-block; border: 1px solid var(--tone, var(--line)); color: var(--tone, var(--dim)); border-radius: 99px; padding: 0 .55rem; font-size: .78rem; font-weight: 600; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1.2rem; margin: .6rem 0; } dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); gap: 0 2rem; } .columns > * { min-width: 0; }
summary { cursor: pointer; } details > summary.dim { margin: .3rem 0; }
footer { margin-top: 3rem; padding-top: .6rem; border-top: 1px solid var(--line); color: var(--dim); font-size: .85rem; }
@media print {
  :root { color-scheme: light; --fg: #000; --dim: #444; --bg: #fff; --card: #fff; --line: #b5b5b5; --track: #e6e6e6; --critical: #a40000; --warning: #7a4f00; --info: #003f8a; --ok: #0a6b38;
    --c1: #2f6fb7; --c2: #e08a1e; --c3: #7b61b8; --c4: #2f9e77; --c5: #98a2b1; }
  @page { margin: 14mm; }
  html { font-size: 12px; } th { white-space: normal; } th, td { padding: .25rem .3rem; } .bar { min-width: 4rem; } td.name { min-width: 6rem; }
  body { max-width: none; padding: 0; font-size: 9.5pt; } nav, footer { display: none; } a { color: inherit; }
  h2, h3, :is(h2, h3) + p.dim, .legend { break-after: avoid; } tr, .finding, figure, .tile, p.dim, dl { break-inside: avoid; } .finding.long { break-inside: auto; }
  .query { max-height: none; overflow: visible; min-width: 0; } .scroll { overflow: visible; } table { font-size: 8.5pt; } code, pre, .mono { font-size: 8pt; }
  details::details-content { content-visibility: visible; display: block; } summary { list-style: none; } svg, .legend i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .charts { grid-template-columns: 1fr 1fr; } .tiles { grid-template-columns: repeat(4, 1fr); gap: .4rem; } details { break-inside: avoid; }
}
`;
