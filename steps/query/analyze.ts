import { PgdbaError } from "../../engine/errors.ts";
import { parseDuration } from "../../engine/shared/units.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { commandLine, commandLineAt, wordsOf } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { another, session } from "../sql/session.ts";
import { keptWords } from "./plan/as-role.ts";
import { explain } from "./plan/explain.ts";
import { inWords, type Origin } from "./plan/failure.ts";
import { recordedStatement } from "./statements/recorded.ts";
import { readStatement } from "../../providers/postgres/guard/statement.ts";
import { draw } from "./plan/draw.ts";
import { type Finding, FINDING_CODES, SEVERITIES } from "./plan/finding.ts";
import { findings } from "./plan/findings.ts";

/** Above what makes people ask why it is slow. */
const DEFAULT_TIMEOUT = "5m";

/** A longer command is not repeated. */
const MOST_SHOWN = 4000;

export default defineStep({
  type: "query.analyze",
  summary: "Plan a statement, and tell where its time goes and what is wrong with it",
  docs: `Gives the plan of one statement as a tree, as text, and as findings, each with its evidence and what to do. Name the statement by
its text (\`sql\`) or by its \`queryid\` in pg_stat_statements. Parameters (\`$1\`) are planned for any value, or with \`params\` for those.
Where the server can't tell a parameter's type from the text, usual types are tried; a warning names those that it was planned with.

With \`role\` it is looked at as a session of that role would run it: by its rights and row security, its search_path and the planner and custom settings that are set for it. A custom setting, such as one that a policy reads with
\`current_setting('app.tenant')\`, is given in \`settings\` as well.

Without \`analyze\` the statement is only planned, by which its estimates can't be judged; that is refused where planning itself would run somebody's function that is
said not to be volatile and does what such a function may not. With it, it is executed in a transaction that is always rolled back, under the
timeout; that is refused for all that could act outside of the transaction: volatile functions but for a few that are known to be harmless
(files, \`dblink\`, \`pg_sleep\`, large objects, advisory locks), triggers that call such, foreign tables other than plain files,
\`nextval\` where the statement itself calls it, everything that is not SELECT, INSERT, UPDATE, DELETE, MERGE or VALUES. What a rollback leaves is said as a warning: sequences that were
moved, and dead rows. In a plan, and where nothing but reads were asked for (\`--read-only\`), what writes is refused.

As a superuser, what the statement calls and reads is kept from being changed between that judgement and its end, where others than superusers
own anything in the database: a second session locks functions, operators, casts and the tables. Who creates or alters such waits meanwhile;
data is written as ever. Where a function's body decides what is called, everything of the database is kept from changing, and the
statement is executed for 3 s at most. On a standby nothing can be locked: connect there as a role that has no more rights than reading the
tables takes.`,
  example: `- query.analyze:
    sql: \${params.sql}
    analyze: true
    timeout: 10s
`,
  effect: "read",
  rollsBack: true,
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      sql: { type: ["string", "null"], description: "One statement, a value like any other." },
      queryid: {
        type: ["string", "integer", "null"],
        description: "A statement that pg_stat_statements has recorded, instead of `sql`.",
      },
      params: {
        type: ["array", "null"],
        description: "Values of $1, $2, …; without them it is planned for any values.",
      },
      analyze: {
        type: "boolean",
        default: false,
        description: "Execute it, and roll back its changes.",
      },
      timeout: {
        type: "string",
        format: "duration",
        default: DEFAULT_TIMEOUT,
        description: "The server cancels it after this long.",
      },
      role: {
        type: ["string", "null"],
        minLength: 1,
        description:
          "With the rights, row security, search_path, planner and custom settings of this role.",
      },
      settings: {
        type: "object",
        additionalProperties: { type: "string" },
        description:
          "Planner settings for this statement alone, and custom ones, which have a dot: {work_mem: 64MB, enable_seqscan: 'off', app.tenant: '77'}",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: [
      "statement",
      "database",
      "analyzed",
      "generic",
      "totals",
      "text",
      "findings",
      "next",
      "plan",
      "triggers",
      "jit",
      "settings",
    ],
    properties: {
      statement: { type: "string" },
      database: { type: "string" },
      analyzed: { type: "boolean", description: "Whether it was executed" },
      generic: {
        type: "boolean",
        description: "Whether it was planned without the values of its parameters",
      },
      totals: {
        type: "object",
        additionalProperties: false,
        required: ["cost", "rows", "planning_ms", "execution_ms"],
        properties: {
          cost: { type: "number", description: "The planner's, of the whole statement" },
          rows: { type: "number", description: "Returned; estimated when not executed" },
          planning_ms: { type: ["number", "null"] },
          execution_ms: { type: ["number", "null"] },
        },
      },
      text: { type: "string", description: "The plan drawn as a tree" },
      findings: {
        type: "array",
        description: "The worst first",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["code", "severity", "node", "message", "evidence", "advice"],
          properties: {
            code: { type: "string", enum: FINDING_CODES },
            severity: { type: "string", enum: SEVERITIES },
            node: {
              type: ["object", "null"],
              description: "{path, title}; null when it is about the whole",
            },
            message: { type: "string" },
            evidence: { type: "object" },
            advice: { type: "string" },
            command: {
              type: "string",
              description: "What ends it, where that can be told; works as it stands",
            },
            runbook: { type: "string", description: "The runbook that the command runs" },
            params: { type: "object", description: "The runbook's" },
          },
        },
      },
      next: {
        type: ["string", "null"],
        description: "How its estimates can be judged; null where it was executed",
      },
      plan: {
        type: "object",
        description:
          "The root: {path, role, type, title, relation, index, estimated, actual, buffers, details, children}",
      },
      triggers: {
        type: "array",
        items: { type: "object" },
        description: "{name, constraint, relation, calls, time_ms}",
      },
      jit: {
        type: ["object", "null"],
        description:
          "{functions, total_ms, parts, workers_ms, whose}: those of the leader, unless the plan gives but the sum (whose: all)",
      },
      settings: {
        type: "object",
        additionalProperties: { type: "string" },
        description: "Those of the planner that are not at their default",
      },
    },
  },
  async run(ctx, input) {
    const timeoutMs = parseDuration(input.timeout ?? DEFAULT_TIMEOUT);
    // The server would take 0 for none at all.
    if (timeoutMs < 1)
      throw new PgdbaError("invalid_param", "timeout: 0 leaves no time for anything", {
        hint: "Give 1ms or more, such as 30s.",
      });
    const { pg, text, origin } = await chosen(ctx, input.sql ?? null, input.queryid ?? null);
    const statement = await readStatement(text);
    const role = input.role ?? null;
    const { plan, facts, generic, verdict, assumed, kept } = await explain(pg, {
      statement,
      role,
      params: (input.params as Json[] | null | undefined) ?? undefined,
      analyze: input.analyze === true,
      timeoutMs,
      settings: input.settings ?? {},
      readOnly: ctx.run.readOnly,
      signal: ctx.signal,
      another: () => another(ctx, pg.info.database),
    }).catch(async (error: unknown) => {
      throw await inWords(error, { pg, statement, origin, role });
    });
    if (role !== null && kept.length > 0) ctx.warn(keptWords(kept, role));
    if (assumed.size > 0) {
      const types = [...assumed].map(([number, type]) => `$${number} ${type}`).join(", ");
      ctx.warn(`The text does not tell the types of all parameters. It is planned with ${types}.`);
    }
    if (verdict?.movesSequences === true)
      ctx.warn("A sequence was moved: nextval is not undone by a rollback.");
    if (verdict?.changesRows === true)
      ctx.warn(
        "The rows written and rolled back stay in the tables as dead ones until the next vacuum.",
      );
    const { root } = plan;
    return {
      statement: text,
      database: pg.info.database,
      analyzed: plan.analyzed,
      generic,
      totals: {
        cost: root.estimated.total_cost,
        rows: root.actual?.rows ?? root.estimated.rows,
        planning_ms: plan.planning_ms,
        execution_ms: plan.execution_ms,
      },
      text: draw(plan),
      findings: (await findings(plan, facts)).map((one) => withCommand(ctx, pg, one)),
      next: plan.analyzed ? null : toJudge(ctx, pg, input),
      plan: root,
      triggers: plan.triggers,
      jit: plan.jit,
      settings: plan.settings,
    };
  },
});

/** A plan tells nothing of whether its estimates are right: the command that does. */
function toJudge(
  ctx: StepContext,
  pg: PgSession,
  {
    sql,
    queryid,
    params,
    role,
    settings,
  }: {
    sql?: string | null;
    queryid?: string | number | null;
    params?: unknown;
    role?: string | null;
    settings?: Record<string, string>;
  },
): string {
  const words = wordsOf({
    queryid: queryid === null || queryid === undefined ? null : String(queryid),
    sql: sql ?? null,
    params: (params as Json | undefined) ?? null,
    as_role: role ?? null,
    settings: Object.keys(settings ?? {}).length === 0 ? null : settings!,
    analyze: true,
  });
  const command = commandLineAt(ctx.target, ["query", "analyze", ...words], {
    database: pg.info.database,
    primary: false,
  });
  const how = command === null || command.length > MOST_SHOWN ? "the same with --analyze" : command;
  return `It was only planned: whether its estimates are right, and where its time goes, shows when it is executed and rolled back: ${how}`;
}

/** Its remedy as a command, on the primary where a standby was asked. */
function withCommand(ctx: StepContext, pg: PgSession, { remedy, ...finding }: Finding) {
  if (remedy === undefined) return finding;
  const words = ["run", remedy.runbook, ...wordsOf(remedy.params)];
  const { database, standby } = pg.info;
  const command = commandLineAt(ctx.target, words, { database, primary: standby });
  return { ...finding, ...(command === null ? {} : { command }), ...remedy };
}

/** The statement's text and a session to its database. @throws PgdbaError invalid_param | capability_missing */
async function chosen(
  ctx: StepContext,
  sql: string | null,
  queryid: string | number | null,
): Promise<{ pg: PgSession; text: string; origin: Origin }> {
  const pg = await session(ctx);
  if ((sql === null) === (queryid === null)) {
    throw new PgdbaError("invalid_param", "Name one statement: by sql or by queryid", {
      hint: `Give --sql 'SELECT …', or --queryid with the number that \`${commandLine(ctx.target, ["query", "slow-log"])}\` shows.`,
    });
  }
  if (sql !== null) return { pg, text: sql, origin: "given" };
  const { text, database } = await recordedStatement(ctx, pg, String(queryid));
  return { pg: await session(ctx, database), text, origin: "recorded" };
}
