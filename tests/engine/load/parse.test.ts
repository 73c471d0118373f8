import { expect, test, describe } from "bun:test";
import { parseDocument } from "../../../engine/load/parse.ts";
import { faultsOf, thrownBy } from "./refused.ts";

const places = (text: string) => faultsOf(thrownBy(() => parseDocument(text, "x.yaml"))).places;

describe("data", () => {
  test("is plain, of the YAML 1.2 core schema, in objects without prototype", () => {
    const { data } = parseDocument(
      "on: yes\nn: 012\nh: 0x1F\nf: 1.5\nt: true\nnone: ~\ndate: 2026-01-01\nlist: [a, {b: c}]\ntext: |\n  a\n  b\n",
      "x.yaml",
    );
    expect(Object.getPrototypeOf(data)).toBeNull();
    expect(JSON.parse(JSON.stringify(data))).toEqual({
      on: "yes",
      n: 12,
      h: 31,
      f: 1.5,
      t: true,
      none: null,
      date: "2026-01-01",
      list: ["a", { b: "c" }],
      text: "a\nb\n",
    });
    expect(Object.getPrototypeOf((data as any).list[1])).toBeNull();
  });

  test("aliases are resolved where they are few", () => {
    const { data, at } = parseDocument("a: &x {k: [1, 2]}\nb: *x\nc: [*x]\n", "x.yaml");
    expect(JSON.stringify(data)).toBe('{"a":{"k":[1,2]},"b":{"k":[1,2]},"c":[{"k":[1,2]}]}');
    expect(at(["b"])).toMatchObject({ line: 2, column: 4, length: 2 });
    expect(at(["b", "k", 1])).toMatchObject({ line: 1, column: 15 });
  });

  test("a byte order mark, one document marker and CRLF are fine", () => {
    const { data, at } = parseDocument("\ufeff---\r\na: 1\r\nb: 2\r\n...\r\n", "x.yaml");
    expect(JSON.stringify(data)).toBe('{"a":1,"b":2}');
    expect(at(["b"])).toMatchObject({ line: 3, column: 4 });
    expect(parseDocument("\ufeffa: 1", "x.yaml").at(["a"], true)).toMatchObject({
      line: 1,
      column: 1,
    });
  });

  test("an empty file is null", () => {
    expect(parseDocument("# nothing\n", "x.yaml").data).toBeNull();
  });
});

describe("at", () => {
  const text = "summary: Hi\nsteps:\n  - id: a\n    sql.query: {sql: select 1}\n    when:\n";
  const { at } = parseDocument(text, "dir/x.yaml");
  const shown = (path: (string | number)[], key?: boolean) => {
    const { file, line, column, offset, length, text: whole } = at(path, key);
    expect(file).toBe("dir/x.yaml");
    expect(whole).toBe(text);
    return [line, column, whole.slice(offset, offset + length)];
  };

  test("gives values and keys", () => {
    expect(shown(["summary"])).toEqual([1, 10, "Hi"]);
    expect(shown(["summary"], true)).toEqual([1, 1, "summary"]);
    expect(shown(["steps", 0, "id"])).toEqual([3, 9, "a"]);
    expect(shown(["steps", 0, "sql.query"], true)).toEqual([4, 5, "sql.query"]);
    expect(shown(["steps", 0, "sql.query", "sql"])).toEqual([4, 22, "select 1"]);
  });

  test("gives the nearest written ancestor of what is absent", () => {
    expect(shown(["steps", 0, "sql.query", "values", 3])).toEqual([4, 16, "{sql: select 1}"]);
    expect(shown(["steps", 0, "sql.query", "values"], true)).toEqual([4, 5, "sql.query"]);
    expect(shown(["steps", 7]).slice(0, 2)).toEqual([3, 3]);
    expect(shown(["risk"]).slice(0, 2)).toEqual([1, 1]);
    expect(shown(["summary", "length"])).toEqual([1, 10, "Hi"]);
  });

  test("gives a value that was left empty", () => {
    expect(shown(["steps", 0, "when"])).toEqual([5, 10, ""]);
  });

  test("gives quoted and block text with its marks", () => {
    const doc = parseDocument("a: 'x y'\nb: |\n  text\n", "x.yaml");
    const a = doc.at(["a"]);
    expect(doc.text.slice(a.offset, a.offset + a.length)).toBe("'x y'");
    expect(doc.at(["b"])).toMatchObject({ line: 2, column: 4 });
  });
});

describe("refused", () => {
  test.each([
    [
      "duplicate key",
      "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\na: 2\n",
      ["5:3 duplicate-key", "6:1 duplicate-key"],
    ],
    ["tags", "a: !!str 1\nb: !js/function x\n", ["1:4 tag", "2:4 tag"]],
    [
      "tags that make other objects",
      "a: !!omap [b: 1]\nc: !!pairs [d: 1]\n",
      ["1:4 tag", "2:4 tag"],
    ],
    ["a tag on the whole", "!!omap\n- a: 1\n", ["1:1 tag"]],
    ["tags of sets and bytes", "a: !!set {b}\nc: !!binary aGk=\n", ["1:4 tag", "2:4 tag"]],
    ["directive", "%YAML 1.1\n---\na: yes\n", ["1:1 directive"]],
    ["several documents", "a: 1\n---\nb: 2\n---\nc: 3\n", ["2:1 multiple-documents"]],
    ["content after the end", "a: 1\n...\nb: 2\n", ["3:1 multiple-documents"]],
    [
      "numeric, null, list and map keys",
      "1: a\n~: b\n? [c]\n: d\n? {e: f}\n: g\ntrue: h\n",
      [
        "1:1 non-string-key",
        "2:1 non-string-key",
        "3:3 non-string-key",
        "5:3 non-string-key",
        "7:1 non-string-key",
      ],
    ],
    ["unquoted template", "a: {{x}}\n", ["1:5 non-string-key"]],
    ["alias as key", "a: &k key\n*k : 1\n", ["2:1 non-string-key"]],
    [
      "prototype keys",
      "__proto__: {x: 1}\na:\n  constructor: 1\n  'prototype': 2\n",
      ["1:1 reserved-key", "3:3 reserved-key", "4:3 reserved-key"],
    ],
    ["prototype key by escape", 'a: {"__proto\\u005f_": 1}\n', ["1:5 reserved-key"]],
    ["merge key", "a: &a {x: 1}\nb:\n  <<: *a\n", ["3:3 merge-key"]],
    ["NUL", "a: 1\nb: x\0y\n", ["2:5 control-character"]],
    ["terminal escape", "a: \u001b[2J\n", ["1:4 control-character"]],
    ["C1 control", "a: \u009b2J\n", ["1:4 control-character"]],
    ["lone carriage return", "a: 1 # x\rb: 2\n", ["1:9 control-character"]],
    ["text direction override", "a: \u202ex\n", ["1:4 control-character"]],
    [
      "escaped NUL in value and key",
      'a: "x\\0"\n"k\\e": 1\n',
      ["1:4 control-character", "2:1 control-character"],
    ],
    [
      "numbers that would change",
      "a: 7123456789012345678\nb: .inf\nc: -.INF\nd: .nan\ne: 1e999\nf: 0xFFFFFFFFFFFFFFFF\n",
      [
        "1:4 unsafe-number",
        "2:4 unsafe-number",
        "3:4 unsafe-number",
        "4:4 unsafe-number",
        "5:4 unsafe-number",
        "6:4 unsafe-number",
      ],
    ],
    [
      "unknown and recursive alias",
      "a: *x\nb: &y [*y]\n",
      ["1:4 unknown-anchor", "2:8 unknown-anchor"],
    ],
  ])("%s", (_name, text, expected) => {
    expect(places(text)).toEqual(expected);
  });

  test("but not what only looks like it", () => {
    const text = `a: "!tag"\nb: '%x'\nc: |\n  !x &y *z\n  ---\n  %d\nd: x !y\n"1": {"on": 1}\ne: 9007199254740991\nf: 1e300\ng: "\\t\\r\\n"\n`;
    expect(Object.keys(parseDocument(text, "x.yaml").data as object)).toHaveLength(8);
  });

  test("every bad line is named at once", () => {
    expect(places("a: @x\nb: ok\nc: `y\nd: x: y\ne: !t z\n")).toEqual([
      "1:4 yaml-bad-scalar-start",
      "3:4 yaml-bad-scalar-start",
      "4:4 yaml-block-as-implicit-key",
      "5:4 tag",
    ]);
  });

  test("at most fifty faults are listed", () => {
    expect(places("a: @x\n".repeat(500))).toHaveLength(50);
    expect(places(Array.from({ length: 500 }, (_, i) => `${i}: x\n`).join(""))).toHaveLength(50);
  });
});

describe("indentation", () => {
  const faulty = (text: string) => faultsOf(thrownBy(() => parseDocument(text, "x.yaml"))).list;

  test.each([
    ["too far", "steps:\n  - id: a\n     sql.query: {}\n", 3, 6],
    ["not far enough", "steps:\n  - id: a\n   sql.query: {}\n", 3, 4],
    ["between two levels", "a:\n  b: 1\n c: 2\n", 3, 2],
    ["out of a block text", "a: |\n  x\n y\nb: 1\n", 3, 2],
    ["past a comment", "a:\n  b: 1\n# note\n c: 2\n", 4, 2],
  ])("%s", (_name, text, line, column) => {
    const [first, ...more] = faulty(text);
    expect(more).toEqual([]);
    expect(first).toMatchObject({ rule: "yaml-bad-indent", where: { line, column } });
    expect(first!.message).toMatch(
      /^bad indentation: this line begins in column \d+, the one above it in column \d+$/,
    );
  });

  test("shows the line above and says both columns", () => {
    const [first] = faulty("steps:\n  - id: a\n     sql.query: {}\n");
    expect(first!.message).toBe(
      "bad indentation: this line begins in column 6, the one above it in column 5",
    );
    expect(first!.frame).toBe("  2 |   - id: a\n  3 |      sql.query: {}\n    |      ^^^^^^^^^");
  });

  test("tab", () => {
    expect(faulty("a:\n\tb: 1\n")[0]).toMatchObject({
      rule: "yaml-tab-as-indent",
      where: { line: 2, column: 1 },
    });
  });

  test("an unclosed quote is shown where it opens", () => {
    expect(faulty("a: 1\nb: 'x\nc: 2\nd: 3\n")[0]).toMatchObject({
      rule: "yaml-missing-char",
      where: { line: 2, column: 4 },
    });
    expect(faulty('a: "x\n')[0]!.where).toMatchObject({ line: 1, column: 4 });
  });
});
