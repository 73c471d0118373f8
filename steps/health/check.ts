import { amount } from "../../engine/shared/amount.ts";
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, JsonObject, StepContext } from "../../engine/types.ts";
import type { PgSession } from "../../providers/postgres/session.ts";
import { commandLine, flagsOf } from "../command-line.ts";
import { defineStep } from "../define.ts";
import { milliseconds } from "../sql/session.ts";
import { relate } from "./findings/causes.ts";
import { CHECK_DOCUMENT } from "./check/document.ts";
import type { Check } from "./check/check.ts";
import { again, type Open } from "../sql/again.ts";
import { examine, type Examined } from "./examine/examine.ts";
import { type Facts, readFacts, readMachine, readPrimary } from "./examine/facts.ts";
import { findingsOf, flat } from "./findings/findings.ts";
import { mannersOf } from "./findings/remedy.ts";
import { paramsOf, type Thresholds } from "./examine/judge.ts";
import { CHECK_OUTPUT } from "./findings/output.ts";
import { type Server, serverOf } from "./examine/server.ts";
import { loadChecks } from "./examine/select.ts";
import { GROUPS, SEVERITIES } from "./check/words.ts";

const STRINGS = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "check",
  summary: "Examine the server with all health checks, in two round trips",
  docs: `Runs the documents of kind \`check\` below \`under\`. Each is one YAML file: a query on the catalogues, conditions on its rows, and
what to do. Drop a file into \`.pgdba/runbooks/health/checks/\` to add one; \`extends\` one to change a threshold.

The checks are read-only, each with the statement timeout for itself. What could not be examined is said: a check that lacks a privilege, or
for which the server does not know what it judges, is in \`skipped\` with what would let it run; single objects, and checks that saw a part
only, are in \`partial\`; one that fails is in \`errors\`. Only what looked at everything and found nothing is in \`passed\`. None keeps the
others from running. The step succeeds whatever it finds; assert on \`summary.worst\` to fail (\`unknown\` when nothing could be examined).

A finding that is due to another stands below it, in \`consequences\`; a cause is as bad as the worst of them. Checks that were not asked for
are run as well where they explain what is found.`,
  example: `- check:
    groups: [indexes, vacuum]
    thresholds: {dead-rows: {warning: 30}}
`,
  effect: "read",
  idempotent: true,
  needs: (input) => (input.member === undefined ? ["postgres"] : ["member"]),
  uses: ["nodes"],
  document: CHECK_DOCUMENT,
  input: {
    type: "object",
    additionalProperties: false,
    properties: {
      under: {
        type: "string",
        default: "health/checks",
        description: "Where the names of the checks begin",
      },
      only: {
        ...STRINGS,
        description: "Names to run; `*` stands for any letters; by default all",
      },
      groups: {
        type: "array",
        items: { type: "string", enum: GROUPS },
        description: "Groups to run; by default all",
      },
      skip: { ...STRINGS, description: "Names to leave out; `*` stands for any letters" },
      databases: {
        ...STRINGS,
        description:
          "Other databases, or `all`, in which those checks are run too that see only the one they are connected to",
      },
      thresholds: {
        type: "object",
        additionalProperties: { type: "object" },
        description: "Values for params of checks: {check: {param: value}}",
      },
      member: {
        type: "string",
        minLength: 1,
        description: "A member of the cluster, by its name; the server of the run without it",
      },
      statement_timeout: {
        type: "string",
        format: "duration",
        default: "5s",
        description: "For each check",
      },
      lock_timeout: {
        type: "string",
        format: "duration",
        default: "1s",
        description: "For each check",
      },
    },
  },
  output: CHECK_OUTPUT,
  async run(ctx, input) {
    const server = await serverOf(ctx, input.member);
    try {
      return await examined(ctx, input, server);
    } finally {
      await server.close();
    }
  },
});

interface Input {
  under?: string | undefined;
  only?: string[] | undefined;
  groups?: string[] | undefined;
  skip?: string[] | undefined;
  databases?: string[] | undefined;
  thresholds?: JsonObject | undefined;
  statement_timeout?: string | undefined;
  lock_timeout?: string | undefined;
}

async function examined(ctx: StepContext, input: Input, server: Server): Promise<Json> {
  const { under = "health/checks", only = [], groups = [], skip = [] } = input;
  const limits = {
    timeoutMs: milliseconds(input.statement_timeout ?? "5s") ?? 0,
    lockTimeoutMs: milliseconds(input.lock_timeout ?? "1s") ?? 0,
    signal: ctx.signal,
  };
  const thresholds = (input.thresholds ?? {}) as Thresholds;
  const loading = loadChecks(ctx, under, { only, groups, skip });
  const { open } = server;
  const [{ checks, auxiliary, failures, names }] = await Promise.all([loading, open()]);
  for (const name of Object.keys(thresholds)) {
    if (!names.includes(name)) {
      throw new PgdbaError("invalid_param", `thresholds: there is no check ${name}`, {
        hint: "`pgdba list --kind check` shows the names of all checks.",
      });
    }
  }
  const all = [...checks, ...auxiliary];
  const params = new Map(all.map((check) => [check.name, paramsOf(check, thresholds)]));
  const facts = {
    ...(await again(async () => readFacts(await open(), limits))),
    flags: flagsOf(ctx.target),
  };
  if (all.some(({ machine }) => machine === true)) {
    const { host, node } = server;
    facts.machine = await again(async () =>
      readMachine(await open(), host, { node, signal: ctx.signal }),
    );
  }
  if (facts.role === "standby" && all.some(({ primary }) => primary === true))
    facts.primary = await again(async () => readPrimary(await open(), facts, ctx.signal));
  const given = { params, auxiliary: new Set(auxiliary), limits };
  const parts = [await examine(ctx, open, facts, all, given)];
  const local = all.filter(({ scope }) => scope === "database");
  const asked = local.length === 0 ? [] : otherDatabases(input.databases ?? [], facts);
  const refused = new Map<string, string>();
  for (const database of asked) {
    let other = await opened(ctx, server, database, refused);
    if (other === null) continue;
    const openOther: Open = async () => {
      if (other?.alive() !== true) other = await again(() => server.another(database));
      return other;
    };
    try {
      const there = {
        ...(await again(async () => readFacts(await openOther(), limits))),
        machine: facts.machine,
        flags: facts.flags,
        primary: facts.primary,
      };
      parts.push(await examine(ctx, openOther, there, local, given));
    } finally {
      await other.close();
    }
  }
  const together: Omit<Examined, "passed"> = {
    judged: parts.flatMap(({ judged }) => judged),
    partial: parts.flatMap(({ partial }) => partial),
    skipped: parts.flatMap(({ skipped }) => skipped),
    errors: [...failures, ...parts.flatMap(({ errors }) => errors)],
  };
  return answer(ctx, together, {
    checks: checks.length + failures.length,
    passed: passedIn(parts, checks, local),
    unexamined: unexamined(ctx, facts, asked, refused, local.length),
    facts,
  });
}

/** The other databases that are asked for. @throws PgdbaError invalid_param for a database that does not exist */
function otherDatabases(names: readonly string[], { database, databases }: Facts): string[] {
  const isAll = names.includes("all") && !databases.includes("all");
  const unknown = names.find(
    (name) => !(isAll && name === "all") && name !== database && !databases.includes(name),
  );
  if (unknown !== undefined) {
    throw new PgdbaError("invalid_param", `databases: there is no database ${unknown}`, {
      hint: `Those that take connections are ${[database, ...databases].slice(0, 20).join(", ")}; \`all\` is all of them.`,
    });
  }
  return databases.filter((name) => isAll || names.includes(name));
}

/** A session in another database; null where it is not let in, which is noted in `refused`: the server as a whole has answered. */
async function opened(
  ctx: StepContext,
  server: Server,
  database: string,
  refused: Map<string, string>,
): Promise<PgSession | null> {
  try {
    return await server.another(database);
  } catch (error) {
    if (!(error instanceof PgdbaError) || ctx.signal.aborted) throw error;
    refused.set(database, error.message);
    return null;
  }
}

function unexamined(
  ctx: StepContext,
  facts: Facts,
  asked: readonly string[],
  refused: ReadonlyMap<string, string>,
  checks: number,
): Unexamined[] {
  const left = facts.databases.filter((name) => !asked.includes(name) || refused.has(name));
  return (checks === 0 ? [] : left).map((database) => {
    const reason = `${amount(checks, "check sees", "checks see")} only the database that ${checks === 1 ? "it is" : "they are"} connected to`;
    const words = ["health", "check", "--databases", JSON.stringify([database])];
    return refused.has(database)
      ? { database, checks, reason: refused.get(database) ?? "", hint: null }
      : { database, checks, reason, hint: commandLine(ctx.target, words) };
  });
}

interface Unexamined {
  database: string;
  checks: number;
  reason: string;
  hint: string | null;
}

/** The checks that passed wherever they were run. */
function passedIn(
  parts: readonly Examined[],
  checks: readonly Check[],
  local: readonly Check[],
): string[] {
  const passed = (part: Examined | undefined, { name }: Check): boolean =>
    part?.passed.includes(name) ?? false;
  return checks
    .filter((check) =>
      local.includes(check) ? parts.every((part) => passed(part, check)) : passed(parts[0], check),
    )
    .map(({ name }) => name);
}

const byCheck = <T extends { check: string }>(notes: readonly T[]): T[] =>
  notes.toSorted((a, b) => a.check.localeCompare(b.check, "en"));

async function answer(
  ctx: StepContext,
  { judged, partial, skipped, errors }: Omit<Examined, "passed">,
  about: { checks: number; passed: string[]; unexamined: Unexamined[]; facts: Facts },
): Promise<Json> {
  const related = relate(ctx, judged);
  const checksFound = new Set(related.map((one) => one.judged.check));
  const findings = findingsOf(ctx, related, await mannersOf(ctx, checksFound));
  const every = flat(findings);
  const found = new Set(every.map(({ check }) => check));
  const passed = about.passed.filter((name) => !found.has(name));
  if (errors.length > 0)
    ctx.warn(
      `${amount(errors.length, "health check")} failed: ${errors.map((failure) => failure.check).join(", ")}`,
    );
  const names = (notes: readonly { check: string }[]): Set<string> =>
    new Set(notes.map(({ check }) => check));
  const inPart = names(partial);
  const count = (severity: string): number =>
    findings.filter((finding) => finding.severity === severity).length;
  const isEmpty = passed.length + findings.length + inPart.size === 0;
  const { version, version_num, release, role, database, user, superuser, started_at, stats_days } =
    about.facts;
  return {
    summary: {
      worst: SEVERITIES.find((severity) => count(severity) > 0) ?? (isEmpty ? "unknown" : "ok"),
      critical: count("critical"),
      warning: count("warning"),
      info: count("info"),
      consequences: every.length - findings.length,
      ok: passed.length,
      partial: inPart.size,
      skipped: names(skipped).size,
      errors: names(errors).size,
      checks: about.checks,
    },
    server: {
      version,
      version_num,
      release,
      role,
      database,
      user,
      superuser,
      started_at,
      stats_days,
    },
    findings: findings as unknown as Json,
    partial: byCheck(partial).map((note) => ({ ...note })),
    skipped: byCheck(skipped).map((note) => ({ ...note })),
    unexamined_databases: about.unexamined.map((one) => ({ ...one })),
    errors: errors.map((failure) => ({ ...failure })),
    passed,
  };
}
