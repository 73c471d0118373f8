import { count, kb, ms, percent, several } from "./finding.ts";
import { number, type Plan, type PlanNode, text } from "./tree.ts";

/** Characters of a condition that a line shows. */
const CONDITION = 60;
const SHOWN: readonly [key: string, label: string][] = [
  ["index_cond", ""],
  ["recheck_cond", ""],
  ["hash_cond", ""],
  ["merge_cond", ""],
  ["join_filter", "filter "],
  ["filter", "filter "],
  ["sort_key", "by "],
  ["group_key", "by "],
];

interface Line {
  cells: string[];
  tree: string;
}

/**
 * The plan as a text table: for each node the time (or cost) of its own, its share, and the rows beside the estimate, then the tree.
 * Rows are those of all loops and processes together.
 */
export function draw(plan: Plan): string {
  const { analyzed } = plan;
  const heads = analyzed
    ? ["own time", "share", "rows", "estimated", "loops"]
    : ["own cost", "share", "rows"];
  const lines = [...rows(plan.root, plan, "", "")];
  const all = [{ cells: heads, tree: "node" }, ...lines];
  const widths = heads.map((_, column) =>
    Math.max(...all.map(({ cells }) => cells[column]?.length ?? 0)),
  );
  const table = all.map(({ cells, tree }) =>
    `${cells.map((cell, column) => cell.padStart(widths[column] ?? 0)).join("  ")}  ${tree}`.trimEnd(),
  );
  return [...table, ...totals(plan)].join("\n");
}

function* rows(node: PlanNode, plan: Plan, lead: string, indent: string): Generator<Line> {
  const subplan = node.subplan === null ? "" : `${node.subplan}: `;
  yield { cells: cellsOf(node, plan), tree: `${lead}${subplan}${node.title}${remarks(node)}` };
  for (const [index, child] of node.children.entries()) {
    const last = index === node.children.length - 1;
    yield* rows(
      child,
      plan,
      `${indent}${last ? "└─ " : "├─ "}`,
      `${indent}${last ? "   " : "│  "}`,
    );
  }
}

function cellsOf({ actual, estimated }: PlanNode, plan: Plan): string[] {
  if (!plan.analyzed) {
    const total = plan.root.estimated.total_cost;
    const share = total > 0 ? Math.min(1, estimated.own_cost / total) : 0;
    return [count(estimated.own_cost), percent(share), count(estimated.all_rows)];
  }
  if (actual === null || actual.loops === 0)
    return ["never", "", "", count(estimated.all_rows), "0"];
  return [
    actual.own_ms === null ? "" : ms(actual.own_ms),
    actual.share === null ? "" : percent(actual.share),
    count(actual.rows),
    count(estimated.all_rows),
    count(actual.loops),
  ];
}

function remarks(node: PlanNode): string {
  const shown = SHOWN.flatMap(([key, label]) => {
    const value = text(node, key);
    return value === null ? [] : [`${label}${shorten(value)}`];
  });
  const removed = number(node, "rows_removed_by_filter") * (node.actual?.loops ?? 0);
  if (removed > 0) shown.push(`removed ${count(removed)}`);
  const disk =
    node.details.sort_space_type === "Disk"
      ? number(node, "sort_space_used")
      : number(node, "disk_usage");
  if (disk > 0) shown.push(`${kb(disk)} on disk`);
  const batches = number(node, "hash_batches");
  if (batches > 1) shown.push(several(batches, "batch", "batches"));
  const planned = number(node, "workers_planned");
  if (planned > 0)
    shown.push(
      node.actual === null
        ? several(planned, "worker")
        : `${number(node, "workers_launched")} of ${several(planned, "worker")}`,
    );
  return shown.length === 0 ? "" : `  [${shown.join(" · ")}]`;
}

function shorten(value: string): string {
  const line = value.replaceAll(/\s+/g, " ");
  return line.length > CONDITION ? `${line.slice(0, CONDITION - 1)}…` : line;
}

function totals(plan: Plan): string[] {
  const said = [
    ...(plan.planning_ms === null ? [] : [`planning ${ms(plan.planning_ms)}`]),
    ...(plan.execution_ms === null ? [] : [`execution ${ms(plan.execution_ms)}`]),
    ...(plan.jit?.total_ms
      ? [
          plan.jit.whose === "all"
            ? `JIT ${ms(plan.jit.total_ms)} over all processes`
            : `of it JIT ${ms(plan.jit.total_ms)}`,
        ]
      : []),
    ...(plan.triggers.length === 0
      ? []
      : [`of it triggers ${ms(plan.triggers.reduce((sum, { time_ms }) => sum + time_ms, 0))}`]),
  ];
  return said.length === 0 ? [] : ["", said.join(", ")];
}
