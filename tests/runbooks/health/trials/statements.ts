/** The statements of `sql`, each with the comment lines before it: a statement ends at a semicolon outside of quotes. */
export interface Statement {
  comments: string[];
  sql: string;
}

export function statementsOf(sql: string): Statement[] {
  const parts = sql.match(/--[^\n]*|(?:\$\$.*?\$\$|'[^']*'|"[^"]*"|-(?!-)|[^;'"$-])+/gs) ?? [];
  const found: Statement[] = [];
  let comments: string[] = [];
  for (const part of parts.map((one) => one.trim()).filter((one) => one !== "")) {
    if (part.startsWith("--")) comments.push(part.slice(2).trim());
    else {
      found.push({ comments, sql: part });
      comments = [];
    }
  }
  if (comments.length > 0) found.push({ comments, sql: "" });
  return found;
}
