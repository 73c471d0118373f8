import type { Target } from "../engine/types.ts";
import type { PgConnection } from "../providers/targets.ts";

/** `words` as a command of pgdba to be typed into a shell as it stands, for the same server. */
export function commandLine(target: Target, words: readonly string[]): string {
  const connection = target.connection as PgConnection | null;
  return ["pgdba", ...words, ...(connection?.flags ?? [])].map(shellQuoted).join(" ");
}

function shellQuoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
