import { PgdbaError } from "../../../engine/errors.ts";
import type { Json } from "../../../engine/types.ts";
import { movedBack, withPrepared } from "../../../providers/postgres/prepared.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";
import type { Facts } from "../plan/finding.ts";
import { parsePlan } from "../plan/parse.ts";
import type { Plan } from "../plan/tree.ts";
import { readFacts } from "./facts.ts";
import { asCatalogue, guard, guardPlanning, type Verdict } from "../../sql/guard/guard.ts";
import { setPlanner } from "./planner-settings.ts";
import type { Statement } from "../../sql/guard/statement.ts";

export interface Request {
  statement: Statement;
  /** Values of `$1`, `$2`, …; without them it is planned for any values. */
  params: Json[] | undefined;
  analyze: boolean;
  timeoutMs: number;
  /** Planner settings for this statement alone. */
  settings: Record<string, string>;
  signal: AbortSignal;
}

export interface Explained {
  plan: Plan;
  facts: Facts;
  /** True when it was planned without the values of its parameters. */
  generic: boolean;
  /** About what was executed and rolled back; null when nothing was. */
  verdict: Verdict | null;
}

/** Milliseconds: a statement that is only looked at must not queue for a lock, with everybody else behind it. */
const LOCK_TIMEOUT = 2000;
const ESTIMATE = "VERBOSE, SETTINGS, FORMAT JSON";
const EXECUTE = "ANALYZE, BUFFERS, WAL, VERBOSE, SETTINGS, FORMAT JSON";

/**
 * The plan of a statement. All in a transaction that is rolled back whatever happens, READ ONLY unless executing the statement
 * writes. With `analyze` it is executed when `guard` has nothing against it.
 * @throws PgdbaError query_failed | timeout | insufficient_privilege | step_refused | invalid_param
 */
export async function explain(session: PgSession, request: Request): Promise<Explained> {
  checkParams(request);
  const first = await attempt(session, request, true);
  if (first !== "writes") return first;
  if (session.info.standby) {
    throw new PgdbaError(
      "step_refused",
      "The statement is not executed: it writes, and this server is a standby",
      {
        hint: "Leave analyze out, or name the primary.",
      },
    );
  }
  const second = await attempt(session, request, false);
  if (second === "writes")
    throw new PgdbaError("internal", "The transaction is READ ONLY and should not be");
  return second;
}

/** One transaction; "writes" when it has to be READ WRITE and is not. */
async function attempt(
  session: PgSession,
  request: Request,
  readOnly: boolean,
): Promise<Explained | "writes"> {
  const { timeoutMs, signal } = request;
  let result: Explained | "writes" | undefined;
  try {
    await session.transaction(
      { readOnly, timeoutMs, lockTimeoutMs: Math.min(LOCK_TIMEOUT, timeoutMs), signal },
      async (run) => {
        await setPlanner(run, request.settings);
        result = await within(run, request, readOnly);
        throw new Undo();
      },
    );
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
  }
  return result as Explained | "writes";
}

/** Thrown to have the transaction rolled back. */
class Undo extends Error {}

async function within(
  run: Run,
  { statement, params: given, analyze }: Request,
  readOnly: boolean,
): Promise<Explained | "writes"> {
  const generic = statement.params > 0 && given === undefined;
  const params = given ?? [];
  await guardPlanning(run, statement);
  const planned = generic
    ? await explainPrepared(run, statement)
    : await explained(run, ESTIMATE, statement, params);
  if (!analyze) {
    const plan = parsePlan(planned);
    return {
      plan,
      facts: await asCatalogue(run, () => readFacts(run, plan)),
      generic,
      verdict: null,
    };
  }
  // A rule that makes several statements of one is refused before anything is executed.
  parsePlan(planned);
  const verdict = await guard(run, planned, statement);
  if (verdict.writes && readOnly) return "writes";
  const plan = parsePlan(await explained(run, EXECUTE, statement, params));
  return { plan, facts: await asCatalogue(run, () => readFacts(run, plan)), generic, verdict };
}

/** The extended protocol takes one statement and no more, so that nothing in the text can end the EXPLAIN. */
async function explained(
  run: Run,
  options: string,
  { text }: Statement,
  values: Json[],
): Promise<Json> {
  const before = `EXPLAIN /* pgdba */ (${options})\n`;
  return movedBack(before.length, async () => {
    const { rows } = await run(`${before}${text}`, values);
    return rows[0]?.["QUERY PLAN"] ?? null;
  });
}

/**
 * A prepared statement whose generic plan is forced, so that the NULLs given as its values do not shape it. EXPLAIN (GENERIC_PLAN), which
 * 16 brought, wants the simple protocol. One thing is less: partitions that the values would choose among are not shown.
 */
async function explainPrepared(run: Run, { text, params }: Statement): Promise<Json> {
  return withPrepared(run, text, async (name) => {
    await run("SET LOCAL plan_cache_mode = force_generic_plan");
    const nulls = Array.from({ length: params }, () => "NULL").join(", ");
    const { rows } = await run(`EXPLAIN /* pgdba */ (${ESTIMATE}) EXECUTE ${name} (${nulls})`);
    return rows[0]?.["QUERY PLAN"] ?? null;
  });
}

function checkParams({ statement, params, analyze }: Request): void {
  const wanted = statement.params;
  if (params !== undefined && params.length !== wanted) {
    throw new PgdbaError(
      "invalid_param",
      `The statement has ${wanted} parameters, and ${params.length} values are given`,
      {
        hint:
          wanted === 0
            ? "Leave params out."
            : `Give params: a list of ${wanted}, in the order $1, $2, …`,
      },
    );
  }
  if (analyze && params === undefined && wanted > 0) {
    throw new PgdbaError(
      "invalid_param",
      `The statement has ${wanted} parameters, and without their values it can't be executed`,
      {
        hint: `Give params: a list of ${wanted}, in the order $1, $2, …; or leave analyze out for the plan that serves any values.`,
      },
    );
  }
}
