import type { JsonObject, StepContext } from "../../engine/types.ts";
import { amount } from "../../engine/shared/amount.ts";
import { commandLineAt, wordsOf } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { type Holder, matters } from "./due/holder.ts";
import { type Due, type KnownDatabase, type KnownTable, ofDatabase, ofTable } from "./due/judge.ts";

const HOLDS = "horizon-held";
const HOLDS_UP = [HOLDS, "vacuum-blocked", "autovacuum-off-table"];
const RANK = { critical: 0, warning: 1, info: 2 } as const;

/** The parts of a finding of `check` that are read. */
interface Finding {
  check: string;
  severity: Due["severity"];
  object: string | null;
  message: string;
  evidence?: Holder;
  /** What goes away with it: who holds back vacuum mostly stands below its transaction. */
  consequences?: Finding[];
  remedy: {
    text: string | null;
    runbook: string | null;
    params: JsonObject | null;
    command: string | null;
    sql: string | null;
  };
}

export default defineStep({
  type: "maintenance.due",
  summary: "Judge which maintenance is due, the worst first, and name the runbook for each",
  docs: `Takes tables as \`maintenance/tables\` gives them, the age of the server's databases, and findings of \`check\`. It asks nothing of the
server. Transaction ids at half of what there are (a billion) are critical: the server stops at two billion.

Who holds back the horizon stands before the vacuums that it makes useless. One that has only just come, or is of another database, counts
from a million transactions on.`,
  example: `- maintenance.due: {tables: [], databases: [], findings: []}
`,
  effect: "read",
  idempotent: true,
  pure: true,
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      tables: { type: "array", items: { type: "object" } },
      databases: { type: "array", items: { type: "object" } },
      findings: { type: "array", items: { type: "object" } },
      database: { type: "string", description: "The one that the tables are in" },
    },
  },
  output: {
    type: "object",
    additionalProperties: false,
    required: ["critical", "warning", "info", "due"],
    properties: {
      critical: { type: "integer" },
      warning: { type: "integer" },
      info: { type: "integer" },
      due: {
        type: "array",
        description: "The worst first; of equally bad ones what others wait for comes first",
        items: {
          type: "object",
          additionalProperties: false,
          required: ["severity", "object", "why", "runbook", "params", "command", "sql"],
          properties: {
            severity: { type: "string", enum: Object.keys(RANK) },
            object: { type: ["string", "null"] },
            why: { type: "string" },
            runbook: { type: ["string", "null"], description: "Null where there is none for it" },
            params: { type: ["object", "null"] },
            command: { type: ["string", "null"], description: "Runs it, in a shell" },
            sql: { type: ["string", "null"], description: "Statements, where there is no runbook" },
          },
        },
      },
    },
  },
  async run(ctx, input) {
    const of = (name: "tables" | "databases" | "findings"): unknown[] => input[name] ?? [];
    const holding = (one: Finding): Finding[] =>
      whole(one).filter(
        ({ check, evidence }) => check === HOLDS && matters(evidence, input.database),
      );
    const found = (of("findings") as Finding[]).filter((one) => {
      const all = whole(one).map(({ check }) => check);
      return (
        !all.includes(HOLDS) ||
        holding(one).length > 0 ||
        all.some((check) => check !== HOLDS && HOLDS_UP.includes(check))
      );
    });
    const findings = found.map((one) => fromFinding(one, holding(one)[0]));
    const held = found.some((one) => holding(one).length > 0);
    const lines = [
      ...findings.filter(({ holdsUp }) => holdsUp),
      ...(of("tables") as KnownTable[]).flatMap((table) => ofTable(table, held)).toSorted(byOrder),
      ...(of("databases") as KnownDatabase[]).flatMap((database) => ofDatabase(database)),
      ...findings.filter(({ holdsUp }) => !holdsUp),
    ].toSorted((a, b) => RANK[a.severity] - RANK[b.severity]);
    const count = (severity: Due["severity"]): number =>
      lines.filter((line) => line.severity === severity).length;
    return {
      critical: count("critical"),
      warning: count("warning"),
      info: count("info"),
      due: lines.map((line) => shown(ctx, line)),
    };
  },
});

const byOrder = (a: Due, b: Due): number => a.order - b.order;

const whole = (one: Finding): Finding[] => [one, ...(one.consequences ?? []).flatMap(whole)];

/** What holds back a vacuum, or keeps it from coming again, stands before all vacuums. */
function fromFinding(one: Finding, holder: Finding | undefined): Due & { holdsUp: boolean } {
  const { severity, object, message, remedy } = one;
  const { text, runbook, params, command, sql } = remedy;
  const holdsUp = whole(one).some(({ check }) => HOLDS_UP.includes(check));
  const age = holder === undefined || holder === one ? undefined : holder.evidence?.age;
  return {
    severity,
    object,
    // What to ask before, or what to do where no command can.
    why: [
      ...(age === undefined ? [] : [`It holds back vacuum by ${amount(age, "transaction")}`]),
      message,
      ...(holdsUp && text !== null ? [text] : []),
    ].join(". "),
    runbook,
    params,
    command,
    sql: runbook === null ? sql : null,
    order: 0,
    holdsUp,
  };
}

function shown(
  ctx: StepContext,
  { severity, object, why, runbook, params, command, sql, database }: Due,
) {
  const words = runbook === null ? null : [...runbook.split("/"), ...wordsOf(params ?? {})];
  return {
    severity,
    object,
    why,
    runbook,
    params,
    command: command ?? (words === null ? null : commandLineAt(ctx.target, words, { database })),
    sql: sql ?? null,
  };
}
