import { PgdbaError } from "../../engine/errors.ts";

/** PostgreSQL cuts longer names with a notice, which would make two names one. */
const MAX_NAME_BYTES = 63;

/** `:"name"`, but not inside of a quoted name, a string, a dollar-quoted string or a comment. */
const TOKENS =
  /:"([A-Za-z_][A-Za-z0-9_]*)"|"(?:[^"]|"")*"|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|(?<![A-Za-z0-9_])(\$(?:[A-Za-z_][A-Za-z0-9_]*)?\$)[\s\S]*?\2|--[^\n]*|\/\*[\s\S]*?\*\//g;

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
  hint: string;
}

/** The names that `sql` asks for by `:"name"`. */
export function identifiersOf(sql: string): string[] {
  return [...new Set([...sql.matchAll(TOKENS)].flatMap((match) => match[1] ?? []))];
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
