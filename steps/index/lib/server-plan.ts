import type { PgSession, Run } from "../../../providers/postgres/session.ts";
import { type PlanNode, planOf, spellings } from "../../../providers/twin/plan.ts";

/**
 * The server's own plan of a statement, the generic one where it has parameters; nothing is executed. By PREPARE, which refuses what
 * is more than one statement and works from 13 on.
 * @throws PgdbaError query_failed when the server can't plan it
 */
export function serverPlan(pg: PgSession, sql: string, signal?: AbortSignal): Promise<PlanNode> {
  return pg.transaction({ readOnly: true, signal }, async (run) => {
    const text = spellings(sql).at(-1);
    // One that fails to be planned can't be dropped in its failed transaction, and stays until the session ends.
    const name = `pgdba_${crypto.randomUUID().replaceAll("-", "")}`;
    await run(`PREPARE ${name} AS ${text}`);
    const plan = await explainPrepared(run, name);
    await run(`DEALLOCATE ${name}`);
    return plan;
  });
}

async function explainPrepared(run: Run, name: string): Promise<PlanNode> {
  const { rows } = await run(
    `SELECT cardinality(parameter_types)::int AS parameters FROM pg_prepared_statements WHERE name = $1`,
    [name],
  );
  const parameters = Number(rows[0]?.["parameters"] ?? 0);
  await run("SET LOCAL plan_cache_mode = force_generic_plan");
  const values =
    parameters === 0 ? "" : `(${Array.from({ length: parameters }, () => "NULL").join(", ")})`;
  return planOf((await run(`EXPLAIN (FORMAT JSON) EXECUTE ${name}${values}`)).rows);
}
