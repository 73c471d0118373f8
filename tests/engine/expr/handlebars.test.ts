import { expect, test } from "bun:test";
import Handlebars from "handlebars";
import { PgdbaError } from "../../../engine/errors.ts";
import { renderText } from "../../../engine/expr/template/render.ts";

/** Random texts, each rendered by Handlebars itself, too: the same result, or refused. */
const data = {
  n: 0,
  one: 1,
  name: "root",
  text: "a - b",
  empty: "",
  yes: true,
  no: false,
  ratio: 1.5,
  list: ["a", "b", "c"],
  numbers: [0, 1, 2],
  none: [],
  users: [
    { name: "ann", n: 1, list: ["x", "y"], user: { name: "inner" } },
    { name: "bob", n: 0, list: [], user: { name: "other" } },
  ],
  matrix: [[1], [1, 2], ["a"], [[1]], []],
  map: { k1: 1, k2: "v", name: "map", "odd key": "o", "12": "twelve", list: [1, 2] },
  user: { name: "carl", n: 5, map: { a: { name: "deep" } } },
  index: 7,
  item: "own",
  "12": "dozen",
  true: "truth",
  thisone: "this one",
  json: "a value called json",
  if: "a value called if",
};

const NAMES =
  "n one name name text yes no ratio list numbers none users matrix map user index item thisone 12 k1 json".split(
    " ",
  );
const PARAMS = ["item", "key", "index", "name", "thisone", "v"];

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

class Texts {
  readonly #next: (below: number) => number;

  constructor(seed: number) {
    this.#next = generator(seed);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#next(items.length)]!;
  }

  #path(): string {
    const name = this.#pick([...NAMES, ...PARAMS]);
    return this.#pick([
      () => name,
      () => name,
      () => this.#pick(["this", ".", "this.name", "./name", "this/n", "./this"]),
      () => `${this.#pick(["user", "map", "users.0", "item", "v"])}.${name}`,
      () =>
        `${this.#pick(["list", "users", "matrix", "item"])}.${this.#pick(["0", "1", "[0]", "01", "length"])}`,
      () => `../${this.#pick([name, "", "this", "../name"])}`.replace(/\/$/, ""),
      () => `../../${name}`,
      () =>
        `@${this.#pick(["index", "key", "first", "last", "root", `root.${name}`, "foo", "../index", "../key", "../../index", "../root.name"])}`,
      () =>
        this.#pick([
          "map.[odd key]",
          "[12]",
          "[this]",
          "map.[12]",
          "users.[1].name",
          "user.map.a.name",
        ]),
      () => `this.${name}`,
    ])();
  }

  #value(): string {
    return this.#pick([
      () => this.#path(),
      () => this.#path(),
      () => this.#path(),
      () =>
        this.#pick(["0", "1", "true", "false", "null", "undefined", "'k1'", '"name"', "''", "1.5"]),
      () =>
        `(lookup ${this.#path()} ${this.#pick(["'name'", "0", "@index", "@key", "'k1'", this.#path()])})`,
      () => `(json ${this.#path()})`,
    ])();
  }

  #tilde(): string {
    return this.#next(12) === 0 ? "~" : "";
  }

  #mustache(): string {
    const inner = this.#pick([
      () => this.#path(),
      () => this.#path(),
      () =>
        this.#pick(["12", "true", "'name'", '"map"', "null", "json", "if", "lookup", "'json' n"]),
      () => `json ${this.#value()}`,
      () => `join ${this.#path()} '-'`,
      () => `lookup ${this.#path()} ${this.#value()}`,
      () => this.#pick([`${this.#path()} ${this.#path()}`, `(${this.#path()})`, "name", "yes"]),
    ])();
    const before = this.#pick(["", "", "", "", "\\", "\\\\"]);
    return `${before}{{${this.#tilde()}${inner}${this.#tilde()}}}`;
  }

  #else(depth: number): string {
    return this.#pick([
      () => "",
      () => `{{${this.#tilde()}else}}${this.text(depth - 1)}`,
      () => `{{^}}${this.text(depth - 1)}`,
      () => `{{else if ${this.#value()}}}${this.text(depth - 1)}{{else}}${this.text(depth - 1)}`,
      () => `{{else with ${this.#value()} as |${this.#pick(PARAMS)}|}}${this.text(depth - 1)}`,
      () => `{{else each ${this.#path()}}}${this.text(depth - 1)}`,
    ])();
  }

  #block(depth: number): string {
    const name = this.#pick(["if", "unless", "each", "each", "with", "with", this.#pick(NAMES)]);
    const value = this.#pick([
      () => this.#value(),
      () =>
        this.#pick(["list", "users", "map", "matrix", "user", ".", "this", "n", "../.", "@root"]),
    ])();
    const option =
      this.#next(6) === 0
        ? this.#pick([" includeZero=true", " includeZero=false", " includeZero=n", " x=1"])
        : "";
    const names =
      this.#next(3) === 0
        ? ` as |${this.#pick(PARAMS)}${this.#next(2) ? ` ${this.#pick(PARAMS)}` : ""}|`
        : "";
    const sign = this.#next(15) === 0 ? "^" : "#";
    const inner = this.text(depth - 1);
    return `{{${this.#tilde()}${sign}${name} ${value}${option}${names}${this.#tilde()}}}${inner}${this.#else(depth)}{{/${name}}}`;
  }

  text(depth: number): string {
    return Array.from({ length: 1 + this.#next(3) }, () =>
      this.#pick([
        () => this.#pick(["x", " ", "\n", "  y\n", "- ", "{ }", "\\"]),
        () => this.#mustache(),
        () => this.#mustache(),
        () => (depth > 0 ? this.#block(depth) : this.#mustache()),
        () => (depth > 0 ? `\n  ${this.#block(depth)}\n` : "z"),
        () =>
          this.#pick([
            "{{! c }}",
            "{{!-- {{x}} --}}\n",
            "{{~! c ~}}",
            "{{{{if yes}}}} {{raw}} {{{{/if}}}}",
          ]),
      ])(),
    ).join("");
  }
}

const handlebars = Handlebars.create();
// Handlebars escapes here: without escaping it adds up numbers that stand side by side. The data has nothing to escape.
handlebars.registerHelper("json", (value: unknown) => {
  const plain = value instanceof Handlebars.SafeString ? String(value) : (value ?? null);
  return new Handlebars.SafeString(JSON.stringify(plain));
});
handlebars.registerHelper("join", (list: unknown, by: string) => {
  if (!Array.isArray(list)) throw new Error("no list");
  return list.join(by);
});

const refusal = (action: () => string): { result: string } | { refused: unknown } => {
  try {
    return { result: action() };
  } catch (error) {
    return { refused: error };
  }
};

test("random texts render as Handlebars renders them, or are refused", () => {
  const texts = new Texts(20260222);
  let same = 0;
  let refused = 0;
  for (let i = 0; i < 2500; i++) {
    const text = texts.text(3);
    const ours = refusal(() => renderText(text, data));
    if ("refused" in ours) {
      expect(ours.refused).toBeInstanceOf(PgdbaError);
      expect((ours.refused as PgdbaError).code).toBe("expression_failed");
      refused++;
      continue;
    }
    const theirs = refusal(() => handlebars.compile(text, { strict: true })(data));
    const result = "result" in theirs ? theirs.result : String(theirs.refused);
    // Lists and maps print as JSON, null as null: that is a difference that is told.
    if (/[[{]|null/.test(ours.result.replaceAll("{ }", "")) && "result" in theirs) continue;
    expect(`${JSON.stringify(text)} gives ${ours.result}`).toBe(
      `${JSON.stringify(text)} gives ${result}`,
    );
    same++;
  }
  expect(same).toBeGreaterThan(400);
  expect(refused).toBeGreaterThan(400);
}, 300_000);
