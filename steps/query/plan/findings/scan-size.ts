import { factsOf, type Facts } from "../finding.ts";
import { number, type PlanNode } from "../tree.ts";

/** Pages (8 MB): reading less from beginning to end is about as good as any index. */
const SMALL_PAGES = 1000;

/** Narrow rows: this many take 10 ms to go through, wherever they lie. */
const SMALL_ROWS = 100_000;

/** Rows that a filter removed, in all loops; EXPLAIN gives the average of a loop. */
export function removedRows(node: PlanNode): number {
  return Math.round(number(node, "rows_removed_by_filter") * (node.actual?.loops ?? 0));
}

/** A table read from end to end that is small enough for that; nested loops that repeat it are another finding. */
export function isSmall(node: PlanNode, facts: Facts): boolean {
  if (node.type !== "Seq Scan") return false;
  const { actual, buffers } = node;
  const known = factsOf(node, facts);
  const loops = Math.max(1, (actual?.loops ?? 1) / (actual?.processes ?? 1));
  const seen = buffers === null ? null : (buffers.shared_hit + buffers.shared_read) / loops;
  const pages = known !== undefined && known.pages > 0 ? known.pages : seen;
  const rows = actual === null ? (known?.rows ?? 0) : (actual.rows + removedRows(node)) / loops;
  return pages !== null && pages < SMALL_PAGES && rows < SMALL_ROWS;
}
