/** Parses hostile texts one after another; prints how long each took and what it was refused for. */
import { cpuMs } from "../../support/cpu-time.ts";
import { peakMemory } from "../../support/peak-memory.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import { parseDocument } from "../../../engine/load/parse.ts";

const MIB = 1024 * 1024;
const fill = (text: string, around = (x: string) => x) =>
  around(text.repeat(Math.floor((MIB - 64) / text.length)));
const lines = (count: number, line: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => line(i)).join("\n");

export const TEXTS: Record<string, () => string> = {
  "too-deep: [": () => "[".repeat(50_000),
  "too-deep: closed [": () => "[".repeat(50_000) + "]".repeat(50_000),
  "too-deep: {a:": () => "{a: ".repeat(50_000),
  "too-deep: [a:": () => "[a: ".repeat(50_000),
  "too-deep: -": () => "- ".repeat(50_000),
  "too-deep: ?": () => "? ".repeat(50_000),
  "too-deep: a: a:": () => "a: ".repeat(50_000),
  "too-deep: indentation": () => lines(1400, (i) => `${" ".repeat(i)}a:`),
  "too-deep: list indentation": () => lines(1000, (i) => `${" ".repeat(i)}-`),
  "too-large: text": () => `a: ${"x".repeat(MIB)}`,
  "too-large: multi-byte": () => `a: ${"é".repeat(MIB / 2)}`,
  "too-large: commas": () => fill(",", (x) => `[${x}`),
  "too-large: items": () => fill("a,", (x) => `[${x}]`),
  "too-large: lines": () => fill("- a\n"),
  "too-large: comments": () => fill("#\n"),
  "too-large: blank": () => fill("\n"),
  "too-large: brackets": () => fill("]"),
  "too-large: anchors": () => fill("&a "),
  "too-large: documents": () => fill("...\n"),
  "too-large: quotes": () => fill('"" '),
  "too-large: keys": () => lines(60_000, (i) => `k${i}: v`),
  "multiple-documents: many": () => "---\n".repeat(10_000),
  "tag: many": () => lines(10_000, () => "- !a b"),
  "too-many-nodes: list": () => `[${"a,".repeat(11_000)}]`,
  "too-many-nodes: keys": () => lines(10_100, (i) => `k${i}: v`),
  "duplicate-key: many": () => "a: b\n".repeat(9_000),
  "too-many-aliases: many": () => `a: &a b\nb: [${"*a,".repeat(10_000)}]`,
  "too-many-aliases: bomb": () =>
    `a0: &a0 x\n${lines(9, (i) => `a${i + 1}: &a${i + 1} [${`*a${i},`.repeat(9)}]`)}`,
  "too-many-nodes: bomb of few aliases": () =>
    `a0: &a0 x\n${lines(16, (i) => `a${i + 1}: &a${i + 1} [*a${i}, *a${i}]`)}`,
  "too-deep: by aliases": () =>
    `a0: &a0 ${"[".repeat(30)}${"]".repeat(30)}\n${lines(3, (i) => `a${i + 1}: &a${i + 1} ${"[".repeat(20)}*a${i}${"]".repeat(20)}`)}`,
  "unknown-anchor: itself": () => "a: &a [*a]",
  "control-character: NUL": () => "\0".repeat(1000),
  "yaml-bad-scalar-start: many": () => "a: @b\n".repeat(8_000),
  "yaml-unexpected-token: falling indentation": () =>
    lines(1400, (i) => `${" ".repeat(1400 - i)}a:`),
  "yaml-missing-char: open quote": () => fill("a\n", (x) => `a: "${x}`),
  "yaml-bad-dq-escape: many": () => `a: "${"\\q".repeat(90_000)}"`,
  "ok: long text": () => fill("x", (x) => `a: ${x}`),
  "ok: long block": () => fill(" x\n", (x) => `a: |\n${x}`),
  "ok: long folded block": () => fill(" x\n\n", (x) => `a: >\n${x}`),
  "too-large: bad escapes": () => fill("\\xz", (x) => `a: "${x}"`),
  "too-large: escapes": () => fill("\\n", (x) => `a: "${x}"`),
  "ok: spaces": () => fill(" "),
  "ok: 64 levels": () => "[".repeat(64) + "]".repeat(64),
};

if (import.meta.main) {
  const results: Record<string, { ms: number; rule: string }> = {};
  for (const [name, make] of Object.entries(TEXTS)) {
    const text = make();
    const before = cpuMs();
    let rule = "ok";
    try {
      parseDocument(text, "x.yaml");
    } catch (error) {
      const data =
        error instanceof PgdbaError && error.code === "invalid_runbook" ? error.data : null;
      rule =
        (data as { diagnostics: { rule: string }[] } | null)?.diagnostics[0]?.rule ?? String(error);
    }
    results[name] = { ms: cpuMs() - before, rule };
  }
  process.stdout.write(JSON.stringify({ results, peak: peakMemory() }));
}
