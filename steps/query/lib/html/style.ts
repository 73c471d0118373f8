/** What the plan adds to the style of reports. */
export const PLAN_STYLE = `
body { max-width: 92rem; }
.statement { max-height: 16em; overflow: auto; }
.plan { table-layout: fixed; min-width: 56rem; } .plan td { padding-top: .45rem; padding-bottom: .45rem; }
.plan col.time { width: 15.5rem; } .plan col.rows { width: 11rem; } .plan col.buffers { width: 9.5rem; } .plan col.loops { width: 4.5rem; }
.plan thead th { border-bottom: 2px solid var(--line); }
.plan .node { padding-left: calc(.2rem + var(--depth) * 1.15rem); background: repeating-linear-gradient(to right, var(--line) 0 1px, transparent 1px 1.15rem) no-repeat .55rem 0 / calc(var(--depth) * 1.15rem) 100%; }
.plan summary { list-style: none; } .plan summary::-webkit-details-marker { display: none; } .plan .title::after { content: " ▸"; color: var(--dim); font-weight: 400; } .plan [open] .title::after { content: " ▾"; }
.plan .title { font-weight: 620; } .plan .subplan { color: var(--dim); font-weight: 400; }
.plan .cond { color: var(--dim); display: block; overflow-wrap: anywhere; }
.plan tr.never { opacity: .55; } .plan tr.hot .title { color: var(--c2); } .plan tr:target { background: var(--card); }
.plan tr.found > td { border-bottom: none; padding-bottom: 0; } .plan tr.beside > td { padding-top: .3rem; }
.own { display: grid; grid-template-columns: minmax(0, 1fr) 4.6rem 3.2rem; gap: .5rem; align-items: center; font-variant-numeric: tabular-nums; }
.own svg { height: 12px; border-radius: 3px; } .own span { text-align: right; white-space: nowrap; }
.plan .sub { display: block; color: var(--dim); font-size: .85em; white-space: nowrap; } .plan .temp { color: var(--warning); } .off { --tone: var(--warning); }
.plan .finding { margin: .1rem 0; padding: .35rem .8rem; max-width: 64rem; } .plan .finding p { margin: .1rem 0; } .plan dl { font-size: .85rem; margin: .3rem 0 0; }
.findings { padding-left: 0; list-style: none; } .findings li { margin: .15rem 0; } .findings .badge { min-width: 5.4rem; text-align: center; margin-right: .4rem; }
@media print { .statement { max-height: none; } .plan { min-width: 0; font-size: 7.5pt; } .plan code { font-size: 6.8pt; } .plan col.time { width: 27%; } .plan col.rows { width: 14%; } .plan col.buffers { width: 13%; } .plan col.loops { width: 7%; }
  .own { grid-template-columns: minmax(0, 1fr) 3.6rem 2.2rem; gap: .25rem; } .plan dl, .plain { display: none; } .plan .title::after { content: none !important; } .plan tr.found { break-after: avoid; } }
`;
