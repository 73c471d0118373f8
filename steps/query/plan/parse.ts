import { PgdbaError } from "../../../engine/errors.ts";
import { isMapping, type Json, type JsonObject } from "../../../engine/types.ts";
import { attribute } from "./exclusive.ts";
import { jitOf } from "./jit.ts";
import { countEstimated } from "./parallel.ts";
import { titleOf } from "./title.ts";
import type { Actual, Buffers, Plan, PlanNode, Role } from "./tree.ts";

/** Keys that stand elsewhere in a node, or that are only noise (the target lists of VERBOSE). */
const MOVED = new Set([
  "Node Type",
  "Parent Relationship",
  "Subplan Name",
  "Relation Name",
  "Schema",
  "Alias",
  "Index Name",
  "Startup Cost",
  "Total Cost",
  "Plan Rows",
  "Plan Width",
  "Actual Startup Time",
  "Actual Total Time",
  "Actual Rows",
  "Actual Loops",
  "Output",
  "Plans",
]);
const BUFFER_KEY = /^(Shared|Local|Temp) (Hit|Read|Dirtied|Written) Blocks$/;

const ROLES: Record<string, Role> = {
  Outer: "outer",
  Inner: "inner",
  Member: "member",
  Subquery: "subquery",
  InitPlan: "init_plan",
  SubPlan: "sub_plan",
};

/**
 * Reads what EXPLAIN (FORMAT JSON) gives on PostgreSQL 13 to 18, with any of its other options, and works out where time, cost
 * and buffers are really spent.
 * @throws PgdbaError unsupported when it is not the plan of one statement
 */
export function parsePlan(explained: Json): Plan {
  const outputs = Array.isArray(explained) ? explained : [];
  const output = outputs[0];
  if (outputs.length !== 1 || !isMapping(output) || !isMapping(output.Plan)) {
    throw new PgdbaError(
      "unsupported",
      outputs.length > 1
        ? `A rule turns this statement into ${outputs.length} of them`
        : "This is not the plan of a statement",
      {
        hint: "Give the JSON that EXPLAIN (FORMAT JSON) prints for one SELECT, INSERT, UPDATE, DELETE or MERGE.",
      },
    );
  }
  const root = parseNode(output.Plan, "1", ALONE);
  const execution = numberOf(output["Execution Time"]);
  const settings = isMapping(output.Settings)
    ? Object.fromEntries(Object.entries(output.Settings).map(([name, v]) => [name, String(v)]))
    : {};
  countEstimated(root, settings["parallel_leader_participation"] !== "off");
  attribute(root);
  finish(root, execution ?? root.actual?.time_ms ?? null);
  return {
    root,
    analyzed: root.actual !== null,
    planning_ms: numberOf(output["Planning Time"]),
    execution_ms: execution,
    triggers: triggersOf(output.Triggers),
    jit: jitOf(output.JIT, root),
    settings,
  };
}

/** The processes that do the work of a node. */
interface Crew {
  /** The number of processes that share it. */
  processes: number;
  /** The number of processes that wait while one of them runs it. */
  waiting: number;
}

const ALONE: Crew = { processes: 1, waiting: 1 };

function parseNode(raw: JsonObject, path: string, crew: Crew): PlanNode {
  const subplan = stringOf(raw["Subplan Name"]);
  const relationship = stringOf(raw["Parent Relationship"]);
  const name = stringOf(raw["Relation Name"]);
  const loops = numberOf(raw["Actual Loops"]);
  const plans = Array.isArray(raw.Plans) ? raw.Plans.filter(isMapping) : [];
  return {
    path,
    role: subplan?.startsWith("CTE ") ? "cte" : (ROLES[relationship ?? ""] ?? "root"),
    type: stringOf(raw["Node Type"]) ?? "Unknown",
    title: titleOf(raw),
    subplan,
    relation:
      name === null
        ? null
        : { schema: stringOf(raw.Schema), name, alias: stringOf(raw.Alias) ?? name },
    index: stringOf(raw["Index Name"]),
    estimated: {
      startup_cost: numberOf(raw["Startup Cost"]) ?? 0,
      total_cost: numberOf(raw["Total Cost"]) ?? 0,
      own_cost: 0,
      rows: numberOf(raw["Plan Rows"]) ?? 0,
      divided_by: 1,
      all_rows: numberOf(raw["Plan Rows"]) ?? 0,
      width: numberOf(raw["Plan Width"]) ?? 0,
    },
    actual: loops === null ? null : actualOf(raw, loops, crew),
    buffers: buffersOf(raw),
    details: detailsOf(raw),
    children: plans.map((plan, index) =>
      parseNode(plan, `${path}.${index + 1}`, crewOf(raw, plan, crew)),
    ),
  };
}

/**
 * Below a Gather every process runs the child once for each loop of the Gather, so their ratio is the number of processes: right
 * whether the leader takes part or not, and however many workers could be launched.
 */
function crewOf(parent: JsonObject, child: JsonObject, inherited: Crew): Crew {
  const [loops, own] = [parent, child].map((node) => numberOf(node["Actual Loops"]) ?? 0);
  if (loops === undefined || own === undefined || loops === 0 || own === 0) return inherited;
  const relationship = stringOf(child["Parent Relationship"]);
  const type = stringOf(parent["Node Type"]) ?? "";
  if (type.startsWith("Gather") && relationship === "Outer")
    return { processes: Math.max(1, own / loops), waiting: 1 };
  // A single process runs an InitPlan for all of them.
  if (relationship === "InitPlan" && own < inherited.processes) return ALONE;
  // A single process makes the bitmap, and the others wait for it.
  if (type === "Bitmap Heap Scan" && parent["Parallel Aware"] === true)
    return { ...inherited, waiting: Math.max(1, loops / own) };
  return inherited;
}

/**
 * EXPLAIN gives time and rows as the average of a loop. Processes below a Gather loop at the same time, each with other work (as in a
 * Parallel Append): on the clock a node takes what it took in all over the number of processes, which adds up to what its parent took.
 */
function actualOf(raw: JsonObject, loops: number, { processes, waiting }: Crew): Actual {
  const perLoop = numberOf(raw["Actual Total Time"]);
  const rows = numberOf(raw["Actual Rows"]) ?? 0;
  return {
    loops,
    rows: Math.round(rows * loops),
    rows_per_loop: rows,
    processes,
    time_ms: perLoop === null ? null : (perLoop * loops * waiting) / processes,
    own_ms: null,
    share: null,
  };
}

function buffersOf(raw: JsonObject): Buffers | null {
  if (raw["Shared Hit Blocks"] === undefined) return null;
  const of = (key: string) => numberOf(raw[`${key} Blocks`]) ?? 0;
  return {
    shared_hit: of("Shared Hit"),
    shared_read: of("Shared Read"),
    shared_dirtied: of("Shared Dirtied"),
    shared_written: of("Shared Written"),
    local_hit: of("Local Hit"),
    local_read: of("Local Read"),
    local_dirtied: of("Local Dirtied"),
    local_written: of("Local Written"),
    temp_read: of("Temp Read"),
    temp_written: of("Temp Written"),
  };
}

function detailsOf(raw: JsonObject): JsonObject {
  const kept = Object.entries(raw).filter(
    ([key, value]) => value !== false && !MOVED.has(key) && !BUFFER_KEY.test(key),
  );
  return Object.fromEntries(
    kept.map(([key, value]) => [
      snake(key),
      isMapping(value)
        ? detailsOf(value)
        : Array.isArray(value)
          ? value.map((item) => (isMapping(item) ? detailsOf(item) : item))
          : value,
    ]),
  );
}

/** Sets the shares, and cuts what arithmetic has made of the server's figures to their precision. */
function finish(node: PlanNode, execution: number | null): void {
  const { actual, estimated } = node;
  estimated.own_cost = rounded(estimated.own_cost, 2);
  if (actual !== null && actual.own_ms !== null && actual.time_ms !== null) {
    const share = execution !== null && execution > 0 ? actual.own_ms / execution : 0;
    actual.share = rounded(Math.min(1, share), 4);
    actual.own_ms = rounded(actual.own_ms, 3);
    actual.time_ms = rounded(actual.time_ms, 3);
  }
  for (const child of node.children) finish(child, execution);
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function triggersOf(value: Json | undefined): Plan["triggers"] {
  const list = Array.isArray(value) ? value.filter(isMapping) : [];
  return list.map((trigger) => ({
    name: stringOf(trigger["Trigger Name"]) ?? stringOf(trigger["Constraint Name"]) ?? "",
    constraint: stringOf(trigger["Constraint Name"]),
    relation: stringOf(trigger.Relation) ?? "",
    calls: numberOf(trigger.Calls) ?? 0,
    time_ms: numberOf(trigger.Time) ?? 0,
  }));
}

function snake(key: string): string {
  return key.toLowerCase().replaceAll(/[^a-z0-9]+/g, "_");
}

function numberOf(value: Json | undefined): number | null {
  return typeof value === "number" ? value : null;
}

function stringOf(value: Json | undefined): string | null {
  return typeof value === "string" ? value : null;
}
