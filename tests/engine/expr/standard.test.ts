import { describe, expect, test } from "bun:test";
import { evaluate, explain } from "../../../engine/expr/cel.ts";

/** Rules of CEL's specification that its own cases, in conformance.test.ts, leave open. */
const fails = (source: string): boolean => {
  try {
    evaluate(source, { list: [1, 2], none: null, n: 5, text: "a" });
  } catch (error) {
    expect(error).toMatchObject({ code: "expression_failed" });
    return true;
  }
  return false;
};

describe("text is counted in code points", () => {
  test.each<[string, unknown]>([
    ["'a😀b'.size()", 3],
    ["'a😀b'.indexOf('b')", 2],
    ["'a😀b😀'.indexOf('😀', 2)", 3],
    ["'a😀b😀'.lastIndexOf('😀')", 3],
    ["'a😀b😀'.lastIndexOf('😀', 2)", 1],
    ["'a😀b'.lastIndexOf('')", 3],
    ["'a😀b'.substring(2)", "b"],
    ["'a😀b'.substring(1, 2)", "😀"],
    ["'a😀b'.charAt(1)", "😀"],
    ["'a😀b'.charAt(3)", ""],
    ["'a😀b'.split('')", ["a", "😀", "b"]],
    ["'a😀b'.split('', 2)", ["a", "😀b"]],
    ["'a😀b'.reverse()", "b😀a"],
    ["'a😀'.replace('', '-')", "-a-😀-"],
    ["'aaa'.replace('a', 'b', 2)", "bba"],
    ["'aaa'.replace('a', 'b', 0)", "aaa"],
    ["'\\uffff' < '😀'", true],
    ["'\\ue000' > '😀'", false],
    ["'a😀' > 'a'", true],
    ["max(['\\uffff', '😀'])", "😀"],
    ["'ÄBC'.lowerAscii() + 'äbc'.upperAscii()", "ÄbcäBC"],
    ["'ÄB'.lower()", "äb"],
    ["'\\u0085\\u2003x\\ufeff'.trim()", "x\ufeff"],
    ["matches('abc', 'b')", true],
  ])("%s gives %p", (source, value) => expect(evaluate(source, {})).toEqual(value as never));
  test.each([
    "'a😀b'.substring(4)",
    "'abc'.substring(2, 1)",
    "'abc'.charAt(4)",
    "'abc'.charAt(-1)",
    "'abc'.indexOf('a', 4)",
    "'abc'.lastIndexOf('a', -1)",
    "'\\ud83d'",
    "'\\U00110000'",
    "'\\400'",
    "'\\q'",
    "'a\nb'",
    "b'\\u00ff'",
    "rb'a'",
    "'abc",
  ])("%p fails", (source) => expect(fails(source)).toBe(true));
});

describe("time", () => {
  test.each<[string, unknown]>([
    ["timestamp('2026-02-28T23:59:59.000001Z') == timestamp('2026-02-28T23:59:59.000002Z')", false],
    [
      "timestamp('2026-02-28T23:59:59.000000001Z') < timestamp('2026-02-28T23:59:59.000000002Z')",
      true,
    ],
    ["string(timestamp('2026-02-22T10:00:00+02:00'))", "2026-02-22T08:00:00Z"],
    ["string(timestamp('2026-02-22 10:00:00.5-03:30'))", "2026-02-22T13:30:00.5Z"],
    ["string(timestamp('0099-03-01'))", "0099-03-01T00:00:00Z"],
    ["timestamp('2024-02-29').getDayOfYear()", 59],
    ["timestamp('2024-12-31').getDayOfYear()", 365],
    ["timestamp('1969-12-31T23:59:59.5Z').getMilliseconds()", 500],
    ["int(timestamp('1969-12-31T23:59:59.5Z'))", -1],
    ["timestamp('2026-07-01T12:00:00Z').getHours('Europe/Paris')", 14],
    ["timestamp('2026-01-01T12:00:00Z').getHours('Europe/Paris')", 13],
    ["timestamp('2026-01-01T00:10:00Z').getDate('-00:11')", 31],
    ["timestamp('2026-01-01T12:00:00Z').getMinutes('Asia/Kathmandu')", 45],
    ["string(duration('1h30m'))", "5400s"],
    ["string(duration('-1.5s'))", "-1.5s"],
    ["string(duration('250us'))", "0.00025s"],
    ["string(duration('1ns') + duration('.5s'))", "0.500000001s"],
    ["duration('-0.25s').getMilliseconds()", -250],
    ["duration('90061.5s').getHours()", 25],
    ["duration('2d') == duration('48h')", true],
    ["duration('1500ms')", 1500],
    ["duration_ms('-1.5s')", -1500],
    ["timestamp(0) + duration('1us')", "1970-01-01T00:00:00.000001Z"],
    ["string(timestamp('9999-12-31') - timestamp('0001-01-01'))", "315537811200s"],
  ])("%s gives %p", (source, value) => expect(evaluate(source, {})).toEqual(value as never));
  test.each([
    "timestamp('2026-02-30T00:00:00Z')",
    "timestamp('2023-02-29T00:00:00Z')",
    "timestamp('2026-13-01T00:00:00Z')",
    "timestamp('2026-00-01T00:00:00Z')",
    "timestamp('2026-02-20T24:00:00Z')",
    "timestamp('2026-02-20T23:60:00Z')",
    "timestamp('2026-02-20T23:59:60Z')",
    "timestamp('2026-02-20T00:00:00+24:00')",
    "timestamp('2026-02-20T00:00:00+00:60')",
    "timestamp('0000-12-31T00:00:00Z')",
    "timestamp('0001-01-01T00:00:00+00:01')",
    "timestamp('9999-12-31T23:59:59.999999999Z') + duration('1ns')",
    "timestamp(253402300800)",
    "timestamp('2026-02-20T00:00:00Z ')",
    "timestamp(1.5)",
    "timestamp('2026-01-01').getHours('No/Where')",
    "timestamp('2026-01-01').getHours('')",
    "timestamp('2026-01-01').getHours('+24:00')",
    "duration('1')",
    "duration('')",
    "duration('1h-5m')",
    "duration('1 s')",
    "duration('315576000001s')",
    "duration('1x')",
  ])("%s fails", (source) => expect(fails(source)).toBe(true));
});

describe("numbers", () => {
  test.each<[string, unknown]>([
    [".5 + 1.5e0", 2],
    ["-9223372036854775808", "-9223372036854775808"],
    ["-0x8000000000000000", "-9223372036854775808"],
    ["18446744073709551615u", "18446744073709551615"],
    ["- -5", 5],
    ["double('NaN') == double('NaN')", false],
    ["double('NaN') != 1", true],
    ["double('NaN') < 1.0 || double('NaN') >= 1.0", false],
    ["double('-inf') < -1e308", true],
    ["1 == 1u && 1u == 1.0 && 2u > 1 && 1.5 < 2u", true],
    ["{1: 'a'}[1u] + {1u: 'b'}[1.0] + {true: 'c'}[true]", "abc"],
    ["1.5 in {1: 2}", false],
    ["{1: 'a', 'b': 2}", { "1": "a", b: 2 }],
    ["int('-0') + int('+5')", 5],
    ["uint('5') - 5u", 0],
    ["int(-3.9)", -3],
    ["sum([1u, 2u]) == 3u", true],
    ["string(1.0) + string(-0.0) + string(1u)", "1-01"],
    ["bool('t') && !bool('False')", true],
    ["type(1) == int && type(1u) == uint && type(type(1)) == type", true],
    ["type(duration('1s')) == google.protobuf.Duration", true],
    ["[type(null), type(b''), type({}), type([])] == [null_type, bytes, map, list]", true],
    ["b'\\xff' > b'a' && b'a' < b'ab' && b'a' + b'b' == b'ab'", true],
    ["bytes(b'abc') == b'abc'", true],
    ["b'\\303\\277' == b'ÿ' && string(b'\\303\\277') == 'ÿ'", true],
    ["[1, 2].exists(x, .n == 5 && x == 2)", true],
    ["cel.bind(n, 1, .n + n)", 6],
  ])("%s gives %p", (source, value) => expect(evaluate(source, { n: 5 })).toEqual(value as never));
  test.each([
    "9223372036854775808",
    "-9223372036854775809",
    "-(-9223372036854775808)",
    "-9223372036854775808 / -1",
    "-9223372036854775808 % -1",
    "18446744073709551616u",
    "0u - 1u",
    "18446744073709551615u * 2u",
    "1u % 0u",
    "-(1u)",
    "1 + 1u",
    "1u * 1.0",
    "1e400",
    "7.",
    "int(' 5 ')",
    "int('5.0')",
    "int('0x10')",
    "int('9223372036854775808')",
    "int(9223372036854775807.0)",
    "int(double('NaN'))",
    "int(18446744073709551615u)",
    "int(true)",
    "int(null)",
    "uint(-1)",
    "uint('-1')",
    "uint(-0.5)",
    "uint(18446744073709551616.0)",
    "double('1e400')",
    "double(' 1')",
    "double('')",
    "double(true)",
    "double([1])",
    "bool('TrUe')",
    "bool(1)",
    "string(b'\\xff')",
    "has(n.a)",
    "has(list.a)",
    "has(none.a)",
    "true || has(n)",
    "{'a': 1, 'a': 2}",
    "{1: 1, 1u: 2}",
    "{1.0: 1}",
    "{true: 1}['true']",
    "list[0.5]",
    "list[2]",
    "list[true]",
    "list.exists_one(x, x / 0 == 1)",
    "if == 1",
    "package",
    "n.in",
    "[1].map(x.y, 1)",
    "size(1)",
    "dyn",
    "{1: 'a', '1': 'b'}",
  ])("%s fails", (source) => expect(fails(source)).toBe(true));
});

test("comments, triple quotes and names in backticks", () => {
  expect(evaluate("1 + // one\n 2", {})).toBe(3);
  expect(evaluate("'''a'b\nc'''", {})).toBe("a'b\nc");
  expect(evaluate('r"""\\d"""', {})).toBe("\\d");
  expect(evaluate("has(m.`a-b`) && m.`a-b` == 1 && m.if == 2", { m: { "a-b": 1, if: 2 } })).toBe(
    true,
  );
  expect(evaluate("[1, 2,]", {})).toEqual([1, 2]);
  expect(evaluate("{'a': 1,}", {})).toEqual({ a: 1 });
});

test("what is meant is told", () => {
  const message = (source: string): string => {
    try {
      return String(evaluate(source, {}));
    } catch (error) {
      return (error as Error).message;
    }
  };
  expect(message("true and true")).toBe("'and' is written && here");
  expect(message("true & true")).toContain("'&&'");
  expect(message("true constructor")).toBe("'constructor' can't stand here");
  expect(message("f(1")).toBe("the expression ends too early, ',' is missing");
  expect(message("[1 2]")).toBe("',' is missing before a value");
  expect(message("'abc")).toContain("has no end");
  expect(message("'\\d'")).toContain("\\d is no escape");
});

test("a trace shows maps whose keys are not text", () => {
  expect(explain("{1: 'a', true: n} == n", { n: 5 }).parts[1]).toEqual({
    source: "{1: 'a', true: n}",
    value: { "1": "a", true: 5 },
  });
});
