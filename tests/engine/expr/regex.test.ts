import { describe, expect, test } from "bun:test";
import { Regex, RegexError } from "../../../engine/expr/regex/regex.ts";
import { Work } from "../../../engine/expr/work.ts";
import { cpuMs } from "../../support/cpu-time.ts";

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
  test.each<[pattern: string, yes: string[], no: string[]]>([
    ["[[:upper:]]", ["A"], ["a", "É", ":"]],
    ["^[]a]$", ["]", "a"], ["b"]],
    ["^[^]a]$", ["b", "😀"], ["]", "a"]],
    ["^.$", ["😀", "\r", "é"], ["\n", "aa"]],
    ["^[😀-😂]$", ["😁"], ["😃", "\ud83d"]],
    ["^[^a]$", ["😀", "\n"], ["a"]],
    ["\\s", ["\f", "\r"], ["\v", "\u00a0"]],
    ["[[:space:]]", ["\v"], ["a"]],
    ["(?i)^straße$", ["STRAẞE", "straße"], ["STRASSE"]],
    ["(?i)^k$", ["K", "\u212a"], ["c"]],
    ["^\\p{Lu}\\P{Lu}$", ["Éé", "AZ".toLowerCase().replace("a", "A")], ["éÉ"]],
    ["(?s)^a.b$", ["a\nb"], ["ab"]],
    ["(?m)^b$", ["a\nb\nc"], ["ab"]],
    ["a$", ["ba"], ["a\n"]],
    ["^\\Qa.b\\E+$", ["a.bb"], ["axb"]],
    ["^\\x41\\x{1F600}\\101$", ["A😀A"], ["A😀"]],
    ["^(?P<major>\\d+)(?:\\.(?<minor>\\d+))?$", ["18", "9.6"], ["18."]],
    ["^a{01}$", ["a{01}"], ["a"]],
    ["^(?i:a)b$", ["Ab"], ["AB"]],
  ])("%p", (pattern, yes, no) => {
    expect(yes.filter((text) => !matches(pattern, text))).toEqual([]);
    expect(no.filter((text) => matches(pattern, text))).toEqual([]);
  });
  test("agrees with RE2: its own tables of tests, and random patterns", async () => {
    // Rows are [pattern, texts that match, texts that do not], or [pattern] for one that RE2 refuses.
    const rows = (await Bun.file(`${import.meta.dir}/re2-vectors.jsonl`).text())
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as [pattern: string, yes?: string[], no?: string[]]);
    expect(rows).toHaveLength(1134);
    const wrong = rows.filter(([pattern, yes, no]) => {
      let regex: Regex;
      try {
        regex = new Regex(pattern);
      } catch (error) {
        if (!(error instanceof RegexError)) throw error;
        return yes !== undefined;
      }
      const test = (text: string): boolean => regex.test(text, new Work());
      return !yes || !no || !yes.every(test) || no.some(test);
    });
    expect(wrong.map(([pattern]) => pattern)).toEqual([]);
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
    "(?<n>a)(?<n>b)",
    "(?<=a)b",
    "(?P=n)",
    "\\C",
    "\\Z",
    "[\\b]",
    "[a-\\d]",
    "[]",
    "[a",
    "[[:foo:]]",
    "\\p{Foo}",
    "\\x{110000}",
    "\\u0041",
    "a{1001}",
    "(a{11}){100}",
    "a{2}{3}",
    "a|*",
    "\\",
    "a{3,1}",
    "(?i",
    "[z-a]",
    "\\q",
    "a".repeat(2001),
    "(a{999}){999}",
    "((){999}){999}",
    "(".repeat(201) + ")".repeat(201),
  ])("%p is refused", (pattern) => expect(() => new Regex(pattern)).toThrow(RegexError));
  test.each(["(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*a){12}$", "a*a*a*a*a*a*b", "(a?){30}a{30}c"])(
    "%p does not hang",
    (pattern) => {
      const computed = cpuMs();
      expect(matches(pattern, `${"a".repeat(2000)}!`)).toBe(false);
      expect(cpuMs() - computed).toBeLessThan(2000);
    },
  );
  test("work is bounded", () => {
    expect(() => matches("(.*a){30}$", "a".repeat(1_000_000))).toThrow(
      expect.objectContaining({ code: "limit_exceeded" }),
    );
  });
});
