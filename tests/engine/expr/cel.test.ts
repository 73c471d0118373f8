import { describe, expect, test } from "bun:test";
import { evaluate, explain } from "../../../engine/expr/cel.ts";
import { unknownOutput, UnknownValue } from "../../../engine/expr/unknown.ts";
import type { PgdbaError } from "../../../engine/errors.ts";
import { cpuMs } from "../../support/cpu-time.ts";

const vars = {
  params: { target: "pg2", max_lag: "1MB", n: 3, ratio: 0.5, none: null, flag: true },
  steps: {
    q: {
      output: {
        row_count: 3,
        rows: [
          { bytes: 10, name: "a" },
          { bytes: 20, name: "b" },
          { bytes: 30.5, name: "c" },
        ],
      },
    },
    s: { output: { rows: [{ bytes: 7 }, { bytes: 8 }] } },
  },
  mixed: [1, "a", null, 2.5, true],
  words: ["pg1", "pg2"],
  empty: [],
  lag: 2048,
  constructor_data: JSON.parse('{"constructor": 5}'),
};
const failure = (source: string, given: Record<string, unknown> = vars): PgdbaError => {
  try {
    evaluate(source, given);
  } catch (error) {
    return error as PgdbaError;
  }
  throw new Error(`${source} did not fail`);
};

describe("evaluate", () => {
  test.each<[string, unknown]>([
    ["1 + 2", 3],
    ["7 / 2", 3],
    ["7 / 2.0", 3.5],
    ["7.0 / 2", 3.5],
    ["-7 / 2", -3],
    ["7 % 4", 3],
    ["2 * 1.5", 3],
    ["5u + 1u", 6],
    ["steps.s.output.rows[0].bytes + 1", 8],
    ["steps.q.output.rows[2].bytes + 1", 31.5],
    ["params.n / 2.0", 1.5],
    ["lag / 1024", 2],
    ["1 == 1.0", true],
    ["1.0 == 1", true],
    ["1 != 1.5", true],
    ["1 < 1.5", true],
    ["1.5 > 1", true],
    ["2 in [1.0, 2.0]", true],
    ["2.0 in [1, 2]", true],
    ["9007199254740993 == 9007199254740992.0", true],
    ["9007199254740993 == 9007199254740992", false],
    ["params.n == 3.0", true],
    ["'a' == 1", false],
    ["null == params.none", true],
    ["1 in mixed", true],
    ["'a' in mixed", true],
    ["null in mixed", true],
    ["'z' in mixed", false],
    ["'target' in params", true],
    ["1 in empty", false],
    ["sum([1, 2, 3])", 6],
    ["sum([1, 2.5])", 3.5],
    ["sum([])", 0],
    ["sum(steps.q.output.rows.map(r, r.bytes))", 60.5],
    ["max([1, 2.5, 2])", 2.5],
    ["min(['b', 'a'])", "a"],
    ["max(1, 2.5)", 2.5],
    ["min(3, 2)", 2],
    ["bytes(params.max_lag)", 1048576],
    ["lag <= bytes('1MB')", true],
    ["lsn('0/20') - lsn('0/10')", 16],
    ["duration_ms('1h30m')", 5400000],
    ["'Ab'.lower() + 'Ab'.upper() + ' x '.trim()", "abABx"],
    ["'a,b,c'.split(',')", ["a", "b", "c"]],
    ["'a,b,c'.split(',', 2)", ["a", "b,c"]],
    ["words.join(', ')", "pg1, pg2"],
    ["['a', 1, true].join('-')", "a-1-true"],
    ["[1, 2, 3].take(2)", [1, 2]],
    ["[1].take(2) + [5].take(0) + [6].take(-1)", [1]],
    ["round(2.5)", 3],
    ["round(-2.5)", -3],
    ["round(1.005 * 100, 1)", 100.5],
    ["round(3)", 3],
    ["round(2.344, 2)", 2.34],
    ["'pg12'.matches('^pg[0-9]+$')", true],
    ["'a.b'.replace('.', '_')", "a_b"],
    ["'abc'.substring(1, 2)", "b"],
    ["'abc'.indexOf('c')", 2],
    ["size('héé')", 3],
    ["size(words)", 2],
    ["words.size()", 2],
    ["size({'a': 1})", 1],
    ["int('42') + 1", 43],
    ["int(2.9)", 2],
    ["double('1.5')", 1.5],
    ["string(1) + 'a'", "1a"],
    ["words[0]", "pg1"],
    ["words[1.0]", "pg2"],
    ["words[params.n - 2]", "pg2"],
    ["params['target']", "pg2"],
    ["{'a': {'b': [1, 2.5]}}", { a: { b: [1, 2.5] } }],
    ["params.flag ? 'x' : null", "x"],
    ["params.flag ? 1 : 2.5", 1],
    ["has(params.target)", true],
    ["has(params.nope)", false],
    ["has(params.none)", true],
    ["words.exists(w, w == params.target)", true],
    ["words.all(w, w.startsWith('pg'))", true],
    ["words.exists_one(w, w == 'pg1')", true],
    ["words.filter(w, w != 'pg1')", ["pg2"]],
    ["steps.q.output.rows.map(r, r.bytes > 10, r.name)", ["b", "c"]],
    ["{'b': 1, 'a': 2}.map(k, k)", ["b", "a"]],
    [
      "words.map(a, words.map(b, a + b))",
      [
        ["pg1pg1", "pg1pg2"],
        ["pg2pg1", "pg2pg2"],
      ],
    ],
    ["cel.bind(x, params.n * 2, x + x)", 12],
    ["[6 / 2.0].map(x, x / 2)[0]", 1.5],
    ["[1] + ['a']", [1, "a"]],
    ["[1, [2]] == [1.0, [2]]", true],
    [
      "timestamp('2026-02-22 10:00:00.5+00') - timestamp('2026-02-22T09:00:00Z') > duration('1h')",
      true,
    ],
    ["timestamp('2026-02-22T10:00:00+01:00') + duration('30m')", "2026-02-22T09:30:00Z"],
    ["timestamp('2026-02-22').getDayOfWeek()", 0],
    ["true || params.nope", true],
    ["params.nope || true", true],
    ["false && params.nope", false],
    ["params.nope && false", false],
    ["[1, 'x'].exists(x, x > 0)", true],
    ["9223372036854775807", "9223372036854775807"],
    ["constructor_data.constructor", 5],
    ["!params.flag", false],
    ["-params.n", -3],
  ])("%s gives %p", (source, value) => expect(evaluate(source, vars)).toEqual(value as never));

  test.each<[string, string, string | RegExp]>([
    ["params.targt", "targt", /no key targt/],
    ["steps.q.output.leader.name", "leader", /steps\.q\.output has no key leader/],
    ["stesp.q", "stesp", /no variable stesp/],
    ["params.none.x", "x", /params\.none is null/],
    ["words.x", "x", /words is a list/],
    ["words[5]", "words[5]", /has 2 items/],
    ["words[-1]", "words[-1]", /no item -1/],
    ["words[0.5]", "words[0.5]", /indexed with an int/],
    ["words['a']", "words['a']", /indexed with an int/],
    ["1 + 'a'", "1 + 'a'", /int and string/],
    ["(params.n + 1) * 'x'", "(params.n + 1) * 'x'", /in \(params\.n \+ 1\) \* 'x'/],
    ["1 / 0", "1 / 0", /division by zero/],
    ["5 % 0", "5 % 0", /zero/],
    ["9223372036854775807 + 1", "9223372036854775807 + 1", /64-bit/],
    ["params.n && true", "params.n", /must be true or false/],
    ["!params.n", "params.n", /must be true or false/],
    ["params.n ? 1 : 2", "params.n", /true or false/],
    ["bytes('1XB')", "bytes('1XB')", /not a size/],
    ["lsn('x')", "lsn('x')", /LSN/],
    ["byts('1')", "byts('1')", /no function byts/],
    ["bytes(1)", "bytes(1)", /no bytes\(int\)/],
    ["params.n.lower()", "params.n.lower()", /int\.lower/],
    ["sum(['a'])", "sum(['a'])", /numbers/],
    ["max([])", "max([])", /empty/],
    ["max([1, 'a'])", "max([1, 'a'])", /order/],
    ["words.map(w, w.x)", "x", /w is a string/],
    ["words.all(w, w)", "w", /all\(\)/],
    ["params.n.exists(x, x)", "params.n", /list or a map/],
    ["{1.5: 2}", "1.5", /key of a map is text/],
    ["{null: 2}", "null", /key of a map is text/],
    ["'a' in 'abc'", "'a' in 'abc'", /can't look into/],
    ["'a'.matches('(a')", "'a'.matches('(a')", /refused/],
    ["a +", "", /ends too early/],
    ["", "", /empty/],
    ["{{params.x}}", "", /for text/],
    ["params.target = 'a'", "=", /compare with '=='/],
    ["true < 'a'", "true < 'a'", /bool and string/],
    ["round(1.0 / 0.0)", "round(1.0 / 0.0)", /finite/],
    ["double('x')", "double('x')", /not a number/],
  ])("%s fails at %p", (source, at, message) => {
    const error = failure(source);
    expect(error).toMatchObject({
      code: "expression_failed",
      message: expect.stringMatching(message),
    });
    expect(error.hint).toBeString();
    const {
      start,
      end,
      source: kept,
    } = error.data as { start: number; end: number; source: string };
    expect(kept).toBe(source);
    if (at) expect(source.slice(start, end)).toBe(at);
    expect(error.cause).toBeInstanceOf(Error);
  });

  test("suggests the nearest name", () => {
    expect(failure("params.targt").hint).toBe("Did you mean target?");
    expect(failure("parms.target").hint).toBe("Did you mean params?");
    expect(failure("byts('1')").hint).toBe("Did you mean bytes?");
  });

  test.each([
    "params.__proto__",
    "params.constructor",
    "params.toString",
    "params['constructor']",
    "params['__proto__']",
    "constructor",
    "toString",
    "words.length",
    "words.constructor",
    "'a'.constructor",
    "{'__proto__': 1}",
    "params.hasOwnProperty('a')",
    "words.map(x, x.constructor)",
  ])("%s reaches nothing of JavaScript", (source) =>
    expect(failure(source).code).toBe("expression_failed"),
  );

  test("an output that does not exist is needed or not", () => {
    const plan = {
      steps: { a: { status: "previewed", output: unknownOutput("steps.a.output") } },
      t: true,
      f: false,
      list: [1, 2],
    };
    expect(evaluate("f && steps.a.output.x", plan)).toBe(false);
    expect(evaluate("steps.a.output.x && f", plan)).toBe(false);
    expect(evaluate("steps.a.output.x == 1 || t", plan)).toBe(true);
    expect(evaluate("list.exists(x, x == 2 || steps.a.output == x)", plan)).toBe(true);
    expect(evaluate("steps.a.status", plan)).toBe("previewed");
    expect(evaluate("has(steps.a.output)", plan)).toBe(true);
    expect(evaluate("t ? 1 : steps.a.output", plan)).toBe(1);
    for (const source of [
      "steps.a.output",
      "steps.a.output.x",
      "t && steps.a.output.x",
      "steps.a.output.x || f",
      "t.nope && steps.a.output.x",
      "steps.a.output == null",
      "[steps.a.output]",
      "size(steps.a.output)",
      "list.map(x, steps.a.output.y)",
      "has(steps.a.output.x)",
      "steps",
      "'x' in steps.a.output",
    ]) {
      expect(() => evaluate(source, plan)).toThrow(UnknownValue);
    }
    expect(() => explain("t && steps.a.output.x", plan)).toThrow(
      expect.objectContaining({ path: "steps.a.output" }),
    );
  });

  test("works within bounds", () => {
    const rows = Array.from({ length: 3000 }, (_, n) => ({ n }));
    const many = Array.from({ length: 20_000 }, (_, n) => n);
    const computed = cpuMs();
    for (const source of [
      "rows.map(a, rows.map(b, a.n + b.n))",
      "many.all(a, many.exists(b, b == a))",
      "many.filter(a, !(a in many))",
      "many.all(a, many == many)",
      "cel.bind(a, 'xxxxxxxxxx', cel.bind(b, a+a+a+a+a+a+a+a+a+a, cel.bind(c, b+b+b+b+b+b+b+b+b+b, cel.bind(d, c+c+c+c+c+c+c+c+c+c, cel.bind(e, d+d+d+d+d+d+d+d+d+d, e+e+e+e+e+e+e+e+e+e+e)))))",
      "cel.bind(a, many + many, cel.bind(b, a+a+a+a+a+a, cel.bind(c, b+b+b+b+b+b, c)))",
      "many.map(x, many)",
      "many.map(x, many.join(',')).size() > 0",
      "many.join(',').matches('(.*1){20}x')",
    ]) {
      expect(failure(source, { rows, many }).code).toBe("limit_exceeded");
    }
    expect(cpuMs() - computed).toBeLessThan(5000);
    expect(evaluate("rows.filter(r, r.n % 2 == 0).size()", { rows })).toBe(1500);
    expect(evaluate("sum(many)", { many })).toBe(199_990_000);
  });
  test("what a function or a fault costs is counted, too", () => {
    const many = Array.from({ length: 20_000 }, (_, n) => n);
    const map = Object.fromEntries(many.map((n) => [`key ${n}`, n]));
    const big = "a".repeat(1_000_000);
    const given = {
      many,
      map,
      big,
      needle: `${"a".repeat(300_000)}b\``,
      spaces: " ".repeat(1_000_000),
    };
    for (const source of [
      "many.map(x, big.lower())",
      "many.map(x, big.upperAscii())",
      "many.map(x, spaces.trim())",
      "many.map(x, string(many))",
      "many.map(x, [many].join(','))",
      "many.map(x, size(map))",
      "many.all(x, big.contains(needle) || true)",
      "many.all(x, big.lastIndexOf(needle) < 0)",
      "many.all(x, big <= big + 'b')",
      "many.all(x, big == 'b' + big || x >= 0)",
      "many.all(x, map[big] == 1 || map['key'] == 1 || true)",
      "many.all(x, !'a'.matches(string(x) + '(?i)(é|b){1000}c'))",
      "many.map(x, many.map(y, timestamp(y).getHours('Europe/Paris')))",
    ])
      expect(`${source} ${failure(source, given).code}`).toBe(`${source} limit_exceeded`);
  }, 300_000);
  test.each([
    `${"!".repeat(15_000)}true`,
    "(".repeat(5000),
    `${"[".repeat(5000)}`,
    `1${"+1".repeat(5000)}`,
    "a".repeat(30_000),
    `a${".b".repeat(3000)}`,
    `true${"?true:true".repeat(1000)}`,
  ])("a huge expression is refused (%#)", (source) => {
    expect(["expression_failed", "limit_exceeded"]).toContain(failure(source).code);
  });
  test("a chain as long as allowed does not overflow", () => {
    expect(evaluate(`1${"+1".repeat(900)}`, {})).toBe(901);
  });
  test("an expression over a field does not pay for the rows beside it", () => {
    let touched = 0;
    const rows = new Proxy([], { get: () => touched++ });
    expect(evaluate("q.row_count > 0", { q: { row_count: 5, rows } })).toBe(true);
    expect(touched).toBe(0);
  });
  test("a result is a copy", () => {
    const result = evaluate("words", vars) as string[];
    result.push("x");
    expect(vars.words).toHaveLength(2);
  });
});

describe("explain", () => {
  test("tells every part, outermost first, without literals and prefixes", () => {
    const trace = explain("steps.q.output.row_count <= 2 || (params.n + 1) * 2 == lag", vars);
    expect(trace.value).toBe(false);
    expect(trace.parts).toEqual([
      { source: "steps.q.output.row_count <= 2 || (params.n + 1) * 2 == lag", value: false },
      { source: "steps.q.output.row_count <= 2", value: false },
      { source: "steps.q.output.row_count", value: 3 },
      { source: "(params.n + 1) * 2 == lag", value: false },
      { source: "(params.n + 1) * 2", value: 8 },
      { source: "params.n + 1", value: 4 },
      { source: "params.n", value: 3 },
      { source: "lag", value: 2048 },
    ]);
    expect(trace.text).toBe(
      [
        "steps.q.output.row_count <= 2 || (params.n + 1) * 2 == lag  false",
        "  steps.q.output.row_count <= 2                             false",
        "    steps.q.output.row_count                                3",
        "  (params.n + 1) * 2 == lag                                 false",
        "    (params.n + 1) * 2                                      8",
        "      params.n + 1                                          4",
        "        params.n                                            3",
        "    lag                                                     2048",
      ].join("\n"),
    );
  });
  test("leaves out what was not reached", () => {
    expect(explain("params.flag || lag > 1", vars).parts.map((part) => part.source)).toEqual([
      "params.flag || lag > 1",
      "params.flag",
    ]);
  });
  test("shows the first elements that made all() false", () => {
    const members = [
      { name: "a", ok: true },
      ...["b", "c", "d", "e"].map((name) => ({ name, ok: false })),
    ];
    expect(explain("members.all(m, m.ok)", { members }).parts.map((part) => part.source)).toEqual([
      "members.all(m, m.ok)",
      "members",
      "members[1]",
      "members[1].ok",
      "members[2]",
      "members[2].ok",
      "members[3]",
      "members[3].ok",
    ]);
    const tried = explain("members.exists(m, m.name == 'x')", { members });
    expect(tried.parts.map((part) => part.source).slice(2)).toEqual(
      [0, 1, 2].flatMap((i) => [
        `members[${i}]`,
        `members[${i}].name == 'x'`,
        `members[${i}].name`,
      ]),
    );
    expect(tried.parts[2]!.value).toEqual({ name: "a", ok: true });
    expect(explain("members.exists(m, m.name == 'a')", { members }).parts).toHaveLength(2);
  });
  test("shows what the condition of a macro gave for the elements that decided", () => {
    const members = [1, 12, 3, 14].map((lag, n) => ({ name: `pg${n}`, lag }));
    const told = (source: string) =>
      explain(source, { members, limit: 10, none: [] })
        .parts.slice(1)
        .filter((part) => part.source !== "members" && !/^members\[\d\]$/.test(part.source))
        .map((part) => `${part.source} is ${JSON.stringify(part.value)}`);
    expect(told("members.all(m, m.lag < limit || m.name == 'pg1')")).toEqual([
      "members[3].lag < limit || members[3].name == 'pg1' is false",
      "members[3].lag < limit is false",
      "members[3].lag is 14",
      "limit is 10",
      "members[3].name == 'pg1' is false",
      'members[3].name is "pg3"',
    ]);
    // What is true decides under a `!`, and where there may be only one.
    expect(told("!members.exists(m, m.lag > limit)").slice(1)).toEqual([
      "members[1].lag > limit is true",
      "members[1].lag is 12",
      "limit is 10",
    ]);
    expect(told("members.exists_one(m, m.lag > 10)")).toEqual([
      "members[1].lag > 10 is true",
      "members[1].lag is 12",
      "members[3].lag > 10 is true",
      "members[3].lag is 14",
    ]);
    // The keys of a map; a list that is no path; a variable that hides another of its name.
    expect(told("{'a': 1, 'b': limit}.all(k, k == 'a')").at(-1)).toBe("\"b\" == 'a' is false");
    expect(told("(members + none).all(m, size(m.name) < 3)").slice(-1)).toEqual([
      '(members + none)[2].name is "pg2"',
    ]);
    expect(told("members.all(m, members.exists(m, m.lag > 100))")).toEqual([
      "members.exists(m, m.lag > 100) is false",
    ]);
    expect(told("members.all(m, m.lag > 0)")).toEqual([]);
  });
  test("tells of a large list within the work that the evaluation may do", () => {
    const list = Array.from({ length: 300 }, (_, n) => n);
    const source = "list.all(a, list.all(b, a + b < 0))";
    expect(explain(source, { list }).parts.map((part) => part.source)).toContain(
      "list.all(b, list[0] + b < 0)",
    );
  });
  test("shows a fault that was absorbed", () => {
    const trace = explain("params.nope == 1 || params.flag", vars);
    expect(trace.value).toBe(true);
    expect(trace.parts[1]!.value).toEqual({ error: "params has no key nope" });
  });
  test("shortens long values", () => {
    const trace = explain("size(text) > size(list)", {
      text: "x".repeat(5000),
      list: Array.from({ length: 9 }, (_, n) => n),
    });
    const shown = (source: string): unknown =>
      trace.parts.find((part) => part.source === source)!.value;
    expect(shown("text")).toBe(`${"x".repeat(200)}… (5000 characters)`);
    expect(shown("list")).toEqual([0, 1, 2, 3, 4, "… 4 more"]);
    expect(Math.max(...trace.text.split("\n").map((line) => line.length))).toBeLessThan(200);
  });
});
