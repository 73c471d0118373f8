/** Tells our own statements from those of others, in pg_stat_statements and pg_stat_activity. */
export const MARK = "/* pgdba */";

/** After the first word: from 18 on pg_stat_statements does not keep a comment before it. */
export function marked(sql: string): string {
  return sql.includes(MARK) ? sql : sql.replace(/^\s*[A-Za-z]+/, (word) => `${word} ${MARK}`);
}
