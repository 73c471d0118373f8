import { expect, test } from "bun:test";
import { Stop } from "../../../engine/run/stop.ts";
import { type Behaviour, failing, type Harness, untilAborted, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));

test("a first signal: a change runs to its end, nothing new starts, and the run unwinds", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      b: async () => {
        stop.request("SIGINT");
        await Bun.sleep(5);
        return { done: true };
      },
    };
    const ran = await h.run(
      "steps:\n  - {id: a, fake.act: {}}\n  - {id: g, block: [{id: b, fake.act: {}}, {id: c, fake.act: {}}], rescue: [{id: r, fake.act: {}}], always: [{id: close, fake.keep: {}}]}\n",
      { stop },
    );
    expect(acts(h)).toEqual(["act a", "act b", "undo b", "undo a", "act close"]);
    expect(ran).toMatchObject({ exit: 130, status: "interrupted", error: { code: "interrupted" } });
    expect(ran.ended).toEqual(["a ok", "b ok", "g cancelled", "close ok"]);
    expect(h.journal.run("run-1")!.cancelled).toBe("SIGINT");
  }));

test("a first signal that can't be put on record does not end the process", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      a: () => {
        h.journal.db.exec("PRAGMA query_only = ON");
        stop.request("SIGINT");
        return null;
      },
    };
    const ran = await h.run("steps: [{id: a, fake.act: {}}]", { stop });
    expect(ran).toMatchObject({ exit: 6, error: { code: "journal_failed" } });
    expect(ran.run.warnings[0]).toContain("journal");
  }));

test("a first signal during a call with a long change: the change ends before the undo begins", () =>
  withHarness(async (h) => {
    h.write("sub/long", "summary: S\nrisk: change\nsteps: [{id: long, fake.act: {}}]\n");
    const stop = new Stop();
    h.on = {
      long: async () => {
        stop.request("SIGTERM");
        await Bun.sleep(20);
        h.calls.push("end long");
        return null;
      },
    };
    const ran = await h.run("steps: [{id: called, run: sub/long}, {id: b, fake.act: {}}]", {
      stop,
    });
    expect(acts(h)).toEqual(["act called/long", "end long", "undo called/long"]);
    expect(ran.exit).toBe(130);
  }));

test("a first signal after the block, before its always: always runs, after the undo", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      a: () => {
        stop.request("SIGINT");
        return null;
      },
    };
    await h.run(
      "steps: [{id: g, block: [{id: a, fake.act: {}}], always: [{id: close, fake.keep: {}}]}]",
      { stop },
    );
    expect(acts(h)).toEqual(["act a", "undo a", "act close"]);
  }));

test("a second signal ends everything at once: the step is unknown, nothing is taken back", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      b: (ctx) => {
        const waiting = untilAborted(ctx, {});
        stop.request("SIGINT");
        stop.request("SIGINT");
        return waiting;
      },
    };
    const ran = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}]", { stop });
    expect(acts(h)).toEqual(["act a", "act b"]);
    expect(ran).toMatchObject({ exit: 130, ended: ["a ok", "b unknown"] });
    expect(h.journal.steps("run-1").map(({ path, status }) => `${path} ${status}`)).toEqual([
      "a ok",
      "b unknown",
    ]);
  }));

test("a stopped run that is resumed gathers what it did and takes it back, and does nothing new", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.write("sub/one", "summary: S\nrisk: change\nsteps: [{id: inner, fake.act: {}}]\n");
    h.on = {
      b: (ctx) => {
        const waiting = untilAborted(ctx, {});
        stop.request("SIGINT");
        stop.request("SIGINT");
        return waiting;
      },
    };
    const text =
      "steps: [{id: a, fake.act: {}}, {id: called, run: sub/one}, {id: each, foreach: [1], fake.act: {}}, {id: b, fake.again: {}}, {id: c, fake.act: {}}]";
    await h.run(text, { stop });
    expect(acts(h)).toEqual(["act a", "act called/inner", "act each/0", "act b"]);
    h.calls.length = 0;
    const ran = await h.run(text, { resume: {} });
    expect(acts(h)).toEqual(["undo each/0", "undo called/inner", "undo a"]);
    expect(ran).toMatchObject({ exit: 130, status: "interrupted" });
  }));

test("a resumed run goes on with the attempt it was at", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      a: failing(1),
      b: (ctx) => {
        const waiting = untilAborted(ctx, {});
        stop.request("x");
        stop.request("x");
        return waiting;
      },
    };
    const text =
      "steps: [{id: g, retry: {attempts: 2}, block: [{id: a, fake.keep: {}}, {id: b, fake.again: {}}]}]\n";
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.on = {};
    h.calls.length = 0;
    h.clock.slept.length = 0;
    const ran = await h.run(text, { resume: {} });
    expect(ran.exit).toBe(0);
    expect(h.calls).toEqual(["act g@2/b"]);
    expect(h.clock.slept).toEqual([]);
  }));

test("a resumed step that nothing can tell about needs an operator, whose word is taken", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    const hang: Behaviour = (ctx) => {
      const waiting = untilAborted(ctx, {});
      stop.request("x");
      stop.request("x");
      return waiting;
    };
    h.on = { a: hang };
    const text = "steps: [{id: a, fake.probed: {}}, {id: b, fake.keep: {}}]";
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.on = {};
    const asked = await h.run(text, { resume: {} });
    expect(asked).toMatchObject({
      exit: 6,
      status: "needs_operator",
      error: { code: "needs_operator", step: "a" },
    });
    expect(asked.error!.message).toContain("no trace of it");
    h.calls.length = 0;
    expect((await h.run(text, { resume: { assumed: { a: "done" } } })).exit).toBe(0);
    expect(h.calls).toEqual(["act b"]);
  }));

test("a resumed run says which output it would need again and could not keep", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.secrets.add("hunter2-secret");
    h.on = {
      a: () => ({ token: "hunter2-secret" }),
      b: (ctx) => {
        const waiting = untilAborted(ctx, {});
        stop.request("x");
        stop.request("x");
        return waiting;
      },
    };
    const text =
      'steps:\n  - {id: a, fake.keep: {}}\n  - {id: b, fake.again: {}}\n  - {id: c, fake.keep: {t: "${steps.a.output.token}"}}\n';
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.on = {};
    const ran = await h.run(text, { resume: {} });
    expect(ran.error).toMatchObject({
      code: "step_failed",
      step: "c",
      message: "steps.a.output is needed again, and was not kept, for it held a secret",
    });
    expect(acts(h)).toEqual(["act a", "act b", "act b"]);
  }));

test("a second signal while unwinding: what was not taken back is told, and a resumed run takes it back", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      boom: failing(9),
      "b~undo": (ctx) => {
        const waiting = untilAborted(ctx, {});
        stop.request("SIGINT");
        stop.request("SIGINT");
        return waiting;
      },
    };
    const text = `
steps:
  - {id: a, fake.act: {}}
  - {id: g, block: [{id: b, fake.act: {}}, {id: c, fake.act: {}}, {id: boom, fake.look: {}, retry: {attempts: 2}}], always: [{id: close, fake.keep: {}}]}
`;
    const cut = await h.run(text, { stop });
    expect(acts(h)).toEqual(["act a", "act b", "act c", "undo c", "undo b"]);
    expect(cut).toMatchObject({
      exit: 6,
      status: "needs_operator",
      error: { code: "connection_failed" },
    });
    const undo = cut.run["undo"] as unknown as {
      undone: number;
      failed: { path: string; error: { code: string } }[];
    };
    expect(undo.undone).toBe(1);
    expect(undo.failed.map(({ path, error }) => `${path} ${error.code}`)).toEqual([
      "b interrupted",
      "a interrupted",
      "g interrupted",
    ]);

    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.on = {};
    h.calls.length = 0;
    h.clock.slept.length = 0;
    const resumed = await h.run(text, { resume: {} });
    // The failure is the one on record: it is not tried again.
    expect(h.calls).toEqual(["undo b", "undo a", "act close"]);
    expect(h.clock.slept).toEqual([]);
    expect(resumed).toMatchObject({
      exit: 5,
      error: { code: "connection_failed" },
      run: { undo: { undone: 3, failed: [] } },
    });
  }));

test("what an interrupted run says to do next can be done as it stands", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    h.on = {
      a: () => {
        stop.request("SIGINT");
        return null;
      },
    };
    const undone = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.look: {}}]", { stop });
    expect(undone.error!.hint).toBe("`pgdba runs run-1` shows what was done and taken back.");
    const again = new Stop();
    h.on = {
      a: () => {
        again.request("SIGINT");
        return null;
      },
      "a~undo": () => {
        throw new Error("broken");
      },
    };
    const left = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.look: {}}]", {
      stop: again,
    });
    expect(left.error!.hint).toBe(
      "Not taken back: a (see error.run.undo.failed). Mend the cause, then `pgdba resume run-2` tries again. What you have taken back by hand, you say with --assume a~undo=done.",
    );
    expect(
      JSON.stringify([h.events, h.journal.db.query("SELECT * FROM step").all()]),
    ).not.toContain(" ID");
  }));
