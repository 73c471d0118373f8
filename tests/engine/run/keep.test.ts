import { expect, test } from "bun:test";
import { Stop } from "../../../engine/run/stop.ts";
import { fail, type Harness, type Ran, untilAborted, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));

const PROMOTE = `steps:
  - {id: a, fake.act: {}}
  - {id: guard, block: [{id: b, fake.act: {}}, {id: promote, fake.keep: {}, keep: true}, {id: c, fake.act: {}}], always: [{id: close, fake.keep: {}}]}
  - {id: boom, fake.look: {}}
`;

test("after a point of no return only what came later is taken back, and `always` still runs", () =>
  withHarness(async (h) => {
    h.on = { c: fail("late") };
    const ran = await h.run(PROMOTE);
    expect(acts(h)).toEqual([
      "act a",
      "act b",
      "act promote",
      "act c",
      "undo c unfinished",
      "act close",
    ]);
    expect(ran).toMatchObject({
      exit: 1,
      status: "failed",
      error: { code: "step_failed", message: "late" },
      run: {
        undo: { undone: 1, failed: [] },
        kept: [{ since: "promote", steps: ["a", "b", "promote"] }],
      },
    });
    expect(ran.error?.hint).toContain(
      "Kept: a, b, promote, since promote is a point of no return (see error.run.kept).",
    );
  }));

test("a point of no return that is not come to keeps nothing", () =>
  withHarness(async (h) => {
    h.on = { promote: fail("refused") };
    const ran = await h.run(PROMOTE);
    expect(acts(h).slice(3)).toEqual(["undo b", "undo a", "act close"]);
    expect(ran).toMatchObject({ exit: 5, status: "undone" });
    expect(ran.run["kept"]).toBeUndefined();
  }));

test("a step with an undo of its type is not taken back once it was kept, and is when it failed", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.act: {}, keep: true}, {id: boom, fake.look: {}}]";
    h.on = { boom: fail() };
    expect(await h.run(text)).toMatchObject({ exit: 1, status: "failed" });
    expect(acts(h)).toEqual(["act a"]);
    h.calls.length = 0;
    h.on = { a: fail() };
    expect((await h.run(text)).exit).toBe(5);
    expect(acts(h)).toEqual(["act a", "undo a unfinished"]);
  }));

test("exit 6 when what came after it could not be taken back", () =>
  withHarness(async (h) => {
    h.on = { boom: fail(), "c~undo": fail("stuck") };
    const ran = await h.run(PROMOTE);
    expect(ran).toMatchObject({ exit: 6, status: "needs_operator" });
    expect(ran.error?.hint).toContain("point of no return");
    expect(ran.error?.hint).toContain("Not taken back: c");
  }));

test("a first signal in a point of no return: it is done, and kept", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = { promote: () => (stop.request("SIGINT"), null) };
    const ran = await h.run(PROMOTE, { stop });
    expect(acts(h)).toEqual(["act a", "act b", "act promote", "act close"]);
    expect(ran).toMatchObject({ exit: 130, status: "interrupted" });
    expect(ran.run["kept"]).toBeDefined();
  }));

test("a called runbook keeps what its callers did before, too; in a plan and in an undo there is nothing to keep", () =>
  withHarness(async (h) => {
    h.write("sub/keep", "summary: S\nrisk: change\nsteps: [{id: p, fake.act: {}, keep: true}]\n");
    h.on = { boom: fail() };
    const text =
      "steps: [{id: a, fake.act: {}}, {id: sub, run: sub/keep}, {id: boom, fake.look: {}}]";
    expect(await h.run(text)).toMatchObject({ exit: 1 });
    expect(acts(h)).toEqual(["act a", "act sub/p"]);
    h.calls.length = 0;
    h.on = { boom: fail() };
    const back = await h.run(
      "steps: [{id: z, fake.act: {}}, {id: a, fake.keep: {}, undo: [{id: sub, run: sub/keep}]}, {id: boom, fake.look: {}}]",
    );
    expect(acts(h)).toEqual(["act z", "act a", "act a~undo/sub/p", "undo z"]);
    expect(back).toMatchObject({ exit: 5, status: "undone" });
    expect((await h.run(text, { plan: true })).run["kept"]).toBeUndefined();
  }));

test("a block and a loop are a point of no return when all of them is done", () =>
  withHarness(async (h) => {
    const text = `steps:
  - {id: a, fake.act: {}}
  - {id: each, foreach: [1, 2], fake.act: {}, keep: true}
  - {id: boom, fake.look: {}}
`;
    h.on = { each: (ctx) => (ctx.step.path === "each/1" ? fail("second")(ctx, null) : null) };
    expect((await h.run(text)).exit).toBe(5);
    expect(acts(h).slice(3)).toEqual(["undo each/1 unfinished", "undo each/0", "undo a"]);
    h.calls.length = 0;
    h.on = { boom: fail() };
    expect((await h.run(text)).exit).toBe(1);
    expect(acts(h)).toEqual(["act a", "act each/0", "act each/1"]);
  }));

test("in a loop one item after the other, an item keeps those before it; in parallel it keeps itself and what came before the loop", () =>
  withHarness(async (h) => {
    const text = (parallel: number) => `steps:
  - {id: a, fake.act: {}}
  - id: each
    foreach: [0, 1, 2]
    parallel: ${parallel}
    block:
      - {id: b, fake.act: {}}
      - {id: p, when: item == 1, fake.act: {}, keep: true}
  - {id: boom, fake.look: {}}
`;
    h.on = { boom: fail() };
    const serial = await h.run(text(1));
    expect(acts(h).filter((one) => one.startsWith("undo"))).toEqual(["undo each/2/b"]);
    expect(serial.run["kept"]).toEqual([
      { since: "each/1/p", steps: ["a", "each/0/b", "each/1/b", "each/1/p"] },
    ]);
    h.calls.length = 0;
    const parallel = await h.run(text(3));
    expect(
      acts(h)
        .filter((one) => one.startsWith("undo"))
        .toSorted(),
    ).toEqual(["undo each/0/b", "undo each/2/b"]);
    expect(parallel.run["kept"]).toEqual([
      { since: "each/1/p", steps: ["a", "each/1/b", "each/1/p"] },
    ]);
  }));

test("a resumed run keeps what the earlier process kept: also when it had begun to be taken back", () =>
  withHarness(async (h) => {
    h.on = { boom: fail("boom") };
    await h.killedIn(PROMOTE, "c");
    const asked = await h.resume(PROMOTE, { c: "done" });
    expect(acts(h)).toEqual(["act close", "undo c unfinished"]);
    expect(asked).toMatchObject({ exit: 1, status: "failed", error: { message: "boom" } });
    expect(asked.run["kept"]).toEqual([{ since: "promote", steps: ["a", "b", "promote"] }]);

    h.on = { boom: fail("boom") };
    await h.killedIn(PROMOTE, "c~undo");
    const again = await h.resume(PROMOTE);
    expect(acts(h)).toContain("undo c");
    expect(acts(h).filter((one) => one === "undo a" || one === "undo b")).toEqual([]);
    expect(again).toMatchObject({ exit: 1, status: "failed" });
  }));

test("a read that was kept and can't be read again stays a point of no return", () =>
  withHarness(async (h) => {
    const text = `steps:
  - {id: a, fake.act: {}}
  - {id: sure, fake.look: {}, sensitive: true, keep: true}
  - {id: c, fake.again: {}}
`;
    h.on = { sure: () => ({ secret: "quite secret" }) };
    await h.killedIn(text, "c");
    h.on = { sure: fail("gone") };
    const ran = await h.resume(text);
    expect(acts(h)).toEqual([]);
    expect(ran).toMatchObject({ status: "needs_operator", exit: 6 });
  }));

const LOOP = `steps:
  - {id: a, fake.act: {}}
  - id: each
    keep: true
    foreach: [0, 1]
    as: n
    block: [{id: b, ignore_error: true, fake.again: {}, undo: [{id: back, fake.again: {}}]}]
  - {id: last, fake.again: {}, undo: [{id: gone, fake.again: {}}]}
`;

/** Lets the process die in the step at `path`, and has the run given up. */
async function givenUpAt(h: Harness, path: string): Promise<Ran> {
  const stop = new Stop();
  const { b } = h.on;
  h.on["b"] = h.on["last"] = (ctx, input) => {
    if (ctx.step.path !== path) return b?.(ctx, input) ?? null;
    const waiting = untilAborted(ctx, input);
    stop.request("a test");
    stop.request("a test");
    return waiting;
  };
  await h.run(LOOP, { stop });
  h.on = {};
  h.journal.db.run("UPDATE run SET cancelled = '--give-up'");
  return h.resume(LOOP);
}

test("a loop that ignores failures is no point of no return when it was cut short", () =>
  withHarness(async (h) => {
    const ran = await givenUpAt(h, "each/1/b");
    expect(acts(h)).toEqual(["act each/1/b~undo/back", "act each/0/b~undo/back", "undo a"]);
    expect(ran.run["kept"]).toBeUndefined();
  }));

test("a failure that it had ignored before does not unmake a loop that was done", () =>
  withHarness(async (h) => {
    h.on = { b: (ctx) => (ctx.step.path === "each/1/b" ? fail("no")(ctx, null) : null) };
    const ran = await givenUpAt(h, "last");
    expect(acts(h)).toEqual(["act last~undo/gone"]);
    expect(ran.run["kept"]).toMatchObject([{ since: "each" }]);
  }));
