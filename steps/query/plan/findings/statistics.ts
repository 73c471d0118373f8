import { at, count, type Finding, factsOf, percent, type Rule } from "../finding.ts";
import { walk } from "../tree.ts";

/** As in the health check: a fifth of the rows, and enough of them to matter. */
const SHARE = 0.2;
const ROWS = 1000;
/** Pages: the planner guesses ten for a table it knows nothing of. */
const PAGES = 10;

/** Tables in the plan whose statistics are missing or out of date. Each is told once. */
export const statistics: Rule = (plan, facts) => {
  const told = new Set<string>();
  return [...walk(plan.root)].flatMap((node): Finding[] => {
    const known = factsOf(node, facts);
    if (known === undefined || told.has(`${known.schema}.${known.name}`)) return [];
    told.add(`${known.schema}.${known.name}`);
    const { rows, pages, modified, analyzed_at, has_statistics } = known;
    const evidence = { rows, pages, modified, analyzed_at, has_statistics };
    const table = `${known.schema}.${known.name}`;
    const never =
      has_statistics === false && (Math.max(rows, modified ?? 0) >= ROWS || pages > PAGES);
    if (never) {
      return [
        {
          code: "statistics_missing",
          severity: "warning",
          node: at(node),
          message: `${table} has no statistics: the planner guesses.`,
          evidence,
          advice: `ANALYZE ${table}; and see why autovacuum did not (autovacuum_enabled, track_counts, a temporary table).`,
        },
      ];
    }
    const share = modified === null || rows <= 0 ? 0 : modified / rows;
    if (modified === null || modified < ROWS || share < SHARE) return [];
    return [
      {
        code: "statistics_stale",
        severity: "warning",
        node: at(node),
        message: `${count(modified)} rows of ${table} (${percent(share)}) were changed since it was analysed${analyzed_at === null ? "" : ` (${analyzed_at})`}.`,
        evidence,
        advice: `ANALYZE ${table}; for it to stay fresh: ALTER TABLE ${table} SET (autovacuum_analyze_scale_factor = 0.02).`,
      },
    ];
  });
};
