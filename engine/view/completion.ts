import type { ParamSpec } from "../types.ts";
import { flagName, type Flags } from "./help.ts";

export type Shell = "bash" | "zsh" | "fish";

export interface CompletionFacts {
  commands: readonly {
    name: string;
    flags?: Flags;
    /** What its first argument may be: fixed words, or the names of runbooks or runs. */
    takes?: readonly string[] | "runbook" | "run";
  }[];
  runbooks: readonly { name: string; params: Readonly<Record<string, ParamSpec>> }[];
  clusters: readonly string[];
  runs: readonly string[];
  /** Flags of every run. */
  flags: Flags;
}

/** Values of flags that everything takes. */
const FORMATS = ["json", "table", "yaml"];

/**
 * Proposals for the last of `words`, which are what was typed after `pgdba`; the last one may be empty. Sorted, without
 * duplicates. A proposal for `--flag=va` is the whole word.
 */
export function complete(words: readonly string[], facts: CompletionFacts): string[] {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const matching = (list: Iterable<string>) =>
    [...new Set(list)].filter((word) => word.startsWith(typed)).toSorted();
  const { bare, pending, scope } = readWords(before, facts);

  if (pending !== undefined) return matching(valuesOf(pending, scope, facts));
  if (typed.startsWith("-")) {
    const equals = typed.indexOf("=");
    if (equals < 0) return matching(flagsOf(scope, facts));
    const flag = typed.slice(0, equals);
    return matching(
      valuesOf(flag.replace(/^--/, ""), scope, facts).map((value) => `${flag}=${value}`),
    );
  }
  return matching(bareWords(bare, scope, facts));
}

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

function flagsOf({ command, params }: Scope, facts: CompletionFacts): string[] {
  return [
    ...Object.keys(params).map(flagName),
    ...Object.keys({ ...facts.flags, ...command?.flags }),
  ].map((name) => `--${name}`);
}

function valuesOf(flag: string, { params }: Scope, facts: CompletionFacts): string[] {
  const param = paramOf(flag, params);
  if (param !== undefined) return enumOf(param);
  if (flag === "cluster" || flag === "confirm") return [...facts.clusters];
  return flag === "format" ? FORMATS : [];
}

function enumOf({ enum: values, items }: ParamSpec): string[] {
  return (values ?? items?.enum ?? [])
    .filter((value) => value !== null && typeof value !== "object")
    .map(String);
}

function bareWords(bare: string[], { command, params }: Scope, facts: CompletionFacts): string[] {
  const names = facts.runbooks.map(({ name }) => name);
  const [first, ...rest] = bare;
  if (first === undefined)
    return [
      ...facts.commands.map(({ name }) => name),
      ...names.map((name) => name.split("/")[0] ?? name),
    ];
  if (command !== undefined && rest.length === 0) {
    if (command.takes === "runbook") return names;
    return command.takes === "run" ? [...facts.runs] : [...(command.takes ?? [])];
  }
  if (command === undefined && rest.length === 0) {
    return names
      .filter((name) => name.startsWith(`${first}/`))
      .map((name) => name.slice(first.length + 1));
  }
  const position = rest.length; // The first bare word after the runbook's two is number 1, in both spellings.
  return Object.values(params)
    .filter(({ positional }) => positional === position)
    .flatMap(enumOf);
}

/** A script for the shell's start-up file: it asks `pgdba __complete` with the words typed so far. */
export function completion(shell: Shell): string {
  return SCRIPTS[shell];
}

const SCRIPTS: Readonly<Record<Shell, string>> = {
  // Splitting the line anew keeps `--flag=value` one word; readline itself breaks it at `=` and expects the rest only.
  bash: `# pgdba completion for bash: source <(pgdba completion bash)
_pgdba() {
  local line="\${COMP_LINE:0:COMP_POINT}" words=() word prefix=""
  read -ra words <<<"$line"
  [[ "$line" == *[[:space:]] ]] && words+=("")
  word="\${words[\${#words[@]}-1]}"
  if [[ "$word" == *=* && "$COMP_WORDBREAKS" == *=* ]]; then prefix="\${word%%=*}="; fi
  COMPREPLY=()
  local proposal
  while IFS= read -r proposal; do
    COMPREPLY+=("\${proposal#"$prefix"}")
  done < <("\${words[0]}" __complete "\${words[@]:1}" 2>/dev/null)
}
complete -F _pgdba pgdba
`,
  zsh: `#compdef pgdba
# pgdba completion for zsh: source <(pgdba completion zsh)
_pgdba() {
  local -a proposals
  proposals=("\${(@f)$("\${words[1]}" __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  compadd -a -- proposals
}
compdef _pgdba pgdba
`,
  fish: `# pgdba completion for fish: pgdba completion fish | source
function __pgdba_complete
    set -l words (commandline -opc) (commandline -ct)
    $words[1] __complete $words[2..-1] 2>/dev/null
end
complete -c pgdba -f -a '(__pgdba_complete)'
`,
};
