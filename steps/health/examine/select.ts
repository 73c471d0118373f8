import { PgdbaError } from "../../../engine/errors.ts";
import type { StepContext } from "../../../engine/types.ts";
import { type Check, readCheck } from "../check/check.ts";
import type { Facts } from "./facts.ts";

/** A part that was not examined, and the reason. */
export interface Note {
  check: string;
  /** `version`, `role`, `extension`, `privilege`, `unavailable`, `unknown` (it could not be judged) or `truncated`. */
  code: string;
  /** The database that the check looked at, when it looks at one. */
  database: string | null;
  /** Null when it is the check as a whole. */
  object: string | null;
  reason: string;
  hint: string | null;
  /** The number of them in all, when not all are listed. */
  total: number | null;
}

/** A check that could not be run although it should have. */
export interface Failure extends Pick<Note, "check" | "code" | "database" | "reason" | "hint"> {
  sqlstate: string | null;
}

export interface Filter {
  only: string[];
  groups: string[];
  skip: string[];
}

/** The checks of a library that are to be run. */
export interface Loaded {
  /** By name. */
  checks: Check[];
  /** Checks that explain the findings of the others, and of each other. */
  auxiliary: Check[];
  /** Checks that can't be read. */
  failures: Failure[];
  /** The names of all checks that there are. */
  names: string[];
}

/**
 * The checks below `under` that the filter lets through.
 * @throws PgdbaError invalid_param when the filter names a check that does not exist, or lets none through
 */
export async function loadChecks(ctx: StepContext, under: string, filter: Filter): Promise<Loaded> {
  const prefix = `${under.replace(/\/+$/, "")}/`;
  const entries = ctx.library.entries("check").filter(({ name }) => name.startsWith(prefix));
  const short = (name: string): string => name.slice(name.lastIndexOf("/") + 1);
  const names = entries.map(({ name }) => short(name));
  const only = filter.only.map((pattern) => matcher("only", pattern, names));
  const skip = filter.skip.map((pattern) => matcher("skip", pattern, names));
  const isNamed = (name: string): boolean =>
    only.length === 0 || only.some((matches) => matches(name));
  const builtin = new Set(
    entries
      .flatMap((entry) => [entry, ...entry.overrides])
      .filter(({ layer }) => layer === "builtin")
      .map(({ file }) => file),
  );
  const groups = new Set<string>();
  const checks: Check[] = [];
  const others: Check[] = [];
  const failures: Failure[] = [];
  for (const { name } of entries) {
    if (skip.some((matches) => matches(short(name)))) continue;
    try {
      const check = readCheck(await ctx.library.load(name), builtin);
      groups.add(check.group);
      const isWanted = filter.groups.length === 0 || filter.groups.includes(check.group);
      (isWanted && isNamed(check.name) ? checks : others).push(check);
    } catch (error) {
      if (!(error instanceof PgdbaError)) throw error;
      if (!isNamed(short(name))) continue;
      failures.push({
        check: short(name),
        code: error.code,
        database: null,
        sqlstate: null,
        reason: error.where
          ? `${error.where.file}:${error.where.line}: ${error.message}`
          : error.message,
        hint: error.hint ?? null,
      });
    }
  }
  const wrong = filter.groups.find((group) => !groups.has(group));
  // A check that is left out, or can't be read, may be the only one of its group.
  if (wrong !== undefined && skip.length + failures.length === 0) throw noGroup(wrong, groups);
  if (checks.length + failures.length === 0) {
    const given = Object.entries(filter).flatMap(([key, words]: [string, string[]]) =>
      words.length === 0 ? [] : [`${key} ${words.join(", ")}`],
    );
    throw new PgdbaError("invalid_param", `No check is left: ${given.join("; ") || under}`, {
      hint: "`pgdba list --kind check` shows all checks; a check must pass `only`, `groups` and `skip`.",
    });
  }
  return { checks, auxiliary: explaining(checks, others), failures, names };
}

function noGroup(group: string, groups: ReadonlySet<string>): PgdbaError {
  return new PgdbaError("invalid_param", `groups: there is no group of checks ${group}`, {
    hint: `The groups are ${[...groups].toSorted().join(", ")}.`,
  });
}

/** The checks among `others` that explain findings of `checks`, and those that explain these in turn. */
function explaining(checks: readonly Check[], others: readonly Check[]): Check[] {
  const wanted = new Set(checks.map(({ name }) => name));
  const found = new Set<Check>();
  for (let before = -1; found.size > before;) {
    before = found.size;
    for (const check of others) {
      if (!Object.keys(check.explains ?? {}).some((name) => wanted.has(name))) continue;
      found.add(check);
      wanted.add(check.name);
    }
  }
  return [...found];
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

/** True when a major version lies in a range such as `>=14 <18`. */
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

/** The reason why the check can't run on this server, or can't see everything there (`partial`); null when there is none. */
export function obstacle(
  check: Check,
  facts: Facts,
  grant: () => string,
  setting: (name: string, value: string) => string,
): (Note & { partial: boolean }) | null {
  const skip = (code: string, reason: string, hint: string | null = null, partial = false) => ({
    check: check.name,
    code,
    database: check.scope === "database" ? facts.database : null,
    object: null,
    reason,
    hint,
    total: null,
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
  const extension = facts.extensions[check.extension ?? ""];
  if (extension?.usable === false)
    return skip(
      "privilege",
      `${facts.user} may not use the schema ${extension.schema} that ${check.extension} is in`,
      `grant usage on schema ${extension.schema} to ${facts.user_quoted};`,
    );
  const lacking = Object.entries(check.requires ?? {}).find(
    ([name, value]) => facts.settings[name] !== value,
  );
  if (lacking !== undefined) {
    const [name, value] = lacking;
    const reason = `${name} is ${facts.settings[name] ?? "not known"}: the server does not know the figures that this judges`;
    return skip("unknown", reason, facts.fixed.includes(name) ? null : setting(name, value));
  }
  if (check.privilege === undefined || has(check.privilege, facts)) return null;
  const partial = check.privilege_mode === "partial";
  const sees = partial ? "sees only what it may read" : "can't see what it needs";
  return skip("privilege", `${facts.user} lacks ${check.privilege} and ${sees}`, grant(), partial);
}

/** True for a role that has `privilege`: a predefined role, or `select on` a relation of pg_catalog. */
export function has(privilege: string, facts: Facts): boolean {
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
  const schema = facts.extensions[check.extension ?? ""]?.schema;
  if (schema !== undefined && (check.privilege === undefined || has(check.privilege, facts)))
    return `grant select on all tables in schema ${schema} to ${facts.user_quoted};`;
  const privilege = check.privilege ?? "pg_monitor";
  if (privilege === "superuser") return `-- connect as a superuser to include ${check.name}`;
  if (privilege.startsWith("select on ")) return `grant ${privilege} to ${facts.user_quoted};`;
  if (!facts.predefined.includes(privilege))
    return `grant select on all tables in schema SCHEMA to ${facts.user_quoted};`;
  return `grant ${IN_MONITOR.includes(privilege) ? "pg_monitor" : privilege} to ${facts.user_quoted};`;
}
