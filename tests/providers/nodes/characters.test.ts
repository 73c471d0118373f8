import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOfCharacter, wholeCharacters } from "../../../providers/nodes/characters.ts";
import { logsOf } from "../../../providers/nodes/embedded/observe.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

test("bytes that are cut anywhere keep their whole characters and no part of another", () => {
  const all = "aé€😀z";
  const bytes = new TextEncoder().encode(all);
  for (let at = 0; at <= bytes.length; at++) {
    const [head, tail] = [wholeCharacters(bytes.subarray(0, at)), bytes.subarray(at)];
    expect(all.startsWith(text(head))).toBe(true);
    expect(at - head.length).toBeLessThan(4);
    expect(all.endsWith(text(startOfCharacter(tail)))).toBe(true);
    expect(tail.length - startOfCharacter(tail).length).toBeLessThan(4);
  }
});

test("the last part of a log begins with a whole character", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pgdba-log-"));
  try {
    const file = join(folder, "log");
    await writeFile(file, "über\n€uro\n");
    const parts = [1, 2, 3, 4, 5, 6, 7, 8].map((maxBytes) => logsOf(file, { maxBytes }));
    for (const { text } of await Promise.all(parts)) expect(text).not.toContain("\ufffd");
    const six = await logsOf(file, { maxBytes: 6 });
    expect(six).toMatchObject({ text: "uro\n", more: false });
  } finally {
    await rm(folder, { recursive: true });
  }
});
