import type { Json } from "../../../engine/types.ts";
import { count, type Finding, percent, several } from "../plan/finding.ts";
import { type Buffers, number, type PlanNode, text, walk } from "../plan/tree.ts";
import { card } from "./finding.ts";
import { html, type Html } from "../../../engine/shared/markup.ts";
import { cost, size, time } from "./units.ts";

/** Steps of indentation; deeper nodes stand no further right, so that their words keep some room. */
const DEEPEST = 18;
/** Characters of one detail; the JSON has it whole. */
const LONGEST = 2000;
/** An estimate this many times off is marked. */
const OFF = 10;
const BLOCK = 8192;
const CONDITIONS: readonly [key: string, label: string][] = [
  ["index_cond", "index condition"],
  ["recheck_cond", "recheck"],
  ["hash_cond", "on"],
  ["merge_cond", "on"],
  ["join_filter", "join filter"],
  ["filter", "filter"],
  ["sort_key", "by"],
  ["group_key", "by"],
];

/** The plan as a table of its nodes: each with its own share of the time (or cost), and what was found in it. */
export function planTable(root: PlanNode, analyzed: boolean, findings: readonly Finding[]): Html {
  const spent = (node: PlanNode) =>
    analyzed ? (node.actual?.own_ms ?? 0) : node.estimated.own_cost;
  const nodes = [...walk(root)];
  const whole = nodes.reduce((sum, node) => sum + spent(node), 0);
  const most = Math.max(...nodes.map(spent));
  return html`<div class="scroll">
    <table class="plan">
      <colgroup>
        <col />
        <col class="time" />
        <col class="rows" />
        ${
          analyzed
            ? html`<col class="buffers" />
                <col class="loops" />`
            : null
        }
      </colgroup>
      <thead>
        <tr>
          <th>node</th>
          <th>own ${analyzed ? "time" : "cost"}</th>
          <th class="n">rows</th>
          ${
            analyzed
              ? html`<th class="n">buffers</th>
                  <th class="n">loops</th>`
              : null
          }
        </tr>
      </thead>
      <tbody>
        ${rows(root, 0)}
      </tbody>
    </table>
  </div>`;

  function rows(node: PlanNode, depth: number): Html[] {
    const own = spent(node);
    const never = analyzed && (node.actual === null || node.actual.loops === 0);
    const hot = own === most && own > 0;
    const here = findings.filter((one) => one.node?.path === node.path);
    const row = html`<tr
      id="n${node.path}"
      class="${never ? "never" : hot ? "hot" : ""}${here.length > 0 ? " found" : ""}"
    >
      <td class="node" style="--depth:${Math.min(depth, DEEPEST)}">${described(node)}</td>
      <td>
        ${never ? html`<span class="dim">never executed</span>` : ownBar(own, whole, analyzed)}
      </td>
      <td class="n">${rowsOf(node, never)}</td>
      ${
        analyzed
          ? html`<td class="n">${buffersOf(node.buffers)}</td>
              <td class="n">${never ? 0 : count(node.actual?.loops ?? 0)}</td>`
          : null
      }
    </tr> `;
    const beside =
      here.length === 0
        ? []
        : [
            html`<tr class="beside">
              <td
                class="node"
                style="--depth:${Math.min(depth, DEEPEST)}"
                colspan="${analyzed ? 5 : 3}"
              >
                ${here.map(card)}
              </td>
            </tr> `,
          ];
    return [row, ...beside, ...node.children.flatMap((child) => rows(child, depth + 1))];
  }
}

function ownBar(own: number, whole: number, analyzed: boolean): Html {
  const share = whole > 0 ? own / whole : 0;
  return html`<div class="own">
    <i style="--share:${(100 * share).toFixed(2)}%"></i
    ><span>${analyzed ? time(own) : cost(own)}</span><span class="dim">${percent(share)}</span>
  </div>`;
}

function rowsOf({ actual, estimated }: PlanNode, never: boolean): Html {
  if (actual === null || never)
    return html`<span class="dim">${count(estimated.all_rows)} estimated</span>`;
  const expected = estimated.all_rows;
  const factor = Math.max(actual.rows, 1) / Math.max(expected, 1);
  const off =
    factor >= OFF
      ? `${count(factor)}× more`
      : factor <= 1 / OFF
        ? `${count(1 / factor)}× fewer`
        : null;
  return html`${count(actual.rows)}<span class="sub">${count(expected)} estimated</span>${
      off === null ? null : html`<span class="badge off">${off}</span>`
    }`;
}

/** The bytes that came from outside of the buffers, and below them those that were in them. */
function buffersOf(buffers: Buffers | null): Html | string {
  if (buffers === null) return "–";
  const { shared_hit, shared_read, local_hit, local_read, temp_read, temp_written } = buffers;
  const read = shared_read + local_read;
  const hit = shared_hit + local_hit;
  const temp = temp_read + temp_written;
  return html`${read === 0 ? html`<span class="dim">–</span>` : html`${size(read * BLOCK)} read`}${
    hit === 0 ? null : html`<span class="sub">${size(hit * BLOCK)} cached</span>`
  }${temp === 0 ? null : html`<span class="sub temp">${size(temp * BLOCK)} temp</span>`}`;
}

function conditions(node: PlanNode): Html[] {
  const said = CONDITIONS.flatMap(([key, label]) => {
    const value = text(node, key);
    return value === null ? [] : [[label, value] as const];
  });
  const removed = number(node, "rows_removed_by_filter") * (node.actual?.loops ?? 0);
  return [
    ...said.map(
      ([label, value]) => html`<span class="cond small">${label} <code>${cut(value)}</code></span>`,
    ),
    ...(removed > 0
      ? [html`<span class="cond small">${several(removed, "row")} thrown away by the filter</span>`]
      : []),
  ];
}

/** Title and conditions; unfolded everything else that the server said. */
function described(node: PlanNode): Html {
  const shown = new Set(CONDITIONS.map(([key]) => key));
  const { startup_cost, total_cost, width } = node.estimated;
  const rest = Object.entries(node.details).filter(([key]) => !shown.has(key));
  return html`<details>
    <summary>
      <span class="title"
        >${node.subplan === null ? null : html`<span class="subplan">${node.subplan}: </span>`}${node.title}</span
      >${conditions(node)}
    </summary>
    <dl>
      <dt>cost</dt>
      <dd>${startup_cost} to begin, ${total_cost} in all, rows of ${width} bytes</dd>
      ${
        node.actual?.time_ms == null
          ? null
          : html`<dt>time with children</dt>
              <dd>${time(node.actual.time_ms)}</dd>`
      }
      ${rest.map(
        ([key, value]) =>
          html`<dt>${key.replaceAll("_", " ")}</dt>
            <dd class="mono">${cut(said(value))}</dd>`,
      )}
    </dl>
  </details>`;
}

function said(value: Json): string {
  if (Array.isArray(value) && value.every((one) => typeof one === "string"))
    return value.join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

function cut(value: string): string {
  return value.length > LONGEST ? `${value.slice(0, LONGEST)}…` : value;
}
