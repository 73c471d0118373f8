/** Follows the reader's light or dark; on paper it is black on white. */
export const STYLE = `
:root { color-scheme: light dark; --fg: #1b2330; --dim: #5a6678; --bg: #fff; --card: #f5f7fa; --line: #d8dee7; --track: #e4e9f0;
  --critical: #c0262d; --warning: #9a6200; --info: #2563a8; --ok: #1a7f4b; --bar: #2f6fb7; --hot: #c96f0a; }
@media (prefers-color-scheme: dark) { :root { --fg: #dfe5ec; --dim: #97a3b3; --bg: #11151b; --card: #1a2029; --line: #303947; --track: #2a323e;
  --critical: #ff7b72; --warning: #e6b450; --info: #79b8ff; --ok: #4cc38a; --bar: #6cb0f5; --hot: #f0a94e; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; color: var(--fg); background: var(--bg); max-width: 92rem; margin: 0 auto; padding: 1.5rem; }
a { color: var(--info); text-decoration: none; } a:hover { text-decoration: underline; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .8rem; padding-bottom: .25rem; border-bottom: 1px solid var(--line); }
p { margin: .3rem 0; } .dim { color: var(--dim); } .small { font-size: .87rem; }
.critical { --tone: var(--critical); } .warning { --tone: var(--warning); } .info { --tone: var(--info); } .ok { --tone: var(--ok); }
.verdict { border-left: 5px solid var(--tone); padding: .15rem 0 .15rem .9rem; margin: 0 0 .4rem; } .verdict strong { color: var(--tone); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .7rem; margin: 1.2rem 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px; padding: .6rem .8rem; } .tile .label { color: var(--dim); font-size: .85rem; }
.tile .value { font-size: 1.45rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .93rem; }
th, td { text-align: left; vertical-align: top; padding: .32rem .5rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
th { color: var(--dim); font-weight: 600; font-size: .85rem; white-space: nowrap; } th:first-child { padding-left: 0; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
code, pre, .mono { font: 12.5px/1.45 ui-monospace, "SF Mono", "DejaVu Sans Mono", monospace; }
pre { border: 1px solid var(--line); border-radius: 6px; padding: .5rem .7rem; margin: .4rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.statement { max-height: 16em; overflow: auto; } .plain pre { white-space: pre; overflow-x: auto; }
.finding { background: var(--card); border: 1px solid var(--line); border-left: 5px solid var(--tone); border-radius: 6px; padding: .6rem .9rem; margin: .6rem 0; }
.badge { display: inline-block; border: 1px solid var(--tone, var(--line)); color: var(--tone, var(--dim)); border-radius: 99px; padding: 0 .55rem; font-size: .78rem; font-weight: 600; white-space: nowrap; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .1rem 1.2rem; margin: .6rem 0; } dt { color: var(--dim); } dd { margin: 0; overflow-wrap: anywhere; }
summary { cursor: pointer; }
footer { margin-top: 3rem; padding-top: .6rem; border-top: 1px solid var(--line); color: var(--dim); font-size: .85rem; }
.plan { table-layout: fixed; min-width: 56rem; } .plan td { padding-top: .45rem; padding-bottom: .45rem; }
.plan col.time { width: 15.5rem; } .plan col.rows { width: 11rem; } .plan col.buffers { width: 9.5rem; } .plan col.loops { width: 4.5rem; }
.plan thead th { border-bottom: 2px solid var(--line); }
.plan .node { padding-left: calc(.2rem + var(--depth) * 1.15rem); background: repeating-linear-gradient(to right, var(--line) 0 1px, transparent 1px 1.15rem) no-repeat .55rem 0 / calc(var(--depth) * 1.15rem) 100%; }
.plan summary { list-style: none; } .plan summary::-webkit-details-marker { display: none; } .plan .title::after { content: " ▸"; color: var(--dim); font-weight: 400; } .plan [open] .title::after { content: " ▾"; }
.plan .title { font-weight: 620; } .plan .subplan { color: var(--dim); font-weight: 400; }
.plan .cond { color: var(--dim); display: block; overflow-wrap: anywhere; }
.plan tr.never { opacity: .55; } .plan tr.hot .title { color: var(--hot); } .plan tr:target { background: var(--card); }
.plan tr.found > td { border-bottom: none; padding-bottom: 0; } .plan tr.beside > td { padding-top: .3rem; }
.own { display: grid; grid-template-columns: minmax(0, 1fr) 4.6rem 3.2rem; gap: .5rem; align-items: center; font-variant-numeric: tabular-nums; }
.own i { height: 12px; border-radius: 3px; background: linear-gradient(to right, var(--bar) var(--share), var(--track) var(--share)); print-color-adjust: exact; -webkit-print-color-adjust: exact; } .hot .own i { --bar: var(--hot); } .own span { text-align: right; white-space: nowrap; }
.plan .sub { display: block; color: var(--dim); font-size: .85em; white-space: nowrap; } .plan .temp { color: var(--warning); } .off { --tone: var(--warning); }
.plan .finding { margin: .1rem 0; padding: .35rem .8rem; max-width: 64rem; } .plan .finding p { margin: .1rem 0; } .plan dl { font-size: .85rem; margin: .3rem 0 0; }
.findings { padding-left: 0; list-style: none; } .findings li { margin: .15rem 0; } .findings .badge { min-width: 5.4rem; text-align: center; margin-right: .4rem; }
@media print {
  :root { color-scheme: light; --fg: #000; --dim: #444; --bg: #fff; --card: #fff; --line: #b5b5b5; --track: #e6e6e6; --critical: #a40000; --warning: #7a4f00; --info: #003f8a; --ok: #0a6b38; --bar: #2f6fb7; --hot: #c96f0a; }
  @page { margin: 14mm; } html { font-size: 10.5px; }
  body { max-width: none; padding: 0; font-size: 9.5pt; } a { color: inherit; } .tiles { grid-template-columns: repeat(6, 1fr); gap: .4rem; } .tile .value { font-size: 1.1rem; }
  h2 { break-after: avoid; } tr, .finding, .tile { break-inside: avoid; } .scroll { overflow: visible; } code, pre, .mono { font-size: 8pt; }
  .statement { max-height: none; } .plan { min-width: 0; font-size: 7.5pt; } .plan code { font-size: 6.8pt; } .plan col.time { width: 27%; } .plan col.rows { width: 14%; } .plan col.buffers { width: 13%; } .plan col.loops { width: 7%; }
  .own { grid-template-columns: minmax(0, 1fr) 4.8rem 3.2rem; gap: .25rem; } .plan dl, .plain { display: none; } .plan .title::after { content: none !important; } .plan tr.found { break-after: avoid; } }
`;
