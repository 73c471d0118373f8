import { PgdbaError } from "../../../engine/errors.ts";
import { withPrepared } from "../../../providers/postgres/prepared.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";
import {
  COUNT_PARAMETERS,
  explainGeneric,
  GENERIC,
  type PlanNode,
  planOf,
  spellings,
  wholePlan,
  WITHOUT_PRUNING,
} from "../../../providers/twin/plan.ts";

/**
 * The server's own plan of a statement, the generic one where it has parameters; nothing is executed. By PREPARE, which refuses what
 * is more than one statement and works from 13 on.
 * @throws PgdbaError query_failed when the server can't plan it
 */
export async function serverPlan(
  pg: PgSession,
  sql: string,
  signal?: AbortSignal,
): Promise<PlanNode> {
  const text = spellings(sql).at(-1) ?? sql;
  return wholePlan((pruning) =>
    pg.transaction({ readOnly: true, signal }, async (run) => {
      if (!pruning) await run(WITHOUT_PRUNING);
      return withPrepared(run, text, async (name) => {
        const { rows } = await run(COUNT_PARAMETERS, [name]);
        await run(GENERIC);
        const explained = await run(explainGeneric(name, Number(rows[0]?.["parameters"] ?? 0)));
        return planOf(explained.rows);
      });
    }),
  );
}

/** The same for a statement that is given beside an index. @throws PgdbaError invalid_param when it can't be planned */
export async function planOfQuery(
  pg: PgSession,
  query: string,
  signal: AbortSignal,
): Promise<PlanNode> {
  try {
    return await serverPlan(pg, query, signal);
  } catch (cause) {
    if (!(cause instanceof PgdbaError) || cause.code !== "query_failed") throw cause;
    throw new PgdbaError("invalid_param", `The query can't be planned: ${cause.message}`, {
      hint: "Correct what is given as query, or leave it out.",
      cause,
    });
  }
}
