import { expect, test } from "bun:test";
import { diagnostic, formatDiagnostics, invalidRunbook } from "../../../engine/load/frame.ts";
import { sourceOf, spanIn } from "../../../engine/load/tree.ts";

function at(text: string, offset: number, length: number, before = 0) {
  const span = spanIn(sourceOf("a.yaml", text), offset, offset + length);
  return diagnostic(span, text, {
    rule: "some-rule",
    message: "is wrong",
    hint: "do right",
    before,
  });
}

test("names file, line and column and marks the fault", () => {
  const text = "one: 1\ntwo: bad\nthree: 3\n";
  expect(formatDiagnostics([at(text, text.indexOf("bad"), 3)])).toBe(
    [
      "a.yaml:2:6: error: is wrong [some-rule]",
      "  2 | two: bad",
      "    |      ^^^",
      "  hint: do right",
    ].join("\n"),
  );
});

test("shows lines before when asked, and no more than there are", () => {
  const text = "one: 1\ntwo: bad\n";
  expect(at(text, 12, 3, 5).frame).toBe("  1 | one: 1\n  2 | two: bad\n    |      ^^^");
});

test("a span over several lines is marked on its first", () => {
  expect(at("a: |\n  x\n  y\n", 3, 9).frame).toBe("  1 | a: |\n    |    ^");
});

test("an empty span at the end of the text has a caret", () => {
  const found = at("a: 1", 4, 0);
  expect(found.where).toEqual({ file: "a.yaml", line: 1, column: 5 });
  expect(found.frame).toBe("  1 | a: 1\n    |     ^");
});

test("wide characters, tabs and CRLF keep the caret in its place", () => {
  expect(at("名前: bad\r\n", 4, 3).frame).toBe("  1 | 名前: bad\n    |       ^^^");
  expect(at("a:\tbad\n", 3, 3).frame).toBe("  1 | a: bad\n    |    ^^^");
});

test("a long line is cut around the fault", () => {
  const text = `${"x".repeat(500)}bad${"y".repeat(500)}`;
  const [line, caret] = at(text, 500, 3).frame.split("\n");
  expect(line!.length).toBeLessThan(140);
  expect(line!.slice(caret!.indexOf("^"), caret!.indexOf("^") + 3)).toBe("bad");
});

test("escape sequences of a file do not reach the terminal", () => {
  const found = at("a: \u001b[31mred\n", 3, 3);
  expect(found.frame).not.toContain("\u001b");
});

test("the error speaks for the first diagnostic and carries all, in order of place", () => {
  const [first, second, third] = [at("a: bad\n", 0, 1), at("a: bad\n", 3, 3), at("\na\n", 1, 1)];
  const error = invalidRunbook([third, second, first]);
  expect(error).toMatchObject({
    code: "invalid_runbook",
    message: "is wrong (and 2 more)",
    hint: "do right",
    where: { file: "a.yaml", line: 1, column: 1 },
    data: { diagnostics: [first, second, third] },
  });
});
