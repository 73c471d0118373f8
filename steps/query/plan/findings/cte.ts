import { at, percent, type Rule, weigh, several } from "../finding.ts";
import { text, walk } from "../tree.ts";
import { removedRows } from "./scan-size.ts";

const SHARE = 0.9;
const ROWS = 10_000;

/** CTEs that are computed whole and filtered only when they are read. */
export const lateCteFilters: Rule = (plan) =>
  [...walk(plan.root)].flatMap((node) => {
    if (node.type !== "CTE Scan" || node.actual === null) return [];
    const removed = removedRows(node);
    const read = removed + node.actual.rows;
    if (removed < ROWS || removed < SHARE * read) return [];
    const cte = text(node, "cte_name") ?? "";
    const source = [...walk(plan.root)].find(({ subplan }) => subplan === `CTE ${cte}`);
    const time = (source?.actual?.time_ms ?? 0) + (node.actual.own_ms ?? 0);
    return [
      {
        code: "cte_filter_late",
        severity: weigh(plan, plan.execution_ms ? time / plan.execution_ms : null),
        node: at(node),
        message: `${cte} was computed whole, then ${percent(removed / read)} of the ${several(read, "row")} read from it were thrown away: ${text(node, "filter") ?? ""}.`,
        evidence: {
          cte,
          rows_read: read,
          rows_removed: removed,
          filter: text(node, "filter"),
          time_ms: Math.round(time * 1000) / 1000,
        },
        advice: `Write WITH ${cte} AS NOT MATERIALIZED (…), or move the condition into it, so that it reaches the tables.`,
      },
    ];
  });
