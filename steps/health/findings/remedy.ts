import { isDeepStrictEqual } from "node:util";
import { PgdbaError } from "../../../engine/errors.ts";
import {
  isMapping,
  type Json,
  type JsonObject,
  type RunbookOutline,
  type StepContext,
} from "../../../engine/types.ts";
import { commandLineAt, wordsOf } from "../../command-line.ts";
import type { Check } from "../check/check.ts";
import type { Facts } from "../examine/facts.ts";

export interface Remedy {
  text: string | null;
  /** Statements for the examined database, unless a comment before them names another place. */
  sql: string | null;
  runbook: string | null;
  /** The runbook's. */
  params: JsonObject | null;
  /** The command line that runs the runbook with them, for a shell; null where the primary has to be named and nobody knows it. */
  command: string | null;
  /** What else may be done, in the order in which it is worth trying. */
  also: Also[];
  /** The command that a person runs on the server's machine, where pgdba can't. */
  by_hand: string | null;
}

/** One more command, and what it does. */
export interface Also {
  text: string;
  runbook: string;
  params: JsonObject;
  command: string | null;
}

/** The variables of a check's expressions and texts. */
export interface Vars extends Record<string, unknown> {
  row: JsonObject;
  params: JsonObject;
  server: Facts;
}

/** How commands of runbooks that remedies name are written. */
export interface Manners {
  /**
   * Those that interrupt somebody say yes, for whoever runs one has decided. Not those that ask for a name once more: what they take
   * away is gone, and a person reads the question first.
   */
  yes: ReadonlySet<string>;
  /** Those that only a primary takes. */
  primary: ReadonlySet<string>;
  /** Those that only look. */
  reads: ReadonlySet<string>;
}

export async function mannersOf(
  { library }: StepContext,
  checks: Iterable<Check>,
): Promise<Manners> {
  const names = new Set<string>();
  for (const { remedy = {} } of checks) {
    const also = (remedy.also ?? []).map(({ runbook }) => runbook);
    const { runbook, runbooks = {} } = remedy;
    for (const name of [...Object.keys(runbooks), ...also, ...(runbook ? [runbook] : [])])
      if (library.find(name) !== undefined) names.add(name);
  }
  const yes = new Set<string>();
  const primary = new Set<string>();
  const reads = new Set<string>();
  for (const name of names) {
    const { risk, needs, confirms } = await outlineOf(library, name);
    if (risk === "read") reads.add(name);
    if (risk === "disruptive" && !confirms) yes.add(name);
    if (needs.includes("primary")) primary.add(name);
  }
  return { yes, primary, reads };
}

/** Reading the documents of all of them would take longer than asking the server. */
async function outlineOf(
  library: StepContext["library"],
  name: string,
): Promise<Pick<RunbookOutline, "risk" | "needs" | "confirms">> {
  const known = library.find(name)?.outline;
  if (known !== undefined) return known;
  const { risk, needs, params } = (await library.load(name)).data;
  return {
    risk: String(risk),
    needs: [needs ?? []].flat().map(String),
    confirms: Object.values(isMapping(params) ? params : {}).some(
      (param) => isMapping(param) && param["confirms"] === true,
    ),
  };
}

/**
 * The remedy for a row that was found.
 * @throws PgdbaError expression_failed when an expression or text of it fails
 */
export function remedyOf(
  ctx: StepContext,
  { remedy = {}, scope }: Check,
  vars: Vars,
  manners: Manners = { yes: new Set(), primary: new Set(), reads: new Set() },
): Remedy {
  const facts = vars.server;
  const render = (source = ""): string => ctx.render(source, vars).trim();
  const wanted = mapOf(ctx, remedy.settings, vars);
  const { configured, lines, notes } = settingsOf(wanted ?? {}, facts);
  const written = render(remedy.sql);
  const sql = onPrimary(written, facts);
  const texts = [render(remedy.text), ...notes];
  const statements = [...lines, ...(sql === "" ? [] : [sql])];
  // A runbook that is there for the settings has nothing to do when none of them is to be configured.
  const nothing = remedy.settings !== undefined && Object.keys(configured).length === 0;
  const { runbook, params } = runbookOf(ctx, remedy, nothing ? null : { wanted, configured }, vars);
  const lineOf = (name: string, its: JsonObject | null): string | null =>
    commandLineAt(
      ctx.target,
      ["run", name, ...wordsOf(its ?? {}), ...(manners.yes.has(name) ? ["--yes"] : [])],
      {
        primary: sql !== written || (facts.role !== "primary" && manners.primary.has(name)),
        database: databaseOf(its, render(remedy.database), scope, facts),
      },
    );
  const command = runbook === null ? null : lineOf(runbook, params);
  const also = (remedy.also ?? []).flatMap((one): Also[] => {
    const its = mapOf(ctx, one.params, vars);
    if (its === null || (one.runbook === runbook && isDeepStrictEqual(its, params))) return [];
    const line = lineOf(one.runbook, its);
    const where = line === null ? ON_PRIMARY : "";
    return [{ text: where + render(one.text), runbook: one.runbook, params: its, command: line }];
  });
  if (runbook !== null && command === null) texts.unshift(ON_PRIMARY.trim());
  return unlessMeant(vars.row, manners, {
    text: texts.filter((text) => text !== "").join(" ") || null,
    sql: statements.join("\n") || null,
    runbook,
    params,
    command,
    also,
    by_hand:
      remedy.by_hand === undefined ? null : (ctx.evaluate(remedy.by_hand, vars) as string | null),
  });
}

/**
 * What an object's comment says, no program understands: that a trigger must stay off, say. Where there is one, a person or an agent
 * reads it before anything is changed, and is given nothing to run but what looks.
 */
function unlessMeant({ comment }: JsonObject, { reads }: Manners, remedy: Remedy): Remedy {
  if (typeof comment !== "string" || comment === "") return remedy;
  const { text, sql, runbook, also } = remedy;
  const changing = runbook !== null && !reads.has(runbook);
  if (sql === null && !changing && also.every((one) => reads.has(one.runbook))) return remedy;
  const name = changing ? runbook.replace("/", " ") : null;
  const named = name === null || text?.includes(name) === true ? "" : ` (${name})`;
  return {
    ...remedy,
    text: `Read its comment first: it may be so on purpose, and nothing that changes it stands here to be run. Where it is not: ${text ?? ""}${named}`,
    sql: null,
    also: also.filter((one) => reads.has(one.runbook)),
    ...(changing ? { ...NO_RUNBOOK, command: null } : {}),
  };
}

/** The database that the command line names beside the params; undefined where these have one, or it is any. */
function databaseOf(
  params: JsonObject | null,
  named: string,
  scope: Check["scope"],
  { database }: Facts,
): string | undefined {
  if (params !== null && Object.hasOwn(params, "database")) return undefined;
  if (named !== "") return named;
  return scope === "database" && params !== null ? database : undefined;
}

const NO_RUNBOOK = { runbook: null, params: null };

/** The runbook for this row with its params: the only one, or the first of several whose params are no null. */
function runbookOf(
  ctx: StepContext,
  remedy: NonNullable<Check["remedy"]>,
  settings: { wanted: JsonObject | null; configured: JsonObject } | null,
  vars: Vars,
): { runbook: string | null; params: JsonObject | null } {
  for (const [runbook, source] of Object.entries(remedy.runbooks ?? {})) {
    const params = mapOf(ctx, source, vars);
    if (params !== null) return { runbook, params };
  }
  if (remedy.runbook === undefined || settings === null) return NO_RUNBOOK;
  const given = mapOf(ctx, remedy.params, vars);
  if (given === null && remedy.params !== undefined) return NO_RUNBOOK;
  return {
    runbook: remedy.runbook,
    params: given ?? (settings.wanted === null ? null : { settings: settings.configured }),
  };
}

function mapOf(ctx: StepContext, source: string | undefined, vars: Vars): JsonObject | null {
  if (source === undefined) return null;
  const value = ctx.evaluate(source, vars);
  if (value === null) return null;
  if (isMapping(value)) return value;
  throw new PgdbaError("expression_failed", `The expression gives no map: ${source}`, {
    hint: "Write a map, e.g. `{'fsync': 'on'}`.",
  });
}

/**
 * Tells how settings get their values for everyone: those that belong into the server's configuration, with the statements for them unless
 * Patroni runs it, and the statements and words for those whose value stands in a place that wins over it.
 */
function settingsOf(
  wanted: JsonObject,
  facts: Facts,
): { configured: JsonObject; lines: string[]; notes: string[] } {
  const configured: JsonObject = {};
  const statements: string[] = [];
  const lines: string[] = [];
  const notes: string[] = [];
  for (const [name, value] of Object.entries(wanted)) {
    const origin =
      facts.patroni && facts.origins[name] === "command line" ? "" : facts.origins[name];
    const owner = origin === undefined ? undefined : ownerOf(origin, facts);
    if (owner !== undefined) lines.push(onPrimary(`alter ${owner} reset ${name};`, facts));
    else if (origin === "command line" || origin === "environment variable")
      notes.push(
        `${name} comes from the server's ${origin}, which wins over its configuration: change it where the server is started.`,
      );
    else {
      configured[name] = Array.isArray(value) ? value.join(", ") : value;
      statements.push(alterSystem(name, value));
    }
  }
  const names = Object.keys(configured);
  if (facts.patroni || names.length === 0) return { configured, lines, notes };
  lines.push(...statements);
  if (names.some((name) => !facts.restarting.includes(name)))
    lines.push("select pg_reload_conf();");
  if (names.some((name) => facts.restarting.includes(name)))
    lines.push("-- then restart the server");
  return { configured, lines, notes };
}

/** The owner of the value, as ALTER names it. */
function ownerOf(origin: string, { database_quoted, user_quoted }: Facts): string | undefined {
  const owners: Record<string, string> = {
    global: "role all",
    database: `database ${database_quoted}`,
    user: `role ${user_quoted}`,
    "database user": `role ${user_quoted} in database ${database_quoted}`,
  };
  return owners[origin];
}

/** A list is written element by element, or it would become one name. */
function alterSystem(name: string, value: Json): string {
  if (value === null) return `alter system reset ${name};`;
  const parts = [value].flat().map((part) => `'${String(part).replaceAll("'", "''")}'`);
  return `alter system set ${name} = ${parts.join(", ")};`;
}

/** Nobody knows here where it is: a command would go to the standby, which refuses it. */
const ON_PRIMARY = "On the primary: ";

/** A standby takes these; anything else can only be done where it is replicated from. */
const ON_STANDBY = /^(--.*\n|\s)*(select|alter system|checkpoint)\b/i;

function onPrimary(sql: string, { role }: Facts): string {
  return sql === "" || role === "primary" || ON_STANDBY.test(sql)
    ? sql
    : `-- on the primary:\n${sql}`;
}
