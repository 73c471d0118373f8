import { PgdbaError } from "../../../engine/errors.ts";
import type { Json } from "../../../engine/types.ts";
import { movedBack } from "../../../providers/parameters/rewrite.ts";
import { planTyped } from "../../../providers/parameters/typed.ts";
import { withPrepared } from "../../../providers/postgres/prepared.ts";
import type { PgSession, Run } from "../../../providers/postgres/session.ts";
import type { Facts } from "./finding.ts";
import { parsePlan } from "./parse.ts";
import type { Plan } from "./tree.ts";
import { readFacts } from "./facts.ts";
import { asCatalogue } from "../../../providers/postgres/guard/as-catalogue.ts";
import { guard, guardPlanning, type Verdict } from "../../../providers/postgres/guard/guard.ts";
import { type Hold, holdFor } from "../../../providers/postgres/guard/hold.ts";
import { EXECUTED, ONLY_PLANNED } from "../../../providers/postgres/guard/judge.ts";
import { changing, inTime, MOST_TRIES } from "../../../providers/postgres/guard/planning.ts";
import { becomeRole } from "./as-role.ts";
import { setPlanner } from "./planner-settings.ts";
import { readStatement, type Statement } from "../../../providers/postgres/guard/statement.ts";

export interface Request {
  statement: Statement;
  /** Values of `$1`, `$2`, …; without them it is planned for any values. */
  params: Json[] | undefined;
  analyze: boolean;
  timeoutMs: number;
  /** With the rights and settings of this role; null for those of the user that has connected. */
  role: string | null;
  /** Planner settings for this statement alone. */
  settings: Record<string, string>;
  /** Refuse what would write, though it is rolled back: it locks rows against others, and leaves dead ones. */
  readOnly: boolean;
  signal: AbortSignal;
  /** Opens a further session to the same database. */
  another(): Promise<PgSession>;
}

export interface Explained {
  plan: Plan;
  facts: Facts;
  /** True when it was planned without the values of its parameters. */
  generic: boolean;
  /** About what was executed and rolled back; null when nothing was. */
  verdict: Verdict | null;
  /** Types that fit parameters whose types the text does not tell, by their number. */
  assumed: ReadonlyMap<number, string>;
}

/** With the planner settings that are not the role's: see `becomeRole`. */
export interface ExplainedAs extends Explained {
  kept: readonly string[];
}

/** Milliseconds: a statement that is only looked at must not queue for a lock, with everybody else behind it. */
const LOCK_TIMEOUT = 2000;
const ESTIMATE = "VERBOSE, SETTINGS, FORMAT JSON";
const EXECUTE = "ANALYZE, BUFFERS, WAL, VERBOSE, SETTINGS, FORMAT JSON";

/**
 * The plan of a statement. All happens in a transaction that is always rolled back, READ ONLY unless executing the statement
 * writes. With `analyze` it is executed when `guard` has nothing against it.
 * @throws PgdbaError query_failed | timeout | insufficient_privilege | step_refused | invalid_param
 */
export async function explain(session: PgSession, request: Request): Promise<ExplainedAs> {
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
  if (request.readOnly)
    throw new PgdbaError("step_refused", "The statement is not executed: it writes", {
      hint: "Leave analyze out for the plan with its estimates. Executed and rolled back, it locks rows against others and leaves dead ones: that takes a run without --plan and --read-only, for agents the tool `run`.",
    });
  const second = await attempt(session, request, false);
  if (second === "writes")
    throw new PgdbaError("internal", "The transaction is READ ONLY and should not be");
  return second;
}

/** Tries in one transaction; gives "writes" when it has to be READ WRITE and is not. */
async function attempt(
  session: PgSession,
  request: Request,
  readOnly: boolean,
): Promise<ExplainedAs | "writes"> {
  const { timeoutMs, signal } = request;
  let result: ExplainedAs | "writes" | undefined;
  try {
    await session.transaction(
      { readOnly, timeoutMs, lockTimeoutMs: Math.min(LOCK_TIMEOUT, timeoutMs), signal },
      async (run) => {
        const major = Math.floor(session.info.version_num / 10_000);
        result = await within(run, { ...request, major }, readOnly);
        throw new Undo();
      },
    );
  } catch (error) {
    if (!(error instanceof Undo)) throw error;
  }
  return result as ExplainedAs | "writes";
}

/** Thrown to have the transaction rolled back. */
class Undo extends Error {}

type Asked = Request & {
  /** The server's version. */
  major: number;
};

async function within(
  run: Run,
  request: Asked,
  readOnly: boolean,
): Promise<ExplainedAs | "writes"> {
  const { role, settings, another, analyze } = request;
  let searched: unknown;
  let kept: readonly string[] = [];
  const hold = await holdFor(run, another, analyze ? EXECUTED : ONLY_PLANNED, async () => {
    if (role !== null) kept = await becomeRole(run, role);
    await setPlanner(run, settings);
    searched = (await run("SHOW /* pgdba */ search_path")).rows[0]?.["search_path"];
  });
  try {
    const explained = await held(run, request, readOnly, hold);
    if (explained === "writes") return explained;
    // Settings of our own are not the user's.
    dropPath(explained.plan, String(searched));
    return { ...explained, kept: kept.filter((name) => settings[name] === undefined) };
  } finally {
    await hold.release();
  }
}

/** Holds all that the statement reaches still, from before each judgement until the judged statement has run. */
async function held(
  run: Run,
  request: Asked,
  readOnly: boolean,
  hold: Hold,
): Promise<Explained | "writes"> {
  const { analyze } = request;
  const generic = request.statement.params > 0 && request.params === undefined;
  const limited = <T>(work: () => Promise<T>): Promise<T> =>
    inTime(run, hold, request.timeoutMs, work);
  for (let tries = 0; tries < MOST_TRIES; tries++) {
    const { planned, statement, params, assumed } = await estimated(run, request, hold);
    if (!analyze) {
      const plan = parsePlan(planned);
      return { plan, facts: await factsOf(run, plan), generic, verdict: null, assumed };
    }
    // A rule that makes several statements of one is refused before anything is executed.
    parsePlan(planned);
    const verdict = await guard(run, planned, statement);
    if (!(await hold.covers(verdict.reached))) continue;
    if (verdict.writes && readOnly) return "writes";
    const plan = parsePlan(await limited(() => explained(run, EXECUTE, statement, params)));
    return { plan, facts: await factsOf(run, plan), generic, verdict, assumed };
  }
  throw changing();
}

/**
 * The statement as the server takes it, and what it would do. Each text that the server is given is judged by itself, before.
 * @param request what is asked for
 */
async function estimated(
  run: Run,
  { statement: asked, params: given, timeoutMs, major }: Asked,
  hold: Hold,
) {
  const generic = asked.params > 0 && given === undefined;
  const { value, typed } = await planTyped(asked.text, major, async ({ text, order }) => {
    const statement = text === asked.text ? asked : await readStatement(text);
    const values = given ?? [];
    const params = order === null ? values : order.map((number) => values[number - 1] ?? null);
    const plan = (): Promise<Json> =>
      generic
        ? explainPrepared(run, statement)
        : recoverable(run, () => explained(run, ESTIMATE, statement, params));
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      if (!(await hold.covers(await guardPlanning(run, statement)))) continue;
      return { planned: await inTime(run, hold, timeoutMs, plan), statement, params };
    }
    throw changing();
  });
  return { ...value, assumed: typed.assumed };
}

/** After an error the transaction goes on. */
async function recoverable<T>(run: Run, work: () => Promise<T>): Promise<T> {
  await run("SAVEPOINT /* pgdba */ pgdba_explain");
  try {
    return await work();
  } catch (error) {
    const still = { signal: undefined };
    await run("ROLLBACK /* pgdba */ TO SAVEPOINT pgdba_explain", [], still).catch(() => {});
    throw error;
  }
}

const factsOf = (run: Run, plan: Plan): Promise<Facts> =>
  asCatalogue(run, () => readFacts(run, plan));

function dropPath(plan: Plan, searched: string): void {
  if (plan.settings["search_path"] === undefined) return;
  if (searched === '"$user", public') delete plan.settings["search_path"];
  else plan.settings["search_path"] = searched;
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
    await run("SET /* pgdba */ LOCAL plan_cache_mode = force_generic_plan");
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
