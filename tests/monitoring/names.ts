/** The names of metrics that an expression of PromQL reads. */
const KEYWORDS = new Set([
  "and",
  "or",
  "unless",
  "by",
  "on",
  "without",
  "ignoring",
  "bool",
  "group_left",
  "group_right",
  "offset",
]);

export interface Names {
  exact: string[];
  /** Of `{__name__=~"…"}`. */
  patterns: string[];
}

export function namesIn(expr: string): Names {
  const patterns = [...expr.matchAll(/__name__=~"([^"]+)"/g)].map(([, one]) => one ?? "");
  const bare = expr
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, "")
    .replaceAll(/\{[^}]*\}|\[[^\]]*\]/g, " ")
    .replaceAll(/\b(by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)/g, " ");
  const exact = [...bare.matchAll(/([a-zA-Z_:][\w:]*)(\s*\()?/g)].flatMap(([, name = "", call]) =>
    call !== undefined || KEYWORDS.has(name) ? [] : [name],
  );
  return { exact: [...new Set(exact)], patterns };
}
