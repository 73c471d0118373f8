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

test("where nobody can be asked the run stops as it is with exit 4, and resume asks again, as strictly", () =>
  withHarness(async (h) => {
    const ran = await h.run(TEXT);
    const waits = {
      exit: 4,
      status: "waiting",
      error: { code: "approval_needed", message: question, step: "sure" },
    };
    expect(ran).toMatchObject(waits);
    expect(ran.error!.hint).toContain("pgdba resume run-1 --confirm=drill` is the yes");
    expect(h.calls).toEqual(["act before", "act inner"]);
    for (const flags of [{}, { yes: true }, { confirm: "other" }, { confirm: "" }]) {
      h.calls.length = 0;
      expect(await h.run(TEXT, { resume: {}, flags })).toMatchObject(waits);
      expect(h.calls).toEqual([]);
    }
    const went = await h.run(TEXT, { resume: {}, flags: { confirm: "drill" } });
    expect(went).toMatchObject({ exit: 0, status: "ok" });
    expect(h.calls).toEqual(["act after", "act close"]);
    const said = h.journal.db.query("SELECT result FROM step WHERE path = 'sure'").get();
    expect(JSON.stringify(said)).toContain('\\"by\\":\\"resume\\"');
  }));

test("the word with which a run began is no answer to a question that comes later", () =>
  withHarness(async (h) => {
    const ran = await h.run(TEXT, { flags: { yes: true, confirm: "drill" } });
    expect([ran.exit, h.calls]).toEqual([4, ["act before", "act inner"]]);
  }));

test("a word answers the question that was read, and no other", () =>
  withHarness(async (h) => {
    const text = `steps:
  - {id: seen, fresh: true, fake.look: {}}
  - {id: sure, confirm: {question: "Of {{steps.seen.output.n}}?", expect: drill}}
  - {id: next, confirm: {question: "Sure?", expect: drill}}
`;
    let n = 1;
    h.on["seen"] = () => ({ n });
    expect((await h.run(text)).error).toMatchObject({ message: "Of 1?" });
    n = 2;
    const flags = { confirm: "drill" };
    const other = await h.run(text, { resume: {}, flags });
    expect([other.exit, other.error?.message]).toEqual([4, "Of 2?"]);
    // One word answers one question.
    const next = await h.run(text, { resume: {}, flags });
    expect([next.exit, next.error?.message]).toEqual([4, "Sure?"]);
    expect((await h.run(text, { resume: {}, flags })).exit).toBe(0);
  }));

test("a person who is asked again is told of when the question is", () =>
  withHarness(async (h) => {
    await h.run(TEXT);
    const asked: unknown[] = [];
    await h.run(TEXT, {
      resume: {},
      asked: { confirm: async (...words: unknown[]) => (asked.push(words.slice(0, 2)), true) },
    });
    expect(asked).toEqual([[expect.stringMatching(/^As of 2026-01-01T.*Z: Of drill\?$/), "drill"]]);
  }));

test("nobody can say that a question was answered", () =>
  withHarness(async (h) => {
    await h.run(TEXT);
    for (const assumed of ["done", "not_done"] as const)
      expect(h.resume(TEXT, { sure: assumed })).rejects.toMatchObject({ code: "usage" });
    // An older version left it open, with a note.
    h.journal.db.run(
      `INSERT INTO step (run, path, id, type, phase, status, started_at, assumed) VALUES ('run-1', 'sure', 'sure', 'confirm', 'main', 'open', '2026-01-01T00:00:00Z', 'done')`,
    );
    expect((await h.resume(TEXT)).exit).toBe(4);
    expect(h.calls).toEqual([]);
  }));

test("a run that waits is taken back when it is given up, and the question counts as none that was answered", () =>
  withHarness(async (h) => {
    await h.run(TEXT);
    h.journal.db.run("UPDATE run SET cancelled = '--give-up'");
    const gone = await h.resume(TEXT);
    expect(gone).toMatchObject({ exit: 130, status: "interrupted", data: {} });
    expect(h.calls).toEqual(["undo inner", "undo before", "act close"]);
    expect(gone.ended.filter((line) => line.startsWith("sure"))).toEqual([]);
    expect(gone.data["by"]).toBeUndefined();
  }));

test("a process that dies at the question has no answer: it is asked again", () =>
  withHarness(async (h) => {
    await h.run(TEXT);
    h.journal.db.run("UPDATE run SET status = 'running', error = NULL, exit = NULL");
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
