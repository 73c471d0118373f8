const MASKED = "***";

/** A name that gives reason to, and its value. Looking ahead for the name, which is not done twice, keeps the time linear whatever a text holds. */
const NAMED =
  /\b(?=\w*(?:passw|secret|token|key))(\w+\s*=\s*)('[^'\\]*(?:(?:\\.|'')[^'\\]*)*'|"[^"]*"|[^\s'"]+)/gi;
const IN_URL = /(:\/\/[^:/@\s]*):[^@\s]*@/g;

/** A setting's value without passwords and keys, as in `primary_conninfo` or a command that is given them. */
export function maskSetting(value: string): string {
  return value.replace(NAMED, `$1${MASKED}`).replace(/\S+/g, (word) => {
    // Behind the last @ no password can end, and nothing is searched for one.
    const end = word.lastIndexOf("@") + 1;
    return `${word.slice(0, end).replace(IN_URL, `$1:${MASKED}@`)}${word.slice(end)}`;
  });
}

/**
 * PostgreSQL's tokens as far as literals are told from the rest. What is long is one class of characters at a time: with a choice at each the engine gives up
 * on a literal of a megabyte, and finds none at all. A literal without an end (of a text that was cut) reaches to the end of
 * the text. Words come before dollar quotes, since there is none in `a$b$`.
 */
const TOKENS = new RegExp(
  [
    /(?<comment>--[^\n]*|\/\*[^]*?(?:\*\/|$))/,
    /(?:[uU]&)?"[^"]*(?:""[^"]*)*(?:"|$)/,
    /(?<escaped>[eE]'[^'\\]*(?:(?:\\[^]|'')[^'\\]*)*(?:'|\\?$))/,
    /(?<string>(?:[bBxXnN]|[uU]&)?'[^']*(?:''[^']*)*(?:'|$))/,
    /(?<dollar>\$(?<tag>(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?)\$[^]*?(?:\$\k<tag>\$|$))/,
    /\$\d+/,
    /[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*/,
    /(?<number>(?:\d[\w.]*|\.\d[\w.]*)(?:(?<=[eE])[+-]\d+)?)/,
  ]
    .map(({ source }) => source)
    .join("|"),
  "g",
);

type Kind = "comment" | "escaped" | "string" | "dollar" | "number";
const KINDS: Kind[] = ["comment", "escaped", "string", "dollar", "number"];

/** Each literal and comment as `replace` has it; null leaves it. */
function tokens(text: string, replace: (kind: Kind, token: string) => string | null): string {
  return text.replace(TOKENS, (token, ...rest: unknown[]) => {
    const groups = rest.at(-1) as Partial<Record<Kind, string>>;
    const kind = KINDS.find((name) => groups[name] !== undefined);
    return (kind === undefined ? null : replace(kind, token)) ?? token;
  });
}

/**
 * The place of the first literal when it is uncertain where literals end: a backslash in a plain string means one thing or another
 * by the session's settings. -1 when it is certain.
 */
function doubtful(text: string): number {
  let doubt = false;
  tokens(text, (kind, token) => {
    // Comments nest, which no expression follows.
    doubt ||= kind === "string" && token.includes("\\");
    doubt ||= kind === "comment" && token.startsWith("/*") && token.lastIndexOf("/*") > 0;
    return null;
  });
  return doubt ? text.search(/'|\$[\w\u0080-\uffff]*\$|--|\/\*/) : -1;
}

function withoutLiterals(text: string, replace: (kind: Kind) => string | null): string {
  const first = doubtful(text);
  const sure = first === -1 ? text : text.slice(0, first);
  const masked = tokens(sure, (kind) => (kind === "comment" ? "" : replace(kind)));
  return `${masked.trimStart()}${first === -1 ? "" : `'${MASKED}'`}`;
}

/** The kinds of literals that pg_stat_statements normalises; it keeps all others as they were typed. */
const NORMALISED =
  /^(?:\s|\(|--[^\n]*\n|\/\*[^]*?\*\/)*(?:select|insert|update|delete|merge|values|with)\b/i;
const SENSITIVE = /passw|secret|token|connection|mapping|crypt|pgp_/i;

/**
 * A text of pg_stat_statements without what may be a password. It puts $1 for constants in queries, but keeps commands such as ALTER
 * ROLE as they were typed: those lose all of their strings (and comments, which may hold the old ones). So do queries whose words
 * give reason to.
 */
export function maskQuery(text: string): string {
  const query = NORMALISED.test(text);
  if (query && !SENSITIVE.test(text)) return text;
  const masked = withoutLiterals(text, (kind) => (kind === "number" ? null : `'${MASKED}'`));
  return query ? masked : maskSetting(masked);
}

/** A statement as it was typed, with $1, $2, … for its literals, numbers too: what pg_stat_statements would make of it. */
export function normaliseQuery(text: string): string {
  if (!NORMALISED.test(text)) return maskQuery(text);
  let last = Math.max(0, ...[...text.matchAll(/\$(\d{1,5})\b/g)].map(([, n]) => Number(n)));
  return withoutLiterals(text, () => `$${++last}`);
}
