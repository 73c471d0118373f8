import { isHashed } from "../exclusive.ts";
import {
  at,
  count,
  type Facts,
  type Finding,
  kb,
  ms,
  type Rule,
  weigh,
  several,
} from "../finding.ts";
import { type Plan, type PlanNode, text, withAncestors } from "../tree.ts";

/** Repetitions, and rows gone through in all: fewer take no time. */
const LOOPS = 100;
const VISITED = 100_000;
/**
 * Nodes that can give their rows again without being run again. Above the others, where they do not depend on the outer row, the
 * planner puts a Materialize.
 */
const REPEATABLE = new Set(["CTE Scan", "Function Scan", "Table Function Scan"]);
/** nodeSubplan.c by way of subselect.c, subpath_is_hashable: the header of a tuple, and its width, aligned. */
const TUPLE_HEADER = 24;

/**
 * True for what `x NOT IN (SELECT …)`, or another comparison with all or any of its rows, is run as when it can't be hashed: the same
 * rows, gone through for each row outside.
 */
export function isListScan(node: PlanNode, parent: PlanNode | undefined): boolean {
  if (node.role !== "sub_plan" || parent === undefined || isHashed(node, parent)) return false;
  return (
    node.type === "Materialize" || (REPEATABLE.has(node.type) && text(node, "filter") === null)
  );
}

/** Lists of `NOT IN` and its like that are gone through again and again, since their hash would not fit into memory. */
export const unhashedSubPlans: Rule = (plan, facts) =>
  [...withAncestors(plan.root)].flatMap(([node, [parent]]) =>
    parent !== undefined && isListScan(node, parent) ? judge(node, parent, plan, facts) : [],
  );

function judge(node: PlanNode, parent: PlanNode, plan: Plan, facts: Facts): Finding[] {
  const { actual, estimated } = node;
  const loops = actual === null ? parent.estimated.all_rows : actual.loops;
  const visited = actual === null ? loops * estimated.rows : actual.rows;
  if (loops < LOOPS || visited < VISITED) return [];
  // Comparing the rows is the parent's work.
  const time = (actual?.time_ms ?? 0) + (parent.actual?.own_ms ?? 0);
  const share = actual === null ? null : plan.execution_ms ? time / plan.execution_ms : null;
  const { work_mem_kb, hash_mem_multiplier } = facts;
  const width = Math.ceil(estimated.width / 8) * 8 + TUPLE_HEADER;
  const bytes = Math.max(estimated.rows, actual?.rows_per_loop ?? 0) * width;
  const allowed = work_mem_kb * 1024 * hash_mem_multiplier;
  const needed = Math.ceil((bytes * 1.1) / 1024 / hash_mem_multiplier / 1024) * 1024;
  const large = estimated.rows * width > allowed;
  const name = node.subplan ?? "The sub-query";
  const times = several(loops, "time");
  const why = large
    ? `its ${several(estimated.rows, "row")} would not fit into work_mem (${kb(work_mem_kb)}${hash_mem_multiplier === 1 ? "" : ` × ${hash_mem_multiplier}`}), so that they are not hashed`
    : "its comparison can't be hashed";
  return [
    {
      code: "unhashed_sub_plan",
      severity: weigh(plan, share),
      node: at(node),
      message:
        actual === null
          ? `${name} is the same for every row outside, but ${why}: its rows would be gone through about ${times}.`
          : `${name} is the same for every row outside, but ${why}: its rows were gone through ${times}, ${count(visited)} in all, which took ${ms(time)}.`,
      evidence: {
        loops,
        rows_visited: visited,
        time_ms: actual === null ? null : Math.round(time * 1000) / 1000,
        list_rows: estimated.rows,
        list_bytes: bytes,
        work_mem_kb,
        hash_mem_multiplier,
        needed_work_mem_kb: large ? needed : null,
      },
      advice: adviceFor(node, parent, large ? needed : null),
    },
  ];
}

function adviceFor(node: PlanNode, parent: PlanNode, needed: number | null): string {
  const said = Object.values(parent.details).filter((value) => typeof value === "string");
  const name = RegExp.escape(node.subplan ?? "");
  const found = said.flatMap(
    (one) => new RegExp(`(ANY|ALL) \\(.*? (\\S+) \\(${name}\\)`).exec(one) ?? [],
  );
  const [, quantifier, operator = ""] = found;
  if (/^[<>]=?$/.test(operator))
    return `Compare with one value: the ${(quantifier === "ALL") === operator.startsWith(">") ? "greatest" : "least"} of the list, by a sub-query with ${(quantifier === "ALL") === operator.startsWith(">") ? "max" : "min"}(…), is enough for ${operator} ${quantifier}.`;
  const isNegated = said.some((one) =>
    new RegExp(`NOT \\((ANY \\(.*? = )?\\(?${name}(?!\\d)`).test(one),
  );
  const isNotIn = isNegated || (quantifier === "ALL" && operator === "<>");
  const join = isNotIn
    ? "Write NOT EXISTS (SELECT FROM … WHERE … = …) in the place of NOT IN: it is planned as a join, which reads the list once. They differ where there are NULLs: NOT IN gives no row at all once the list has one."
    : "IN that stands beside OR can't become a join: write one query for each side of the OR, joined by UNION.";
  if (quantifier === "ALL" && operator === "<>")
    return `${join} <> ALL of a sub-query is never hashed, NOT IN may be.`;
  return needed === null
    ? join
    : `${join} Or SET work_mem = '${kb(needed)}' for this statement, so that the list is hashed.`;
}
