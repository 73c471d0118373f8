import { PgdbaError } from "../../engine/errors.ts";
import type { TableName } from "../planner/twin/twin.ts";

/**
 * `name` or `schema.name`, each part bare or quoted as in SQL; one with blanks or capitals and no quotes, as our own answers write it, is
 * taken as it stands.
 * @throws PgdbaError invalid_param
 */
export function relationName(
  text: string,
  what: "table" | "index" | "sequence" | "column",
): TableName {
  const isLiteral = /[\s\p{Lu}]/u.test(text) && !text.includes('"');
  const parts = isLiteral
    ? text.split(".")
    : [...text.matchAll(/"((?:[^"]|"")+)"|([^".\s]+)/g)].map(
        (match) => match[1]?.replaceAll('""', '"') ?? (match[2] ?? "").toLowerCase(),
      );
  const [first, second, ...more] = parts;
  if (first === undefined || more.length > 0) {
    throw new PgdbaError("invalid_param", `Not the name of one ${what}: ${JSON.stringify(text)}`, {
      hint: `Write it as ${what} or schema.${what}, in double quotes where it needs them.`,
    });
  }
  return second === undefined ? { schema: null, name: first } : { schema: first, name: second };
}
