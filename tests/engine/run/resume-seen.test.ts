import { expect, test } from "bun:test";
import { PgdbaError } from "../../../engine/errors.ts";
import { Stop } from "../../../engine/run/stop.ts";
import type { Json } from "../../../engine/types.ts";
import { fail, type Harness, untilAborted, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));
/** Of these steps, what each call of their type's own code was given: `act a {...}`. */
function inputs(h: Harness, ...ids: string[]): string[] {
  const seen: string[] = [];
  for (const id of ids)
    h.on[id] = (ctx, input) => {
      seen.push(`${ctx.step.path} ${JSON.stringify(input)}`);
      return null;
    };
  return seen;
}
const gives = (output: Json) => () => output;

/** Takes more time than the block around it has. */
const late = () => {
  const end = performance.now() + 550;
  while (performance.now() < end);
  return null;
};

test("a condition that would be answered otherwise now changes nothing of what was done or left out", () =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: read, sensitive: true, fake.look: {}}
  - {id: a, when: steps.read.output.on, fake.act: {}}
  - {id: b, when: "!steps.read.output.on", fake.act: {}}
  - {id: g, when: steps.read.output.on, block: [{id: c, fake.act: {}}]}
  - {id: n, when: "!steps.read.output.on", block: [{id: d, fake.act: {}}]}
  - {id: each, foreach: [1, 2], when: "steps.read.output.on == (item == 1)", block: [{id: e, fake.act: {}}]}
  - {id: end, fake.again: {}}
  - {id: boom, fake.look: {}}
`;
    h.on = { read: gives({ on: true }) };
    await h.killedIn(text, "end");
    h.on = { read: gives({ on: false }), boom: fail() };
    const ran = await h.resume(text);
    expect(acts(h)).toEqual(["act end", "undo each/0/e", "undo c", "undo a"]);
    expect(ran).toMatchObject({ exit: 5, run: { undo: { undone: 3, failed: [] } } });
  }));

test("a step that is done stays done when its input can't be rendered any more", () =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: read, sensitive: true, fake.look: {}}
  - {id: a, fake.act: {n: "\${steps.read.output.n / 1}"}}
  - {id: end, fake.again: {}}
  - {id: boom, fake.look: {}}
`;
    h.on = { read: gives({ n: 4 }) };
    await h.killedIn(text, "end");
    h.on = { read: gives({ n: "four" }), boom: fail() };
    for (const _ of [1, 2]) {
      const ran = await h.resume(text);
      expect(acts(h).filter((call) => call !== "act end")).toEqual([]);
      expect(ran).toMatchObject({ exit: 6, run: { undo: { failed: [{ path: "a" }] } } });
      expect(ran.error!.hint).toContain("--assume a~undo=done");
    }
    expect((await h.resume(text, { "a~undo": "done" })).exit).toBe(5);
  }));

test("a run does not end well while it has not come again to all that it did: a person is asked", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.keep: {}}, {id: end, fake.again: {}}]";
    await h.killedIn(text, "end");
    // As an older version, or a change of the runbook's frozen text, could have it.
    h.journal.db.run("UPDATE step SET path = 'gone' WHERE path = 'a'");
    for (const _ of [1, 2]) {
      const asked = await h.resume(text);
      expect(asked).toMatchObject({ exit: 6, error: { code: "needs_operator", step: "gone" } });
      expect(asked.error!.hint).toContain("--assume gone=done");
    }
    expect((await h.resume(text, { gone: "done" })).exit).toBe(0);
  }));

test.each([
  ["sensitive", true],
  ["plain", false],
])("the items of a loop over a %s list are the same ones when it is resumed", (_, sensitive) =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: read, sensitive: ${sensitive}, fake.look: {}}
  - {id: each, foreach: steps.read.output, fake.act: {name: "\${item}"}}
  - {id: end, fake.again: {}}
  - {id: boom, fake.look: {}}
`;
    h.on = { read: gives(["one", "two", "three"]) };
    await h.killedIn(text, "end");
    const rows = JSON.stringify([...h.journal.seen("run-1")]);
    expect(rows.includes("three")).toBe(!sensitive);
    // One has gone, one is new, and the order is another.
    h.on = { read: gives(["zero", "three", "one"]), boom: fail() };
    const undone = sensitive ? ["undo each/2", "undo each/0"] : ["undo each/2", "undo each/1"];
    const ran = await h.resume(text);
    // What a sensitive step gave was not kept.
    const done = acts(h).map((call) => call.replace(" unfinished", ""));
    expect(done.slice(0, 3)).toEqual(["act end", ...undone]);
    if (!sensitive) return expect(ran.exit).toBe(5);
    expect(ran).toMatchObject({ exit: 6, run: { undo: { failed: [{ path: "each/1" }] } } });
    expect(ran.error!.hint).toContain("--assume each/1~undo=done");
    expect((await h.resume(text, { "each/1~undo": "done" })).exit).toBe(5);
  }),
);

test("an item that was not begun is the one of the earlier list", () =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: read, sensitive: true, fake.look: {}}
  - {id: each, foreach: steps.read.output, fake.again: {name: "\${item}"}}
`;
    h.on = { read: gives(["one", "two", "three"]) };
    await h.killedIn(text, "each");
    h.on = { read: gives(["three", "two", "one"]) };
    const seen = inputs(h, "each");
    expect((await h.resume(text)).exit).toBe(0);
    expect(seen).toEqual([
      'each/0 {"name":"one"}',
      'each/1 {"name":"two"}',
      'each/2 {"name":"three"}',
    ]);
  }));

test.each([
  ["the inverse of its type", "", "a~undo"],
  ["a list", ", undo: [{id: back, fake.keep: {name: '${steps.read.output}'}}]", "a~undo"],
  [
    "a list with a loop",
    ", undo: [{id: back, foreach: [1], fake.keep: {name: '${steps.read.output}'}}]",
    "a~undo",
  ],
])("%s is not run when it would be given something else than the step was", (_, undo, path) =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: read, sensitive: true, fake.look: {}}
  - {id: a, fake.act: {name: "\${steps.read.output}"}${undo}}
  - {id: end, fake.again: {}}
  - {id: boom, fake.look: {}}
`;
    h.on = { read: gives("blue") };
    await h.killedIn(text, "end");
    h.on = { read: gives("green"), boom: fail() };
    const ran = await h.resume(text);
    expect(acts(h)).toEqual(["act end"]);
    expect(ran).toMatchObject({ exit: 6, run: { undo: { failed: [{ path: "a" }] } } });
    expect(JSON.stringify(ran.run["undo"])).toContain("another input");
    expect(ran.run.warnings.join()).toContain("a is done, but was given another input");
    expect(ran.error!.hint).toContain(`--assume ${path}=done`);
    expect((await h.resume(text, { [path]: "done" })).exit).toBe(5);
    expect(acts(h)).toEqual([]);

    h.on = { read: gives("blue") };
    await h.killedIn(text, "end");
    h.on = { read: gives("blue"), boom: fail() };
    expect((await h.resume(text)).exit).toBe(5);
    expect(acts(h)).toHaveLength(2);
  }),
);

test("an open step whose input is another one now is neither probed nor repeated: a person is asked", () =>
  withHarness(async (h) => {
    for (const type of ["fake.probed", "fake.again"]) {
      const text = `
steps:
  - {id: read, sensitive: true, fake.look: {}}
  - {id: a, ${type}: {name: "\${steps.read.output}"}}
`;
      h.on = { read: gives("blue") };
      await h.killedIn(text, "a");
      h.on = { read: gives("green"), "a~probe": () => "not_done" };
      const asked = await h.resume(text);
      expect(asked.error).toMatchObject({ code: "needs_operator", step: "a" });
      expect(asked.error!.message).toContain("another input");
      expect(acts(h)).toEqual([]);
      expect((await h.resume(text, { a: "not_done" })).exit).toBe(0);
      expect(acts(h)).toEqual(["act a"]);
    }
  }));

test("the digest of an input tells nothing of it without the key, which is not in the journal", () =>
  withHarness(async (h) => {
    await h.run("steps: [{id: a, fake.keep: {pin: '1234'}}]");
    await h.run("steps: [{id: a, fake.keep: {pin: '1234'}}]");
    await withHarness(async (other) => {
      await other.run("steps: [{id: a, fake.keep: {pin: '1234'}}]");
      const digest = (of: Harness, run: string) => of.journal.steps(run)[0]!.input_digest;
      expect(digest(h, "run-1")).toBe(digest(h, "run-2"));
      expect(digest(h, "run-1")).not.toBe(digest(other, "run-1"));
    });
  }));

test.each([
  ["of a block", "block: [{id: a, fake.act: {}}, {id: b, fake.keep: {}}]", ""],
  [
    "of a block in a block",
    "block: [{id: inner, block: [{id: a, fake.act: {}}, {id: b, fake.keep: {}}]}]",
    "",
  ],
  ["of a called runbook", "block: [{id: sub, timeout: 500ms, run: sub/two}]", "sub/"],
])(
  "a deadline %s that fell between two steps still holds when its rescue is resumed",
  (_, block, at) =>
    withHarness(async (h) => {
      h.write(
        "sub/two",
        "summary: S\nrisk: change\nsteps: [{id: a, fake.act: {}}, {id: b, fake.keep: {}}]\n",
      );
      const text = `
steps:
  - id: g
    timeout: 500ms
    ${block}
    rescue: [{id: r, fake.again: {code: "\${error.code}"}}]
  - {id: c, fake.keep: {}}
`;
      h.on = { a: late };
      await h.killedIn(text, "r");
      h.on = {};
      const seen = inputs(h, "r");
      expect((await h.resume(text)).exit).toBe(0);
      expect(acts(h)).toEqual(["act r", "act c"]);
      expect(seen).toEqual(['r {"code":"timeout"}']);

      h.on = { a: late };
      await h.killedIn(text, "c");
      h.on = {};
      h.journal.db.run("UPDATE run SET cancelled = 'SIGINT'");
      await h.resume(text, { c: "not_done" });
      expect(acts(h)).toEqual([`undo ${at}a`]);
    }),
);

test.each([
  [
    "the output of a block",
    "{id: g, ignore_error: true, block: [{id: a, fake.keep: {}}], output: {n: 'steps.read.output.n + 1'}}",
  ],
  [
    "the list of a loop",
    "{id: g, ignore_error: true, block: [{id: a, foreach: 'steps.read.output.n == 1 ? [1] : steps.read.output.n', fake.keep: {}}]}",
  ],
  [
    "the time of a block that has no rescue",
    "{id: g, ignore_error: true, timeout: 500ms, block: [{id: x, fake.keep: {}}, {id: a, fake.keep: {}}]}",
  ],
  [
    "retry.on",
    "{id: g, ignore_error: true, retry: {attempts: 2, on: 'steps.read.output.n == 1'}, block: [{id: x, fake.keep: {}}, {id: y, assert: {that: '1 == 2', message: no}}]}",
  ],
])("a failure that the run went on from is met again by a resumed one: %s", (_, node) =>
  withHarness(async (h) => {
    const text = `
steps:
  - {id: read, sensitive: true, fake.look: {}}
  - ${node}
  - {id: c, fake.again: {status: "\${steps.g.status}"}}
`;
    h.on = { read: gives({ n: "text" }), x: late };
    await h.killedIn(text, "c");
    h.on = { read: gives({ n: 1 }) };
    const seen = inputs(h, "c");
    expect((await h.resume(text)).exit).toBe(0);
    expect(acts(h)).toEqual(["act c"]);
    expect(seen).toEqual(['c {"status":"failed"}']);
  }),
);

test("attempts of an earlier process count", () =>
  withHarness(async (h) => {
    const again = () => {
      throw new PgdbaError("connection_failed", "lost", { retryable: true });
    };
    const text = "steps: [{id: a, fake.again: {}, retry: {attempts: 3, backoff: 1ms}}]";
    for (const [died, left] of [
      [1, 3],
      [2, 2],
      [3, 1],
    ] as const) {
      let tries = 0;
      const stop = new Stop();
      h.on = {
        a(ctx, input) {
          if (++tries < died) return again();
          stop.request("a test");
          stop.request("a test");
          return untilAborted(ctx, input);
        },
      };
      await h.run(text, { stop });
      h.journal.db.run("UPDATE run SET cancelled = NULL");
      h.on = { a: again };
      const ran = await h.resume(text);
      expect(acts(h)).toHaveLength(left);
      expect(ran.steps.find(({ path }) => path === "a")).toMatchObject({ attempts: 3 });
    }
  }));

/** Waiting takes no time on it, so that a deadline does not come by itself. */
const STANDING = { now: () => new Date(0), monotonic: () => 0, sleep: () => Bun.sleep(0) };

test("a deadline that falls after the last step of a called runbook is met again by a resumed run", () =>
  withHarness(async (h) => {
    h.write(
      "sub/look",
      "summary: S\nrisk: read\nsteps: [{id: x, fake.look: {}}]\noutput: {ok: steps.x.output.ok}\n",
    );
    const text = `
steps:
  - {id: called, run: sub/look, until: output.ok, every: 100ms, timeout: 400ms, ignore_error: true}
  - {id: r, when: steps.called.status == 'failed', fake.keep: {}}
  - {id: c, fake.again: {}}
`;
    h.on = { x: () => ({ ok: false }) };
    await h.killedIn(text, "c");
    h.on = { x: () => ({ ok: true }) };
    const ran = await h.run(text, { resume: {}, clock: STANDING });
    expect(h.calls).toEqual(["act c"]);
    expect(ran).toMatchObject({ exit: 0 });
    expect(ran.ended).toContain("called failed");
  }));

test("an attempt that its deadline cut off after all that it called had ended is not taken for one that went well", () =>
  withHarness(async (h) => {
    h.write("sub/slow", "summary: S\nrisk: change\nsteps: [{id: x, fake.again: {}}]\n");
    const text = `
steps:
  - {id: called, fake.call: {runbook: sub/slow}, timeout: 300ms, retry: {attempts: 2, backoff: 1ms}}
  - {id: c, fake.again: {}}
`;
    let tries = 0;
    h.on = { called: (ctx) => (++tries === 1 ? untilAborted(ctx, null) : null) };
    await h.killedIn(text, "c");
    h.on = {};
    const ran = await h.resume(text);
    expect(h.calls.filter((call) => call.startsWith("act"))).toEqual(["act c"]);
    expect(ran).toMatchObject({ exit: 0 });
  }));
