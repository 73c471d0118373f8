import { maskQuery, maskSetting } from "../../mask.ts";
import type { Entry } from "./entry.ts";

const SENSITIVE = /passw|secret|token|crypt|pgp_|SCRAM-SHA-256/i;
/** What stands before a statement in a message, as log_statement and log_min_duration_statement write it. */
const LOGGED = /^((?:duration: [\d.]+ ms {2})?(?:statement|(?:execute|parse|bind) [^:]*): )([^]*)$/;

/** Characters of one text that are looked at; the rest is left out before anything is masked, since far fewer are shown. */
const LOOKED_AT = 20_000;
/** A password that somebody has typed without single quotes makes the statement an error, which is logged with it. */
const BARE = /\bpassword\s+(?!null\b|')("[^"]*"?|[^\s;'"]+)/gi;
const OF_ROLE = /^\s*(?:alter|create)\s+(?:role|user|group)\b/i;

/** Also those of a statement that a text has in double quotes. */
function withoutStrings(text: string): string {
  return maskSetting(text.replace(/'[^']*(?:''[^']*)*(?:'|$)/g, "'***'")).replace(
    /\bSCRAM-SHA-256\$[^\s'"]+/g,
    "***",
  );
}

/** An entry without what may be a password: literals of commands, and of all texts that speak of one. */
export function masked(entry: Entry): Entry {
  const whole = withShortTexts(entry);
  const [, before = "", logged] = LOGGED.exec(whole.message) ?? [];
  const bare = [logged, whole.statement].flatMap((sql) =>
    sql != null && OF_ROLE.test(sql) ? [...sql.matchAll(BARE)].map(([, word]) => word!) : [],
  );
  const without = (text: string): string =>
    bare.reduce((left, word) => left.replaceAll(word, "***"), text);
  const speaks = SENSITIVE.test(`${whole.message} ${whole.statement ?? ""}`);
  const text = (value: string | null): string | null =>
    value === null
      ? null
      : speaks || SENSITIVE.test(value)
        ? withoutStrings(without(value))
        : maskSetting(without(value));
  return {
    ...whole,
    message: logged === undefined ? text(whole.message)! : `${before}${maskQuery(without(logged))}`,
    detail: text(whole.detail),
    hint: text(whole.hint),
    context: text(whole.context),
    statement: whole.statement === null ? null : maskQuery(without(whole.statement)),
  };
}

function withShortTexts(entry: Entry): Entry {
  const short = (value: string | null): string | null => value?.slice(0, LOOKED_AT) ?? null;
  const { message, detail, hint, context, statement } = entry;
  return {
    ...entry,
    message: message.slice(0, LOOKED_AT),
    detail: short(detail),
    hint: short(hint),
    context: short(context),
    statement: short(statement),
  };
}
