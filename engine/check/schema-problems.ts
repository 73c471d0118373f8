import { isMapping } from "../json.ts";
import { RegexError } from "../expr/regex/regex.ts";
import { suggest } from "../shared/suggest.ts";
import type { DocPath, Json, JsonObject, JsonSchema } from "../types.ts";
import { KNOWN_FORMATS } from "./formats.ts";
import type { SchemaProblem } from "./messages.ts";
import { safePattern } from "./patterns.ts";
import { SUBSCHEMA } from "./structure.ts";
import { validate } from "./validate.ts";

export interface Reader {
  /** The keywords of the outermost level. */
  level?: JsonSchema;
  /** The keywords of the levels below. */
  below?: JsonSchema;
  /**
   * True for a schema of a step type. Its patterns may need backtracking, and a `format` that nobody knows is an error. Elsewhere such a
   * format is a note to the reader, and a warning where it is nearly one that is known.
   */
  ofType?: boolean;
}

/** The faults of a JSON Schema, all levels of it; messages call it `name`. */
export function schemaProblems(
  schema: Json,
  name: string,
  { level = SUBSCHEMA, below = SUBSCHEMA, ofType = false }: Reader = {},
): SchemaProblem[] {
  const problems = validate(level, schema, name);
  if (problems.length > 0 || !isMapping(schema)) return problems;
  problems.push(
    ...patternProblems(schema["pattern"], ofType),
    ...formatProblems(schema["format"], ofType),
  );
  for (const [key, inner] of nested(schema)) {
    const found = schemaProblems(inner, String(key.at(-1)), { level: below, below, ofType });
    problems.push(...found.map((one) => ({ ...one, path: [...key, ...one.path] })));
  }
  return problems;
}

function patternProblems(pattern: Json | undefined, ofType: boolean): SchemaProblem[] {
  if (typeof pattern !== "string") return [];
  try {
    safePattern(pattern);
    return [];
  } catch (error) {
    if (!(error instanceof RegexError)) throw error;
    if (ofType && isNative(pattern)) return [];
    return [
      {
        path: ["pattern"],
        key: false,
        rule: "bad-pattern",
        message: `this is no pattern: ${error.message}`,
        hint: "Back-references and look-around are not supported.",
      },
    ];
  }
}

function isNative(pattern: string): boolean {
  try {
    return new RegExp(pattern, "u") instanceof RegExp;
  } catch {
    return false;
  }
}

function formatProblems(format: Json | undefined, ofType: boolean): SchemaProblem[] {
  if (typeof format !== "string" || KNOWN_FORMATS.includes(format)) return [];
  const close = suggest(format, KNOWN_FORMATS);
  if (close === undefined && !ofType) return [];
  return [
    {
      path: ["format"],
      key: false,
      rule: "unknown-format",
      message: `there is no format \`${format}\`, so that nothing would be checked`,
      hint:
        close === undefined
          ? "Leave it out, or write a `pattern`; bytes, duration and lsn are checked."
          : `Did you mean ${close}?`,
      ...(ofType ? {} : { severity: "warning" as const }),
    },
  ];
}

function* nested(schema: JsonObject): Generator<[DocPath, Json]> {
  for (const key of ["items", "additionalProperties"])
    if (isMapping(schema[key])) yield [[key], schema[key]];
  for (const key of ["anyOf", "oneOf", "allOf"]) {
    if (Array.isArray(schema[key]))
      for (const [i, inner] of schema[key].entries()) yield [[key, i], inner];
  }
  if (isMapping(schema["properties"]))
    for (const [name, inner] of Object.entries(schema["properties"]))
      yield [["properties", name], inner];
}
