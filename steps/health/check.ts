import { PgdbaError } from "../../engine/errors.ts";
import { defineStep } from "../define.ts";
import { milliseconds, session } from "../sql/session.ts";
import { CHECK_DOCUMENT, GROUPS, SEVERITIES } from "./lib/document.ts";
import { runChecks, skipCode } from "./lib/execute.ts";
import { readFacts } from "./lib/facts.ts";
import { type Finding, inOrder, judge, paramsOf, type Thresholds } from "./lib/findings.ts";
import { CHECK_OUTPUT } from "./lib/output.ts";
import { type Failure, grantFor, loadChecks, obstacle, type Skip } from "./lib/select.ts";

const STRINGS = { type: "array", items: { type: "string" } } as const;

export default defineStep({
  type: "check",
  summary: "Examine the server with all health checks, in two round trips",
  docs: `Runs the documents of kind \`check\` below \`under\`. Each is one YAML file: a query on the catalogues, conditions on its rows, and
what to do. Drop a file into \`.pgdba/runbooks/health/checks/\` to add one; \`extends\` one to change a threshold.

The checks are read-only, each with the statement timeout for itself. One that lacks a privilege is in \`skipped\` with the GRANT that
it needs (or in \`partial\` when it could see a part); one that fails is in \`errors\`. Neither keeps the others from running. The step succeeds
whatever it finds; assert on \`summary.worst\` to fail.`,
  example: `- check:
    groups: [indexes, vacuum]
    thresholds: {dead-rows: {warning: 30}}
`,
  effect: "read",
  idempotent: true,
  needs: ["postgres"],
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
        description: "Names to run, `*` standing for any letters; all without it",
      },
      groups: {
        type: "array",
        items: { type: "string", enum: GROUPS },
        description: "Groups to run; all without it",
      },
      skip: { ...STRINGS, description: "Names to leave out, `*` standing for any letters" },
      thresholds: {
        type: "object",
        additionalProperties: { type: "object" },
        description: "Values for params of checks: {check: {param: value}}",
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
    const { under = "health/checks", only = [], groups = [], skip = [] } = input;
    const limits = {
      timeoutMs: milliseconds(input.statement_timeout ?? "5s") ?? 0,
      lockTimeoutMs: milliseconds(input.lock_timeout ?? "1s") ?? 0,
      signal: ctx.signal,
    };
    const thresholds = (input.thresholds ?? {}) as Thresholds;
    const loading = loadChecks(ctx, under, { only, groups, skip });
    const [{ checks, failures, names }, pg] = await Promise.all([loading, session(ctx)]);
    for (const name of Object.keys(thresholds)) {
      if (!names.includes(name)) {
        throw new PgdbaError("invalid_param", `thresholds: there is no check ${name}`, {
          hint: "`pgdba list --kind check` shows the names of all checks.",
        });
      }
    }
    const params = new Map(checks.map((check) => [check.name, paramsOf(check, thresholds)]));
    const facts = await readFacts(pg, limits);

    const skipped: Skip[] = [];
    const partial: Skip[] = [];
    const errors: Failure[] = [...failures];
    const grantOf = (check: (typeof checks)[number]): string =>
      check.grant === undefined
        ? grantFor(check, facts)
        : ctx.render(check.grant, { server: facts });
    const runnable = checks.filter((check) => {
      const found = obstacle(check, facts, () => grantOf(check));
      if (found === null) return true;
      const { partial: runs, ...note } = found;
      (runs ? partial : skipped).push(note);
      return runs;
    });
    const findings: Finding[] = [];
    const passed: string[] = [];
    for (const { check, rows, error } of await runChecks(pg, runnable, facts, limits)) {
      const { name } = check;
      try {
        if (error !== null) throw error;
        const isPartial = partial.some((note) => note.check === name);
        const found = judge(ctx, check, {
          rows,
          params: params.get(name) ?? {},
          facts,
          partial: isPartial,
        });
        findings.push(...found);
        if (found.length === 0) passed.push(name);
      } catch (thrown) {
        if (!(thrown instanceof PgdbaError)) throw thrown;
        const code = skipCode(thrown);
        const note = {
          check: name,
          reason: thrown.message,
          hint: code === "privilege" ? grantOf(check) : (thrown.hint ?? null),
        };
        const sqlstate = (thrown.data as { sqlstate?: string } | undefined)?.sqlstate ?? null;
        if (code === undefined) errors.push({ ...note, code: thrown.code, sqlstate });
        else skipped.push({ ...note, code });
      }
    }
    if (errors.length > 0)
      ctx.warn(
        `${errors.length} health checks failed: ${errors.map((failure) => failure.check).join(", ")}`,
      );

    const count = (severity: string): number =>
      findings.filter((finding) => finding.severity === severity).length;
    const {
      version,
      version_num,
      release,
      role,
      database,
      user,
      superuser,
      started_at,
      stats_days,
    } = facts;
    return {
      summary: {
        worst: SEVERITIES.find((severity) => count(severity) > 0) ?? "ok",
        critical: count("critical"),
        warning: count("warning"),
        info: count("info"),
        ok: passed.length,
        skipped: skipped.length,
        errors: errors.length,
        checks: checks.length + failures.length,
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
      findings: inOrder(findings).map((finding) => ({ ...finding })),
      partial: partial.map((note) => ({ ...note })),
      skipped: skipped.map((note) => ({ ...note })),
      errors: errors.map((failure) => ({ ...failure })),
      passed,
    };
  },
});
