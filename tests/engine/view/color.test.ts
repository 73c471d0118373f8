import { expect, test } from "bun:test";
import { paint, streamStyle } from "../../../engine/view/color.ts";

test.each([
  [true, {}, { color: true, live: true }],
  [false, {}, { color: false, live: false }],
  [undefined, {}, { color: false, live: false }],
  [true, { NO_COLOR: "1" }, { color: false, live: true }],
  [true, { NO_COLOR: "" }, { color: true, live: true }],
  [true, { NO_COLOR: "1", FORCE_COLOR: "1" }, { color: false, live: true }],
  [false, { FORCE_COLOR: "1" }, { color: true, live: false }],
  [true, { FORCE_COLOR: "0" }, { color: false, live: true }],
  [true, { TERM: "dumb" }, { color: false, live: false }],
  [true, { CI: "true" }, { color: true, live: false }],
  [true, { CI: "false" }, { color: true, live: true }],
])("isTTY %p with %j", (isTTY, env, style) => {
  expect(streamStyle({ isTTY }, env)).toEqual(style);
});

test("paints only when asked", () => {
  expect(paint(true).red("x")).toBe("\x1b[31mx\x1b[39m");
  expect(paint(true).red("")).toBe("");
  expect(paint(false).red("x")).toBe("x");
});
