import { describe, expect, test } from "bun:test";
import { checkCel, checkText, type Scope } from "../../../engine/expr/infer.ts";
import type { JsonSchema } from "../../../engine/types.ts";

const closed = (properties: Record<string, JsonSchema>): JsonSchema => ({
  type: "object",
  properties,
  additionalProperties: false,
});
const member = closed({
  name: { type: "string" },
  lag: { type: "integer" },
  state: { enum: ["running", "streaming"] },
  ratio: { type: "number" },
  tags: { type: "array", items: { type: "string" } },
});
const scope: Scope = {
  params: closed({
    target: { type: "string" },
    n: { type: "integer" },
    flag: { type: "boolean" },
    maybe: { type: ["string", "null"] },
  }),
  steps: closed({
    before: closed({
      output: closed({
        leader: { type: "string" },
        members: { type: "array", items: member },
        count: { type: "integer" },
      }),
      status: { type: "string" },
    }),
    open: closed({ output: { type: "object", properties: { known: { type: "integer" } } } }),
    either: closed({
      output: {
        anyOf: [
          closed({ a: { type: "integer" } }),
          closed({ b: { type: "string" } }),
          { type: "null" },
        ],
      },
    }),
    labels: closed({ output: { type: "object", additionalProperties: { type: "integer" } } }),
    list: closed({ output: { type: "array", items: {} } }),
  }),
  target: { type: "object" },
  any: {},
};
const rules = (source: string, expected?: JsonSchema): string[] =>
  checkCel(source, scope, expected).problems.map(
    (p) => `${p.rule}@${source.slice(p.start, p.end)}`,
  );

describe("checkCel", () => {
  test.each<[string, JsonSchema]>([
    ["params.n + 1", { type: "integer" }],
    ["params.n / 2.0", { type: "number" }],
    ["params.n > 1.5", { type: "boolean" }],
    ["'a' + params.target", { type: "string" }],
    ["steps.before.output.members", { type: "array", items: member }],
    ["steps.before.output.members[0].lag", { type: "integer" }],
    ["steps.before.output.members.map(m, m.lag)", { type: "array", items: { type: "integer" } }],
    ["steps.before.output.members.filter(m, m.lag > 0)", { type: "array", items: member }],
    [
      "steps.before.output.members.map(m, m.lag > 0, m.name)",
      { type: "array", items: { type: "string" } },
    ],
    ["sum(steps.before.output.members.map(m, m.lag))", { type: "integer" }],
    ["max(steps.before.output.members.map(m, m.name))", { type: "string" }],
    ["cel.bind(x, params.n, x * 2)", { type: "integer" }],
    ["has(steps.before.output)", { type: "boolean" }],
    ["params.flag ? 1 : 2", { type: "integer" }],
    ["params.flag ? 1 : 'a'", { anyOf: [{ type: "integer" }, { type: "string" }] }],
    ["bytes('1MB')", { type: "integer" }],
    ["timestamp('2026-01-01')", { type: "string", format: "date-time" }],
    ["timestamp('2026-01-02') - timestamp('2026-01-01')", { type: "number" }],
    ["any.x.y", {}],
    ["target.facts.version", {}],
    ["params['n']", { type: "integer" }],
    [
      "{'a': params.n}",
      {
        type: "object",
        properties: { a: { type: "integer" } },
        required: ["a"],
        additionalProperties: false,
      },
    ],
    ["steps.labels.output.x", { type: "integer" }],
    ["steps.labels.output['x'] + 1", { type: "integer" }],
    ["round(1.5)", { type: "integer" }],
    ["'a,b'.split(',')[0]", { type: "string" }],
    ["null", { type: "null" }],
    ["[1, 2]", { type: "array", items: { type: "integer" } }],
    ["[1] + [2]", { type: "array", items: { type: "integer" } }],
    ["-params.n", { type: "integer" }],
    ["min(1, 2.5)", { type: "number" }],
    ["1u + 2u", { type: "integer" }],
    ["b'a' + b'b'", { type: "string" }],
    ["type(params.n)", { type: "string" }],
    ["{1: 'a'}[params.n]", { type: "string" }],
    ["{1: 'a'}", { type: "object", additionalProperties: { type: "string" } }],
    ["{1: 'a', 2: 'b'}.map(k, k)", { type: "array", items: { type: "integer" } }],
    ["timestamp(0).getHours('Europe/Paris')", { type: "integer" }],
  ])("%s is fine", (source, schema) =>
    expect(checkCel(source, scope)).toEqual({ schema, problems: [] }),
  );

  test.each([
    "any + 1",
    "any.x > 1 && any.y",
    "any.foo(1)".replace("foo(1)", "size()"),
    "any[0][any]",
    "steps.open.output.whatever > 1",
    "steps.either.output.a > 1",
    "steps.either.output.b == 'x'",
    "params.maybe == null",
    "params.maybe != null && params.maybe > 'a'",
    "params.maybe.startsWith('x')",
    "steps.before.output.members.all(m, m.state in ['running', 'streaming'])",
    "steps.before.output.members.exists(m, m.name == params.target && m.state == 'streaming')",
    "steps.before.output.members.exists_one(m, 'x' in m.tags)",
    "steps.labels.output.all(k, k != 'x')",
    "steps.list.output[0].x == 1",
    "steps.before.output.members[0].ratio == 1",
    "params.n in [1.5]",
    "'target' in params",
    "null in any",
    "any.map(x, x.y)",
    "params.n == 1.0",
    "string(params.n) == 'a'",
    "any % 2",
    "any ? any : any",
    "1u == params.n",
    "1u < 1.5",
    "1 in {1u: 2}",
    "type(any) == type(1) && type(any) == google.protobuf.Duration",
    "{any: 1}[any] == 1",
    "params.target.matches('^a+$')",
  ])("%s draws no complaint", (source) => expect(rules(source)).toEqual([]));

  test.each<[string, string[]]>([
    ["steps.befor.output", ["unknown-key@befor"]],
    ["steps.before.output.leadr == 'x'", ["unknown-key@leadr"]],
    ["steps.before.output.members[0].nme", ["unknown-key@nme"]],
    ["steps.before.output.members.exists(m, m.nmae == 'a')", ["unknown-key@nmae"]],
    ["params['tarjet']", ["unknown-key@'tarjet'"]],
    ["parms.target", ["unknown-variable@parms"]],
    ["steps.before.output.members.map(m, x)", ["unknown-variable@x"]],
    ["byts('1')", ["unknown-function@byts('1')"]],
    ["params.target.lowr()", ["unknown-function@params.target.lowr()"]],
    ["bytes()", ["wrong-arguments@bytes()"]],
    ["lower('a')", ["wrong-arguments@lower('a')"]],
    ["params.target > 1", ["type-mismatch@params.target > 1"]],
    ["params.target == 1", ["type-mismatch@params.target == 1"]],
    ["params.target + 1", ["type-mismatch@params.target + 1"]],
    ["params.n && true", ["type-mismatch@params.n"]],
    ["!params.target", ["type-mismatch@params.target"]],
    ["params.n ? 1 : 2", ["type-mismatch@params.n"]],
    ["params.n.lower()", ["type-mismatch@params.n.lower()"]],
    ["bytes(params.n)", ["type-mismatch@bytes(params.n)"]],
    ["steps.before.output.members['x']", ["type-mismatch@'x'"]],
    ["steps.before.output.members.name", ["type-mismatch@name"]],
    ["params.n[0]", ["type-mismatch@params.n[0]"]],
    ["params.n.exists(x, x)", ["type-mismatch@params.n"]],
    ["steps.before.output.members.filter(m, m.name)", ["type-mismatch@m.name"]],
    ["params.target in params.target", ["type-mismatch@params.target"]],
    ["params.n in ['a']", ["type-mismatch@params.n in ['a']"]],
    ["-params.target", ["type-mismatch@-params.target"]],
    ["params.maybe > 1", ["type-mismatch@params.maybe > 1"]],
    ["params.flag < 1", ["type-mismatch@params.flag < 1"]],
    ["bytes('1XB')", ["invalid-value@bytes('1XB')"]],
    ["lsn('x')", ["invalid-value@lsn('x')"]],
    ["params.target.matches('(a')", ["invalid-value@params.target.matches('(a')"]],
    ["steps.either.output.c", ["unknown-key@c"]],
    ["steps.befor.x && parms.y", ["unknown-key@befor", "unknown-variable@parms"]],
    ["{null: 2}", ["type-mismatch@null"]],
    ["{1.5: 2}", ["type-mismatch@1.5"]],
    ["{'a': 1, 'a': 2}", ["invalid-value@'a'"]],
    ["{1: 1, 1u: 2}", ["invalid-value@1u"]],
    ["{1: 2}['a']", ["type-mismatch@'a'"]],
    ["'a' in {1: 2}", ["type-mismatch@'a' in {1: 2}"]],
    ["params[1]", ["type-mismatch@1"]],
    ["1u + 1", ["type-mismatch@1u + 1"]],
    ["-(1u)", ["type-mismatch@-(1u)"]],
    ["type(params.n) == 'int'", ["type-mismatch@type(params.n) == 'int'"]],
    ["b'a' + 'a'", ["type-mismatch@b'a' + 'a'"]],
    ["timestamp('2026-02-30T00:00:00Z')", ["invalid-value@timestamp('2026-02-30T00:00:00Z')"]],
    ["timestamp('2026-02-20T24:00:00Z')", ["invalid-value@timestamp('2026-02-20T24:00:00Z')"]],
    ["int(' 5 ')", ["invalid-value@int(' 5 ')"]],
    ["uint(-1)", ["invalid-value@uint(-1)"]],
    ["string(b'\\xff')", ["invalid-value@string(b'\\xff')"]],
    ["matches(params.target, '[[:foo:]]')", ["invalid-value@matches(params.target, '[[:foo:]]')"]],
    ["params.target.matches('a{1001}')", ["invalid-value@params.target.matches('a{1001}')"]],
    ["9223372036854775808", ["syntax@9223372036854775808"]],
    ["if > 1", ["syntax@if"]],
    ["[1].all(1, true)", ["syntax@1"]],
    ["steps.before.output.members == 'x'", ["type-mismatch@steps.before.output.members == 'x'"]],
    ["has(steps.befor.output)", ["unknown-key@befor"]],
    ["has(params)", ["syntax@params"]],
    ["params.constructor", ["unknown-key@constructor"]],
    ["constructor", ["unknown-variable@constructor"]],
    ["a +", ["syntax@"]],
    ["steps.before.output.members.map(m, m.lag).exists(l, l == 'a')", ["type-mismatch@l == 'a'"]],
  ])("%s draws %p", (source, problems) => expect(rules(source)).toEqual(problems));

  test("suggests, and every problem has a hint", () => {
    expect(checkCel("steps.befor.output", scope).problems[0]).toMatchObject({
      message: "steps has no key befor",
      hint: "Did you mean before?",
    });
    expect(checkCel("params.target > 1", scope).problems[0]!.hint).toContain("bytes(text)");
  });
  test("checks what is expected", () => {
    expect(rules("params.n", { type: "boolean" })).toEqual(["type-mismatch@params.n"]);
    expect(rules("params.n > 1", { type: "boolean" })).toEqual([]);
    expect(rules("any.x", { type: "boolean" })).toEqual([]);
    expect(rules("params.target", { type: "array" })).toEqual(["type-mismatch@params.target"]);
    expect(rules("params.n", { type: "number" })).toEqual([]);
  });
});

describe("checkText", () => {
  const found = (text: string): string[] =>
    checkText(text, scope).map((p) => `${p.rule}@${text.slice(p.start, p.end)}`);
  test.each([
    "plain",
    "{{params.target}} {{steps.before.output.leader}}",
    "{{#each steps.before.output.members}}{{name}} {{this.lag}} {{../params.n}} {{@index}} {{@root.params.n}}{{/each}}",
    "{{#each steps.before.output.members as |m i|}}{{m.name}}{{i}}{{/each}}",
    "{{#with steps.before.output}}{{leader}}{{/with}}",
    "{{#if params.flag}}{{params.n}}{{else}}{{target.name}}{{/if}}",
    "{{json steps.before.output}}{{join steps.before.output.members ', '}}",
    "{{any.thing.at.all}}",
    "{{steps.before.output.members.[0].name}}",
    "{{#each steps.labels.output}}{{@key}}{{this}}{{/each}}",
    "{{lookup any 'x'}}",
    "{{#each steps.before.output.members}}{{#each tags}}{{@../index}}{{@../../root.params.n}}{{/each}}{{/each}}",
    "{{#with .}}{{params.n}}{{#with params}}{{../params.n}}{{/with}}{{/with}}",
    "{{#each steps.before.output.members}}{{#with .}}{{../params.n}}{{/with}}{{/each}}",
    "{{#if params.n includeZero=params.flag}}{{/if}}",
    '{{"params"}}',
    "{{#each steps.before.output.members as |thisone i|}}{{thisone.name}}{{#with params as |p|}}{{/with}}{{/each}}".replace(
      "#with params",
      "#with ../params",
    ),
  ])("%p is fine", (text) => expect(found(text)).toEqual([]));
  test.each<[string, string[]]>([
    ["x\ny {{params.tarjet}}", ["unknown-key@tarjet"]],
    ["{{parms.n}}", ["unknown-variable@parms"]],
    ["{{#each steps.before.output.members}}{{nme}}{{/each}}", ["unknown-key@nme"]],
    ["{{#each steps.before.output.members}}{{params.n}}{{/each}}", ["unknown-key@params"]],
    ["{{#each params.n}}{{/each}}", ["type-mismatch@params.n"]],
    ["{{#if params.falg}}{{parms}}{{/if}}", ["unknown-key@falg", "unknown-variable@parms"]],
    ["{{frob params.n}}", ["unknown-helper@frob"]],
    ["{{#frob}}{{/frob}}", ["unknown-helper@frob"]],
    ["{{{params.n}}}", ["triple-braces@{{{params.n}}}"]],
    ["{{> p}}", ["unknown-helper@{{> p}}"]],
    ["{{params.target.x}}", ["type-mismatch@x"]],
    ["{{#with steps.before.output}}{{leadr}}{{/with}}", ["unknown-key@leadr"]],
    ["{{#each steps.before.output.members as |m|}}{{m.nme}}{{/each}}", ["unknown-key@nme"]],
    ["{{json}}", ["wrong-arguments@{{json}}"]],
    ["{{join params.n ','}}", ["type-mismatch@params.n"]],
    ["{{@index}}", ["unknown-variable@@index"]],
    ["{{../x}}", ["unknown-key@../x"]],
    ["{{#if params.flag}}x", ["syntax@{{#if params.flag}}x"]],
    ["ok\n{{#if params.flag}}{{/each}}", ["syntax@if params.flag}}{{/each}}"]],
    ["{{params.[tarjet]}}", ["unknown-key@[tarjet]"]],
    ["{{params.constructor}}", ["unknown-key@constructor"]],
    ["{{json (lookup parms 'x')}}", ["unknown-variable@parms"]],
    ["{{#each steps.before.output.members}}{{@../index}}{{/each}}", ["unknown-variable@@../index"]],
    ["{{@../root}}", ["unknown-variable@@../root"]],
    ["{{#with .}}{{../params}}{{/with}}", ["unknown-key@../params"]],
    [
      "{{#with params}}{{#with ../params}}{{../../params}}{{/with}}{{/with}}",
      ["unknown-key@../../params"],
    ],
    ["{{#if params.n includeZero=parms.x}}{{/if}}", ["unknown-variable@parms"]],
    [
      "{{#each steps.list.output x=1}}{{/each}}",
      ["wrong-arguments@{{#each steps.list.output x=1}}{{/each}}"],
    ],
    ["{{#with params as |a b|}}{{/with}}", ["wrong-arguments@{{#with params as |a b|}}{{/with}}"]],
    ["{{#if params.flag as |x|}}{{/if}}", ["wrong-arguments@{{#if params.flag as |x|}}{{/if}}"]],
    ["{{'nope'}} {{12}}", ["unknown-variable@'nope'", "unknown-variable@12"]],
    ["{{if}}", ["unknown-helper@if"]],
    ["{{json (params.n)}}", ["unknown-helper@params.n"]],
    ["{{steps.before.output.members.01.name}}", ["type-mismatch@01"]],
    ["{{steps.before.output.members.length}}", ["type-mismatch@length"]],
    [
      "{{parms.n}}{{#with params as |json|}}{{/with}}",
      ["unknown-variable@parms", "wrong-arguments@{{#with params as |json|}}{{/with}}"],
    ],
    ["{{params.n.x}}\r\n{{params.y}}", ["type-mismatch@x", "unknown-key@y"]],
  ])("%p draws %p", (text, problems) => expect(found(text)).toEqual(problems));
});
