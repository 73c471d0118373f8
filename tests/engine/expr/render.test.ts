import { describe, expect, test } from "bun:test";
import { celOf, classify, langAt } from "../../../engine/expr/languages.ts";
import { renderInput } from "../../../engine/expr/render.ts";
import type { JsonSchema } from "../../../engine/types.ts";

const vars = { params: { n: 3, target: "pg2", list: [1, 2], evil: "${params.n} {{params.n}}" } };

describe("render", () => {
  test.each([
    ["${params.n}", "cel"],
    [" ${a}\n", "cel"],
    ["${ {'a': {'b': 1}} }", "cel"],
    ["${{'a': '}'}}", "cel"],
    ["${'}'}", "cel"],
    ["${a", "literal"],
    ["${a}-${b}", "literal"],
    ["${a}${b}", "literal"],
    ["$HOME ${X}", "literal"],
    ["x ${a} {{b}}", "text"],
    ["{{a}}", "text"],
    ["${a} {{b}}", "text"],
    ["plain", "literal"],
    ["", "literal"],
    ["${}", "cel"],
    ["${ {'a': 1 }", "cel"],
    ["${r'\\}' + '}'}", "cel"],
    ["${r'}\\'}", "cel"],
    ["${'''it's }'''}", "cel"],
    ["${a.`}b`}", "literal"],
    ["${a // }\n}", "cel"],
    ["${HOME:-x@y} and {z}", "literal"],
    ["${it's} and {b}", "literal"],
  ] as const)("classify(%p) is %p", (text, kind) => expect(classify(text)).toBe(kind));

  test("celOf gives the source and its offset", () => {
    expect(celOf("  ${ a + b }\n")).toEqual({ source: " a + b ", offset: 4 });
  });
  test("keeps types, leaves keys and literals alone, never renders twice", () => {
    const input = {
      a: "${params.n}",
      b: "n={{params.n}}",
      c: ["${params.list}", "$X ${Y} z"],
      "{{key}}": 1,
      d: null,
      e: "{{params.evil}}",
      f: "${params.evil}",
    };
    expect(renderInput(input, {}, vars)).toEqual({
      a: 3,
      b: "n=3",
      c: [[1, 2], "$X ${Y} z"],
      "{{key}}": 1,
      d: null,
      e: vars.params.evil,
      f: vars.params.evil,
    });
  });
  const schema: JsonSchema = {
    type: "object",
    properties: {
      sql: { type: "string", "x-lang": "static" },
      that: {
        oneOf: [
          { type: "string", "x-lang": "cel" },
          {
            type: "array",
            items: {
              type: "object",
              properties: {
                that: { type: "string", "x-lang": "cel" },
                message: { type: "string", "x-lang": "text" },
              },
            },
          },
        ],
      },
      set: { type: "object", "x-lang": "cel" },
      vars: { type: "object", additionalProperties: { type: "string", "x-lang": "cel" } },
      env: { type: "object", additionalProperties: { type: "string" } },
    },
  };
  test("hands on strings that have a language", () => {
    const input = {
      sql: "select {{x}}",
      that: [{ that: "${a}", message: "{{nope}}" }],
      set: { a: { b: "{{x}}" } },
      vars: { y: "{{z}}" },
      env: { E: "{{params.target}}" },
      other: "{{params.n}}",
    };
    expect(renderInput(input, schema, vars)).toEqual({ ...input, env: { E: "pg2" }, other: "3" });
    expect(renderInput({ that: "{{x}}" }, schema, vars)).toEqual({ that: "{{x}}" });
  });
  test.each<[(string | number)[], string | undefined]>([
    [["sql"], "static"],
    [["that"], "cel"],
    [["that", 3, "message"], "text"],
    [["set", "a", "b"], "cel"],
    [["vars", "q"], "cel"],
    [["env", "E"], undefined],
    [["other"], undefined],
    [["constructor"], undefined],
  ])("langAt(%p) is %p", (path, lang) => expect(langAt(schema, path)).toBe(lang as never));
});
