import { describe, expect, test } from "bun:test";
import { Regex, RegexError } from "../../../engine/expr/regex.ts";
import { Work } from "../../../engine/expr/work.ts";

const matches = (pattern: string, text: string): boolean =>
  new Regex(pattern).test(text, new Work());

describe("Regex", () => {
  const patterns = [
    "abc",
    "^abc$",
    "a.c",
    "a*",
    "^a*$",
    "^a+b?$",
    "(ab)+c",
    "^(ab|cd)*$",
    "a|b|",
    "[a-c]+",
    "^[^a-c]+$",
    "[]",
    "^[-a]$",
    "^[a\\-z]$",
    "\\d+",
    "^\\w+\\s\\w+$",
    "\\bab\\b",
    "\\Bb",
    "a{2}",
    "^a{2,3}$",
    "^a{2,}$",
    "a{,2}",
    "^(?:a|b){2}c$",
    "^a*?$",
    "x*y*$",
    "^$",
    "\\.",
    "^[\\d.]+$",
    "(a|ab)(c|bcd)(d*)",
    "^(a?){3}a{3}$",
    "[\\s\\S]",
    "\\[x\\]",
    "^.$",
    "^[\\]]$",
    "\\t",
    "^(|a)+$",
    "^()*$",
  ];
  const texts = [
    "",
    "a",
    "b",
    "aa",
    "aaa",
    "aaaa",
    "abc",
    "xabcx",
    "ab ab",
    "ab",
    "cd",
    "abcd",
    "abcc",
    "-",
    "z",
    "12.5",
    "a{,2}",
    "[x]",
    "]",
    "\t",
    "\n",
    "a\nb",
    "hello world",
  ];
  test("agrees with RegExp wherever both have the syntax", () => {
    for (const pattern of patterns) {
      for (const text of texts) {
        expect(`${pattern} ${JSON.stringify(text)} ${matches(pattern, text)}`).toBe(
          `${pattern} ${JSON.stringify(text)} ${new RegExp(pattern).test(text)}`,
        );
      }
    }
  });
  test("(?i) ignores case", () => {
    expect(matches("(?i)^pg_[a-z]+$", "PG_Stat")).toBe(true);
    expect(matches("^pg_[a-z]+$", "PG_Stat")).toBe(false);
  });
  test.each([
    "(",
    ")",
    "[",
    "a**",
    "*a",
    "\\1",
    "(?=a)",
    "(?<n>a)",
    "\\",
    "a{3,1}",
    "(?i",
    "[z-a]",
    "\\q",
    "a".repeat(501),
    "(a{999}){999}",
    "((){999}){999}",
    "(".repeat(60) + ")".repeat(60),
  ])("%p is refused", (pattern) => expect(() => new Regex(pattern)).toThrow(RegexError));
  test.each(["(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*a){12}$", "a*a*a*a*a*a*b", "(a?){30}a{30}c"])(
    "%p does not hang",
    (pattern) => {
      const started = performance.now();
      expect(matches(pattern, `${"a".repeat(2000)}!`)).toBe(false);
      expect(performance.now() - started).toBeLessThan(2000);
    },
  );
  test("work is bounded", () => {
    expect(() => matches("(.*a){30}$", "a".repeat(1_000_000))).toThrow(
      expect.objectContaining({ code: "limit_exceeded" }),
    );
  });
});
