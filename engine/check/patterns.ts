import { Regex, RegexError } from "../expr/regex/regex.ts";
import { Work } from "../expr/work.ts";

const tests = new Map<string, (text: string) => boolean>();

/** A regular expression as a test in time linear in the text. @throws RegexError for what needs backtracking */
export function safePattern(pattern: string): (text: string) => boolean {
  const regex = new Regex(pattern);
  return (text) => regex.test(text, new Work());
}

/** True when `pattern` is found in `text`. Patterns of parameters are safe ones; step types may use more. */
export function matches(pattern: string, text: string): boolean {
  let test = tests.get(pattern);
  if (test === undefined) {
    try {
      test = safePattern(pattern);
    } catch (error) {
      if (!(error instanceof RegexError)) throw error;
      const native = new RegExp(pattern, "u");
      test = (text) => native.test(text);
    }
    tests.set(pattern, test);
  }
  return test(text);
}
