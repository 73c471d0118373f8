import { type Condition, conditionsOf } from "../conditions.ts";
import {
  at,
  count,
  type Facts,
  factsOf,
  type Finding,
  type ParseExpression,
  percent,
  type Rule,
  weigh,
  several,
} from "../finding.ts";
import { type Plan, type PlanNode, text, withAncestors } from "../tree.ts";
import { special, unlabelled } from "./scan-advice.ts";
import { againstIndexes, unusedIndex } from "./unused-index.ts";
import { isSmall, removedRows } from "./scan-size.ts";

/** As for other scans that throw away what they read. */
const SHARE = 0.9;
const ROWS = 10_000;
/** A planner that counts on reading more than this share of the rows did not choose the scan for being left early. */
const COUNTED_ON = 0.9;
/** They pass on rows as they come, so that what is above can stop what is below. */
const PASSING = new Set([
  "Nested Loop",
  "Append",
  "Merge Append",
  "Gather",
  "Gather Merge",
  "LockRows",
  "Result",
  "Subquery Scan",
  "Incremental Sort",
  "Unique",
  "ProjectSet",
]);

/** Scans that were chosen since the planner hoped to leave them early, and that found what was asked for late or not at all. */
export const earlyStops: Rule = (plan, facts, parse) =>
  [...withAncestors(plan.root)].flatMap(([node, above]) => {
    const hope = hopeOf(node, above);
    return hope === null || isSmall(node, facts) ? [] : judge(node, hope, { plan, facts, parse });
  });

export interface Hope {
  /** The part of the scan that the planner counted on. */
  share: number;
  /** Rows that end it; null when one is enough to know that there is one. */
  limit: PlanNode | null;
}

/** The planner's hope to end a scan early, since a node above may stop it; null when the scan has to be read to its end. */
export function hopeOf(node: PlanNode, above: readonly PlanNode[]): Hope | null {
  if (node.relation === null || text(node, "filter") === null) return null;
  let below = node;
  let most = Number.POSITIVE_INFINITY;
  for (const parent of above) {
    if (below.role === "init_plan" || below.role === "sub_plan") break;
    if (below.role === "inner") return null;
    if (parent.type === "Limit") {
      const { startup_cost, total_cost } = below.estimated;
      const span = total_cost - startup_cost;
      const share = span <= 0 ? 1 : (parent.estimated.total_cost - startup_cost) / span;
      return share <= COUNTED_ON ? { share: Math.max(0, share), limit: parent } : null;
    }
    if (!PASSING.has(parent.type)) return null;
    most = Math.min(most, parent.estimated.all_rows);
    below = parent;
  }
  // EXISTS: the first row ends it.
  const rows = Math.min(most, below.estimated.all_rows);
  const isAsked = below.role === "init_plan" && below === node && !isScalar(below);
  return isAsked && rows > 1 / COUNTED_ON ? { share: 1 / rows, limit: null } : null;
}

/** A sub-query that gives a value has to read all its rows: a second one would be an error. */
function isScalar({ details }: PlanNode): boolean {
  return Array.isArray(details.output) && details.output.length > 0;
}

interface About {
  plan: Plan;
  facts: Facts;
  parse: ParseExpression;
}

function judge(node: PlanNode, hope: Hope, { plan, facts, parse }: About): Finding[] {
  const known = factsOf(node, facts);
  const { actual } = node;
  const rows = known?.rows ?? 0;
  const whole = text(node, "index_cond") === null && rows > 0 ? rows : null;
  const expected = whole === null ? null : Math.round(whole * hope.share);
  const wanted = hope.limit === null ? 1 : hope.limit.estimated.rows;
  const kept = actual === null ? wanted : actual.rows;
  const removed = actual === null ? Math.max(0, (expected ?? 0) - kept) : removedRows(node);
  const read = removed + kept;
  if (removed < ROWS || removed < SHARE * read) return [];
  const table = node.relation?.name ?? "";
  const filter = text(node, "filter") ?? "";
  const order = node.index === null ? "" : ` in the order of ${node.index}`;
  const what = hope.limit === null ? "to see whether there is one" : `for ${count(kept)} of them`;
  const counted =
    expected === null
      ? ""
      : `, after about ${count(Math.max(1, expected))} of ${several(rows, "row")}`;
  return [
    {
      code: "early_stop",
      severity: weigh(plan, actual?.share ?? null),
      node: at(node),
      message:
        actual === null
          ? `The planner hopes to stop early${counted}, read from ${table}${order}; of those it would throw ${percent(removed / read)} away: ${filter}.`
          : `Read ${several(read, "row")} of ${table}${order} ${what}; ${percent(removed / read)} were thrown away: ${filter}. The planner hoped to stop early${counted}.`,
      evidence: {
        rows_read: read,
        rows_removed: removed,
        rows_kept: kept,
        rows_expected: expected,
        index: node.index,
        filter,
      },
      advice: advise(node, { plan, facts, parse }).join(" "),
    },
  ];
}

function advise(node: PlanNode, { plan, facts, parse }: About): string[] {
  const known = factsOf(node, facts);
  const table = node.relation?.name ?? "the table";
  const parsed = parse(text(node, "filter") ?? "");
  const conditions = (parsed === null ? [] : conditionsOf(parsed, node.relation?.alias ?? "")).map(
    (one) => unlabelled(one, known?.types ?? {}),
  );
  const named = (equal: boolean) => [
    ...new Set(
      conditions.flatMap((one: Condition) =>
        one.kind === "plain" && one.equal === equal ? [one.column] : [],
      ),
    ),
  ];
  const [equal, ranges] = [named(true), named(false)];
  const order = orderOf(node, facts).filter((column) => !equal.includes(column));
  const others = [...new Set(conditions.flatMap((one) => special(one, table)))];
  const list = (columns: readonly string[]) => columns.join(", ");
  const advice: string[] = [];
  // One that gives the order as well may be wanted beside one that finds the rows.
  const unused =
    order.length === 0 || againstIndexes(plan.settings).length > 0
      ? unusedIndex({ equal, ranges }, known, plan.settings)
      : null;
  if (unused !== null) advice.push(unused);
  else if (equal.length > 0)
    advice.push(
      `Create an index on ${table} (${list([...equal, ...order])}): what is compared for equality first${order.length === 0 ? "" : ", then what gives the order"}. It finds the rows without reading others${order.length === 0 ? "" : ", in order, and stops as soon as there are enough"}.`,
    );
  else if (ranges.length > 0)
    advice.push(
      `Create an index on ${table} (${list(ranges)}), which finds the rows that are then sorted${order.length === 0 ? "" : `; or, when the constants of the condition never change, a partial one on (${list(order)}) WHERE the condition`}.`,
    );
  else if (others.length === 0)
    advice.push(
      `When the constants of the condition never change, create a partial index on ${table} (${order.length === 0 ? "…" : list(order)}) WHERE the condition: it holds just the rows wanted.`,
    );
  advice.push(...others);
  advice.push(
    "The planner assumes that the wanted rows are spread evenly over the table: here they are fewer than it thinks, or stand at the other end.",
  );
  const [first] = order;
  if (node.index !== null && first !== undefined)
    advice.push(
      `Until then ORDER BY an expression (${first} + 0, or the like) keeps it from ${node.index}.`,
    );
  return advice;
}

/** The columns by which the index of a scan gives its rows. */
function orderOf(node: PlanNode, facts: Facts): string[] {
  if (node.type === "Seq Scan" || node.index === null) return [];
  const known = factsOf(node, facts);
  const found = known?.indexes?.find(({ name }) => name === node.index);
  if (found !== undefined) return found.columns;
  return (known?.leading_columns ?? [])
    .filter(({ index }) => index === node.index)
    .map(({ column }) => column);
}
