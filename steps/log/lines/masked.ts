import { maskQuery, maskSetting } from "../../mask.ts";
import type { Entry } from "./entry.ts";

const SENSITIVE = /passw|secret|token|crypt|pgp_|SCRAM-SHA-256/i;
/** What stands before a statement in a message, as log_statement and log_min_duration_statement write it. */
const LOGGED = /^((?:duration: [\d.]+ ms {2})?(?:statement|(?:execute|parse|bind) [^:]*): )([^]*)$/;

/** Also those of a statement that a text has in double quotes. */
function withoutStrings(text: string): string {
  return maskSetting(text.replace(/'(?:[^']|'')*(?:'|$)/g, "'***'")).replace(
    /\bSCRAM-SHA-256\$[^\s'"]+/g,
    "***",
  );
}

/** An entry without what may be a password: literals of commands, and of all texts that speak of one. */
export function masked(entry: Entry): Entry {
  const speaks = SENSITIVE.test(`${entry.message} ${entry.statement ?? ""}`);
  const text = (value: string | null): string | null =>
    value === null
      ? null
      : speaks || SENSITIVE.test(value)
        ? withoutStrings(value)
        : maskSetting(value);
  const [, before, logged] = LOGGED.exec(entry.message) ?? [];
  return {
    ...entry,
    message: logged === undefined ? text(entry.message)! : `${before}${maskQuery(logged)}`,
    detail: text(entry.detail),
    hint: text(entry.hint),
    context: text(entry.context),
    statement: entry.statement === null ? null : maskQuery(entry.statement),
  };
}
