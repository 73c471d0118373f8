import { expect, test } from "bun:test";
import { parseDocument } from "../../../engine/load/parse.ts";
import { TEXTS } from "./hostile-child.ts";
import { faultsOf, thrownBy } from "./refused.ts";

test("hostile texts are refused within a second of computing each, in bounded memory", async () => {
  const child = Bun.spawn([process.execPath, `${import.meta.dir}/hostile-child.ts`], {
    stdout: "pipe",
    stderr: "inherit",
  });
  const { results, peak } = (await new Response(child.stdout).json()) as {
    results: Record<string, { ms: number; rule: string }>;
    peak: number;
  };
  expect(await child.exited).toBe(0);
  expect(Object.keys(results)).toEqual(Object.keys(TEXTS));
  for (const [name, { ms, rule }] of Object.entries(results)) {
    expect(`${name.split(":")[0]} ${name}`).toBe(`${rule} ${name}`);
    expect(ms, name).toBeLessThan(1000);
  }
  // The peak over all of them, garbage not yet collected included; unbounded parsing of the same texts takes over 2 GB.
  expect(peak).toBeLessThan(500 * 1024);
}, 300_000);

test("the place where a limit is passed is named", () => {
  const place = (text: string) => faultsOf(thrownBy(() => parseDocument(text, "x.yaml"))).places[0];
  expect(place(`a:\n  ${"[".repeat(100)}`)).toBe("2:66 too-deep");
  expect(place("x".repeat(1024 * 1024 + 1))).toBe("1:1 too-large");
  expect(place(`a: &a 1\nb:\n${"  - *a\n".repeat(33)}`)).toBe("35:5 too-many-aliases");
  expect(place(`a: 1\nb: [${"1,".repeat(10_000)}]`)).toBe("2:19999 too-many-nodes");
});

test("what is just within the limits is read", () => {
  const list = parseDocument(`a: &a 1\nb: [${"*a, ".repeat(32)}]`, "x.yaml").data as {
    b: number[];
  };
  expect(list.b).toHaveLength(32);
  const many = parseDocument(`[${"1,".repeat(9_999)}]`, "x.yaml").data as number[];
  expect(many).toHaveLength(9_999);
  const bytes = `# ${"x".repeat(1024 * 1024 - 8)}\na: 1\n`;
  expect(Buffer.byteLength(bytes)).toBe(1024 * 1024);
  expect(JSON.stringify(parseDocument(bytes, "x.yaml").data)).toBe('{"a":1}');
});
