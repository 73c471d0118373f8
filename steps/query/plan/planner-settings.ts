import { PgdbaError } from "../../../engine/errors.ts";
import type { Run } from "../../../providers/postgres/session.ts";

/** Settings that shape a plan and stand in other categories of pg_settings than "Query Tuning". */
export const MORE = [
  "work_mem",
  "hash_mem_multiplier",
  "temp_buffers",
  "max_parallel_workers",
  "max_parallel_workers_per_gather",
  "parallel_leader_participation",
  "effective_io_concurrency",
  "search_path",
];

/** True for a row `p` of pg_settings that shapes plans; `more` is the parameter for those above. */
export const IS_PLANNER = (more: string): string =>
  `(p.category LIKE 'Query Tuning%' OR p.name = ANY (${more}::text[]))`;

/**
 * Sets planner settings for the transaction.
 * @throws PgdbaError invalid_param for a setting that is none: one that could lift the timeouts, say
 */
export async function setPlanner(run: Run, settings: Record<string, string>): Promise<void> {
  const names = Object.keys(settings);
  if (names.length === 0) return;
  const { rows } = await run(
    `SELECT p.name FROM pg_settings p WHERE p.name = ANY ($1::text[]) AND ${IS_PLANNER("$2")}`,
    [names, MORE],
  );
  const known = new Set(rows.map(({ name }) => name));
  const wrong = names.filter((name) => !known.has(name));
  if (wrong.length > 0) {
    throw new PgdbaError("invalid_param", `settings: ${wrong.join(", ")} can't be set for a plan`, {
      hint: `Planner settings are those of pg_settings whose category begins with "Query Tuning", and ${MORE.join(", ")}.`,
    });
  }
  for (const name of names)
    await run("SELECT /* pgdba */ pg_catalog.set_config($1, $2, true)", [name, settings[name]]);
}
