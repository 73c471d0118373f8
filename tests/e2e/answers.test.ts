/** How much a command answers: groups and searches of `list`, and `--full`, `--brief` and `--select` of any. */
import { afterAll, expect, test } from "bun:test";
import { at, cli, place, removePlaces, runbooks } from "./support.ts";

afterAll(removePlaces);

const LONG = `summary: Gives much
risk: read
tags: [lengthy answer]
steps:
  - id: made
    set: {rows: "[1,2,3,4,5,6,7,8,9,10].map(a, [1,2,3,4,5,6,7,8,9,10].map(b, {'a': a, 'b': b, 'text': 'a text of some length, again and again and again and again'}))"}
  - id: flat
    set: {all: "steps.made.output.rows.map(row, row.map(one, one.text).join(' '))"}
output:
  rows: steps.made.output.rows
  more: steps.made.output.rows
  texts: steps.flat.output.all
  count: "100"
shown: [count, texts]
`;
const PART =
  "summary: A part of others\\nrisk: read\\npart: true\\nsteps:\\n  - wait: {for: 1ms}\\n".replaceAll(
    "\\n",
    "\n",
  );

const p = place(runbooks({ "team/long": LONG, "team/part": PART }));
const size = (text: string) => Buffer.byteLength(text);

test.concurrent("list gives groups of names by risk, within 8 kB, without parts of others", async () => {
  const ran = await cli(["list"], p);
  expect(size(ran.stdout)).toBeLessThan(8_500);
  expect(at(ran.envelope, "data", "groups", "health")).toMatchObject({
    read: ["check", "report", "serve"],
  });
  expect(at(ran.envelope, "data", "groups", "team")).toEqual({ count: 1, read: ["long"] });
  expect(at((await cli(["list", "team"], p)).envelope, "data", "runbooks")).toEqual({
    read: { "team/long": "[project] Gives much", "team/part": "[project] A part of others" },
  });
});

test.concurrent("list finds by words, tags among them, and says how to go on where nothing is found", async () => {
  const found = await cli(["list", "lengthy", "answers"], p);
  expect(at(found.envelope, "data", "found", 0)).toEqual({
    name: "team/long",
    risk: "read",
    summary: "[project] Gives much",
  });
  expect(at((await cli(["list", "zebra"], p)).envelope, "data")).toMatchObject({ found: [] });
});

test.concurrent("an answer has at most 20 kB, says what was left out, and --full gives it", async () => {
  const ran = await cli(["team", "long"], p);
  expect(ran.exit).toBe(0);
  expect(size(ran.stdout)).toBeLessThanOrEqual(20_000);
  const left = at(ran.envelope, "data", "cut") as Record<string, number>;
  expect(Object.values(left).every((count) => count > 0)).toBe(true);
  expect(ran.stderr).toContain("--full");
  const full = await cli(["team", "long", "--full"], p);
  expect(size(full.stdout)).toBeGreaterThan(20_000);
  expect(at(full.envelope, "data", "cut")).toBeUndefined();
  expect(at(full.envelope, "data", "rows", 9, 9, "b")).toBe(10);
});

test.concurrent("--brief gives what a table shows, --select parts, and both are refused with what contradicts them", async () => {
  const brief = await cli(["team", "long", "--brief"], p);
  expect(size(brief.stdout)).toBeLessThanOrEqual(4_000);
  expect(Object.keys(at(brief.envelope, "data") as object)).toEqual([
    "count",
    "texts",
    "run",
    "cut",
    "cut_hint",
  ]);
  const part = await cli(["team", "long", "--select", "count,rows.9", "--select=run.status"], p);
  expect(at(part.envelope, "data")).toMatchObject({ count: 100, run: { status: "ok" } });
  expect(at(part.envelope, "data", "rows", 0, 9)).toMatchObject({ a: 10, b: 10 });
  expect(at(part.envelope, "data", "rows")).toHaveLength(1);
  const refused = await cli(["list", "--brief", "--full"], p);
  expect([refused.exit, refused.envelope.error?.code]).toEqual([2, "usage"]);
});

test.concurrent("a schema is given whole: cut it would be none", async () => {
  const { data } = (await cli(["schema"], p)).envelope;
  expect(size(JSON.stringify(data))).toBeGreaterThan(20_000);
  expect(at(data, "cut")).toBeUndefined();
});
