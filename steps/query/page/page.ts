import { count, type Finding, percent, SEVERITIES, several } from "../plan/finding.ts";
import { type Plan, type PlanNode, walk } from "../plan/tree.ts";
import { card } from "./finding.ts";
import { html, type Html } from "../../../engine/shared/markup.ts";
import { STYLE } from "./style.ts";
import { planTable } from "./tree.ts";
import { cost, time } from "./units.ts";
import { pageOf } from "../../../engine/shared/page.ts";

/** The output of query.analyze. */
export interface Analysis {
  statement: string;
  database: string;
  analyzed: boolean;
  generic: boolean;
  totals: { cost: number; rows: number; planning_ms: number | null; execution_ms: number | null };
  text: string;
  findings: Finding[];
  plan: PlanNode;
  triggers: Plan["triggers"];
  jit: Plan["jit"];
  settings: Plan["settings"];
}

/** A plan as one self-contained page: nothing is loaded from anywhere and no script runs. All data is escaped. */
export function page(analysis: Analysis, target: string, drawn: Date): string {
  const { statement, database, analyzed, findings, plan, text } = analysis;
  const paths = new Set([...walk(plan)].map(({ path }) => path));
  const general = findings.filter(({ node }) => node === null || !paths.has(node.path));
  const worst =
    SEVERITIES.find((severity) => findings.some((one) => one.severity === severity)) ?? "ok";
  return pageOf({
    title: `Plan – ${statement.replaceAll(/\s+/g, " ").slice(0, 80)}`,
    style: STYLE,
    body: html`
      <header>
        <div class="verdict ${worst}">
          <h1>Plan <span class="dim">of a statement in ${database}</span></h1>
          <p><strong>${verdict(findings)}</strong></p>
        </div>
        <p class="dim small">
          ${[target, analyzed ? "executed and rolled back" : "planned, not executed", ...(analysis.generic ? ["for any values of its parameters"] : [])].join(" · ")}
        </p>
      </header>
      <main>
        ${tiles(analysis)}
        <pre class="statement">${statement}</pre>
        ${findings.length === 0 ? null : overview(findings, general)}
        <h2>Where the ${analyzed ? "time" : "cost"} is</h2>
        ${planTable(plan, analyzed, findings)} ${beside(analysis)}
        <details class="plain">
          <summary class="dim">The plan as text</summary>
          <pre>${text}</pre>
        </details>
      </main>
      <footer>
        pgdba query/analyze · ${drawn.toISOString().slice(0, 16).replace("T", " ")} UTC
      </footer>
    `,
  });
}

function verdict(findings: readonly Finding[]): string {
  const parts = SEVERITIES.flatMap((severity) => {
    const found = findings.filter((one) => one.severity === severity).length;
    return found === 0
      ? []
      : [`${found} ${severity}${severity === "warning" && found > 1 ? "s" : ""}`];
  });
  return parts.length === 0 ? "Nothing found" : parts.join(", ");
}

/** The findings about the statement as a whole, and links to the others. */
function overview(findings: readonly Finding[], general: readonly Finding[]): Html {
  const placed = findings.filter((one) => !general.includes(one));
  return html`<h2>Findings</h2>
    ${general.map(card)}
    ${
      placed.length === 0
        ? null
        : html`<ul class="findings">
            ${placed.map(
              ({ severity, message, node }) =>
                html`<li class="${severity}">
                  <span class="badge">${severity}</span> ${message}
                  <a href="#n${node?.path ?? ""}">${node?.title ?? ""}</a>
                </li> `,
            )}
          </ul>`
    }`;
}

function tiles({ analyzed, totals, plan }: Analysis): Html {
  const all = [...walk(plan)];
  const blocks = (of: (buffers: NonNullable<PlanNode["buffers"]>) => number) =>
    all.reduce((sum, { buffers }) => sum + (buffers === null ? 0 : of(buffers)), 0);
  const hit = blocks((one) => one.shared_hit + one.local_hit);
  const read = blocks((one) => one.shared_read + one.local_read);
  const shown: [label: string, value: string | null][] = [
    ["execution", totals.execution_ms === null ? null : time(totals.execution_ms)],
    ["planning", totals.planning_ms === null ? null : time(totals.planning_ms)],
    [analyzed ? "rows" : "rows, estimated", count(totals.rows)],
    ["cost", cost(totals.cost)],
    ["found in the cache", hit + read === 0 ? null : percent(hit / (hit + read))],
    ["nodes", String(all.length)],
  ];
  return html`<div class="tiles">
    ${shown.map(([label, value]) =>
      value === null
        ? null
        : html`<div class="tile">
            <div class="label">${label}</div>
            <div class="value">${value}</div>
          </div> `,
    )}
  </div>`;
}

/** The parts of the execution that belong to no node, and the settings that shaped the plan. */
function beside({ triggers, jit, settings }: Analysis): Html | null {
  const rows: [string, string][] = [
    ...triggers.map(({ name, relation, calls, time_ms }): [string, string] => [
      `trigger ${name}`,
      `${time(time_ms)} in ${several(calls, "call")}, on ${relation}`,
    ]),
    ...(jit === null
      ? []
      : [
          [
            "JIT",
            `${several(jit.functions, "function")}${jit.total_ms === null ? "" : `, ${time(jit.total_ms)}`}`,
          ] as [string, string],
        ]),
    ...Object.entries(settings).map(([name, value]): [string, string] => [name, value]),
  ];
  return rows.length === 0
    ? null
    : html`<h2>Beside the plan</h2>
        <dl>
          ${rows.map(
            ([name, value]) =>
              html`<dt>${name}</dt>
                <dd>${value}</dd>`,
          )}
        </dl>`;
}
