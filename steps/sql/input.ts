import { PgdbaError } from "../../engine/errors.ts";

/** PostgreSQL cuts longer names with a notice, which would make two names one. */
const MAX_NAME_BYTES = 63;

/** `:"name"` and `:'text'`, but not inside of a quoted name, a string, a dollar-quoted string or a comment. */
const TOKENS =
  /:"([A-Za-z_][A-Za-z0-9_]*)"|:'([A-Za-z_][A-Za-z0-9_]*)'|"(?:[^"]|"")*"|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|(?<![A-Za-z0-9_])(\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$)[\s\S]*?\3|--[^\n]*|\/\*[\s\S]*?\*\//g;

/** The number of values that the statement takes: the highest of $1, $2, … outside of strings, quoted names and comments. */
function parametersOf(sql: string): number {
  const bare = sql.replace(TOKENS, " ");
  const numbers = [...bare.matchAll(/(?<![A-Za-z0-9_$])\$(\d+)/g)].map(([, digits]) =>
    Number(digits),
  );
  return numbers.reduce((most, number) => Math.max(most, number), 0);
}

/** The faults in which a statement and its values disagree; none when the values are not written out. */
export function lintValues(sql: unknown, values: unknown = []): Finding[] {
  if (typeof sql !== "string" || !Array.isArray(values)) return [];
  const taken = parametersOf(sql);
  const given = values.length;
  if (taken === given) return [];
  const few = given < taken;
  return [
    {
      path: [few || given === 0 ? "sql" : "values"],
      rule: "values-mismatch",
      message: `the statement takes ${taken === 0 ? "no values" : `$1 to $${taken}`}, and \`values\` has ${given}`,
      hint: few
        ? `Add ${taken - given} to \`values\`.`
        : "Use them in the statement, or take them out.",
    },
  ];
}

interface Finding {
  path: string[];
  rule: string;
  message: string;
  hint?: string;
}

const PLACES = {
  identifiers: { names: identifiersOf, mark: (name: string) => `:"${name}"` },
  literals: { names: literalsOf, mark: (name: string) => `:'${name}'` },
};

/** The faults in which statements and the names, or the texts, that go into them disagree. */
export function lintPlaces(
  statements: readonly unknown[],
  key: keyof typeof PLACES,
  given: object = {},
): Finding[] {
  const { names, mark } = PLACES[key];
  const asked = new Set(
    statements.flatMap((text) => (typeof text === "string" ? names(text) : [])),
  );
  const known = new Set(Object.keys(given));
  const missing = [...asked.difference(known)].map((name) => ({
    path: ["sql"],
    rule: `missing-${key.slice(0, -1)}`,
    message: `${mark(name)} is not in ${key}`,
    hint: `Add it: ${key}: {${name}: ...}.`,
  }));
  const unused = [...known.difference(asked)].map((name) => ({
    path: [key, name],
    rule: `unused-${key.slice(0, -1)}`,
    message: `${mark(name)} does not occur in the statement`,
  }));
  return [...missing, ...unused];
}

/** The names that `sql` asks for by `:"name"`. */
export function identifiersOf(sql: string): string[] {
  return [...new Set([...sql.matchAll(TOKENS)].flatMap((match) => match[1] ?? []))];
}

/** The texts that `sql` asks for by `:'name'`. */
export function literalsOf(sql: string): string[] {
  return [...new Set([...sql.matchAll(TOKENS)].flatMap((match) => match[2] ?? []))];
}

/** Each name that `sql` asks for, for itself. */
export function asNamed(sql: string): Record<string, string> {
  return Object.fromEntries(identifiersOf(sql).map((name) => [name, name]));
}

/**
 * Puts quoted identifiers where `sql` says `:"name"`. The text is fixed and only whole identifiers go in, each of them quoted by
 * PostgreSQL's rule (a quote is doubled), so no value can become syntax.
 * @throws PgdbaError invalid_param for a name that is missing, empty, too long, or holds a NUL
 */
export function placeIdentifiers(
  sql: string,
  identifiers: Readonly<Record<string, string>>,
): string {
  return sql.replace(TOKENS, (token: string, name: string | undefined) => {
    if (name === undefined) return token;
    const value = Object.hasOwn(identifiers, name) ? identifiers[name] : undefined;
    if (value === undefined) {
      throw new PgdbaError(
        "invalid_param",
        `The statement asks for :"${name}", which identifiers does not have`,
        {
          hint: `Add it: identifiers: {${name}: ...}.`,
        },
      );
    }
    return quoteIdentifier(value, name);
  });
}

/**
 * Puts quoted strings where `sql` says `:'name'`, for the commands that take no $1, such as ROLLBACK PREPARED. Only whole strings go in,
 * quoted so that they hold whatever `standard_conforming_strings` says.
 * @throws PgdbaError invalid_param for a text that is missing or holds a NUL
 */
export function placeLiterals(sql: string, literals: Readonly<Record<string, string>>): string {
  return sql.replace(TOKENS, (token: string, _: unknown, name: string | undefined) => {
    if (name === undefined) return token;
    const value = Object.hasOwn(literals, name) ? literals[name] : undefined;
    if (value === undefined)
      throw new PgdbaError(
        "invalid_param",
        `The statement asks for :'${name}', which literals does not have`,
        { hint: `Add it: literals: {${name}: ...}.` },
      );
    if (value.includes("\0"))
      throw new PgdbaError("invalid_param", `literals.${name} holds a NUL`, {
        hint: "PostgreSQL has no text with a NUL; take it out.",
      });
    const quoted = `'${value.replaceAll("'", "''").replaceAll("\\", "\\\\")}'`;
    return value.includes("\\") ? ` E${quoted}` : quoted;
  });
}

function quoteIdentifier(value: string, name: string): string {
  if (value === "" || value.includes("\0") || Buffer.byteLength(value) > MAX_NAME_BYTES) {
    throw new PgdbaError(
      "invalid_param",
      `identifiers.${name} is not a name: ${JSON.stringify(value.slice(0, 80))}`,
      {
        hint: `A name has 1 to ${MAX_NAME_BYTES} bytes and no NUL; it is quoted for you and needs no quotes.`,
      },
    );
  }
  return `"${value.replaceAll('"', '""')}"`;
}
