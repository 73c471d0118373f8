import { parseArgs, type ParseArgsConfig } from "node:util";
import { PgdbaError } from "../errors.ts";
import { paramOfWord } from "../shared/bare-words.ts";
import { suggest } from "../shared/suggest.ts";
import type { JsonSchema, ParamSpec } from "../types.ts";

/** Flags that every command takes. */
export const GLOBAL_FLAGS = {
  format: {
    type: "string",
    summary: "json (default), table, yaml, or auto: a table on a terminal, else json",
  },
  full: {
    type: "boolean",
    summary: "The whole answer, however long; without it lists are cut to fit 20 kB",
  },
  brief: { type: "boolean", summary: "A short answer: what a table shows, within 4 kB" },
  select: {
    type: "string",
    multiple: true,
    summary:
      "Only these parts of the data: a.b, LIST.name, LIST.0-99, TEXT.0-9999; several with commas",
  },
  help: { type: "boolean", short: "h", summary: "Help on a command or a runbook" },
  version: { type: "boolean", summary: "The version of pgdba" },
  cluster: { type: "string", short: "c", summary: "The cluster to work on; `lab` is built in" },
  host: { type: "string", summary: "Host or socket folder of a PostgreSQL server" },
  port: { type: "string", summary: "Its port" },
  user: { type: "string", summary: "The role to connect as" },
  database: { type: "string", short: "d", summary: "The database to connect to" },
  runbooks: {
    type: "string",
    multiple: true,
    file: true,
    summary: "A folder of runbooks that wins over all others",
  },
  plan: { type: "boolean", summary: "Dry run: read steps run, change steps are shown" },
  "read-only": { type: "boolean", summary: "Refuses whatever does more than read" },
  yes: { type: "boolean", short: "y", summary: "Confirms a disruptive runbook" },
  confirm: { type: "string", summary: "Confirms a destructive runbook by the cluster's name" },
  "i-know-what-i-am-doing": {
    type: "boolean",
    summary: "Needed, with --cluster, by what breaks things on purpose",
  },
  "without-backup": {
    type: "string",
    summary: "Goes on where no verified backup can be taken first, by the cluster's name",
  },
  approval: {
    type: "string",
    summary: "Begins a run that a person approved, by the id of the request",
  },
  "no-input": { type: "boolean", summary: "Never ask, not even on a terminal" },
  "lock-wait": { type: "string", summary: "How long to wait for another run on the target (20s)" },
  events: { type: "string", file: true, summary: "Write every event to this file as NDJSON" },
  quiet: { type: "boolean", short: "q", summary: "No progress on stderr" },
  verbose: {
    type: "boolean",
    short: "v",
    summary: "Describe each event on stderr in plain words",
  },
  config: {
    type: "string",
    file: true,
    summary: "The configuration, instead of config.yaml in the state folder",
  },
} as const satisfies Record<
  string,
  {
    type: "string" | "boolean";
    short?: string;
    multiple?: boolean;
    file?: boolean;
    summary: string;
  }
>;

export interface Parsed {
  words: string[];
  flags: { [flag: string]: string | boolean | string[] | undefined };
}

interface FlagSpec {
  type: "string" | "boolean";
  short?: string;
  multiple?: boolean;
  /** An empty text is a value of it, or is judged elsewhere. */
  mayBeEmpty?: boolean;
}

/** The words before anything unknown, enough to find the command: nobody knows yet which unknown flags take a value. */
export function leadingWords(argv: string[]): string[] {
  return parse(argv, GLOBAL_FLAGS, "stop").words;
}

/** The name of the typed command in an envelope, before anything more is known of it. */
export function typedCommand(argv: string[]): string {
  return leadingWords(argv).slice(0, 2).join(" ") || "pgdba";
}

/**
 * Parses `argv` against the global flags and `own`. @throws PgdbaError usage naming the flag, with a suggestion
 */
export function parseFlags(argv: string[], own: Record<string, FlagSpec> = {}): Parsed {
  return parse(argv, { ...GLOBAL_FLAGS, ...own }, false);
}

/** The flags of `argv` that are global or `own`; others are passed over. Never throws. */
export function flagsAmong(argv: string[], own: Record<string, FlagSpec>): Parsed["flags"] {
  return parse(argv, { ...GLOBAL_FLAGS, ...own }, "over").flags;
}

/** The global flags; empty values are kept, so that they can be refused: see `refuseEmpty`. */
const KEPT_FLAGS: Record<string, FlagSpec> = Object.fromEntries(
  Object.entries(GLOBAL_FLAGS).map(([name, spec]) => [name, { ...spec, mayBeEmpty: true }]),
);

/** The global flags of `argv`; flags of a runbook, which are not known yet, are passed over. Never throws. */
export function globalFlags(argv: string[]): Parsed {
  try {
    return parse(argv, KEPT_FLAGS, false);
  } catch {
    const known = new Set<string>(Object.keys(GLOBAL_FLAGS));
    const kept = argv.filter(
      (arg) => !arg.startsWith("--") || known.has(arg.slice(2).split("=")[0]!),
    );
    try {
      return parse(kept, KEPT_FLAGS, false);
    } catch {
      return { words: leadingWords(argv), flags: Object.create(null) as Parsed["flags"] };
    }
  }
}

/** @throws PgdbaError invalid_param for a flag that was given and is empty, as `--host="$UNSET"` is */
export function refuseEmpty({ flags }: Parsed): void {
  for (const [name, value] of Object.entries(flags))
    if ([value].flat().includes("")) throw emptyFlag(`--${name}`);
}

function emptyFlag(name: string): PgdbaError {
  return new PgdbaError("invalid_param", `${name} is empty`, {
    hint: `Give ${name} a value, or leave it out. Is a variable of the shell not set?`,
  });
}

/** `lenient` refuses nothing: it stops at what is unknown, or goes on behind it. */
function parse(
  argv: string[],
  specs: Record<string, FlagSpec>,
  lenient: "stop" | "over" | false,
): Parsed {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, { type, short }] of Object.entries(specs)) {
    // Every flag may be repeated for the parser, so that a repetition is an error of ours and not silently the last.
    options[name] = { type, multiple: true, ...(short ? { short } : {}) };
  }
  const { tokens } = parseArgs({
    args: argv,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const out: Parsed = { words: [], flags: Object.create(null) };
  for (const token of tokens) {
    if (token.kind === "positional") out.words.push(token.value);
    if (token.kind !== "option") continue;
    const negated = !Object.hasOwn(specs, token.name) && token.name.startsWith("no-");
    const name = negated ? token.name.slice(3) : token.name;
    const spec = Object.hasOwn(specs, name) ? specs[name] : undefined;
    if (!spec || (negated && spec.type !== "boolean")) {
      // The next word may be this flag's value, a secret even: it names nothing.
      if (lenient === "stop") break;
      if (lenient === "over") continue;
      throw unknownFlag(token.rawName, Object.keys(specs));
    }
    const value = negated ? "false" : token.value;
    setFlag(out, { name, spec, value, raw: token.rawName }, lenient !== false);
  }
  return out;
}

/** A flag as typed. */
interface Given {
  name: string;
  spec: FlagSpec;
  value: string | undefined;
  /** The flag with its dashes. */
  raw: string;
}

function setFlag(out: Parsed, { name, spec, value, raw }: Given, lenient: boolean): void {
  if (spec.type === "boolean") {
    if (value !== undefined && value !== "true" && value !== "false" && !lenient) {
      throw new PgdbaError("usage", `${raw} is a switch; it takes no value`, {
        hint: `Write ${raw} or --no-${name}.`,
      });
    }
    out.flags[name] = value !== "false";
    return;
  }
  if (value === undefined) {
    if (lenient) return;
    throw new PgdbaError("usage", `${raw} needs a value`, {
      hint: `Write ${raw} VALUE or ${raw}=VALUE.`,
    });
  }
  if (value === "" && !spec.mayBeEmpty && !lenient) throw emptyFlag(raw);
  const before = out.flags[name];
  if (spec.multiple) {
    out.flags[name] = Array.isArray(before) ? [...before, value] : [value];
    return;
  }
  if (before !== undefined && !lenient) {
    throw new PgdbaError("usage", `${raw} is given twice`, { hint: "Give it once." });
  }
  out.flags[name] = value;
}

function unknownFlag(raw: string, known: string[]): PgdbaError {
  const close = suggest(raw.replace(/^-+/, ""), known);
  const own = known.filter((name) => !Object.hasOwn(GLOBAL_FLAGS, name)).map((name) => `--${name}`);
  const all = "`--help` shows the flags there are";
  return new PgdbaError("usage", `There is no flag ${raw} here`, {
    hint: close
      ? `Did you mean --${close}?`
      : own.length === 0
        ? `${all}.`
        : `${all}; those of its own are ${own.join(", ")}.`,
  });
}

/** The flags of a runbook's parameters. */
export function paramFlags(params: Record<string, ParamSpec>): Record<string, FlagSpec> {
  return Object.fromEntries(
    Object.entries(params).map(([name, spec]) => [
      name.replaceAll("_", "-"),
      {
        type: spec.type === "boolean" ? "boolean" : "string",
        multiple: accepts(spec, "array"),
        mayBeEmpty: true,
      } as const,
    ]),
  );
}

/** Values for the parameters among the parsed flags and bare words. @throws PgdbaError usage for a word too many, or one that a flag has given already */
export function paramValues(
  params: Record<string, ParamSpec>,
  parsed: Parsed,
  words: string[],
): Record<string, unknown> {
  const given: Record<string, unknown> = Object.create(null);
  for (const name of Object.keys(params)) {
    const value = parsed.flags[name.replaceAll("_", "-")];
    if (value === undefined) continue;
    given[name] = Array.isArray(value) && value.length === 1 ? value[0] : value;
  }
  const bare = new Map<string, string[]>();
  words.forEach((word, index) => {
    const name = paramOfWord(params, index + 1);
    if (name === undefined) {
      throw new PgdbaError(
        "usage",
        `No parameter takes the word ${JSON.stringify(word.slice(0, 200))}`,
        {
          hint: "Parameters are given as flags, which `--help` shows; the cluster to work on is named with --cluster.",
        },
      );
    }
    const flag = parsed.flags[name.replaceAll("_", "-")];
    if (flag !== undefined && !Array.isArray(flag))
      throw givenTwice(name.replaceAll("_", "-"), word);
    const all = [...(bare.get(name) ?? []), word];
    bare.set(name, all);
    const together = [...all, ...(flag ?? [])];
    given[name] = together.length === 1 ? word : together;
  });
  return given;
}

function givenTwice(flag: string, word: string): PgdbaError {
  return new PgdbaError(
    "usage",
    `--${flag} is given twice, as a flag and as the word ${JSON.stringify(word.slice(0, 200))}`,
    { hint: "Give it once." },
  );
}

function accepts(spec: JsonSchema | ParamSpec, type: string): boolean {
  return [spec.type ?? []].flat().includes(type);
}
