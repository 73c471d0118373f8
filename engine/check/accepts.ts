import { isMapping } from "../json.ts";
import { classify } from "../expr/languages.ts";
import type { Json, JsonSchema } from "../types.ts";
import { FORMATS } from "./formats.ts";
import { matches } from "./patterns.ts";

/** The way to read strings: with `templates`, `${…}` stands for a value of any type and `{{…}}` for any text. */
export interface Reading {
  templates: boolean;
}

const ANNOTATIONS = new Set([
  "description",
  "default",
  "examples",
  "title",
  "x-lang",
  "x-secret",
  "x-instead",
]);

/**
 * True when `value` certainly satisfies `schema`; false when it does not, or when the schema says something this does
 * not understand. Loading ajv and compiling one schema costs some 30 ms, more than the rest of a short run together,
 * so ajv is asked only when this says false, which for a good document is never.
 */
export function accepts(schema: JsonSchema, value: Json, reading: Reading): boolean {
  const kind =
    typeof value === "string" && reading.templates && schema["x-lang"] === undefined
      ? classify(value)
      : "literal";
  if (kind === "cel") return true;
  for (const [keyword, rule] of rulesOf(schema)) {
    const test = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined;
    if (test === undefined) return false;
    // A text that is yet to be rendered is known to be a text, and nothing more.
    if (kind === "text" && !COMBINING.has(keyword)) continue;
    if (!test(rule, value, schema, reading)) return false;
  }
  return true;
}

/** Kept of each schema: one of rows is gone through as often as there are rows. */
const RULES = new WeakMap<JsonSchema, (readonly [string, never])[]>();

function rulesOf(schema: JsonSchema): readonly (readonly [string, never])[] {
  let rules = RULES.get(schema);
  if (rules === undefined) {
    rules = Object.entries(schema).filter(([keyword]) => !ANNOTATIONS.has(keyword)) as never[];
    RULES.set(schema, rules);
  }
  return rules;
}

/** Keywords that hold for a text whatever it will be rendered to. */
const COMBINING = new Set(["type", "anyOf", "oneOf", "allOf"]);

type Test = (rule: never, value: Json, schema: JsonSchema, reading: Reading) => boolean;

const KEYWORDS: Record<string, Test> = {
  type: (rule: string | string[], value) =>
    typeof rule === "string" ? isType(rule, value) : rule.some((type) => isType(type, value)),
  const: (rule: Json, value) => rule === value,
  enum: (rule: Json[], value) => rule.includes(value),
  anyOf: (rule: JsonSchema[], value, _, reading) =>
    rule.some((branch) => accepts(branch, value, reading)),
  allOf: (rule: JsonSchema[], value, _, reading) =>
    rule.every((branch) => accepts(branch, value, reading)),
  oneOf: (rule: JsonSchema[], value, _, reading) =>
    rule.filter((branch) => accepts(branch, value, reading)).length === 1,
  required: (rule: string[], value) =>
    !isMapping(value) || rule.every((key) => Object.hasOwn(value, key)),
  properties: (rule: Record<string, JsonSchema>, value, _, reading) =>
    !isMapping(value) ||
    Object.keys(rule).every(
      (key) => !Object.hasOwn(value, key) || accepts(rule[key]!, value[key]!, reading),
    ),
  additionalProperties: (rule: boolean | JsonSchema, value, schema, reading) =>
    rule === true ||
    !isMapping(value) ||
    Object.keys(value).every(
      (key) =>
        Object.hasOwn(schema.properties ?? {}, key) ||
        (rule !== false && accepts(rule, value[key]!, reading)),
    ),
  items: (rule: JsonSchema, value, _, reading) =>
    !Array.isArray(value) ||
    (!Array.isArray(rule) && value.every((item) => accepts(rule, item, reading))),
  format: (rule: string, value) => {
    const format = Object.hasOwn(FORMATS, rule) ? FORMATS[rule] : undefined;
    return typeof value !== "string" || format === undefined || format.test(value);
  },
  pattern: (rule: string, value) => typeof value !== "string" || matches(rule, value),
  minimum: (rule: number, value) => typeof value !== "number" || value >= rule,
  maximum: (rule: number, value) => typeof value !== "number" || value <= rule,
  minLength: (rule: number, value) => typeof value !== "string" || [...value].length >= rule,
  maxLength: (rule: number, value) => typeof value !== "string" || [...value].length <= rule,
  minItems: (rule: number, value) => !Array.isArray(value) || value.length >= rule,
  maxItems: (rule: number, value) => !Array.isArray(value) || value.length <= rule,
  minProperties: (rule: number, value) => !isMapping(value) || Object.keys(value).length >= rule,
  maxProperties: (rule: number, value) => !isMapping(value) || Object.keys(value).length <= rule,
};

/** True when `value` is of the JSON Schema `type`. */
function isType(type: string, value: Json): boolean {
  switch (type) {
    case "null":
      return value === null;
    case "array":
      return Array.isArray(value);
    case "object":
      return isMapping(value);
    case "integer":
      return Number.isInteger(value);
    case "number":
      return Number.isFinite(value);
    default:
      return typeof value === type;
  }
}
