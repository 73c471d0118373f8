import type { JsonObject } from "../../../../engine/types.ts";
import { at, count, type Finding, type Rule, several, SEVERITIES } from "../finding.ts";
import { type PlanNode, text, walk, withAncestors } from "../tree.ts";
import { dependentColumns, type Dependent } from "./dependent-columns.ts";

/** Threshold of pev2, pgMustard and explain.depesz.com: below it, estimates seldom lead to another plan. */
const FACTOR = 10;
const ROWS = 1000;

/** Their row counts say nothing of the estimate: nothing is returned, or what is below is counted again. */
const SILENT = new Set(["ModifyTable", "BitmapAnd", "BitmapOr", "WorkTable Scan", "Hash"]);
/** Nodes that always read all of their input, so that a LIMIT above does not end the nodes below early. */
const BLOCKING = new Set(["Sort", "Hash", "Bitmap Index Scan", "ModifyTable"]);
const STOPPING = new Set(["Limit", "Merge Join"]);

interface Judged {
  node: PlanNode;
  factor: number;
  over: boolean;
}

/**
 * Estimates that are ten times off and at least 1,000 rows, at the node where it starts: what is above inherits the mistake.
 */
export const misestimates: Rule = (plan, facts, parse) => {
  if (!plan.analyzed) return [];
  const judged = new Map<PlanNode, Judged>();
  /** A bitmap is read from an index without a word of the table: that stands above. */
  const scans = new Map<PlanNode, PlanNode | undefined>();
  for (const [node, above] of withAncestors(plan.root)) {
    scans.set(
      node,
      [node, ...above].find(
        ({ type }) => !type.startsWith("Bitmap") || type === "Bitmap Heap Scan",
      ),
    );
    const result = judge(node, above);
    if (result !== null) judged.set(node, result);
  }
  const ctes = new Map(
    [...walk(plan.root)].flatMap((node) =>
      node.role === "cte" ? [[(node.subplan ?? "").slice("CTE ".length), node] as const] : [],
    ),
  );
  const worst = new Map<PlanNode, Judged>();
  for (const result of judged.values()) {
    if (difference(result.node) < ROWS) continue;
    for (const origin of origins(result.node, judged, ctes)) {
      const known = worst.get(origin);
      if (known === undefined || difference(result.node) > difference(known.node))
        worst.set(origin, result);
    }
  }
  return onePerRemedy(
    [...worst].map(([origin, effect]) =>
      finding(
        judged.get(origin) as Judged,
        effect,
        dependentColumns(origin, scans.get(origin) ?? origin, facts, parse),
      ),
    ),
  );
};

/** A table that is read twice by the same conditions is mended once: the worst place is told, and the others with it. */
function onePerRemedy(found: readonly Finding[]): Finding[] {
  const groups = Map.groupBy(found, (one) => keyOf(one.remedy?.params) ?? one);
  return [...groups.values()].map((group) => {
    const [worst, ...others] = group.toSorted(
      (a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity),
    ) as [Finding, ...Finding[]];
    if (others.length === 0) return worst;
    const places = others.flatMap(({ node }) => (node === null ? [] : [node]));
    const titles = [...new Set(places.map(({ title }) => title))];
    return {
      ...worst,
      message: `${worst.message} The same at ${titles.join(", ")}.`,
      evidence: { ...worst.evidence, also_at: places.map(({ path }) => path) },
    };
  });
}

function keyOf(params: JsonObject | undefined): string | undefined {
  const columns = params?.["columns"];
  return Array.isArray(columns)
    ? JSON.stringify([params?.["table"], columns.toSorted()])
    : undefined;
}

function judge(node: PlanNode, above: readonly PlanNode[]): Judged | null {
  const { actual } = node;
  if (actual === null || actual.loops === 0 || SILENT.has(node.type)) return null;
  // A merge join reads its inner side again and again where keys repeat, and counts each time.
  if (above[0]?.type === "Merge Join" && node.role === "inner") return null;
  const { real, guess } = compared(node);
  const over = guess > real;
  if (over && stopsEarly(node, above)) return null;
  const factor = over ? guess / real : real / guess;
  return factor >= FACTOR ? { node, factor, over } : null;
}

/** True when the node may have been left before its end, so that fewer rows than estimated are no mistake. */
function stopsEarly(node: PlanNode, above: readonly PlanNode[]): boolean {
  let below = node;
  for (const parent of above) {
    if (below.role === "init_plan" || below.role === "sub_plan" || below.role === "cte")
      return true;
    // A hash join looks at one row of its outer side, and at no other when the hash came out empty.
    const empty = parent.type === "Hash Join" && below.role === "outer" && innerRows(parent) === 0;
    if (empty) return true;
    const join = text(parent, "join_type");
    const first = join === "Semi" || join === "Anti" || parent.details.inner_unique === true;
    if (STOPPING.has(parent.type) || (first && below.role === "inner" && below.type !== "Hash"))
      return true;
    if (BLOCKING.has(parent.type) || parent.details.strategy === "Hashed" || plainAggregate(parent))
      return false;
    below = parent;
  }
  return false;
}

const innerRows = (join: PlanNode) =>
  join.children.find(({ role }) => role === "inner")?.actual?.rows;

const plainAggregate = (node: PlanNode) =>
  node.type === "Aggregate" && node.details.strategy === "Plain";

/** The deepest nodes below, or the node itself, from which the mistake comes; a CTE is below each node that reads it. */
function origins(
  node: PlanNode,
  judged: Map<PlanNode, Judged>,
  ctes: ReadonlyMap<string, PlanNode>,
): PlanNode[] {
  const cte = node.type === "CTE Scan" ? ctes.get(text(node, "cte_name") ?? "") : undefined;
  const children = node.children
    .flatMap((child) => (child.type === "Hash" ? child.children : [child]))
    .filter((child) => !["init_plan", "cte", "sub_plan"].includes(child.role));
  const below = [...children, ...(cte === undefined ? [] : [cte])].filter((child) =>
    judged.has(child),
  );
  return below.length === 0 ? [node] : below.flatMap((child) => origins(child, judged, ctes));
}

/** Rows by which the estimate is off, in all loops. */
function difference({ actual, estimated }: PlanNode): number {
  return actual === null ? 0 : Math.abs(actual.rows - estimated.all_rows);
}

/** Rows as EXPLAIN compares them: those of a loop, or of all processes where they share them. */
function compared({ actual, estimated }: PlanNode): { real: number; guess: number } {
  const [real, guess] =
    estimated.divided_by > 1
      ? [actual?.rows ?? 0, estimated.all_rows]
      : [actual?.rows_per_loop ?? 0, estimated.rows];
  return { real: Math.max(1, real), guess: Math.max(1, guess) };
}

function finding(
  { node, factor, over }: Judged,
  effect: Judged,
  dependent: Dependent | null,
): Finding {
  const { actual, estimated } = node;
  const loops = actual?.loops ?? 1;
  const shared = estimated.divided_by > 1;
  const each = loops > 1 && !shared ? " per loop" : "";
  const guess = Math.round(shared ? estimated.all_rows : estimated.rows);
  const got = shared ? (actual?.rows ?? 0) : (actual?.rows_per_loop ?? 0);
  const most = compared(effect.node);
  const times = `${several(factor, "time")} ${over ? "too many" : "too few"}`;
  const beyond =
    effect.node === node
      ? ""
      : ` It grows to ${count(most.guess)} against ${count(most.real)} at ${effect.node.title}.`;
  return {
    code: "misestimate",
    severity: Math.max(factor, effect.factor) >= FACTOR * FACTOR ? "warning" : "info",
    node: at(node),
    message: `Estimated ${several(guess, "row")}${each}, got ${count(got)}: ${times}.${beyond}`,
    evidence: {
      estimated_rows: guess,
      actual_rows: got,
      loops,
      factor: Math.round(factor * 10) / 10,
      direction: over ? "over" : "under",
      worst_at: effect.node.path,
    },
    advice: adviceFor(node, dependent),
    ...(dependent === null || dependent.known
      ? {}
      : {
          remedy: {
            runbook: "statistics/create",
            params: { table: dependent.table, columns: dependent.columns },
          },
        }),
  };
}

function adviceFor(node: PlanNode, dependent: Dependent | null): string {
  if (dependent !== null) {
    const { table, columns, known } = dependent;
    const raise = `ALTER TABLE ${table} ALTER COLUMN … SET STATISTICS 1000, then ANALYZE`;
    return known
      ? `There are extended statistics on ${columns.join(", ")} of ${table}. Run ANALYZE ${table}, without which they say nothing; if it stays, let them remember more values: ${raise}.`
      : `The planner takes the conditions on ${columns.join(", ")} as independent: give it extended statistics on them (pgdba statistics create), which analyses ${table} as well. If it stays: ${raise}.`;
  }
  if (node.type === "Function Scan")
    return "Declare how many rows the function gives: ALTER FUNCTION … ROWS n, or put its result into a temporary table and ANALYZE that.";
  if (node.relation !== null) {
    const name = node.relation.name;
    return `Run ANALYZE ${name}. If it stays: CREATE STATISTICS (dependencies, mcv) on columns of ${name} that the conditions use together, or on the expression (14 and later); for one skewed column ALTER TABLE ${name} ALTER COLUMN … SET STATISTICS 1000, then ANALYZE.`;
  }
  if (node.type.endsWith("Join") || node.type === "Nested Loop")
    return "The tables below are estimated well, their join is not: look for join columns that depend on each other, or one value that is far more frequent; ANALYZE both tables, raise the statistics target of the join columns.";
  if (node.type === "Aggregate" || node.type === "Group" || node.type === "Unique")
    return "The number of groups is misjudged: CREATE STATISTICS (ndistinct) on the grouped columns, or ALTER TABLE … ALTER COLUMN … SET (n_distinct = …), then ANALYZE.";
  if (node.type === "Recursive Union")
    return "The planner always estimates a recursion at ten times its first step. Where the rest of the plan suffers from it, put the result into a temporary table and ANALYZE that.";
  return "ANALYZE the tables below, then see which condition is misjudged.";
}
