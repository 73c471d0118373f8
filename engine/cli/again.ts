import type { RunRow } from "../journal/journal.ts";
import { MASK } from "../secrets/matcher.ts";
import { shellQuoted } from "../shared/shell-words.ts";
import type { Doc, Json } from "../types.ts";

/** The command line that starts a run like `row` anew; without the values that its record does not hold. */
export function commandAgain(row: RunRow, doc: Doc | undefined): string {
  const specs = (doc?.data["params"] ?? {}) as Record<string, { default?: Json } | null>;
  const words = ["pgdba", "run", row.runbook];
  for (const [name, value] of Object.entries(row.params)) {
    const usual = specs[name]?.default ?? null;
    if (value === null || JSON.stringify(value) === JSON.stringify(usual)) continue;
    const flag = `--${name.replaceAll("_", "-")}`;
    if (value === true) words.push(flag);
    else if (value === false) words.push(flag.replace("--", "--no-"));
    else for (const each of [value].flat()) words.push(...flagWords(flag, each));
  }
  for (const [flag, value] of Object.entries(row.target.flags))
    if (typeof value === "string") words.push(...flagWords(`--${flag}`, value));
  return words.join(" ");
}

function flagWords(flag: string, value: Json): string[] {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  if (text.includes(MASK)) return [flag, "<value>"];
  // A word that begins with a dash is a flag of its own unless it stands behind an equals sign.
  return text.startsWith("-") ? [`${flag}=${shellQuoted(text)}`] : [flag, shellQuoted(text)];
}
