import type { DocPath, JsonSchema } from "../types.ts";
import { ExprError } from "./ast.ts";
import { Lexer } from "./syntax/tokens.ts";

/**
 * The language of a string in an input: `${...}` around the whole of it is CEL, one with `{{` is Handlebars text, anything else
 * stands for itself. `${a}-${b}` is literal: there the first bracket does not enclose the whole.
 */
export function classify(text: string): "cel" | "text" | "literal" {
  const trimmed = text.trim();
  if (trimmed.startsWith("${") && trimmed.endsWith("}") && closesAtEnd(trimmed)) return "cel";
  return text.includes("{{") ? "text" : "literal";
}

/** True when the bracket opened at 1 is closed by the last character, or not at all (a mistake that parsing will show). */
function closesAtEnd(text: string): boolean {
  let depth = 0;
  for (const { sign, at } of brackets(text)) {
    depth += sign === "{" ? 1 : -1;
    if (depth === 0) return at === text.length - 1;
  }
  return true;
}

/** The brackets of `${...}` outside of texts and comments; of something that is no expression, all brackets. */
function brackets(text: string): { sign: string; at: number }[] {
  const found: { sign: string; at: number }[] = [];
  try {
    const lexer = new Lexer(text.slice(1));
    for (let token = lexer.next(); token.kind !== "end"; token = lexer.next()) {
      if (token.kind !== "sign" || (token.text !== "{" && token.text !== "}")) continue;
      found.push({ sign: token.text, at: token.start + 1 });
    }
    return found;
  } catch (error) {
    if (!(error instanceof ExprError)) throw error;
    return Array.from(text.matchAll(/[{}]/g), ({ 0: sign, index }) => ({ sign, at: index }));
  }
}

/** The expression inside `${...}`, with where it starts in `text`. */
export function celOf(text: string): { source: string; offset: number } {
  const offset = text.indexOf("${") + 2;
  return { source: text.slice(offset, text.lastIndexOf("}")), offset };
}

/** The `x-lang` of the string at `path`; one given for a list or map holds for all strings in it that have no other. */
export function langAt(schema: JsonSchema, path: DocPath): "cel" | "text" | "static" | undefined {
  return langOf(path.reduce<JsonSchema[]>(descend, [schema]));
}

const branches = (schema: JsonSchema): JsonSchema[] => [
  schema,
  ...[schema.anyOf, schema.oneOf, schema.allOf].flatMap((list) => list ?? []).flatMap(branches),
];

export function langOf(schemas: JsonSchema[]): "cel" | "text" | "static" | undefined {
  return schemas.flatMap(branches).find((schema) => schema["x-lang"] !== undefined)?.["x-lang"];
}

/** The schemas that may hold one level down. */
export function descend(schemas: JsonSchema[], key: string | number): JsonSchema[] {
  return schemas.flatMap(branches).flatMap((schema) => {
    const below =
      typeof key === "number"
        ? schema.items
        : schema.properties && Object.hasOwn(schema.properties, key)
          ? schema.properties[key]
          : schema.additionalProperties;
    if (typeof below === "object") return [below];
    const lang = schema["x-lang"];
    return lang === undefined || schema.type === "string" ? [] : [{ "x-lang": lang }];
  });
}
