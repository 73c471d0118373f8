import { paramOfWord } from "../shared/bare-words.ts";
import type { ParamSpec } from "../types.ts";
import { flagName, type Flags } from "./help.ts";
import { singleLine } from "./text.ts";

/** A word to propose, and what it means. */
export interface Proposal {
  word: string;
  description?: string | undefined;
}

/** The proposals for the shell: words, or the names of files, which it knows best itself. */
export type Proposals = { words: Proposal[]; files: boolean };

export interface CompletionFacts {
  commands: readonly {
    name: string;
    summary?: string;
    flags?: Record<string, Flags[string] & { takes?: Takes }>;
    takes?: Takes;
  }[];
  runbooks: readonly {
    name: string;
    summary?: string;
    params: Readonly<Record<string, ParamSpec>>;
  }[];
  /** Names of documents that are no runbooks. */
  documents: readonly string[];
  clusters: readonly string[];
  /** Flags of every run. */
  flags: Flags;
  /**
   * Proposals where something of this `format` is wanted (of a parameter's schema, or of what a command takes), in the order to be
   * shown: runs, the names of documents of a kind, the values of one of its keys. `runbook` is the one whose parameter it is.
   */
  valuesOf(format: string, runbook?: string): Promise<readonly Proposal[]>;
}

/** The kind of a word: one of a list, a `runbook`, a `document` (or a file), a `topic` of help, or anything else `valuesOf` knows. */
export type Takes = readonly string[] | string;

const NOTHING: Proposals = { words: [], files: false };
const FILES: Proposals = { words: [], files: true };

/** Values of flags that everything takes. */
const FORMATS = ["json", "table", "yaml", "auto"];

/**
 * Proposals for the last of `words`, which are what was typed after `pgdba`; the last one may be empty. Without duplicates, and sorted
 * but for what has an order of its own, such as runs. A proposal for `--flag=va` or for `one,tw` is the whole word.
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

function inOrder(words: readonly Proposal[]): Proposals {
  return { words: [...words], files: false };
}

function prefixed({ words, files }: Proposals, prefix: string): Proposals {
  return { words: words.map((one) => ({ ...one, word: prefix + one.word })), files };
}

const named = (word: string): Proposal => ({ word });

interface Scope {
  command: CompletionFacts["commands"][number] | undefined;
  runbook: CompletionFacts["runbooks"][number] | undefined;
}

/** The bare words, the flag that waits for its value, and which command or runbook they mean. */
function readWords(
  words: readonly string[],
  facts: CompletionFacts,
): { bare: string[]; pending: string | undefined; scope: Scope } {
  // The command tells which flags take a value, and the bare words tell the command: the first pass knows the common flags only.
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
  const scope = scopeOf(bareWith({ command: undefined, runbook: undefined }).bare, facts);
  return { ...bareWith(scope), scope };
}

function scopeOf([first, second, third]: string[], facts: CompletionFacts): Scope {
  const command = facts.commands.find(({ name }) => name === first);
  const names = first === "run" ? [second] : [`${first}/${second}/${third}`, `${first}/${second}`];
  const runbook = names.flatMap((name) => facts.runbooks.find((one) => one.name === name) ?? [])[0];
  return { command, runbook };
}

/** The flag's name when a value must follow. */
function takesValue(
  word: string,
  { command, runbook }: Scope,
  facts: CompletionFacts,
): string | undefined {
  const known = { ...facts.flags, ...command?.flags };
  const short = word.startsWith("--")
    ? undefined
    : Object.keys(known).find((name) => known[name]?.short === word.slice(1));
  const name = short ?? word.replace(/^-+/, "");
  const param = paramOf(name, runbook);
  const type =
    known[name]?.type ?? (param === undefined || param.type === "boolean" ? "boolean" : "string");
  return type === "string" ? name : undefined;
}

function paramOf(flag: string, runbook: Scope["runbook"]): ParamSpec | undefined {
  return Object.entries(runbook?.params ?? {}).find(([name]) => flagName(name) === flag)?.[1];
}

function flagsOf({ command, runbook }: Scope, facts: CompletionFacts): Proposal[] {
  return [
    ...Object.entries(runbook?.params ?? {}).map(
      ([name, spec]) => [flagName(name), spec.description] as const,
    ),
    ...Object.entries({ ...facts.flags, ...command?.flags }).map(
      ([name, { summary }]) => [name, summary] as const,
    ),
  ].map(([name, description]) => ({ word: `--${name}`, description }));
}

async function valuesOf(
  flag: string,
  typed: string,
  { command, runbook }: Scope,
  facts: CompletionFacts,
): Promise<Proposals> {
  const param = paramOf(flag, runbook);
  if (param !== undefined) return valuesOfParam(param, typed, facts, runbook?.name);
  if (flag === "cluster" || flag === "confirm") return sorted(facts.clusters.map(named));
  const own = command?.flags?.[flag];
  if ((own ?? facts.flags[flag])?.file) return FILES;
  if (own?.takes !== undefined) return taken(own.takes, typed, facts);
  return flag === "format" ? sorted(FORMATS.map(named)) : NOTHING;
}

/** The values that a parameter may have; of a list those that may follow the last comma, and are not there yet. */
async function valuesOfParam(
  param: ParamSpec,
  typed: string,
  facts: CompletionFacts,
  runbook: string | undefined,
): Promise<Proposals> {
  if (param.items === undefined) return scalarValues(param, facts, runbook);
  const comma = typed.lastIndexOf(",") + 1;
  const given = typed.slice(0, comma);
  const { words, files } = await scalarValues(param.items, facts, runbook);
  const left = words.filter(({ word }) => !given.split(",").includes(word));
  return prefixed({ words: left, files }, given);
}

async function scalarValues(
  { enum: values, format }: Pick<ParamSpec, "enum" | "format">,
  facts: CompletionFacts,
  runbook: string | undefined,
): Promise<Proposals> {
  if (values !== undefined) {
    const scalars = values.filter((value) => value !== null && typeof value !== "object");
    return sorted(scalars.map((value) => named(String(value))));
  }
  if (format === "file") return FILES;
  if (format === "cluster") return sorted(facts.clusters.map(named));
  return format === undefined ? NOTHING : inOrder(await facts.valuesOf(format, runbook));
}

async function bareWords(
  bare: string[],
  typed: string,
  { command, runbook }: Scope,
  facts: CompletionFacts,
): Promise<Proposals> {
  const [first, ...rest] = bare;
  if (first === undefined) return sorted([...commands(facts), ...resources(facts)]);
  if (command !== undefined && rest.length === 0 && command.takes !== undefined)
    return taken(command.takes, typed, facts);
  // After a resource its actions: `config show`, and `help config show` alike.
  const resource = command === undefined ? bare : command.takes === "topic" ? rest : [];
  if (resource.length === 1) return sorted(actions(resource[0]!, facts));
  // The first bare word after the runbook's two is number 1, in both spellings.
  const params = runbook?.params ?? {};
  const name = paramOfWord(params, rest.length);
  return name === undefined ? NOTHING : valuesOfParam(params[name]!, typed, facts, runbook?.name);
}

async function taken(takes: Takes, typed: string, facts: CompletionFacts): Promise<Proposals> {
  if (typeof takes !== "string") return sorted(takes.map(named));
  const runbooks = facts.runbooks.map(({ name, summary }) => ({
    word: name,
    description: summary,
  }));
  if (takes === "runbook") return sorted(runbooks);
  if (takes === "topic")
    return sorted([
      ...commands(facts),
      ...resources(facts),
      ...runbooks,
      ...(await facts.valuesOf(takes)),
    ]);
  if (takes !== "document") return inOrder(await facts.valuesOf(takes));
  const documents = [...runbooks, ...facts.documents.map(named)];
  const isFile = /^[.~/]/.test(typed) || !documents.some(({ word }) => word.startsWith(typed));
  return isFile ? FILES : sorted(documents);
}

function commands(facts: CompletionFacts): Proposal[] {
  return facts.commands.map(({ name, summary }) => ({ word: name, description: summary }));
}

/** The second words of the runbooks of a resource. */
function actions(resource: string, { runbooks }: CompletionFacts): Proposal[] {
  return runbooks
    .filter(({ name }) => name.startsWith(`${resource}/`))
    .map(({ name, summary }) => ({ word: name.slice(resource.length + 1), description: summary }));
}

/** The first words of runbooks' names, with how many there are below. */
function resources({ runbooks }: CompletionFacts): Proposal[] {
  const below = Map.groupBy(runbooks, ({ name }) => name.split("/")[0] ?? name);
  return [...below].map(([word, members]) => ({
    word,
    description: members.map(({ name }) => name.slice(word.length + 1)).join(", "),
  }));
}

/** The text that the shell's script reads: a word in each line, after a tab its meaning; `:files` alone asks for file names. */
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
