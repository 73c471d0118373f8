import type { JsonObject } from "../../../engine/types.ts";

/** PostgreSQL's own grammar (18), as a library. */
export interface Parser {
  /** The parse tree of each statement, or where the text can't be read: the character, from 0. */
  statements(text: string): JsonObject[] | { message: string; at: number };
  /** Names before a `(`, as written but for quotes and case: calls of functions among other things. */
  calls(text: string): string[];
}

let loading: Promise<Parser> | undefined;

/** Loads it when first asked for; it takes some hundredths of a second. */
export function loadParser(): Promise<Parser> {
  return (loading ??= load());
}

async function load(): Promise<Parser> {
  const { hasSqlDetails, loadModule, parseSync, scanSync } = await import("libpg-query");
  await loadModule();
  return {
    statements(text) {
      if (text.includes("\0")) return { message: "a NUL character", at: text.indexOf("\0") };
      try {
        const parsed = parseSync(text) as unknown as { stmts?: { stmt: JsonObject }[] };
        return (parsed.stmts ?? []).map(({ stmt }) => stmt);
      } catch (error) {
        const at = hasSqlDetails(error) ? (error.sqlDetails?.cursorPosition ?? 0) : 0;
        return { message: error instanceof Error ? error.message : String(error), at };
      }
    },
    calls(text) {
      const { tokens } = scanSync(text);
      const written = tokens.filter(({ tokenName }) => !tokenName.endsWith("_COMMENT"));
      return written.flatMap(({ text: word }, at) =>
        written[at + 1]?.tokenName === "ASCII_40" && /^["\w\u0080-\u{10FFFF}]/u.test(word)
          ? [word.startsWith('"') ? word.slice(1, -1).replaceAll('""', '"') : word.toLowerCase()]
          : [],
      );
    },
  };
}
