import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import { withPrepared } from "../../../providers/postgres/prepared.ts";
import { parametersOf, planTyped } from "../../../providers/parameters/typed.ts";
import {
  COUNT_PARAMETERS,
  explainGeneric,
  GENERIC,
  type PlanNode,
  planOf,
  wholePlan,
  WITHOUT_PRUNING,
} from "../../../providers/planner/twin/plan.ts";
import { planGuarded } from "../../../providers/postgres/guard/planning.ts";
import { readStatement } from "../../../providers/postgres/guard/statement.ts";
import { another, session } from "../../sql/session.ts";

/** A plan takes milliseconds; one that waits for a lock shall not hold up others. */
const TIMEOUT_MS = 30_000;
const LOCK_TIMEOUT_MS = 2000;

/**
 * The server's own plan of a statement, the generic one where it has parameters; nothing is executed. By PREPARE, which refuses what
 * is more than one statement and works from 13 on. Refused where planning itself would run somebody's function that acts.
 * @throws PgdbaError query_failed when the server can't plan it | step_refused
 */
export async function serverPlan(
  pg: PgSession,
  sql: string,
  { another, signal }: { another(): Promise<PgSession>; signal?: AbortSignal },
): Promise<PlanNode> {
  const limits = { timeoutMs: TIMEOUT_MS, lockTimeoutMs: LOCK_TIMEOUT_MS, signal };
  const major = Math.floor(pg.info.version_num / 10_000);
  const { value } = await planTyped(sql, major, async ({ text }) => {
    // Each text is judged by itself.
    const statement = await readStatement(text);
    const guarded = { statement, timeoutMs: TIMEOUT_MS, another };
    return wholePlan((pruning) =>
      pg.transaction({ readOnly: true, ...limits }, async (run) => {
        if (!pruning) await run(WITHOUT_PRUNING);
        const plan = () =>
          withPrepared(run, text, async (name) => {
            const { rows } = await run(COUNT_PARAMETERS, [name]);
            await run(GENERIC);
            const explained = await run(explainGeneric(name, Number(rows[0]?.["parameters"] ?? 0)));
            return planOf(explained.rows);
          });
        return planGuarded(run, guarded, plan);
      }),
    );
  });
  return value;
}

/** The same on the target of the run. */
export async function planOnTarget(ctx: StepContext, sql: string): Promise<PlanNode> {
  const pg = await session(ctx);
  const { signal } = ctx;
  return serverPlan(pg, sql, { signal, another: () => another(ctx, pg.info.database) });
}

/** The same for a statement that is given beside an index. @throws PgdbaError invalid_param when it can't be planned */
export async function planOfQuery(ctx: StepContext, query: string): Promise<PlanNode> {
  try {
    return await planOnTarget(ctx, query);
  } catch (cause) {
    if (!(cause instanceof PgdbaError) || cause.code !== "query_failed") throw cause;
    const unknown = parametersOf(cause);
    throw new PgdbaError("invalid_param", `The query can't be planned: ${cause.message}`, {
      hint:
        unknown === null
          ? "Correct what is given as query, or leave it out."
          : `Give the query with values in the place of ${unknown}, or leave it out: no usual type fits.`,
      cause,
      data: cause.data,
    });
  }
}
