import { shellQuoted } from "../engine/shared/shell-words.ts";
import type { Target } from "../engine/types.ts";
import type { PgConnection } from "../providers/target/resolve.ts";

/** `words` as a command of pgdba to be typed into a shell as it stands, for the same server. */
export function commandLine(target: Target, words: readonly string[]): string {
  const flags = flagsOf(target);
  return ["pgdba", ...words].map(shellQuoted).join(" ") + (flags === "" ? "" : ` ${flags}`);
}

/** The flags that name the same server to another command. */
export function flagsOf(target: Target): string {
  const connection = target.connection as PgConnection | null;
  return (connection?.flags ?? []).map(shellQuoted).join(" ");
}
