import { PgdbaError } from "../../../engine/errors.ts";
import { sqlstateOf } from "../../../providers/postgres/errors.ts";
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

/** True for the name of a setting that no module has defined, such as app.tenant: what it means is up to those who read it, as policies do. */
const isCustom = (name: string): boolean => name.includes(".");

/**
 * Sets planner settings, and those that only an application knows, for the transaction.
 * @throws PgdbaError invalid_param for a setting that is none: one that could lift the timeouts, say
 */
export async function setPlanner(run: Run, settings: Record<string, string>): Promise<void> {
  const names = Object.keys(settings);
  if (names.length === 0) return;
  const { rows } = await run(
    `SELECT lower(p.name) AS name, ${IS_PLANNER("$2")} AS planner FROM pg_settings p WHERE lower(p.name) = ANY ($1::text[])`,
    [names.map((name) => name.toLowerCase()), MORE],
  );
  const known = new Map(rows.map(({ name, planner }) => [String(name), planner === true]));
  const wrong = names.filter((name) => !(known.get(name.toLowerCase()) ?? isCustom(name)));
  if (wrong.length > 0) {
    throw new PgdbaError("invalid_param", `settings: ${wrong.join(", ")} can't be set for a plan`, {
      hint: `Planner settings are those of pg_settings whose category begins with "Query Tuning", and ${MORE.join(", ")}; custom ones have a dot in their name, and belong to no extension that is loaded.`,
    });
  }
  for (const name of names)
    await run("SELECT /* pgdba */ pg_catalog.set_config($1, $2, true)", [
      name,
      settings[name],
    ]).catch((error: unknown) => {
      throw reserved(error, name) ?? error;
    });
}

/** The server takes no such name: it is malformed, or its first part belongs to an extension. */
function reserved(error: unknown, name: string): PgdbaError | null {
  if (!(error instanceof PgdbaError) || sqlstateOf(error) !== "42602") return null;
  return new PgdbaError("invalid_param", `settings: ${name}: ${error.message}`, {
    hint: "Give a name of letters, digits and _ with a dot within, such as app.tenant; the first part must be no extension's.",
    cause: error,
    data: error.data,
  });
}
