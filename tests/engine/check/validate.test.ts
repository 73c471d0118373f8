import { describe, expect, test } from "bun:test";
import { Ajv } from "ajv";

import { accepts } from "../../../engine/check/accepts.ts";
import { validate } from "../../../engine/check/validate.ts";
import type { Json, JsonObject, JsonSchema } from "../../../engine/types.ts";

const VALUES: Json[] = [
  null,
  true,
  false,
  0,
  1,
  1.5,
  -3,
  "",
  "a",
  "abc",
  "10MB",
  "${x}",
  "a {{x}}",
  [],
  [1],
  ["a"],
  [1, "a"],
  {},
  { a: 1 },
  { a: "x" },
  { b: 1 },
  { a: 1, b: [2] },
];

const SCHEMAS: JsonSchema[] = [
  {},
  { type: "string" },
  { type: ["integer", "null"] },
  { type: "number", minimum: 0, maximum: 1 },
  { type: "string", minLength: 1, maxLength: 2 },
  { type: "string", pattern: "^a" },
  { enum: ["a", 1, null] },
  { const: "a" },
  { type: "array", items: { type: "integer" }, minItems: 1, maxItems: 1 },
  {
    type: "object",
    properties: { a: { type: "integer" } },
    required: ["a"],
    additionalProperties: false,
  },
  { type: "object", properties: { a: {} }, additionalProperties: { type: "array" } },
  { type: "object", minProperties: 1, maxProperties: 1 },
  { anyOf: [{ type: "string" }, { type: "object", required: ["a"] }] },
  { oneOf: [{ type: "integer" }, { type: "number", minimum: 1 }] },
  { allOf: [{ type: "string" }, { minLength: 2 }] },
  { properties: { a: { anyOf: [{ const: 1 }, { type: "string" }] } } },
];

test("what is accepted without ajv is what ajv accepts", () => {
  const ajv = new Ajv({ strict: false });
  for (const schema of SCHEMAS) {
    for (const value of VALUES) {
      expect([schema, value, accepts(schema, value, { templates: false })]).toEqual([
        schema,
        value,
        ajv.validate(schema, value),
      ]);
    }
  }
});

test("a keyword that isn't understood is left to ajv", () => {
  const schema = { not: { type: "string" } } as JsonSchema;
  expect(accepts(schema, 1, { templates: false })).toBe(false);
  expect(validate(schema, 1, "it")).toEqual([]);
  expect(validate(schema, "a", "it")).toHaveLength(1);
});

describe("with templates", () => {
  const reading = { templates: true };
  const input: JsonSchema = {
    type: "object",
    properties: {
      n: { type: "integer" },
      s: { type: "string", pattern: "^x" },
      either: { anyOf: [{ type: "integer" }, { type: "array", items: { type: "integer" } }] },
      one: { oneOf: [{ type: "integer" }, { type: "boolean" }] },
      fixed: { type: "integer", "x-lang": "cel" },
    },
    additionalProperties: false,
  };
  test.each<JsonObject>([
    { n: "${x}" },
    { s: "${x}" },
    { s: "{{x}}" },
    { either: "${x}" },
    { either: ["${x}", 1] },
    { one: "${x}" },
  ])("%p is accepted", (value) => {
    expect(validate(input, value, "it", reading)).toEqual([]);
    // The same when ajv has to be asked, because something else is wrong.
    expect(validate(input, { ...value, wrong: 1 }, "it", reading).map(({ rule }) => rule)).toEqual([
      "unknown-key",
    ]);
  });
  test.each<[Json, string]>([
    [{ n: "{{x}}" }, '`n` must be a whole number, got "{{x}}"'],
    [{ either: "{{x}}" }, '`either` must be a whole number or a list, got "{{x}}"'],
    [{ fixed: "${x}" }, '`fixed` must be a whole number, got "${x}"'],
    [{ either: ["${x}", "y"] }, 'item 2 of `either` must be a whole number, got "y"'],
  ])("%p is not", (value, message) => {
    expect(validate(input, value, "it", reading).map((one) => one.message)).toEqual([message]);
  });
});

describe("messages", () => {
  test.each<[JsonSchema, Json, string[]]>([
    [{ type: "integer" }, "x", ['`it` must be a whole number, got "x"']],
    [
      { type: "object", required: ["a"], properties: { a: {} }, additionalProperties: false },
      { b: 1 },
      ["`it` lacks `a`", "unknown key `b` in `it`"],
    ],
    [
      { anyOf: [{ type: "string" }, { type: "array", items: { type: "string" } }] },
      ["a", 1],
      ["item 2 of `it` must be text, got 1"],
    ],
    [{ anyOf: [{ type: "string" }, { type: "array" }] }, 5, ["`it` must be text or a list, got 5"]],
    [{ anyOf: [{ const: false }, { type: "array" }] }, {}, ["`it` must be a list, got {}"]],
    [{ anyOf: [{ const: false }, { type: "array" }] }, true, ["`it` must be false, got true"]],
    [
      { oneOf: [{ type: "integer" }, { minimum: 1 }] },
      2,
      ["`it` fits more than one of the forms it may have, got 2"],
    ],
    [{ type: "array", minItems: 1 }, [], ["`it` must not be empty, got []"]],
    [
      {
        properties: { a: { pattern: "^[0-9]+$" }, b: { pattern: "^[a-z]+$" }, c: { pattern: "x" } },
      },
      { a: "1", b: "b", c: "y" },
      ['`c` must match the pattern x, got "y"'],
    ],
    [
      { enum: Array.from({ length: 20 }, (_, i) => `word${i}`) },
      "nothing",
      ['`it` must be one of the 20 that there are, got "nothing"'],
    ],
    [
      { type: "string", maxLength: 3 },
      "x".repeat(500),
      [`\`it\` must have at most 3 characters, got "${"x".repeat(56)}...`],
    ],
  ])("%#", (schema, value, messages) => {
    expect(validate(schema, value, "it").map(({ message }) => message)).toEqual(messages);
  });

  test("lead to the place, through keys that need escaping", () => {
    const schema: JsonSchema = {
      additionalProperties: { type: "array", items: { type: "integer" } },
    };
    expect(validate(schema, { "a/b~c": [1, "x"] }, "it")[0]?.path).toEqual(["a/b~c", 1]);
  });
});
