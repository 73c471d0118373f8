import { afterAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cli, place, removePlaces } from "./support.ts";

afterAll(removePlaces);

test("what a gate asks for is in the hint as a whole command, which does it", async () => {
  const p = place();
  const dir = join(p.cwd, ".pgdba/runbooks/team");
  mkdirSync(dir, { recursive: true });
  writeFileSync(
    join(dir, "hard.yaml"),
    "summary: Is disruptive.\nrisk: disruptive\nparams: {word: {type: string}}\nsteps:\n  - set: {w: params.word}\noutput: {w: params.word}\n",
  );
  const asked = await cli(["team", "hard", "--word", "it's so", "--brief"], p);
  expect([asked.exit, asked.envelope.error?.code]).toEqual([4, "approval_needed"]);
  const [, command] = /That is: `(.+)`$/.exec(asked.envelope.error?.hint ?? "") ?? [];
  expect(command).toBe(`pgdba team hard --word 'it'\\''s so' --brief --yes`);
  const words = ["team", "hard", "--word", "it's so", "--brief", "--yes"];
  expect((await cli(words, p)).envelope.data).toMatchObject({ w: "it's so" });
});
