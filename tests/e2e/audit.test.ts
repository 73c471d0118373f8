import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { Database } from "bun:sqlite";
import { join } from "node:path";
import { at, cli, type Place, place, removePlaces, runbooks, Running } from "./support.ts";

setDefaultTimeout(300_000);
afterAll(removePlaces);

const RUNBOOKS = runbooks({
  "team/quick": "summary: s\nrisk: read\nsteps:\n  - set: {a: 1}\n",
  "team/slow":
    "summary: s\nrisk: change\nsteps:\n  - exec: {argv: [touch, first]}\n  - exec: {argv: [sleep, '30']}\n",
});

const verify = (p: Place, ...more: string[]) => cli(["runs", "verify", ...more], p);

test("several engines write one chain, and one that is killed leaves no gap in it", async () => {
  const p = place(RUNBOOKS);
  const slow = [1, 2].map(() => new Running(["team", "slow", "-v"], p));
  await Promise.all(slow.map((one) => one.said(/exec_2/)));
  const quick = await Promise.all(Array.from({ length: 6 }, () => cli(["team", "quick"], p)));
  for (const one of slow) one.signal("SIGKILL");
  await Promise.all(slow.map((one) => one.ended()));
  expect(quick.map(({ exit }) => exit)).toEqual([0, 0, 0, 0, 0, 0]);
  const { exit, envelope } = await verify(p);
  // It begins, eight runs begin, and six end.
  expect({ exit, entries: at(envelope, "data", "entries") }).toEqual({ exit: 0, entries: 15 });
  const entries = quick.map((ran) => Number(at(ran.envelope, "data", "run", "audit", "entry")));
  expect(new Set(entries).size).toBe(6);
  for (const ran of quick.slice(0, 2)) {
    const head = String(at(ran.envelope, "data", "run", "audit", "head"));
    const found = await verify(p, "--head", head);
    expect(at(found.envelope, "data", "found")).toMatchObject({
      run: at(ran.envelope, "data", "run", "id"),
    });
  }
});

test("a rewritten past is exit 6, and so is a head that is no longer there; a run shows its entries", async () => {
  const p = place(RUNBOOKS);
  const ran = await cli(["team", "quick"], p);
  const id = String(at(ran.envelope, "data", "run", "id"));
  const shown = await cli(["runs", id], p);
  expect(at(shown.envelope, "data", "audit")).toMatchObject([
    { kind: "began", entry: 2 },
    { kind: "ended", entry: 3, head: at(ran.envelope, "data", "run", "audit", "head")! },
  ]);
  expect(await verify(p, "--head", "f".repeat(64))).toMatchObject({
    exit: 6,
    envelope: { error: { code: "audit_broken" } },
  });
  expect(await verify(p, "--head", "f".repeat(8))).toMatchObject({ exit: 2 });
  const db = new Database(join(p.home, "journal.db"));
  db.exec("UPDATE run SET runbook = 'team/other'");
  db.close();
  const { exit, envelope } = await verify(p);
  expect({ exit, problems: at(envelope, "error", "data", "problems") }).toEqual({
    exit: 6,
    problems: [`Run ${id} was rewritten: it did not begin as its record says`],
  });
});

test("where there is no journal yet there is nothing to verify, and none is made", async () => {
  const p = place();
  const { exit, envelope } = await verify(p);
  expect({ exit, data: envelope.data }).toEqual({
    exit: 0,
    data: { entries: 0, head: null, since: null },
  });
});
