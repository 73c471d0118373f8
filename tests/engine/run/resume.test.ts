import { describe, expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import { Stop } from "../../../engine/run/stop.ts";
import { codeOf, fail, type Harness, untilAborted, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));

const FAILS = "  - {id: boom, fake.look: {}}\n";

test.each([
  ["in an undo list", "a~undo/back", "undo: [{id: back, fake.keep: {}}]"],
  ["in a loop of an undo list", "a~undo/back/0", "undo: [{id: back, foreach: [1], fake.keep: {}}]"],
  [
    "in the always of a block of an undo list",
    "a~undo/back",
    "undo: [{id: g, block: [{id: x, fake.keep: {}}], always: [{id: back, fake.keep: {}}]}]",
  ],
  ["in a runbook that an undo calls", "a~undo/sub/back", "undo: [{id: sub, run: sub/back}]"],
])("a step %s that was cut short is not repeated: a person is asked", (_, path, undo) =>
  withHarness(async (h) => {
    h.write("sub/back", "summary: S\nrisk: change\nsteps: [{id: back, fake.keep: {}}]\n");
    h.on = { boom: fail("the cause") };
    const text = `steps:\n  - {id: first, fake.act: {}}\n  - {id: a, fake.keep: {}, ${undo}}\n${FAILS}`;
    await h.killedIn(text, "back");
    const asked = await h.resume(text);
    expect(acts(h)).toEqual([]);
    expect(asked).toMatchObject({
      exit: 6,
      status: "needs_operator",
      error: {
        code: "needs_operator",
        step: path,
        hint: `Look at the target, then \`pgdba resume run-1 --assume ${path}=done\` or \`=not_done\`.`,
        data: { failure: { message: "the cause" } },
      },
    });
    // Asked once more, nothing has changed.
    expect((await h.resume(text)).error).toEqual(expect.objectContaining({ step: path }));
    expect(acts(h)).toEqual([]);

    const done = await h.resume(text, { [path]: "done" });
    expect(acts(h)).toEqual(["undo first"]);
    expect(done).toMatchObject({
      exit: 5,
      status: "undone",
      error: { message: "the cause" },
      run: { undo: { undone: 2, failed: [] } },
    });
  }),
);

test("a step of an undo that did not happen is done, once", () =>
  withHarness(async (h) => {
    h.on = { boom: fail() };
    const text = `steps:\n  - {id: a, fake.keep: {}, undo: [{id: back, fake.keep: {}}, {id: more, fake.keep: {}}]}\n${FAILS}`;
    await h.killedIn(text, "back");
    const ran = await h.resume(text, { "a~undo/back": "not_done" });
    expect(acts(h)).toEqual(["act a~undo/back", "act a~undo/more"]);
    expect(ran.exit).toBe(5);
  }));

test("a step of an undo that is cut short: its probe is asked, and what is harmless is repeated", () =>
  withHarness(async (h) => {
    for (const [type, answer, expected] of [
      ["fake.again", "", ["act a~undo/back"]],
      ["fake.probed", "done", ["probe a~undo/back"]],
      ["fake.probed", "not_done", ["probe a~undo/back", "act a~undo/back"]],
    ] as const) {
      h.on = { boom: fail(), "back~probe": () => answer };
      const text = `steps:\n  - {id: a, fake.keep: {}, undo: [{id: back, ${type}: {}}]}\n${FAILS}`;
      await h.killedIn(text, "back");
      expect((await h.resume(text)).exit).toBe(5);
      expect(acts(h)).toEqual([...expected]);
    }
  }));

test("an undo of the type itself that was cut short is done again; one that failed too, and what went well is left", () =>
  withHarness(async (h) => {
    h.on = { boom: fail() };
    const text = `steps:\n  - {id: a, fake.act: {}}\n  - {id: b, fake.act: {}}\n${FAILS}`;
    await h.killedIn(text, "b~undo");
    expect((await h.resume(text)).exit).toBe(5);
    expect(acts(h)).toEqual(["undo b", "undo a"]);

    h.on = { boom: fail(), "b~undo": fail("busy") };
    const first = await h.run(text);
    expect(first).toMatchObject({ exit: 6, error: { code: "step_failed" } });
    expect(first.error!.hint).toStartWith("Not taken back: b (see");
    expect(first.error!.hint).toContain("`pgdba resume run-2` tries again");
    h.on = { boom: fail() };
    const ran = await h.resume(text);
    expect(acts(h)).toEqual(["undo b"]);
    expect(ran).toMatchObject({ exit: 5, run: { undo: { undone: 2, failed: [] } } });
  }));

test("a step that an undo list failed at: harmless, it is tried again; else a person says whether it happened", () =>
  withHarness(async (h) => {
    for (const [type, asks] of [
      ["fake.again", false],
      ["fake.keep", true],
    ] as const) {
      const text = `steps:\n  - id: a\n    fake.keep: {}\n    undo: [{id: g, block: [{id: odd, fake.keep: {}}], rescue: [{id: r, fake.keep: {}}]}, {id: back, ${type}: {}}]\n${FAILS}`;
      h.on = { boom: fail(), odd: fail("taken by the rescue"), back: fail("broken") };
      const failed = await h.run(text);
      expect(failed.exit).toBe(6);
      // What the hint says is what the resumed run does.
      const { hint } = failed.error!;
      expect(hint?.includes("tries again")).toBe(!asks);
      expect(hint?.includes("--assume a~undo/back=done` or `=not_done`")).toBe(asks);
      expect(hint).toContain(`pgdba resume ${failed.run["id"]}`);
      h.on = { boom: fail() };
      let ran = await h.resume(text);
      if (asks) {
        expect(acts(h)).toEqual([]);
        expect(ran.error).toMatchObject({ code: "needs_operator", step: "a~undo/back" });
        expect(ran.error!.message).toContain("broken");
        ran = await h.resume(text, { "a~undo/back": "not_done" });
      }
      // What its own rescue has taken is not tried again.
      expect(acts(h)).toEqual(["act a~undo/back"]);
      expect(ran.exit).toBe(5);
    }
  }));

describe("what takes a run back works in a resumed run as in the first one:", () => {
  /** Dies in the step `back` of what follows the failure, and goes on. */
  const resumed = async (h: Harness, text: string, on: Harness["on"] = {}) => {
    h.on = { boom: fail(), ...on };
    await h.killedIn(text, "back");
    h.clock.slept.length = 0;
    return h.resume(text);
  };
  const undoing = (more: string) =>
    `steps:\n  - {id: a, fake.keep: {}, undo: [{id: back, fake.again: {}}, ${more}]}\n${FAILS}`;

  test("`until` waits between its tries", () =>
    withHarness(async (h) => {
      let n = 0;
      const text = undoing('{id: w, fake.look: {}, until: "output.n == 3", every: 7s}');
      expect((await resumed(h, text, { w: () => ({ n: ++n }) })).exit).toBe(5);
      expect(h.clock.slept).toEqual([7_000, 7_000]);
    }));

  test("`retry` waits, too", () =>
    withHarness(async (h) => {
      let n = 0;
      const w = () => (++n < 3 ? fail("busy", true)(null!, null) : null);
      const text = undoing("{id: w, fake.again: {}, retry: {attempts: 3, backoff: 4s}}");
      expect((await resumed(h, text, { w })).exit).toBe(5);
      expect(h.clock.slept).toEqual([4_000, 8_000]);
    }));

  test("a rescue takes a failure", () =>
    withHarness(async (h) => {
      const text = undoing(
        "{id: g, block: [{id: x, fake.keep: {}}], rescue: [{id: r, fake.keep: {}}]}",
      );
      expect((await resumed(h, text, { x: fail() })).exit).toBe(5);
      expect(acts(h)).toEqual(["act a~undo/back", "act a~undo/x", "act a~undo/r"]);
    }));

  test("a loop begins no item after one that failed, or that a person must tell about", () =>
    withHarness(async (h) => {
      const text = undoing("{id: l, foreach: [1, 2], fake.keep: {}}, {id: z, fake.keep: {}}");
      expect((await resumed(h, text, { l: fail() })).exit).toBe(6);
      expect(acts(h)).toEqual(["act a~undo/back", "act a~undo/l/0"]);

      const looped = `steps:\n  - {id: a, fake.keep: {}, undo: [{id: back, foreach: [1, 2], fake.keep: {}}]}\n${FAILS}`;
      const asked = await resumed(h, looped);
      expect(asked.error).toMatchObject({ code: "needs_operator", step: "a~undo/back/0" });
      expect(acts(h)).toEqual([]);
    }));

  test("what was not kept is read again", () =>
    withHarness(async (h) => {
      const text = `steps:\n  - id: g\n    block: [{id: boom, fake.look: {}}]\n    always: [{id: pw, sensitive: true, fake.look: {}}, {id: back, fake.again: {v: "\${steps.pw.output.v}"}}]\n`;
      const ran = await resumed(h, text, { pw: () => ({ v: "a hidden value" }) });
      expect(ran).toMatchObject({ exit: 1, error: { message: "as it should" } });
      expect(ran.run).not.toHaveProperty("undo.failed.0");
      expect(acts(h)).toEqual(["act back"]);
    }));
});

test("an undo step that refused before it acted is tried again without a question", () =>
  withHarness(async (h) => {
    const text = `steps:\n  - {id: a, fake.keep: {}, undo: [{id: back, fake.keep: {}}]}\n${FAILS}`;
    h.on = {
      boom: fail(),
      back: () => {
        throw new PgdbaError("step_refused", "not now");
      },
    };
    expect((await h.run(text)).exit).toBe(6);
    h.on = { boom: fail() };
    expect((await h.resume(text)).exit).toBe(5);
    expect(acts(h)).toEqual(["act a~undo/back"]);
  }));

test("an always that was cut short is told with its own hint, in success and after a failure", () =>
  withHarness(async (h) => {
    for (const fails of [true, false]) {
      h.on = fails ? { a: fail("the cause") } : {};
      const text =
        "steps: [{id: g, block: [{id: a, fake.look: {}}], always: [{id: close, fake.keep: {}}]}]";
      await h.killedIn(text, "close");
      const asked = await h.resume(text);
      expect(acts(h)).toEqual([]);
      expect(asked).toMatchObject({
        exit: 6,
        error: {
          code: "needs_operator",
          step: "close",
          hint: expect.stringContaining("--assume close=done"),
        },
      });
      const ran = await h.resume(text, { close: "done" });
      expect(acts(h)).toEqual([]);
      expect(ran.exit).toBe(fails ? 1 : 0);
    }
  }));

test("a rescue that was cut short asks, and its failure is not taken for the block's", () =>
  withHarness(async (h) => {
    h.on = { a: fail() };
    const text =
      "steps: [{id: g, block: [{id: a, fake.look: {}}], rescue: [{id: r, fake.keep: {}}]}, {id: after, fake.keep: {}}]";
    await h.killedIn(text, "r");
    expect((await h.resume(text)).error).toMatchObject({ code: "needs_operator", step: "r" });
    expect((await h.resume(text, { r: "done" })).exit).toBe(0);
    expect(acts(h)).toEqual(["act after"]);
  }));

test("what the probe, or a person, says did not happen is not taken back", () =>
  withHarness(async (h) => {
    const list = "undo: [{id: back, fake.keep: {}}]";
    for (const [type, answer, assumed, expected] of [
      ["fake.probed", "not_done", {}, ["probe a"]],
      ["fake.probed", "done", {}, ["probe a", "act a~undo/back"]],
      ["fake.keep", "", { a: "not_done" }, []],
      ["fake.keep", "", { a: "done" }, ["act a~undo/back"]],
      ["fake.again", "", {}, ["act a~undo/back"]],
    ] as const) {
      h.on = { "a~probe": () => answer };
      const text = `steps: [{id: a, ${type}: {}, ${list}}]`;
      await h.killedIn(text, "a");
      // It had been told to stop, so that what is left of it is the unwinding.
      h.journal.db.run("UPDATE run SET cancelled = 'SIGINT'");
      const ran = await h.resume(text, assumed);
      expect(acts(h)).toEqual([...expected]);
      expect(ran.exit).toBe(130);
    }
  }));

test("a probe that fails can't tell, so that a person is asked; one that refuses ends the step, and it is not taken back", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.probed: {}, undo: [{id: back, fake.keep: {}}]}]";
    const says = (error: Error) => () => error as never;
    h.on = {};
    await h.killedIn(text, "a");
    h.on = { "a~probe": says(new PgdbaError("connection_failed", "nobody listens")) };
    const asked = await h.resume(text);
    expect(asked.error).toMatchObject({ code: "needs_operator", step: "a" });
    expect(asked.error!.message).toContain("nobody listens");
    h.on = { "a~probe": says(new PgdbaError("step_refused", "taken back by others")) };
    expect(await h.resume(text)).toMatchObject({ exit: 1, error: { code: "step_refused" } });
    expect(acts(h)).toEqual(["probe a"]);
  }));

test("a step that did not happen, and then fails in the resumed run, is taken back as far as that went", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.probed: {}, undo: [{id: back, fake.keep: {}}]}]";
    for (const [code, expected] of [
      ["step_refused", ["probe a", "act a"]],
      ["command_failed", ["probe a", "act a", "act a~undo/back"]],
    ] as const) {
      h.on = { "a~probe": () => "not_done" };
      await h.killedIn(text, "a");
      h.on["a"] = () => {
        throw new PgdbaError(code, "no");
      };
      await h.resume(text);
      expect(acts(h)).toEqual([...expected]);
    }
  }));

test("a step that says it changed nothing, and fails, is not taken back; an attempt before it may have", () =>
  withHarness(async (h) => {
    const untouched = (code: "timeout" | "query_failed") => (ctx: { unchanged(): void }) => {
      ctx.unchanged();
      throw new PgdbaError(code, "rolled back", { retryable: true });
    };
    h.on = { a: untouched("query_failed") };
    const alone = await h.run("steps: [{id: a, fake.act: {}}]");
    expect(alone).toMatchObject({ exit: 1, status: "failed" });
    expect(acts(h)).toEqual(["act a"]);

    let tries = 0;
    h.on = {
      a: (ctx) => {
        if (++tries === 1) throw new PgdbaError("connection_failed", "lost", { retryable: true });
        return untouched("query_failed")(ctx);
      },
    };
    h.calls.length = 0;
    const text = "steps: [{id: a, fake.act: {}, retry: {attempts: 2}}]";
    expect((await h.run(text)).exit).toBe(5);
    expect(acts(h)).toEqual(["act a", "act a", "undo a unfinished"]);

    tries = 1;
    h.calls.length = 0;
    expect((await h.run(text)).exit).toBe(1);
    expect(acts(h)).toEqual(["act a", "act a"]);
  }));

test("whether it acted is remembered: a resumed run takes back what a failed step had done, and no more", () =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: same, ignore_error: true, fake.act: {}}
  - {id: no, ignore_error: true, fake.act: {}}
  - {id: half, ignore_error: true, fake.act: {}}
  - {id: last, fake.act: {}}
`;
    h.on = {
      same: (ctx) => {
        ctx.unchanged();
        return null;
      },
      no: (ctx) => {
        ctx.unchanged();
        throw new PgdbaError("query_failed", "rolled back");
      },
      half: fail(),
    };
    await h.killedIn(text, "last");
    h.on = { last: fail() };
    h.journal.db.run("UPDATE run SET cancelled = 'SIGINT'");
    await h.resume(text, { last: "not_done" });
    expect(acts(h)).toEqual(["undo half unfinished"]);
  }));

test("between two attempts a step is not under way: a resumed run goes on with the next one", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.keep: {}, retry: {attempts: 3, backoff: 1s}}]";
    h.on = { a: fail("again", true) };
    const { clock } = h;
    const sleep = clock.sleep.bind(clock);
    clock.sleep = async () => {
      throw new PgdbaError("journal_failed", "dies here");
    };
    await h.run(text);
    clock.sleep = sleep;
    h.on = {};
    expect(h.journal.steps("run-1")[0]).toMatchObject({ status: "retrying", happened: "maybe" });
    expect((await h.resume(text)).exit).toBe(0);
    expect(acts(h)).toEqual(["act a"]);
  }));

const PARALLEL =
  "steps:\n  - {id: each, foreach: [0, 1, 2], parallel: 3, fake.keep: {}}\n  - {id: after, fake.keep: {}}\n";

/** A run that died in all three items at once. */
async function threeOpen(h: Harness): Promise<void> {
  await h.killedIn(PARALLEL, "each", 3);
  expect(h.journal.steps("run-1").map(({ path, status }) => `${path} ${status}`)).toEqual([
    "each/0 unknown",
    "each/1 unknown",
    "each/2 unknown",
  ]);
}

test("several open steps: answered at once", () =>
  withHarness(async (h) => {
    await threeOpen(h);
    const asked = await h.resume(PARALLEL);
    expect(asked.error!.hint).toBe(
      "Look at the target, then `pgdba resume run-1 --assume each/0=done --assume each/1=done --assume each/2=done` each with `=done` or `=not_done`.",
    );
    const said = { "each/0": "done", "each/1": "not_done", "each/2": "done" } as const;
    expect((await h.resume(PARALLEL, said)).exit).toBe(0);
    expect(acts(h)).toEqual(["act each/1", "act after"]);
  }));

test("several open steps: answered one after the other, each hint followed; no answer is forgotten, all are on record", () =>
  withHarness(async (h) => {
    await threeOpen(h);
    const answered: string[] = [];
    let ran = await h.resume(PARALLEL);
    while (ran.status === "needs_operator") {
      expect(answered.length).toBeLessThan(3);
      const [, path] = /--assume (\S+)=done/.exec(ran.error!.hint!)!;
      answered.push(path!);
      ran = await h.resume(PARALLEL, { [path!]: "done" });
    }
    expect(ran.exit).toBe(0);
    expect(answered).toEqual(["each/0", "each/1", "each/2"]);
    expect(acts(h)).toEqual(["act after"]);
    expect(h.journal.answers("run-1").map(({ path, said }) => `${path} ${said}`)).toEqual([
      "each/0 done",
      "each/1 done",
      "each/2 done",
    ]);
  }));

test("an answer is about a step that is open: everything else is a usage error, before anything is done", () =>
  withHarness(async (h) => {
    await threeOpen(h);
    const refusal = async (said: Record<string, "done" | "not_done">) => {
      const { code, message, hint } = await codeOf(h.resume(PARALLEL, said));
      expect(code).toBe("usage");
      return `${message} ${hint}`;
    };
    expect(await refusal({ "each/9": "done" })).toBe(
      "--assume each/9=done: the run has begun no such step Did you mean each/0? Steps that wait for an answer: each/0, each/1, each/2.",
    );
    expect(await refusal({ "each/0": "done", nonsense: "done" })).toContain("begun no such step");
    expect(h.journal.answers("run-1")).toEqual([]);

    await h.resume(PARALLEL, { "each/0": "done" });
    expect(await refusal({ "each/0": "not_done" })).toContain("it was said to be done");
    // The same answer once more, as when a command line is repeated with one more flag.
    const more = { "each/0": "done", "each/1": "not_done" } as const;
    expect((await h.resume(PARALLEL, more)).error).toMatchObject({ step: "each/2" });
    expect(await refusal({ "each/1": "done" })).toContain("it was said to be not_done");
    expect((await h.resume(PARALLEL, { ...more, "each/2": "done" })).exit).toBe(0);
    expect(await refusal({ after: "done" })).toContain("it ended as ok");
    expect(await refusal({ after: "done" })).toContain("No step of this run waits");
  }));

test("a wrong answer can be put right until the run goes on from it", () =>
  withHarness(async (h) => {
    const text =
      "steps:\n  - {id: each, foreach: [0, 1], parallel: 2, fake.keep: {}}\n  - {id: after, fake.keep: {}}\n";
    await h.killedIn(text, "each", 2);
    // It is refused for another reason; the answer is not on record, and another one can be given.
    const other = { target: { expectedIdentity: "8" } };
    await codeOf(h.run(text, { ...other, resume: { assumed: { "each/0": "done" } } }));
    expect(h.journal.answers("run-1")).toEqual([]);
    expect((await h.resume(text, { "each/0": "not_done", "each/1": "done" })).exit).toBe(0);
    expect(acts(h)).toEqual(["act each/0", "act after"]);
  }));

test("the output of a step that a person said was done is not known, and only who needs it fails", () =>
  withHarness(async (h) => {
    const text = (use: string) =>
      `steps:\n  - {id: a, fake.keep: {}}\n  - {id: b, fake.keep: {x: "${use}"}}\noutput: {n: steps.a.output.n, status: steps.a.status}\n`;
    const fine = text("${steps.a.status}");
    await h.killedIn(fine, "a");
    const ran = await h.resume(fine, { a: "done" });
    expect(ran).toMatchObject({ exit: 0, data: { status: "ok" } });
    const needs = text("${steps.a.output.n}");
    await h.killedIn(needs, "a");
    expect((await h.resume(needs, { a: "done" })).error).toMatchObject({
      step: "b",
      message:
        "steps.a.output is needed again, and is not known: a person said that the step was done",
    });
  }));

test("a run that began to be taken back is not gone on with, though no step had failed", () =>
  withHarness(async (h) => {
    const text = `
steps:
  - id: g
    timeout: 500ms
    block: [{id: a, fake.act: {}}, {id: b, fake.keep: {}}]
    rescue: [{id: r, fake.keep: {}}]
  - {id: c, fake.act: {}}
  - {id: boom, assert: {that: "1 == 2", message: no}}
`;
    // The time is over between two steps, which no step has on record.
    h.on["a"] = () => {
      const end = performance.now() + 550;
      while (performance.now() < end);
      return null;
    };
    await h.killedIn(text, "c~undo");
    expect(h.journal.run("run-1")).toMatchObject({ unwinding: { code: "assertion_failed" } });
    h.on = {};
    const ran = await h.resume(text);
    expect(acts(h)).toEqual(["undo c", "undo a"]);
    expect(ran).toMatchObject({ exit: 5, error: { code: "assertion_failed", step: "boom" } });
  }));

test("a resumed run goes by what it saw: conditions are not asked again, and the list of a loop is the one that it went by", () =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: state, fake.look: {}}
  - {id: a, when: target.role == 'primary', fake.act: {}}
  - {id: b, when: target.role != 'primary', fake.act: {}}
  - {id: each, foreach: target.members, fake.act: {}}
  - {id: end, fake.keep: {}}
`;
    const facts = (role: string, members: string[]) => async () => ({
      identity: "7",
      capabilities: [],
      state: "up" as const,
      facts: { role, members },
    });
    const stop = new Stop();
    h.on = { end: untilAborted };
    const running = h.run(text, {
      stop,
      target: { facts: facts("primary", ["x", "y", "z"]) },
    });
    while (!h.calls.includes("act end")) await Bun.sleep(1);
    stop.request("SIGINT");
    stop.request("SIGINT");
    await running;
    h.calls.length = 0;
    // The role has moved, and a member has gone.
    const target = { facts: facts("standby", ["x", "y"]) };
    const ran = await h.run(text, { target, resume: { assumed: { end: "not_done" } } });
    expect(acts(h)).toEqual(["undo each/2", "undo each/1", "undo each/0", "undo a"]);
    expect(ran).toMatchObject({ exit: 130, run: { undo: { undone: 4, failed: [] } } });
  }));

test("an undo that fails for good is done by hand, and the run comes to an end", () =>
  withHarness(async (h) => {
    for (const [undo, path] of [
      ["", "a~undo"],
      [", undo: [{id: back, fake.again: {}}]", "a~undo/back"],
    ] as const) {
      const text = `steps:\n  - {id: a, fake.act: {}${undo}}\n${FAILS}`;
      const never = fail("never");
      h.on = { boom: fail(), "a~undo": never, back: never };
      expect((await h.run(text)).exit).toBe(6);
      for (const _ of [1, 2]) {
        const again = await h.resume(text);
        expect(again.exit).toBe(6);
        expect(again.error!.hint).toContain(`--assume ${path}=done`);
      }
      expect((await h.resume(text, { [path]: "done" })).exit).toBe(5);
      expect(acts(h)).toEqual([]);
    }
  }));

test("what a step had as its input is not needed to know that it happened", () =>
  withHarness(async (h) => {
    h.secrets.add("hunter2-secret");
    const text = (more: string) => `
steps:
  - {id: secret, fake.keep: {}}
  - {id: a, when: steps.secret.output.token != '', fake.act: {t: "\${steps.secret.output.token}"}${more}}
  - {id: end, fake.again: {}}
${FAILS}`;
    for (const [more, exit, undone] of [
      [", undo: [{id: back, fake.keep: {}}]", 5, ["act end", "act a~undo/back"]],
      ["", 6, ["act end"]],
    ] as const) {
      h.on = { secret: () => ({ token: "hunter2-secret" }) };
      await h.killedIn(text(more), "end");
      h.on = { boom: fail() };
      const ran = await h.resume(text(more));
      expect(acts(h)).toEqual([...undone]);
      expect(ran.exit).toBe(exit);
      if (exit === 5) continue;
      expect(ran.error!.hint).toContain("--assume a~undo=done");
      expect((await h.resume(text(more), { "a~undo": "done" })).exit).toBe(5);
    }
  }));

test("a step that acts and calls is not done again to find what it had called", () =>
  withHarness(async (h) => {
    h.write("sub/one", "summary: S\nrisk: change\nsteps: [{id: inner, fake.act: {}}]\n");
    const text = `steps:\n  - {id: never, when: "false", run: sub/one}\n  - {id: a, fake.keep: {}}\n  - {id: end, fake.keep: {}}\n${FAILS}`;
    h.on = { a: (ctx) => ctx.call("sub/one", {}) };
    await h.killedIn(text, "end");
    h.on = { boom: fail() };
    const ran = await h.resume(text, { end: "done" });
    expect(acts(h)).toEqual([]);
    expect(ran.exit).toBe(6);
    const closed = { "a~undo": "done", "a/inner~undo": "done" } as const;
    expect((await h.resume(text, closed)).exit).toBe(5);
  }));

test("a malformed answer of a probe is told as such", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: p, fake.probed: {}}]";
    const answers: unknown[] = [
      "done",
      null,
      { state: "finished" },
      { state: "done" },
      { state: "unknown" },
    ];
    let answer: unknown;
    h.types.find(({ type }) => type === "fake.probed")!.probe = async () => answer as never;
    await h.killedIn(text, "p");
    for (answer of answers) {
      const { error } = await h.resume(text);
      expect(error).toMatchObject({ code: "needs_operator", step: "p" });
      expect({ answer, message: error!.message }).toEqual({
        answer,
        message: expect.stringContaining("the answer of its probe is malformed"),
      });
    }
  }));

test.each([
  ["not_done", []],
  ["partly", ["act a~undo/back"]],
] as const)("of a step whose probe answers %s, giving the run up takes back %j", (answer, back) =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.probed: {}, undo: [{id: back, fake.keep: {}}]}]";
    await h.killedIn(text, "a");
    h.on = { "a~probe": () => answer };
    h.journal.db.run("UPDATE run SET cancelled = '--give-up'");
    expect((await h.resume(text)).exit).toBe(130);
    expect(acts(h)).toEqual(["probe a", ...back]);
  }),
);
