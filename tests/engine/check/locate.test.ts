import { expect, test } from "bun:test";

import { within } from "../../../engine/check/locate.ts";
import type { Json } from "../../../engine/types.ts";
import { loadDoc } from "./support.ts";

/** Each is a YAML scalar under `a:` whose value holds `needle`; the span found must cover it as it is written. */
const SCALARS: [name: string, yaml: string, needle: string, written?: string][] = [
  ["plain", "a: x == steps.lag", "lag"],
  ["plain over two lines", "a: x ==\n  steps.lag", "lag"],
  ["single-quoted", "a: 'x == steps.lag'", "lag"],
  ["single-quoted with a quote", "a: 'x == ''y'' && steps.lag'", "lag"],
  ["single-quoted, the quote itself", "a: 'x == ''y'' && z'", "'y'", "''y''"],
  ["double-quoted", 'a: "x == steps.lag"', "lag"],
  ["double-quoted with escapes", 'a: "x\\t==\\u0041 \\"\\\\ steps.lag"', "lag"],
  ["double-quoted with an escaped line end", 'a: "x \\\n   steps.lag"', "lag"],
  ["literal block", "a: |\n  select\n    steps.lag\n", "lag"],
  ["folded block", "a: >-\n  x ==\n  steps.lag\n", "lag"],
  ["block with a header comment", "a: | # lag\n  steps.lag\n", "lag"],
];

test.each(SCALARS)("%s", async (_, yaml, needle, written = needle) => {
  const doc = await loadDoc(`summary: é lag\n${yaml}\n`);
  const value = (doc.data as { a: Json })["a"] as string;
  const start = value.indexOf(needle);
  const span = within(doc.at(["a"]), value, start, start + needle.length);
  const found = span.text.slice(span.offset, span.offset + span.length);
  expect(written.startsWith(found) && found.startsWith(needle[0]!)).toBe(true);
  expect(found.length).toBeGreaterThanOrEqual(needle.length);
  const line = span.text.split("\n")[span.line - 1]!;
  expect(line.slice(span.column - 1)).toStartWith(found);
  expect(span.offset).toBe(span.text.lastIndexOf(written));
});
