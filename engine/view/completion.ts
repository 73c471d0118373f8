import type { ParamSpec } from "../types.ts";
import { flagName, type Flags } from "./help.ts";
import { singleLine } from "./text.ts";

/** A word to propose, and what it means. */
export interface Proposal {
  word: string;
  description?: string | undefined;
}

/** What the shell is to propose: words, or the names of files, which it knows best itself. */
export type Proposals = { words: Proposal[]; files: boolean };

export interface CompletionFacts {
  commands: readonly {
    name: string;
    summary?: string;
    flags?: Flags;
    /** What its first argument may be: fixed words, or the names of runbooks, of any documents (and files), or of runs. */
    takes?: readonly string[] | "runbook" | "document" | "run";
  }[];
  runbooks: readonly {
    name: string;
    summary?: string;
    params: Readonly<Record<string, ParamSpec>>;
  }[];
  /** Names of documents that are no runbooks. */
  documents: readonly string[];
  clusters: readonly string[];
  /** The newest first. */
  runs: readonly Proposal[];
  /** Flags of every run. */
  flags: Flags;
  /** Values of a parameter whose schema has this `format`: the names of documents of a kind, or the values of one of its keys. */
  valuesOf(format: string): Promise<readonly Proposal[]>;
}

const NOTHING: Proposals = { words: [], files: false };
const FILES: Proposals = { words: [], files: true };

/** Values of flags that everything takes. */
const FORMATS = ["json", "table", "yaml", "auto"];

/**
 * Proposals for the last of `words`, which are what was typed after `pgdba`; the last one may be empty. Without duplicates, and sorted
 * but for runs. A proposal for `--flag=va` or for `one,tw` is the whole word.
 */
export async function complete(
  words: readonly string[],
  facts: CompletionFacts,
): Promise<Proposals> {
  const typed = words.at(-1) ?? "";
  const { bare, pending, scope } = readWords(words.slice(0, -1), facts);
  if (pending !== undefined) return matching(await valuesOf(pending, typed, scope, facts), typed);
  if (!typed.startsWith("-")) return matching(await bareWords(bare, typed, scope, facts), typed);
  const equals = typed.indexOf("=");
  if (equals < 0) return matching(sorted(flagsOf(scope, facts)), typed);
  const flag = typed.slice(0, equals);
  const value = typed.slice(equals + 1);
  const found = matching(await valuesOf(flag.replace(/^--/, ""), value, scope, facts), value);
  return prefixed(found, `${flag}=`);
}

function matching({ words, files }: Proposals, typed: string): Proposals {
  const fitting = words.filter(({ word }) => word.startsWith(typed));
  return { words: [...new Map(fitting.map((one) => [one.word, one])).values()], files };
}

function sorted(words: Proposal[]): Proposals {
  return { words: words.toSorted((a, b) => (a.word < b.word ? -1 : 1)), files: false };
}

function prefixed({ words, files }: Proposals, prefix: string): Proposals {
  return { words: words.map((one) => ({ ...one, word: prefix + one.word })), files };
}

const named = (word: string): Proposal => ({ word });

interface Scope {
  command: CompletionFacts["commands"][number] | undefined;
  params: Readonly<Record<string, ParamSpec>>;
}

/** The bare words, the flag that waits for its value, and which command or runbook they mean. */
function readWords(
  words: readonly string[],
  facts: CompletionFacts,
): { bare: string[]; pending: string | undefined; scope: Scope } {
  // Which flags take a value depends on the command, and that on the bare words: the first pass knows the common flags only.
  const bareWith = (scope: Scope) => {
    const bare: string[] = [];
    let pending: string | undefined;
    for (const word of words) {
      if (pending !== undefined) pending = undefined;
      else if (!word.startsWith("-")) bare.push(word);
      else if (!word.includes("=")) pending = takesValue(word, scope, facts);
    }
    return { bare, pending };
  };
  const scope = scopeOf(bareWith({ command: undefined, params: {} }).bare, facts);
  return { ...bareWith(scope), scope };
}

function scopeOf([first, second]: string[], facts: CompletionFacts): Scope {
  const command = facts.commands.find(({ name }) => name === first);
  const name = first === "run" ? second : `${first}/${second}`;
  const params = facts.runbooks.find((runbook) => runbook.name === name)?.params ?? {};
  return { command, params };
}

/** The flag's name when a value must follow. */
function takesValue(
  word: string,
  { command, params }: Scope,
  facts: CompletionFacts,
): string | undefined {
  const known = { ...facts.flags, ...command?.flags };
  const short = word.startsWith("--")
    ? undefined
    : Object.keys(known).find((name) => known[name]?.short === word.slice(1));
  const name = short ?? word.replace(/^-+/, "");
  const param = paramOf(name, params);
  const type =
    known[name]?.type ?? (param === undefined || param.type === "boolean" ? "boolean" : "string");
  return type === "string" ? name : undefined;
}

function paramOf(flag: string, params: Scope["params"]): ParamSpec | undefined {
  return Object.entries(params).find(([name]) => flagName(name) === flag)?.[1];
}

function flagsOf({ command, params }: Scope, facts: CompletionFacts): Proposal[] {
  return [
    ...Object.entries(params).map(([name, spec]) => [flagName(name), spec.description] as const),
    ...Object.entries({ ...facts.flags, ...command?.flags }).map(
      ([name, { summary }]) => [name, summary] as const,
    ),
  ].map(([name, description]) => ({ word: `--${name}`, description }));
}

async function valuesOf(
  flag: string,
  typed: string,
  { command, params }: Scope,
  facts: CompletionFacts,
): Promise<Proposals> {
  const param = paramOf(flag, params);
  if (param !== undefined) return valuesOfParam(param, typed, facts);
  if (flag === "cluster" || flag === "confirm") return sorted(facts.clusters.map(named));
  if ({ ...facts.flags, ...command?.flags }[flag]?.file) return FILES;
  return flag === "format" ? sorted(FORMATS.map(named)) : NOTHING;
}

/** The values that a parameter may have; of a list those that may follow the last comma, and are not there yet. */
async function valuesOfParam(
  param: ParamSpec,
  typed: string,
  facts: CompletionFacts,
): Promise<Proposals> {
  if (param.items === undefined) return scalarValues(param, facts);
  const comma = typed.lastIndexOf(",") + 1;
  const given = typed.slice(0, comma);
  const { words, files } = await scalarValues(param.items, facts);
  const left = words.filter(({ word }) => !given.split(",").includes(word));
  return prefixed({ words: left, files }, given);
}

async function scalarValues(
  { enum: values, format }: Pick<ParamSpec, "enum" | "format">,
  facts: CompletionFacts,
): Promise<Proposals> {
  if (values !== undefined) {
    const scalars = values.filter((value) => value !== null && typeof value !== "object");
    return sorted(scalars.map((value) => named(String(value))));
  }
  if (format === "file") return FILES;
  if (format === "cluster") return sorted(facts.clusters.map(named));
  return format === undefined ? NOTHING : sorted([...(await facts.valuesOf(format))]);
}

async function bareWords(
  bare: string[],
  typed: string,
  { command, params }: Scope,
  facts: CompletionFacts,
): Promise<Proposals> {
  const runbooks = facts.runbooks.map(({ name, summary }) => ({
    word: name,
    description: summary,
  }));
  const [first, ...rest] = bare;
  if (first === undefined)
    return sorted([
      ...facts.commands.map(({ name, summary }) => ({ word: name, description: summary })),
      ...resources(facts),
    ]);
  if (command !== undefined && rest.length === 0) {
    if (command.takes === "runbook") return sorted(runbooks);
    if (command.takes === "document")
      return /^[.~/]/.test(typed) ? FILES : sorted([...runbooks, ...facts.documents.map(named)]);
    if (command.takes === "run") return { words: [...facts.runs], files: false };
    return sorted((command.takes ?? []).map(named));
  }
  if (command === undefined && rest.length === 0) {
    const below = runbooks.filter(({ word }) => word.startsWith(`${first}/`));
    return sorted(below.map((one) => ({ ...one, word: one.word.slice(first.length + 1) })));
  }
  // The first bare word after the runbook's two is number 1, in both spellings.
  const param = Object.values(params).find(({ positional }) => positional === rest.length);
  return param === undefined ? NOTHING : valuesOfParam(param, typed, facts);
}

/** The first words of runbooks' names, with how many there are below. */
function resources({ runbooks }: CompletionFacts): Proposal[] {
  const below = Map.groupBy(runbooks, ({ name }) => name.split("/")[0] ?? name);
  return [...below].map(([word, members]) => ({
    word,
    description: members.map(({ name }) => name.slice(word.length + 1)).join(", "),
  }));
}

/** What the shell's script reads: a word in each line, after a tab what it means; `:files` alone asks for file names. */
export function completionLines({ words, files }: Proposals): string {
  if (files) return FILES_LINE;
  return words
    .map(({ word, description }) =>
      description ? `${word}\t${singleLine(description).slice(0, MAX_DESCRIPTION)}` : word,
    )
    .join("\n");
}

const FILES_LINE = ":files";
/** Longer texts are cut by every shell. */
const MAX_DESCRIPTION = 100;
