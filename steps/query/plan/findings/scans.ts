import {
  at,
  count,
  factsOf,
  percent,
  type Facts,
  type Finding,
  type Rule,
  weigh,
} from "../finding.ts";
import { number, type Plan, type PlanNode, text, walk } from "../tree.ts";

/** Thresholds of pgMustard and pganalyze for rows read and thrown away. */
const SHARE = 0.9;
const ROWS = 10_000;
/** Pages (8 MB): reading less from beginning to end is about as good as any index. */
export const SMALL_PAGES = 1000;

/** Scans that read much and keep little. */
export const discards: Rule = (plan, facts) =>
  [...walk(plan.root)].flatMap((node) => judge(node, plan, facts));

function judge(node: PlanNode, plan: Plan, facts: Facts): Finding[] {
  const { actual, relation } = node;
  if (relation === null || actual === null || isSmall(node, facts)) return [];
  const removed = removedRows(node);
  const read = removed + actual.rows;
  const share = read === 0 ? 0 : removed / read;
  if (removed < ROWS || share < SHARE) return [];
  const filter = text(node, "filter") ?? "";
  const index = node.type === "Seq Scan" ? null : (node.index ?? "an index");
  return [
    {
      code: "filter_discards",
      severity: weigh(plan, actual.share),
      node: at(node),
      message: `Read ${count(read)} rows of ${relation.name} and threw ${percent(share)} of them away: ${filter}.`,
      evidence: {
        rows_read: read,
        rows_removed: removed,
        rows_kept: actual.rows,
        removed_share: Math.round(share * 1000) / 1000,
        loops: actual.loops,
        filter,
      },
      advice:
        index === null
          ? `Create an index on the columns of ${relation.name} that the filter compares: columns compared for equality first; or a partial one when its constants never change.`
          : `Extend ${index} by the columns of the filter, so that rows are sorted out before the table is read.`,
    },
  ];
}

/** Rows that a filter removed, in all loops; EXPLAIN gives the average of a loop. */
export function removedRows(node: PlanNode): number {
  return Math.round(number(node, "rows_removed_by_filter") * (node.actual?.loops ?? 0));
}

/** A table read from end to end that is small enough for that; nested loops that repeat it are another finding. */
export function isSmall(node: PlanNode, facts: Facts): boolean {
  if (node.type !== "Seq Scan") return false;
  const known = factsOf(node, facts)?.pages;
  const loops = Math.max(1, (node.actual?.loops ?? 1) / (node.actual?.processes ?? 1));
  const seen =
    node.buffers === null ? null : (node.buffers.shared_hit + node.buffers.shared_read) / loops;
  const pages = known !== undefined && known > 0 ? known : seen;
  return pages !== null && pages < SMALL_PAGES;
}
