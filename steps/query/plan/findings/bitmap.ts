import { at, count, type Finding, kb, type Rule, weigh, several } from "../finding.ts";
import { number, type Plan, type PlanNode, walk, workers } from "../tree.ts";

/** tidbitmap.c, tbm_calculate_entries: a PagetableEntry of 48 bytes and two pointers for each page. */
const ENTRY = 64;

/** Bitmaps that forgot rows and kept only pages, because work_mem was too small. */
export const lossyBitmaps: Rule = (plan, facts) =>
  [...walk(plan.root)].flatMap((node) =>
    node.type === "Bitmap Heap Scan" ? judge(node, plan, facts.work_mem_kb) : [],
  );

function judge(node: PlanNode, plan: Plan, workMem: number): Finding[] {
  // 18 reports what workers read apart; before, only the leader's part was known.
  const all = (key: string) =>
    workers(node).reduce((sum, worker) => sum + Number(worker[key] ?? 0), number(node, key));
  const lossy = all("lossy_heap_blocks");
  if (lossy === 0) return [];
  const exact = all("exact_heap_blocks");
  const rechecked = Math.round(
    number(node, "rows_removed_by_index_recheck") * (node.actual?.loops ?? 0),
  );
  // In whole megabytes: the hash table of pages doubles.
  const needed = Math.ceil((2 * (lossy + exact) * ENTRY) / 1024 / 1024) * 1024;
  return [
    {
      code: "bitmap_lossy",
      severity: weigh(plan, node.actual?.share ?? null),
      node: at(node),
      message: `${count(lossy)} of ${several(lossy + exact, "page")} were remembered without their rows, so that ${several(rechecked, "row was", "rows were")} read in vain.`,
      evidence: {
        lossy_blocks: lossy,
        exact_blocks: exact,
        rows_removed_by_recheck: rechecked,
        work_mem_kb: workMem,
        needed_work_mem_kb: needed,
      },
      advice: `SET work_mem = '${kb(needed)}' for this statement keeps the bitmap exact; an index that selects fewer rows spares it.`,
    },
  ];
}
