import { shellQuoted } from "../engine/shared/shell-words.ts";
import type { Target } from "../engine/types.ts";

/** `words` as a command of pgdba to be typed into a shell as it stands, for the same server. */
export function commandLine(target: Target, words: readonly string[]): string {
  const flags = flagsOf(target);
  return ["pgdba", ...words].map(shellQuoted).join(" ") + (flags === "" ? "" : ` ${flags}`);
}

/** The flags that name the same server to another command. */
export function flagsOf(target: Target): string {
  return (target.flags ?? []).map(shellQuoted).join(" ");
}
