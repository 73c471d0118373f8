import { expect, test } from "bun:test";
import { withHarness } from "./harness.ts";

const TEXT = `steps:
  - {id: before, fake.act: {}}
  - {id: guard, block: [{id: inner, fake.act: {}}, {id: sure, confirm: {question: "Of {{target.name}}?", expect: drill}}, {id: after, fake.act: {}}], always: [{id: close, fake.keep: {}}]}
output: {by: steps.before.status}
`;
const question = "Of drill?";

test("a person who says yes lets the run go on, one who says no has it taken back", () =>
  withHarness(async (h) => {
    const asked: unknown[] = [];
    const answer = (yes: boolean) => ({
      asked: {
        confirm: async (...words: unknown[]) => (asked.push(words.slice(0, 2)), yes),
      },
    });
    expect(await h.run(TEXT, answer(true))).toMatchObject({ exit: 0, status: "ok" });
    expect(asked).toEqual([[question, "drill"]]);
    expect(h.calls).toEqual(["act before", "act inner", "act after", "act close"]);
    h.calls.length = 0;
    const no = await h.run(TEXT, answer(false));
    expect(no).toMatchObject({ exit: 5, status: "undone", error: { code: "step_failed" } });
    expect(h.calls).toEqual(["act before", "act inner", "undo inner", "undo before", "act close"]);
  }));

test("where nobody can be asked the run stops as it is with exit 4, and resume goes on", () =>
  withHarness(async (h) => {
    const ran = await h.run(TEXT);
    expect(ran).toMatchObject({
      exit: 4,
      status: "waiting",
      error: { code: "approval_needed", message: question, step: "sure" },
    });
    expect(ran.error!.hint).toContain("pgdba resume run-1` goes on");
    expect(h.calls).toEqual(["act before", "act inner"]);
    const went = await h.resume(TEXT);
    expect(went).toMatchObject({ exit: 0, status: "ok" });
    expect(h.calls).toEqual(["act after", "act close"]);
  }));

test("a run that waits is taken back when it is given up", () =>
  withHarness(async (h) => {
    await h.run(TEXT);
    h.journal.db.run("UPDATE run SET cancelled = '--give-up'");
    const gone = await h.resume(TEXT);
    expect(gone).toMatchObject({ exit: 130, status: "interrupted" });
    expect(h.calls).toEqual(["undo inner", "undo before", "act close"]);
  }));

test("a process that dies at the question has no answer: it is asked again", () =>
  withHarness(async (h) => {
    await h.run(TEXT);
    // As if it had died before it could say that it waits.
    h.journal.db.run("DELETE FROM saw WHERE what = 'note'");
    const asked: unknown[] = [];
    h.calls.length = 0;
    const went = await h.run(TEXT, {
      resume: {},
      asked: { confirm: async (...words: unknown[]) => (asked.push(words[0]), true) },
    });
    expect([went.exit, asked, h.calls]).toEqual([0, [question], ["act after", "act close"]]);
  }));

test("a plan shows the question, and asks nobody", () =>
  withHarness(async (h) => {
    const ran = await h.run(TEXT, { plan: true });
    expect(ran.steps.find(({ id }) => id === "sure")).toMatchObject({
      status: "previewed",
      preview: { question, expect: "drill" },
    });
  }));
