import { describe, expect, test } from "bun:test";
import Handlebars from "handlebars";
import { renderText } from "../../../engine/expr/template/render.ts";
import { unknownOutput, UnknownValue } from "../../../engine/expr/unknown.ts";
import type { PgdbaError } from "../../../engine/errors.ts";

const vars = {
  params: {
    target: "pg2",
    n: 3,
    zero: 0,
    none: null,
    flag: true,
    off: false,
    empty: [],
    html: "<a & 'b'>",
    tpl: "{{params.n}}",
    ratio: 0.5,
  },
  members: [
    { name: "a", tags: ["x", "y"] },
    { name: "b", tags: [] },
  ],
  map: { k1: 1, k2: 2 },
  "odd key": "odd",
  "12": "twelve",
  true: "truth",
  zero: 0,
  matrix: [[1, 2], [3]],
  numbers: [0, 1],
  thisone: "own",
  if: "a value",
};
const failure = (text: string): PgdbaError => {
  try {
    renderText(text, vars);
  } catch (error) {
    return error as PgdbaError;
  }
  throw new Error(`${text} did not fail`);
};

describe("renderText", () => {
  test.each([
    "plain",
    "",
    "{{params.target}}",
    "a {{params.n}} b {{ params.html }}",
    "{{{params.html}}}",
    "{{&params.html}}",
    "{{#if params.flag}}yes{{else}}no{{/if}}",
    "{{#if params.zero}}yes{{else}}no{{/if}}",
    "{{#if params.empty}}y{{else if params.flag}}elif{{else}}n{{/if}}",
    "{{#unless params.off}}u{{/unless}}",
    "{{^if params.off}}inv{{/if}}",
    "{{#each members}}{{@index}}:{{name}}{{#unless @last}},{{/unless}}{{/each}}",
    "{{#each members}}{{#each tags}}{{../name}}{{this}} {{@root.params.n}}{{else}}none{{/each}}{{/each}}",
    "{{#each members as |m i|}}{{i}}{{m.name}}{{/each}}",
    "{{#each map}}{{@key}}={{this}};{{/each}}",
    "{{#each map as |v k|}}{{k}}={{v}};{{/each}}",
    "{{#with params}}{{target}}{{/with}}",
    "{{#with params as |p|}}{{p.target}}{{../map.k1}}{{/with}}",
    "{{lookup map 'k2'}}",
    "{{lookup members 1}}".replace("members 1", 'map "k1"'),
    "{{[odd key]}}",
    "{{members.[0].name}}",
    "{{members.1.name}}",
    "{{this.params.n}}",
    "{{./params/target}}",
    "a\n{{#if params.flag}}\n  b\n{{/if}}\nc",
    "a  {{~params.n~}}  b",
    "{{! comment }}x{{!-- {{y}} --}}",
    "\\{{raw}} {{params.n}}",
    "{{#each members}}\n- {{name}}\n{{/each}}\n",
    '{{"lit"}}'.replace('"lit"', "params.tpl"),
    "{{#each members}}{{#if tags}}{{../params.n}}{{name}}{{/if}}{{/each}}",
    "{{#if (lookup params 'flag')}}sub{{/if}}",
    "{{params.ratio}} {{params.flag}}",
    "{{#each members}}{{#each tags}}{{@../index}}.{{@index}} {{@../last}}{{/each}}{{/each}}",
    "{{#each matrix}}{{#each this}}{{#if @../first}}{{@../key}}:{{/if}}{{this}},{{/each}}{{/each}}",
    "{{#each members}}{{#with @root.params}}{{@index}}{{target}}{{/with}}{{/each}}",
    "{{#each members}}{{#each tags}}{{@../root.params.n}}{{/each}}{{/each}}",
    "{{#with 0}}zero {{this}}{{else}}none{{/with}}",
    "{{#with params.zero}}{{this}}{{else}}none{{/with}}",
    "{{#with params.off}}x{{else}}none{{/with}}{{#with params.empty}}x{{else}}none{{/with}}{{#with ''}}x{{else}}e{{/with}}",
    "{{#if zero includeZero=true}}yes{{else}}no{{/if}}{{#if zero includeZero=false}}yes{{else}}no{{/if}}",
    "{{#unless zero includeZero=true}}yes{{else}}no{{/unless}}",
    "{{#each numbers}}{{#if this includeZero=true}}{{this}}{{else}}-{{/if}}{{/each}}",
    "{{#if params.empty includeZero=true}}yes{{else}}no{{/if}}",
    '{{12}} {{"12"}} {{true}} {{"odd key"}} {{[odd key]}}',
    "{{#each members}}{{#with .}}{{name}} {{../params.n}}{{/with}}{{/each}}",
    "{{#with .}}{{params.n}}{{/with}};{{#with this}}{{#with params}}{{../params.n}}{{/with}}{{/with}}",
    "{{#with params}}{{#with ../params}}{{#with ../map}}{{../target}}{{k1}}{{/with}}{{/with}}{{/with}}",
    "{{#each members as |m i|}}{{#each m.tags as |t|}}{{i}}{{m.name}}{{t}}{{@index}}{{/each}}{{/each}}",
    "{{#each members as |name|}}{{name.name}}{{this.name}}{{./name}}{{/each}}",
    "{{#each members as |thisone|}}{{thisone.name}}{{/each}}{{thisone}}",
    "{{#each members as |m index|}}{{#each m.tags}}{{@index}}-{{index}};{{/each}}{{/each}}",
    "{{#if params.off}}a{{else unless params.off}}b{{else}}c{{/if}}",
    "{{#if params.off}}{{else with map as |m|}}{{m.k1}}{{/if}}",
    "{{^each params.empty}}none{{/each}}{{^unless params.flag}}x{{/unless}}",
    "{{{{if params.flag}}}} {{raw}} {{{{/if}}}}",
    "\\\\{{params.n}} \\{{params.n}}",
    "{{this.if}} {{./if}}",
    "{{#each params.none}}x{{else}}none{{/each}}",
    "{{lookup (lookup members 0) 'name'}}{{lookup numbers 1}}",
    "  {{#if params.flag}}  \n  a\n  {{else}}\n  b\n  {{/if}}\n",
    "{{#each map}}{{@index}}{{@key}}{{@first}}{{@last}} {{/each}}",
  ])("renders %p as Handlebars does", (text) => {
    expect(renderText(text, vars)).toBe(
      Handlebars.compile(text, { noEscape: true, strict: true })(vars),
    );
  });

  test.each([
    ["{{params.none}}", "null"],
    ["{{members}}", '[{"name":"a","tags":["x","y"]},{"name":"b","tags":[]}]'],
    ["{{json map}}", '{"k1":1,"k2":2}'],
    ["{{json params.target}}", '"pg2"'],
    ["{{join members.0.tags ', '}}", "x, y"],
    [
      "{{count 1 'policy' 'policies'}}, {{count 2 'row' 'rows'}}, {{count 0 'row' 'rows'}}",
      "1 policy, 2 rows, 0 rows",
    ],
    ["{{params.tpl}}", "{{params.n}}"],
    ["{{json (lookup map 'k1')}}", "1"],
  ])("%p gives %p", (text, result) => expect(renderText(text, vars)).toBe(result));

  const faults: [string, RegExp, string?][] = [
    [
      "x {{params.tarjet}}",
      /\{\{params\.tarjet\}\} is missing: there is no tarjet in params/,
      "tarjet",
    ],
    ["{{a.b.c}}", /\{\{a\.b\.c\}\} is missing: there is no a/, "a"],
    ["{{params.target.x.y}}", /no x in params\.target; params\.target is a string/, "x"],
    ["{{#if params.nope}}{{/if}}", /\{\{params\.nope\}\}/, "nope"],
    ["{{#each members}}{{params.n}}{{/each}}", /missing/, "params"],
    ["{{#each params.n}}{{/each}}", /goes over a list/],
    ["{{members.7.name}}", /no 7 in members/],
    ["{{lookup map 'zz'}}", /no zz/],
    ["{{frob params.n}}", /no helper frob/, "frob"],
    ["{{json}}", /json takes 1/],
    ["{{join members}}", /join takes 2/],
    ["{{count 1 'row'}}", /count takes 3/],
    ["{{join map ','}}", /takes a list/],
    ["{{> part}}", /partials/],
    ["{{#frob}}{{/frob}}", /no block/],
    ["{{#params.flag}}x{{/params.flag}}", /no block/],
    ["{{* deco}}", /decorators/],
    ["{{#*inline 'a'}}{{/inline}}", /decorators/],
    ["{{@index}}", /no @index/],
    ["{{../params}}", /goes up/],
    ["{{params", /not parse/],
    ["{{#if a}}", /not parse/],
    ["{{#if a}}{{/each}}", /parse/],
    ["{{}}", /parse/],
    ["{{#if}}{{/if}}", /takes one value/],
    ["{{log params.n}}", /no helper log/],
    ["{{helperMissing}}", /calls a helper/],
    ["{{if}}", /\{\{if\}\} calls a helper/, "if"],
    ["{{#if params.flag as |x|}}{{/if}}", /gives no names/],
    ["{{#with params as |a b|}}{{/with}}", /gives one name/],
    ["{{#each members as |a b c|}}{{/each}}", /gives two names/],
    ["{{#each members as |json|}}{{/each}}", /json can't be a name/],
    ["{{#each members as |a a|}}{{/each}}", /a can't be a name/],
    ["{{#each members limit=1}}{{/each}}", /does not take limit/],
    ["{{#if params.flag x=1}}{{/if}}", /does not take x/],
    ["{{#each members}}{{@../index}}{{/each}}", /no @\.\.\/index/, "@../index"],
    ["{{@../root}}", /no @\.\.\/root/],
    ["{{#each members}}{{@../../root}}{{/each}}", /no @/],
    ["{{#with .}}{{../params}}{{/with}}", /goes up/],
    ["{{json (params)}}", /no helper params/, "params"],
    ["{{members.01.name}}", /no 01 in members/, "01"],
    ["{{members.length}}", /no length in members/, "length"],
    ["{{lookup map members}}", /key is text or a number/, "members"],
    ["{{null}}", /no null/],
    ["{{'nope'}}", /no nope/],
    ["{{this.json 1}}", /no helper this\.json/],
    ["{{#if params.off}}{{> later}}{{/if}}", /partials/],
    ["{{{{raw}}}}{{{{/raw}}}}", /no block/],
    ["{{#each 'abc'}}{{/each}}", /goes over/],
    ["{{members.0}}", /not parse/],
    ["{{params.this.n}}", /parse/],
    ["{{params.n k=1}}", /no helper/],
  ];
  test.each(faults.map(([text, message, at]) => [text, message, at ?? ""] as const))(
    "%p fails",
    (text, message, at) => {
      const error = failure(text);
      expect(error).toMatchObject({
        code: "expression_failed",
        message: expect.stringMatching(message),
      });
      expect(error.hint).toBeString();
      const { start, end } = error.data as { start: number; end: number };
      if (at) expect(text.slice(start, end)).toBe(at);
    },
  );

  test("says how to leave a block, and suggests", () => {
    expect(failure("x {{members.0}}").hint).toContain("list.[0]");
    expect(failure("{{#each members}}{{params.n}}{{/each}}").hint).toContain("../params.n");
    expect(failure("{{params.tarjet}}").hint).toBe("Did you mean target?");
  });
  test.each([
    "{{a.constructor.constructor}}",
    "{{params.constructor}}",
    "{{constructor}}",
    "{{__proto__}}",
    "{{params.__proto__.x}}",
    "{{lookup params 'constructor'}}",
    "{{members.length}}",
    "{{params.target.length}}",
    "{{#with constructor}}{{/with}}",
    "{{toString}}",
  ])("%s reaches nothing of JavaScript", (text) =>
    expect(failure(text).code).toBe("expression_failed"),
  );
  test("unknown outputs pass through", () => {
    const plan = { steps: { a: { output: unknownOutput("steps.a.output"), status: "previewed" } } };
    expect(renderText("{{steps.a.status}}", plan)).toBe("previewed");
    for (const text of [
      "{{steps.a.output}}",
      "{{steps.a.output.x}}",
      "{{#if steps.a.output}}{{/if}}",
      "{{json steps}}",
    ])
      expect(() => renderText(text, plan)).toThrow(UnknownValue);
  });
  test("deep nesting renders or is refused", () => {
    const depth = 400;
    expect(
      renderText(`${"{{#if params.flag}}".repeat(depth)}x${"{{/if}}".repeat(depth)}`, vars),
    ).toBe("x");
  });
  test("a fault in a long text keeps only what is near", () => {
    const data = failure(`${"x".repeat(50_000)}{{nope}}${"y".repeat(50_000)}`).data as {
      source: string;
      start: number;
      end: number;
    };
    expect(data.source).toHaveLength(2000);
    expect(data.source.slice(data.start, data.end)).toBe("nope");
  });
  test("is bounded", () => {
    const many = Array.from({ length: 5000 }, (_, n) => n);
    const big = "x".repeat(300_000);
    for (const text of [
      "{{#each many}}{{#each ../many}}{{this}}{{/each}}{{/each}}",
      "{{#each many}}{{#each ../many}}{{/each}}{{/each}}",
      "{{#each many}}{{#if (json ../many)}}{{/if}}{{/each}}",
      "{{#each many}}{{#if (join ../many ',')}}{{/if}}{{/each}}",
      "{{big}}{{big}}{{big}}{{big}}",
      "{{#each many}}{{../big}}{{/each}}",
    ]) {
      expect(() => renderText(text, { many, big })).toThrow(
        expect.objectContaining({ code: "limit_exceeded" }),
      );
    }
  });
});
