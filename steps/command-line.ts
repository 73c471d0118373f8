import { shellQuoted } from "../engine/shared/shell-words.ts";
import type { JsonObject, Target } from "../engine/types.ts";

/** `words` as a command of pgdba to be typed into a shell as it stands, for the same server. */
export function commandLine(target: Target, words: readonly string[]): string {
  const flags = flagsOf(target);
  return ["pgdba", ...words].map(shellQuoted).join(" ") + (flags === "" ? "" : ` ${flags}`);
}

/**
 * The same for one database of that server, where it is named, and for the primary of its cluster rather than the member that is
 * examined. Null where the primary can't be named: a server that belongs to no cluster that pgdba knows.
 */
export function commandLineAt(
  target: Target,
  words: readonly string[],
  { database, primary }: { database?: string | undefined; primary?: boolean | undefined },
): string | null {
  if (primary && target.cluster === null) return null;
  let flags = primary ? ["--cluster", target.cluster ?? ""] : [...(target.flags ?? [])];
  if (database !== undefined) {
    flags = flags.filter((flag, at) => flag !== "--database" && flags[at - 1] !== "--database");
    flags.push("--database", database);
  }
  return ["pgdba", ...words, ...flags].map(shellQuoted).join(" ");
}

/** The flags that name the same server to another command. */
export function flagsOf(target: Target): string {
  return (target.flags ?? []).map(shellQuoted).join(" ");
}

/** Params of a runbook as flags; what is off is written as `--no-NAME`. A value that begins with a dash is written in one word with its flag, so that it is none itself. */
export function wordsOf(params: JsonObject): string[] {
  return Object.entries(params).flatMap(([name, value]) => {
    if (value === null) return [];
    const flag = `--${name.replaceAll("_", "-")}`;
    if (typeof value === "boolean") return [value ? flag : flag.replace("--", "--no-")];
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return text.startsWith("-") ? [`${flag}=${text}`] : [flag, text];
  });
}
