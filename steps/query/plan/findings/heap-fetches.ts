import { at, count, percent, type Rule, weigh, several } from "../finding.ts";
import { number, walk } from "../tree.ts";
import { removedRows } from "./scan-size.ts";

const SHARE = 0.1;
const FETCHES = 1000;

/** Index-only scans that look into the table all the same, because the visibility map is not up to date. */
export const heapFetches: Rule = (plan) =>
  [...walk(plan.root)].flatMap((node) => {
    if (node.type !== "Index Only Scan" || node.actual === null) return [];
    const fetches = number(node, "heap_fetches");
    const visited = Math.max(fetches, node.actual.rows + removedRows(node));
    if (fetches < FETCHES || fetches < SHARE * visited) return [];
    const table = node.relation?.name ?? "the table";
    return [
      {
        code: "heap_fetches",
        severity: weigh(plan, node.actual.share),
        node: at(node),
        message: `The index alone was not enough: ${count(fetches)} of ${several(visited, "row")} (${percent(fetches / visited)}) were looked up in ${table}.`,
        evidence: { heap_fetches: fetches, rows_visited: visited },
        advice: `VACUUM ${table} marks its pages as visible to all; lower autovacuum_vacuum_scale_factor (13 and later also autovacuum_vacuum_insert_scale_factor) for it to stay so. A long transaction or a forgotten slot keeps vacuum from doing it.`,
      },
    ];
  });
