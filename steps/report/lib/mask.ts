const MASKED = "***";

/** A setting's value without passwords and keys, as in `primary_conninfo` or a command that is given them. */
export function maskSetting(value: string): string {
  return value
    .replace(
      /\b(\w*(?:passw|secret|token|key)\w*\s*=\s*)('(?:[^'\\]|\\.|'')*'|"[^"]*"|[^\s'"]+)/gi,
      `$1${MASKED}`,
    )
    .replace(/(:\/\/[^:/@\s]*):[^@\s]*@/g, `$1:${MASKED}@`);
}

/**
 * The text of a statement without what may be a password. pg_stat_statements puts $1 for constants in queries, but keeps commands
 * such as ALTER ROLE as they were typed. Everything between the first quote and the last goes: no way of quoting escapes that.
 */
export function maskQuery(text: string): string {
  if (!/passw|secret|token|connection|mapping|crypt|pgp_/i.test(text)) return text;
  const first = text.search(/'|\$[A-Za-z_]*\$/);
  if (first === -1) return text;
  const rest = text.slice(first);
  const end = /^[^]*['$]([^'$]*)$/.exec(rest)?.[1] ?? "";
  return `${text.slice(0, first)}'${MASKED}'${text.length >= 2000 ? "" : end}`;
}
