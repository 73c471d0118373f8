import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { type Check, readCheck } from "./document.ts";
import type { Facts } from "./facts.ts";

/** Why a check did not run, or not wholly. */
export interface Skip {
  check: string;
  /** `version`, `role`, `extension`, `privilege` or `unavailable`. */
  code: string;
  reason: string;
  hint: string | null;
}

/** A check that could not be run although it should have. */
export interface Failure extends Skip {
  sqlstate: string | null;
}

export interface Filter {
  only: string[];
  groups: string[];
  skip: string[];
}

/**
 * All checks below `under` that the filter lets through, by name. One that can't be read is a failure of its own.
 * @throws PgdbaError invalid_param when the filter names a check or group that does not exist
 */
export async function loadChecks(
  ctx: StepContext,
  under: string,
  filter: Filter,
): Promise<{ checks: Check[]; failures: Failure[]; names: string[] }> {
  const prefix = `${under.replace(/\/+$/, "")}/`;
  const entries = ctx.library.entries("check").filter(({ name }) => name.startsWith(prefix));
  const short = (name: string): string => name.slice(name.lastIndexOf("/") + 1);
  const names = entries.map(({ name }) => short(name));
  const only = filter.only.map((pattern) => matcher("only", pattern, names));
  const skip = filter.skip.map((pattern) => matcher("skip", pattern, names));
  const wanted = entries.filter(
    ({ name }) =>
      (only.length === 0 || only.some((matches) => matches(short(name)))) &&
      !skip.some((matches) => matches(short(name))),
  );
  const checks: Check[] = [];
  const failures: Failure[] = [];
  for (const { name } of wanted) {
    try {
      const check = readCheck(await ctx.library.load(name));
      if (filter.groups.length === 0 || filter.groups.includes(check.group)) checks.push(check);
    } catch (error) {
      if (!(error instanceof PgdbaError)) throw error;
      failures.push({
        check: short(name),
        code: error.code,
        sqlstate: null,
        reason: error.where
          ? `${error.where.file}:${error.where.line}: ${error.message}`
          : error.message,
        hint: error.hint ?? null,
      });
    }
  }
  return { checks, failures, names };
}

/** A name, or a pattern in which `*` stands for any letters. */
function matcher(param: string, pattern: string, names: string[]): (name: string) => boolean {
  const parts = pattern.split("*").map((part) => part.replace(/[^\w-]/g, "\\$&"));
  const expression = new RegExp(`^${parts.join(".*")}$`);
  if (!names.some((name) => expression.test(name))) {
    throw new PgdbaError("invalid_param", `${param}: there is no check ${pattern}`, {
      hint: "`pgdba list --kind check` shows the names of all checks; `*` stands for any letters.",
    });
  }
  return (name) => expression.test(name);
}

/** Whether a major version lies in a range such as `>=14 <18`. */
export function inVersions(range: string | undefined, version: number): boolean {
  if (range === undefined) return true;
  return range.split(" ").every((part) => {
    const bound = Number(part.replace(/^\D+/, ""));
    if (part.startsWith(">=")) return version >= bound;
    if (part.startsWith("<=")) return version <= bound;
    if (part.startsWith(">")) return version > bound;
    return part.startsWith("<") ? version < bound : version === bound;
  });
}

/** What keeps the check from running on this server, or from seeing everything there (`partial`); null when nothing does. */
export function obstacle(
  check: Check,
  facts: Facts,
  grant: () => string,
): (Skip & { partial: boolean }) | null {
  const skip = (code: string, reason: string, hint: string | null = null, partial = false) => ({
    check: check.name,
    code,
    reason,
    hint,
    partial,
  });
  if (!inVersions(check.versions, facts.version))
    return skip("version", `It applies to PostgreSQL ${check.versions}, this is ${facts.version}`);
  if (check.roles !== undefined && !check.roles.includes(facts.role))
    return skip("role", `It applies to a ${check.roles.join(" or ")}, this is a ${facts.role}`);
  if (check.extension !== undefined && facts.extensions[check.extension] === undefined)
    return skip(
      "extension",
      `The extension ${check.extension} is not installed in ${facts.database}`,
      `create extension ${check.extension};`,
    );
  if (check.privilege === undefined || has(check.privilege, facts)) return null;
  const partial = check.privilege_mode === "partial";
  const sees = partial ? "sees only what it may read" : "can't see what it needs";
  return skip("privilege", `${facts.user} lacks ${check.privilege} and ${sees}`, grant(), partial);
}

function has(privilege: string, facts: Facts): boolean {
  if (facts.superuser) return true;
  const relation = /^select on (.+)$/.exec(privilege)?.[1];
  return relation === undefined
    ? facts.roles.includes(privilege)
    : !facts.denied.includes(relation);
}

/** Predefined roles that pg_monitor contains; it is what one grants. */
const IN_MONITOR = ["pg_read_all_stats", "pg_read_all_settings", "pg_stat_scan_tables"];

/** The statement that gives a check what it lacks, where the check does not say so itself. */
export function grantFor(check: Check, facts: Facts): string {
  const privilege = check.privilege ?? "pg_monitor";
  if (privilege === "superuser") return `-- connect as a superuser to include ${check.name}`;
  if (privilege.startsWith("select on ")) return `grant ${privilege} to ${facts.user_quoted};`;
  if (!facts.predefined.includes(privilege))
    return `grant select on all tables in schema SCHEMA to ${facts.user_quoted};`;
  return `grant ${IN_MONITOR.includes(privilege) ? "pg_monitor" : privilege} to ${facts.user_quoted};`;
}
