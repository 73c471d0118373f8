import {
  at,
  type Finding,
  factsOf,
  percent,
  type RelationFacts,
  type Rule,
  type TableName,
  several,
} from "../finding.ts";
import { type PlanNode, walk } from "../tree.ts";

/** As in the health check: a fifth of the rows, and enough of them to matter. */
const SHARE = 0.2;
const ROWS = 1000;
/** Pages: the planner guesses ten for a table it knows nothing of. */
const PAGES = 10;

/** Tables in the plan whose statistics are missing or out of date. Each is told once, the partitions of one together. */
export const statistics: Rule = (plan, facts) => {
  const nodes = new Map<string, PlanNode>();
  for (const node of walk(plan.root)) {
    const known = factsOf(node, facts);
    const name = known === undefined ? "" : nameOf(known);
    if (known !== undefined && !nodes.has(name)) nodes.set(name, node);
  }
  const judged = [...nodes].flatMap(([name, node]) => {
    const known = factsOf(node, facts);
    const code = known === undefined ? null : codeOf(known);
    return known === undefined || code === null ? [] : [{ name, node, known, code }];
  });
  const groups = Map.groupBy(judged, ({ name, known, code }) =>
    JSON.stringify([code, known.root == null ? name : nameOf(known.root)]),
  );
  return [...groups.values()].flatMap((group): Finding[] => {
    const [worst, ...others] = group.toSorted((a, b) => changed(b.known) - changed(a.known));
    if (worst === undefined) return [];
    const { known, node, code } = worst;
    const { rows, pages, modified, analyzed_at, has_statistics } = known;
    const table = others.length === 0 || known.root == null ? nameOf(known) : nameOf(known.root);
    const told = finding(code, nameOf(known), table, known);
    const same =
      others.length === 0 ? "" : ` The same with ${others.length} other partitions of ${table}.`;
    return [
      {
        code,
        severity: "warning",
        node: at(node),
        message: `${told.message}${same}`,
        evidence: {
          rows,
          pages,
          modified,
          analyzed_at,
          has_statistics,
          ...(others.length === 0 ? {} : { partitions: group.length }),
        },
        advice: told.advice,
      },
    ];
  });
};

const nameOf = ({ schema, name }: TableName) => `${schema}.${name}`;

/** The rows that changed since ANALYZE, or all rows when the table was never analysed. */
const changed = ({ rows, modified }: RelationFacts) => Math.max(rows, modified ?? 0);

/** What is to be mended before anything else is said of its estimates; null for nothing. */
export function codeOf(known: RelationFacts): "statistics_missing" | "statistics_stale" | null {
  const { rows, pages, modified, has_statistics } = known;
  if (has_statistics === false && (changed(known) >= ROWS || pages > PAGES))
    return "statistics_missing";
  const share = modified === null || rows <= 0 ? 0 : modified / rows;
  return modified === null || modified < ROWS || share < SHARE ? null : "statistics_stale";
}

/** `table`: to be analysed, the partitioned one when several of its partitions are in need of it. */
function finding(
  code: "statistics_missing" | "statistics_stale",
  name: string,
  table: string,
  { rows, modified, analyzed_at }: RelationFacts,
): { message: string; advice: string } {
  if (code === "statistics_missing")
    return {
      message: `${name} has no statistics: the planner guesses.`,
      advice: `ANALYZE ${table}; and see why autovacuum did not (autovacuum_enabled, track_counts, a temporary table).`,
    };
  const share = (modified ?? 0) / rows;
  return {
    message: `${several(modified ?? 0, "row")} of ${name} (${percent(share)}) ${modified === 1 ? "was" : "were"} changed since it was analysed${analyzed_at === null ? "" : ` (${analyzed_at})`}.`,
    advice: `ANALYZE ${table}; to keep them fresh: ALTER TABLE ${name} SET (autovacuum_analyze_scale_factor = 0.02).`,
  };
}
