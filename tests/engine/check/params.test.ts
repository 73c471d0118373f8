import { describe, expect, test } from "bun:test";

import { paramsSchema, secretRefs, validateParams } from "../../../engine/check/params.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Json, JsonObject, ParamSpec } from "../../../engine/types.ts";
import { cpuMs } from "../../support/cpu-time.ts";

const PARAMS: Record<string, ParamSpec> = {
  target: { type: "string", required: true },
  count: { type: "integer", minimum: 1, default: 3 },
  ratio: { type: "number" },
  force: { type: "boolean", default: false },
  only: { type: "array", items: { type: "string" } },
  ports: { type: "array", items: { type: "integer" } },
  asked: { type: "array", items: { type: "string", format: "text" } },
  labels: { type: "object" },
  max_lag: { type: "string", format: "bytes", default: "1MB" },
  wait: { type: "string", format: "duration" },
  mode: { type: "string", enum: ["fast", "smart"] },
  version: { type: ["integer", "string"] },
  slug: { type: "string", pattern: "^[a-z]+$" },
  password: { type: "string", secret: true },
};

function fails(given: Record<string, unknown>, params = PARAMS): PgdbaError {
  try {
    validateParams(params, given);
  } catch (error) {
    if (error instanceof PgdbaError) return error;
    throw error;
  }
  throw new Error("accepted");
}

test("defaults are filled in, and what has none is null", () => {
  expect(validateParams(PARAMS, { target: "pg2" }) as JsonObject).toEqual({
    target: "pg2",
    count: 3,
    ratio: null,
    force: false,
    only: null,
    asked: null,
    ports: null,
    labels: null,
    max_lag: "1MB",
    wait: null,
    mode: null,
    version: null,
    slug: null,
    password: null,
  });
});

const READ: [param: string, given: unknown, value: Json][] = [
  ["target", "5", "5"],
  ["count", "12", 12],
  ["count", 12, 12],
  ["ratio", "1.5", 1.5],
  ["ratio", "-2e3", -2000],
  ["force", "true", true],
  ["force", "false", false],
  ["only", "a, b", ["a", "b"]],
  ["only", ["a", "b"], ["a", "b"]],
  ["only", "", []],
  ["only", '["a,b", "c"]', ["a,b", "c"]],
  ["asked", "select f(a, 'b,c')", ["select f(a, 'b,c')"]],
  ["asked", ["select 1, 2", "select 3"], ["select 1, 2", "select 3"]],
  ["asked", '["select 1, 2", "select 3"]', ["select 1, 2", "select 3"]],
  ["asked", "", []],
  ["ports", "1,2", [1, 2]],
  ["ports", ["1", "2"], [1, 2]],
  ["labels", '{"a": 1}', { a: 1 }],
  ["max_lag", "16MB", "16MB"],
  ["max-lag", "16MB", "16MB"],
  ["wait", "1h30m", "1h30m"],
  ["version", "16", "16"],
  ["version", 16, 16],
  ["slug", "abc", "abc"],
  ["password", "env:PW", "env:PW"],
];

test.each(READ)("%s given as %p", (param, given, value) => {
  expect(validateParams(PARAMS, { target: "x", [param]: given })[param.replace("-", "_")]).toEqual(
    value,
  );
});

test("a number is the one that was written, or refused", () => {
  const sizes: Record<string, ParamSpec> = {
    n: { type: "integer" },
    r: { type: "number" },
    both: { type: ["integer", "number"] },
    list: { type: "array", items: { type: "integer" } },
    any: { type: "array" },
    map: { type: "object", properties: { n: { type: "integer" } } },
  };
  const read = (name: string, text: unknown) => validateParams(sizes, { [name]: text })[name];
  for (const [name, text, value] of [
    ["n", "9007199254740991", 9007199254740991],
    ["n", "-9007199254740991", -9007199254740991],
    ["n", "1e3", 1000],
    ["n", "1.50e1", 15],
    ["n", "00000000000000000007", 7],
    ["r", "0.1", 0.1],
    ["r", "1e30", 1e30],
    ["r", "3.14159265358979323846", Math.PI],
    ["list", "[1, 2]", [1, 2]],
    [
      "any",
      '["9007199254740993", "a\\"9007199254740993"]',
      ["9007199254740993", 'a"9007199254740993'],
    ],
    ["map", '{"9007199254740993": 1.5e300}', { "9007199254740993": 1.5e300 }],
  ] as const)
    expect(read(name, text)).toEqual(value as Json);
  for (const [name, text] of [
    ["n", "9007199254740993"],
    ["n", "9007199254740992"],
    ["n", "-9007199254740993"],
    ["n", "+9007199254740993"],
    ["n", "9007199254740993.0"],
    ["n", "9.007199254740993e15"],
    ["n", "1.00000000000000000001"],
    ["n", "99999999999999999999999"],
    ["n", "1e30"],
    ["n", "1e400"],
    ["n", 2 ** 53],
    ["r", "9007199254740993"],
    ["r", "1e400"],
    ["both", "9007199254740993"],
    ["list", "1,9007199254740993"],
    ["list", ["1", "9007199254740993"]],
    ["list", "[1, 9007199254740993]"],
    ["list", "[1e30]"],
    ["any", '["a", {"b": [-9007199254740993]}]'],
    ["map", '{"x": 9007199254740993}'],
    ["map", '{"n": 1e30}'],
    ["map", '{"x": 1e400}'],
  ] as const) {
    const error = fails({ [name]: text }, sizes);
    expect({ name, text, code: error.code, message: error.message }).toMatchObject({
      code: "invalid_param",
      message: expect.stringMatching(/^--(n|r|both|list|any|map) can't take .* exactly: /),
    });
  }
});

const REFUSED: [param: string, given: unknown, message: string][] = [
  ["count", "many", '--count must be a whole number, got "many"'],
  ["count", "1.5", "--count must be a whole number, got 1.5"],
  ["count", "0", "--count must be at least 1, got 0"],
  ["count", "", '--count must be a whole number, got ""'],
  ["target", 5, "--target must be text, got 5"],
  ["force", "yes", '--force must be true or false, got "yes"'],
  ["ports", "1,x", 'item 2 of --ports must be a whole number, got "x"'],
  ["labels", "{", '--labels must be a mapping, got "{"'],
  ["max_lag", "1XB", '--max-lag must be a size such as 16MB, got "1XB"'],
  ["wait", "soon", '--wait must be a duration such as 500ms, 30s or 1h30m, got "soon"'],
  ["mode", "fats", '--mode must be one of fast, smart, got "fats"'],
  ["slug", "A-1", '--slug must match the pattern ^[a-z]+$, got "A-1"'],
  ["tarrget", "x", "there is no parameter --tarrget"],
];

test.each(REFUSED)("%s given as %p is refused", (param, given, message) => {
  const error = fails({ target: "x", [param]: given });
  expect(error.code).toBe("invalid_param");
  expect(error.message).toBe(message);
  expect(error.hint).toBeTruthy();
});

test("everything wrong is told at once, the missing ones together", () => {
  const params: Record<string, ParamSpec> = {
    ...PARAMS,
    dump_file: { type: "string", required: true, examples: ["/tmp/x"] },
  };
  const error = fails({ count: "x", max_lagg: "1MB", mode: "fast" }, params);
  expect(error.message).toBe(
    '--count must be a whole number, got "x"; there is no parameter --max-lagg; --target, --dump-file must be given',
  );
  expect(error.hint).toBe("Did you mean --max-lag? Add --target STRING --dump-file /tmp/x");
});

test("names that objects have by themselves are unknown, and harmless", () => {
  const error = fails(
    JSON.parse('{"target": "x", "__proto__": "y", "constructor": "z"}') as Record<string, unknown>,
  );
  expect(error.message).toContain("no parameter --constructor");
});

test("a pattern that would hang a backtracking matcher does not", () => {
  const computed = cpuMs();
  const error = fails({ a: `${"a".repeat(5000)}!` }, { a: { type: "string", pattern: "^(a+)+$" } });
  expect(error.message).toStartWith("--a must match the pattern");
  expect(error.message.length).toBeLessThan(200);
  expect(cpuMs() - computed).toBeLessThan(1000);
});

describe("a secret", () => {
  test.each([["hunter2"], ["env:"], ["env:1x"], ["file:"], ["envPW"], [42], [["env:PW"]]])(
    "given as %p is refused without being shown",
    (given) => {
      const error = fails({ target: "x", password: given });
      expect(error.message).toBe(
        "--password takes a secret as env:NAME or file:PATH, never the secret itself",
      );
      expect(JSON.stringify([error.message, error.hint ?? "", error.data ?? ""])).not.toContain(
        "hunter2",
      );
    },
  );

  test("is listed with where it is kept", () => {
    const params: Record<string, ParamSpec> = {
      ...PARAMS,
      key: { type: "string", secret: true },
      other: { type: "string", secret: true },
    };
    expect(
      secretRefs(params, { password: "env:PW", key: "file:/run/a b", target: "env:NO" }),
    ).toEqual([
      { param: "password", env: "PW" },
      { param: "key", file: "/run/a b" },
    ]);
  });
});

test("the schema is plain draft-07", () => {
  expect(
    paramsSchema({
      a: { type: "string", required: true, positional: 1 },
      b: { type: "string", secret: true },
      c: { type: "integer", required: true, default: 1 },
    }),
  ).toEqual({
    type: "object",
    properties: {
      a: { type: "string" },
      b: { type: "string", "x-secret": true },
      c: { type: "integer", default: 1 },
    },
    required: ["a"],
    additionalProperties: false,
  });
});
