import { validateParams } from "../../check/params.ts";
import { PgdbaError } from "../../errors.ts";
import type { Json, JsonObject, ParamSpec } from "../../types.ts";
import { paramFlags, type Parsed, paramValues, parseFlags } from "../args.ts";
import type { IndexedRunbook } from "../front.ts";
import type { Reading } from "../hints/commands-in.ts";
import { endsBare, runbookOf } from "../hints/named-runbooks.ts";
import { isUnfit } from "./argv.ts";
import type { ToolName } from "./tools.ts";

/** A command of pgdba as a call of a tool. */
export interface ToolCall {
  tool: ToolName;
  arguments: JsonObject;
  /** The arguments that hold a word such as NAME, in whose place something must be put first. */
  gaps: readonly string[];
}

/** What a command comes to through one door. */
export interface Door {
  /** The runbooks that the answer names. */
  runbooks: ReadonlyMap<string, IndexedRunbook>;
  /** The flags of the target that the operator has fixed. */
  fixed: readonly string[];
  /** The agent may confirm by itself. */
  confirms: boolean;
  /** The target of the call that is answered, where it named one. */
  target: JsonObject | null;
}

type Specs = Record<string, ParamSpec>;

const TARGET = ["cluster", "host", "port", "user", "database"] as const;
/** They change how an answer looks on a terminal, and nothing here. */
const OF_NO_USE = ["format", "quiet", "verbose", "no-input", "yes", "confirm"];

/** The words behind `pgdba` as a call; null where no tool stands for them, or only a person can give them. */
export function callOf(words: readonly string[], door: Door, reading: Reading): ToolCall | null {
  const [first = "", ...rest] = words;
  if (["list", "show", "runs"].includes(first)) return callOfOwn(first, rest, door, reading);
  const found = runbookOf(words, door.runbooks);
  if (found === null) return null;
  try {
    return callOfRunbook(found.name, found.behind, door, reading);
  } catch (error) {
    if (error instanceof PgdbaError) return null;
    throw error;
  }
}

/** Commands of pgdba's own that are tools as well. */
function callOfOwn(
  command: string,
  rest: readonly string[],
  { runbooks }: Door,
  { isProse }: Reading,
): ToolCall | null {
  const [word, ...more] = rest;
  if (rest.some((one) => one.startsWith("-"))) return null;
  if (command === "list" && word === undefined) return { tool: "find", arguments: {}, gaps: [] };
  if (command === "list")
    return isProse ? null : { tool: "find", arguments: { words: rest.join(" ") }, gaps: [] };
  if (more.length > 0) return null;
  if (command === "show")
    return word !== undefined && runbooks.has(word)
      ? { tool: "show", arguments: { runbook: word }, gaps: [] }
      : null;
  if (word === undefined) return { tool: "status", arguments: {}, gaps: [] };
  return /^\d[0-9a-z-]{0,63}$/.test(word)
    ? { tool: "status", arguments: { run: word }, gaps: [] }
    : null;
}

/** @throws PgdbaError for flags and words that the runbook does not take */
function callOfRunbook(
  runbook: string,
  words: readonly string[],
  door: Door,
  { exact, isProse }: Reading,
): ToolCall | null {
  const outline = door.runbooks.get(runbook)!;
  const { specs, risk } = outline;
  const { words: bare, flags } = parseFlags([...words], paramFlags(specs));
  if (isProse && endsBare(words, bare.length, specs)) return null;
  const given = paramValues(specs, { words: bare, flags }, bare);
  const all = typed(specs, given, exact);
  if (all === null || isUnfit(outline, all)) return null;
  // The answer to a question is a person's, unless the agent may give it.
  const mine = ([name]: [string, Json]): boolean => door.confirms || specs[name]!.confirms !== true;
  const params = Object.fromEntries(Object.entries(all).filter(mine));
  const own = new Set(Object.keys(specs).map((name) => name.replaceAll("_", "-")));
  const known = [...TARGET, ...OF_NO_USE, "plan", "read-only", "select", "brief"];
  if (Object.keys(flags).some((name) => !own.has(name) && !known.includes(name))) return null;
  const global = (name: string) => (own.has(name) ? undefined : flags[name]);
  const target = targetOf(global, outline, door);
  if (target === null) return null;
  const leads = Object.keys(params).some((name) => specs[name]!.runbook !== undefined);
  const reads = (risk === "read" && !leads) || global("read-only") === true;
  const tool = global("plan") === true ? "plan" : reads ? "run_read" : "run";
  const gaps = [
    ...Object.keys(params)
      .filter((name) => !isValue(specs[name]!, params[name]!))
      .map((name) => `params.${name}`),
    ...Object.entries(target)
      .filter(([name, value]) =>
        name === "port" ? typeof value !== "number" : PLACEHOLDER.test(String(value)),
      )
      .map(([name]) => `target.${name}`),
  ];
  // A text that is nothing but a command becomes a call only where that can be made as it stands.
  if (exact && !isProse && gaps.length > 0) return null;
  return {
    tool,
    gaps,
    arguments: {
      runbook,
      ...(Object.keys(params).length === 0 ? {} : { params }),
      ...(Object.keys(target).length === 0 ? {} : { target }),
      ...(global("select") === undefined ? {} : { select: pathsOf(flags["select"]) }),
      ...(global("brief") === true ? { brief: true } : {}),
      ...(tool === "run" && door.confirms ? confirmations(global) : {}),
    },
  };
}

/** A word of a hint in whose place something must be put. */
const PLACEHOLDER = /^(NAME|HOST|PORT|USER|DATABASE|CLUSTER|STANDBY)(_[A-Z]+)*$/;

function isValue(spec: ParamSpec, value: Json): boolean {
  return typed({ value: spec }, { value }, true) !== null;
}

/** The values as the runbook takes them; null where one is none, unless they need not be `exact`. */
function typed(specs: Specs, given: Record<string, unknown>, exact: boolean): JsonObject | null {
  const names = Object.keys(given);
  const asked = Object.fromEntries(names.map((name) => [name, specs[name]!]));
  try {
    return validateParams(asked, given);
  } catch (error) {
    if (!(error instanceof PgdbaError)) throw error;
    return exact ? null : (given as JsonObject);
  }
}

type Global = (name: string) => Parsed["flags"][string];

/** The target to name; null for one that this door does not lead to. */
function targetOf(global: Global, { needs }: IndexedRunbook, door: Door): JsonObject | null {
  const named = TARGET.filter((name) => global(name) !== undefined);
  const at = (name: string): Json => {
    const said = String(global(name));
    return name === "port" && /^\d+$/.test(said) ? Number(said) : said;
  };
  if (door.fixed.length === 0) {
    if (named.length === 0) return needs.length > 0 ? (door.target ?? {}) : {};
    return Object.fromEntries(named.map((name) => [name, at(name)]));
  }
  if (named.length === 0) return {};
  const fixed = new Map(
    door.fixed.map((flag) => {
      const at = flag.indexOf("=");
      return [flag.slice(2, at), flag.slice(at + 1)] as const;
    }),
  );
  // Of a cluster that is fixed no call reaches one member alone.
  if (global("host") !== undefined && !fixed.has("host")) return null;
  for (const [name, value] of fixed) {
    const said = global(name);
    if (name === "database" ? (said ?? value) !== value : said !== value) return null;
  }
  const database = global("database");
  return database === undefined || fixed.has("database") ? {} : { database: String(database) };
}

function pathsOf(paths: Parsed["flags"][string]): string[] {
  return ([paths ?? []].flat() as string[]).flatMap((path) => path.split(","));
}

function confirmations(global: Global): JsonObject {
  const confirm = global("confirm");
  return {
    ...(global("yes") === true ? { yes: true } : {}),
    ...(typeof confirm === "string" ? { confirm } : {}),
  };
}
