import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import { evaluate, explain } from "../../../engine/expr/cel.ts";
import { checkCel, checkText } from "../../../engine/expr/infer.ts";
import { renderText } from "../../../engine/expr/template/render.ts";
import { unknownOutput, UnknownValue } from "../../../engine/expr/unknown.ts";

/** mulberry32: the same sequence every time. */
function generator(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

const vars = {
  a: { b: [1, 2.5, "x", null, { c: true }], s: "text", n: 3 },
  list: [3, 1, 2],
  u: unknownOutput("u"),
  d: new Date(0),
  bin: new Uint8Array([1]),
  f: 0.5,
  t: true,
};
const CEL =
  "a|a.b|a.s|a.n|list|u|u.x|d|bin|f|t|1|2.5|'x'|null|true|[]|{}|x|+|-|*|/|%|==|!=|<|>=|in|&&|\\|\\||!|?|:|(|)|[|]|{|}|,|.|.map(x, |.exists(x, |.all(x, |.filter(x, |.size()|.matches(|.join(',')|has(|sum(|max(|min(|bytes(|lsn(|int(|string(|round(|timestamp(|duration(|cel.bind(x, |__proto__|.constructor|\"|'|\\\\|\n|{{|@|5u|b'x'|1e400|-9223372036854775808"
    .split(/(?<!\\)\|/)
    .map((token) => token.replaceAll("\\|", "|"));
const TEXT = [
  "{{",
  "}}",
  "{{{",
  "}}}",
  "{{#if ",
  "{{/if}}",
  "{{#each ",
  "{{/each}}",
  "{{else}}",
  "{{#with ",
  "{{/with}}",
  "{{^",
  "{{!",
  "--}}",
  "{{>",
  "{{~",
  "~}}",
  "a",
  "a.b",
  "a.s",
  "list",
  "u",
  "this",
  "../",
  "@index",
  "@root",
  ".",
  "/",
  "[",
  "]",
  "(",
  ")",
  "json ",
  "join ",
  "lookup ",
  "'x'",
  "1",
  " as |x i|",
  "\\",
  "\n",
  " ",
  "text",
  "constructor",
  "__proto__",
  "=",
  "|",
  "&",
  "*",
];

const allowed = (error: unknown): boolean =>
  error instanceof UnknownValue ||
  (error instanceof PgdbaError && ["expression_failed", "limit_exceeded"].includes(error.code));

function survives(action: () => unknown, source: string): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (!allowed(error))
      throw new Error(`${JSON.stringify(source)} threw ${String(error)}`, { cause: error });
    return false;
  }
}

const assemble = (next: (below: number) => number, tokens: string[], most: number): string =>
  Array.from({ length: 1 + next(most) }, () => tokens[next(tokens.length)]).join(
    next(3) === 0 ? " " : "",
  );

test("expressions throw nothing but PgdbaError and UnknownValue", () => {
  const next = generator(20260222);
  let passed = 0;
  for (let i = 0; i < 20_000; i++) {
    const source = assemble(next, CEL, 9);
    const ok = survives(() => evaluate(source, vars), source);
    expect(survives(() => explain(source, vars), source)).toBe(ok);
    const { problems } = checkCel(source, {
      a: {},
      list: { type: "array", items: { type: "integer" } },
      u: {},
      d: {},
      bin: {},
      f: { type: "number" },
      t: { type: "boolean" },
    });
    for (const { start, end, hint } of problems) {
      expect(start >= 0 && start <= end && end <= source.length && hint !== "").toBe(true);
    }
    if (ok) passed++;
  }
  expect(passed).toBeGreaterThan(300);
}, 300_000);

test("texts throw nothing but PgdbaError and UnknownValue", () => {
  const next = generator(7);
  let passed = 0;
  for (let i = 0; i < 10_000; i++) {
    const text =
      i % 2 === 0 ? assemble(next, TEXT, 12) : `{{${assemble(next, TEXT.slice(17), 4)}}}`;
    if (survives(() => renderText(text, vars), text)) passed++;
    checkText(text, { a: {}, list: { type: "array" }, u: {} });
  }
  expect(passed).toBeGreaterThan(300);
}, 300_000);
