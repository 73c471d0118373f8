import { expect, test } from "bun:test";
import { join } from "node:path";
import { Kept } from "../../../engine/run/kept.ts";
import { cpuMs } from "../../support/cpu-time.ts";
import { withHarness } from "./harness.ts";

const MB = 1024 * 1024;
const text = (megabytes: number) => "x".repeat(megabytes * MB);

test("one output, and all of a run together, are bounded", () => {
  const kept = new Kept();
  expect(() => kept.put("a", { text: text(17) })).toThrow("The output of a is larger");
  // Tries of one step do not add up.
  for (let n = 0; n < 20; n++) kept.put("a", text(15));
  for (let n = 0; n < 7; n++) kept.put(`b/${n}`, text(15));
  expect(() => kept.put("c", text(15))).toThrow("larger than 134217728 characters together");
});

test("one value that stands in an output many times counts many times", () => {
  const one = text(1);
  const many = Array.from({ length: 1000 }, () => ({ one }));
  const computed = cpuMs();
  expect(() => new Kept().put("a", many)).toThrow("larger");
  expect(cpuMs() - computed).toBeLessThan(500);
});

test("what a called runbook or an item of a loop held is free when it ends, unless an undo may need it", () => {
  const kept = new Kept();
  for (let n = 0; n < 20; n++) {
    const inner = new Kept(kept);
    inner.put("a", text(15));
    inner.end();
  }
  for (let n = 0; n < 8; n++) {
    const inner = new Kept(kept);
    inner.put("a", text(15));
    inner.pin();
    inner.end();
  }
  expect(() => new Kept(kept).put("a", text(15))).toThrow("together");
});

test("a loop over large outputs is ended with an error, its memory bounded; one that drops them is not", async () => {
  // In a process of its own: the test runner's memory is not ours to judge.
  const script = `
    const { peakMemory } = await import(${JSON.stringify(join(import.meta.dir, "../../support/peak-memory.ts"))});
    const { Harness } = await import(${JSON.stringify(join(import.meta.dir, "harness.ts"))});
    const h = new Harness();
    h.on = { big: () => ({ text: Buffer.alloc(15 * 1024 * 1024, "x").toString() }) };
    h.write("demo/inner", "summary: s\\nrisk: read\\nsteps: [{id: big, fake.look: {}}]\\noutput: {size: size(steps.big.output.text)}\\n");
    // The disk is not looked at here.
    h.journal.outcome = () => {};
    const before = peakMemory();
    const items = JSON.stringify(Array.from({ length: 10 }, (_, n) => n));
    const dropped = await h.run("steps: [{id: each, foreach: " + items + ", run: demo/inner}]\\noutput: {n: size(steps.each.output)}\\n");
    const held = await h.run("steps: [{id: big, foreach: " + items + ", fake.look: {}}]\\n");
    const grown = (peakMemory() - before) / 1024;
    console.log(JSON.stringify({ dropped: dropped.data, code: held.error.code, message: held.error.message, grown }));
    h.close();`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "inherit" });
  const { grown, ...rest } = (await new Response(child.stdout).json()) as { grown: number };
  expect(rest).toEqual({
    dropped: { n: 10 },
    code: "limit_exceeded",
    message: expect.stringContaining("The outputs of this run are larger"),
  } as never);
  expect(grown).toBeLessThan(600);
}, 300_000);

test("neither an input nor the output of a runbook may be put together beyond all bounds", () =>
  withHarness(async (h) => {
    const big = "steps.a.output.text";
    h.on = { a: () => ({ text: "x".repeat(900_000) }) };
    const list = `[${Array.from({ length: 100 }, () => big).join(", ")}]`;
    const input = await h.run(
      `steps:\n  - {id: a, fake.look: {}}\n  - {id: b, fake.look: {list: "\${${list}}"}}\n`,
    );
    expect(input.error).toMatchObject({ code: "limit_exceeded", step: "b" });
    const half = `[${Array.from({ length: 40 }, () => big).join(", ")}]`;
    const output = await h.run(
      `steps: [{id: a, fake.look: {}}]\noutput: {one: "${half}", two: "${half}"}\n`,
    );
    expect(output.error).toMatchObject({ code: "limit_exceeded" });
  }));
