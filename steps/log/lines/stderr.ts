import { type Entry, NOTHING } from "./entry.ts";

/** What each escape of log_line_prefix is replaced by, and the part of an entry that it is. */
const ESCAPES: Readonly<Record<string, [pattern: string, key?: keyof Entry | "epoch"]>> = {
  a: [".*?", "application"],
  u: [".*?", "role"],
  d: [".*?", "database"],
  b: [".*?", "backend"],
  p: ["\\d+", "pid"],
  t: ["\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d \\S+", "at"],
  m: ["\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\\.\\d{3} \\S+", "at"],
  n: ["\\d+\\.\\d{3}", "epoch"],
  e: ["[0-9A-Z]{5}", "sqlstate"],
};
const SECTIONS: Readonly<Record<string, "detail" | "hint" | "context" | "statement">> = {
  DETAIL: "detail",
  HINT: "hint",
  CONTEXT: "context",
  STATEMENT: "statement",
};
/** Characters in which a line has its prefix and its severity: a longer text is not searched for them. */
const HEAD = 1000;
/** They belong to an entry, and are no part that is shown. */
const BESIDE = new Set(["QUERY", "LOCATION", "BACKTRACE"]);

/** The entries of a log on the standard error, whose lines begin with `prefix` (log_line_prefix). What comes before the first whole one is passed over. */
export function stderrEntries(text: string, prefix: string): Entry[] {
  const { line, keys } = lineOf(prefix);
  const entries: Entry[] = [];
  // The texts that a line without a prefix goes on with.
  let last: { entry: Entry; key: "message" | (typeof SECTIONS)[string] } | null = null;
  const newest = new Map<number | null, Entry>();
  for (const one of text.split("\n")) {
    // What goes on is indented; the head of a line is short, however long its text is.
    const found = one.startsWith("\t") ? null : line.exec(one.slice(0, HEAD));
    if (found === null) {
      if (last !== null && one !== "")
        last.entry[last.key] = `${last.entry[last.key] ?? ""}\n${one.replace(/^\t/, "")}`;
      continue;
    }
    const said = `${found.at(-1)!}${one.slice(HEAD)}`;
    const word = found.at(-2)!;
    const parts: Partial<Record<string, string>> = {};
    keys.forEach((key, at) => {
      const value = found[at + 1];
      if (key !== null && value !== undefined && value !== "" && value !== "[unknown]")
        parts[key] ??= value;
    });
    const pid = parts["pid"] === undefined ? null : Number(parts["pid"]);
    const owner = newest.get(pid);
    if (owner !== undefined && BESIDE.has(word)) {
      last = null;
      continue;
    }
    const section = SECTIONS[word];
    if (owner !== undefined && section !== undefined) {
      owner[section] = said;
      last = { entry: owner, key: section };
      continue;
    }
    const { epoch, at = epoch, ...rest } = parts;
    const entry = { ...NOTHING, ...rest, at: at ?? null, pid, severity: word, message: said };
    entries.push(entry);
    newest.set(pid, entry);
    last = { entry, key: "message" };
  }
  return entries;
}

/** A line that begins an entry or a part of one; a group for each key, then the word and the text. */
function lineOf(prefix: string): { line: RegExp; keys: (string | null)[] } {
  const keys: (string | null)[] = [];
  let source = "";
  // What stands behind %q is not there in lines of background processes.
  let optional = false;
  for (const [, escape, plain] of prefix.matchAll(/%-?\d*([A-Za-z%])|([^])/g)) {
    if (escape === "q") {
      if (!optional) source += "(?:";
      optional = true;
    } else if (escape === "%" || plain !== undefined) {
      source += (plain ?? "%").replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    } else {
      const [pattern, key] = ESCAPES[escape!] ?? ["\\S*?"];
      keys.push(key ?? null);
      source += ` *(${pattern}) *`;
    }
  }
  if (optional) source += ")?";
  return { line: new RegExp(`^${source}([A-Z]+\\d?|\\p{L}+): {1,2}(.*)$`, "u"), keys };
}
