import { PgdbaError } from "../../engine/errors.ts";
import type { Json, StepContext } from "../../engine/types.ts";
import { type PlanNode, shapeOfPlan, type Twin } from "../../providers/planner/twin/twin.ts";
import { defineStep } from "../define.ts";
import { readWanted, textOf, type Wanted, wantedFrom } from "../settings-file.ts";
import { readInput, type WorkloadInput } from "./advise/input.ts";
import { limitsOf, openTwin, study } from "./advise/open.ts";
import { planOnTarget } from "./advise/server-plan.ts";
import { LIMITS_OUTPUT, UNPROVEN_OUTPUT, WORKLOAD_INPUT } from "./advise/suggest-schema.ts";
import { refusedBy, unprovenOf } from "./workload/workload.ts";

const TWIN_VERSION = 18;
const NUMBER = { type: "number" } as const;
const TEXT = { type: "string" } as const;

interface Input extends WorkloadInput {
  settings?: Record<string, Json> | null;
  settings_file?: string | null;
  set?: string[] | null;
  pg_version?: number | null;
}

export default defineStep({
  type: "plan.diff",
  summary:
    "Find the statements that would get another plan under other settings, or under PostgreSQL 18",
  docs: `Plans the workload twice on the planner's twin (see \`index.suggest\`): as the server is, and with \`settings\`, those of
\`settings_file\` and those of \`set\`, the later winning. The server is asked for its catalogues only. Settings that no plan depends on are in \`ignored\`.

With \`pg_version: 18\` the first plan is the server's own, by EXPLAIN without executing anything, and the second one is PostgreSQL 18's.

A cost is in units of the settings it was computed with: after a change of \`random_page_cost\` and its like, compare plans and not costs.`,
  example: `- plan.diff:
    settings: {random_page_cost: 1.1, work_mem: 64MB}
`,
  effect: "read",
  rollsBack: true,
  idempotent: true,
  needs: ["postgres"],
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      ...WORKLOAD_INPUT,
      settings: { type: ["object", "null"], description: "Setting to value" },
      settings_file: {
        type: ["string", "null"],
        description:
          "A file of settings: lines of postgresql.conf, YAML or JSON, also what config tune printed",
      },
      set: {
        type: ["array", "null"],
        items: { type: "string", pattern: "^[A-Za-z_][A-Za-z0-9_.]* *=" },
        description: "Settings as name=value",
      },
      pg_version: {
        type: ["integer", "null"],
        enum: [TWIN_VERSION, null],
        description: "Compare the server's plans with this version's",
      },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["changed", "statements", "cost", "settings", "ignored", "unproven", "limits"],
    properties: {
      changed: {
        type: "array",
        description: "Statements whose plan differs, the most expensive first",
        items: {
          type: "object",
          additionalProperties: false,
          required: [
            "sql",
            "queryid",
            "calls",
            "cost_before",
            "cost_after",
            "plan_before",
            "plan_after",
          ],
          properties: {
            sql: TEXT,
            queryid: { type: ["string", "null"] },
            calls: NUMBER,
            cost_before: NUMBER,
            cost_after: NUMBER,
            plan_before: {
              ...TEXT,
              description: "Nodes, joins, tables and indexes from the outside in",
            },
            plan_after: TEXT,
          },
        },
      },
      statements: { ...NUMBER, description: "Statements planned" },
      cost: {
        type: "object",
        additionalProperties: false,
        required: ["before", "after"],
        properties: { before: NUMBER, after: NUMBER },
      },
      settings: { type: "object", description: "What was applied", additionalProperties: TEXT },
      ignored: {
        type: "array",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["name", "reason"],
          properties: { name: TEXT, reason: TEXT },
        },
      },
      unproven: UNPROVEN_OUTPUT,
      limits: LIMITS_OUTPUT,
    },
  },
  async run(ctx, input) {
    const given = input as unknown as Input;
    const wanted = await wantedOf(ctx, given);
    const upgrade = given.pg_version === TWIN_VERSION;
    if (wanted.size === 0 && !upgrade) {
      throw new PgdbaError(
        "invalid_param",
        "Nothing to compare with: neither settings nor a version",
        { hint: "Give --settings FILE, --set work_mem=64MB, or --pg-version 18." },
      );
    }
    const found = await study(ctx, readInput(given).asked, (context, facts) =>
      openTwin(context, facts, upgrade ? TWIN_VERSION : undefined),
    );
    const twin = found.planner;
    try {
      const { settings, ignored } = await usable(twin, wanted);
      const unproven = [...found.refused];
      const changed: Row[] = [];
      const cost = { before: 0, after: 0 };
      let statements = 0;
      for (const { sql, queryid, calls } of found.parsed) {
        ctx.signal.throwIfAborted();
        try {
          const before = upgrade ? await planOnTarget(ctx, sql) : await twin.explain(sql);
          const after = await twin.explain(sql, { settings });
          statements++;
          cost.before += calls * before["Total Cost"];
          cost.after += calls * after["Total Cost"];
          if (shapeOfPlan(before) !== shapeOfPlan(after))
            changed.push(row(sql, queryid, calls, before, after));
        } catch (error) {
          if (!(error instanceof PgdbaError) || error.code === "interrupted") throw error;
          unproven.push(refusedBy(sql, error));
        }
      }
      return {
        changed: changed.toSorted((a, b) => b.calls * b.cost_before - a.calls * a.cost_before),
        statements,
        cost,
        settings,
        ignored,
        unproven: unprovenOf(unproven),
        limits: limitsOf(twin),
      };
    } finally {
      await twin.close();
    }
  },
});

type Row = ReturnType<typeof row>;

function row(
  sql: string,
  queryid: string | null,
  calls: number,
  before: PlanNode,
  after: PlanNode,
) {
  const plans = { plan_before: shapeOfPlan(before), plan_after: shapeOfPlan(after) };
  return {
    sql,
    queryid,
    calls,
    cost_before: before["Total Cost"],
    cost_after: after["Total Cost"],
    ...plans,
  };
}

/** All that is asked for, by name. @throws PgdbaError io_failed | invalid_param */
async function wantedOf(ctx: StepContext, given: Input): Promise<Wanted> {
  const { settings, settings_file: file, set } = given;
  return new Map([
    ...(settings && Object.keys(settings).length > 0 ? wantedFrom(settings) : []),
    ...(file ? await readWanted(ctx.cwd, file) : []),
    ...(set ?? []).map((pair): [string, string] => {
      const at = pair.indexOf("=");
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
    }),
  ]);
}

/** The settings that plans depend on, as text; the others with the reason why they are left out. */
async function usable(
  twin: Twin,
  wanted: Wanted,
): Promise<{ settings: Record<string, string>; ignored: { name: string; reason: string }[] }> {
  const known = new Map(
    twin.catalogue.settings.map((setting) => [setting.name.toLowerCase(), setting.name]),
  );
  const settings: Record<string, string> = {};
  const ignored: { name: string; reason: string }[] = [];
  for (const [written, value] of wanted) {
    const name = known.get(written.toLowerCase());
    if (name === undefined || value === null) {
      ignored.push({
        name: written,
        reason: name === undefined ? "no plan depends on it" : "it has no value",
      });
      continue;
    }
    const text = textOf(value);
    try {
      await twin.explain("SELECT 1", { settings: { [name]: text } });
      settings[name] = text;
    } catch (error) {
      ignored.push({ name, reason: (error as Error).message });
    }
  }
  return { settings, ignored };
}
