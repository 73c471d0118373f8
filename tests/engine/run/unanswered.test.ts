import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { loaders } from "../../../steps/_registry.ts";
import { type Harness, type Options, withHarness } from "./harness.ts";

const ACTS = "steps:\n  - {id: acts, fake.act: {}}\n";
const rule = (action: "confirm" | "approve") => ({
  asked: { policy: [{ match: {}, action, file: "policy.yaml", by: { users: ["alice"] } }] },
});

/** What is asked before a run begins: without the answer there is no run. */
const GATES: [gate: string, text: string, options: Options][] = [
  ["disruptive", `summary: A test.\nrisk: disruptive\n${ACTS}`, {}],
  [
    "destructive",
    `summary: A test.\nrisk: destructive\n${ACTS}`,
    { flags: { yes: true, withoutBackup: "drill" } },
  ],
  ["policy, confirm", ACTS, rule("confirm")],
  ["policy, approve", ACTS, rule("approve")],
];

/** What is asked in the middle of one; each acts once before, and must not act behind it. */
const yes = 'confirm: {question: "Go on?"}';
const word = 'confirm: {question: "Its name", expect: drill}';
const before = "{id: before, fake.act: {}}";
const after = "{id: acts, fake.act: {}}";
const QUESTIONS: [where: string, text: string, asks: string][] = [
  ["a yes", `steps: [${before}, {id: sure, ${yes}}, ${after}]`, "sure"],
  ["a word", `steps: [${before}, {id: sure, ${word}}, ${after}]`, "sure"],
  [
    "a word with a condition",
    `steps: [${before}, {id: sure, when: "true", ${word}}, ${after}]`,
    "sure",
  ],
  [
    "a word that is tried again",
    `steps: [${before}, {id: sure, retry: {attempts: 2, on: "true"}, ${word}}, ${after}]`,
    "sure",
  ],
  [
    "a word that may fail",
    `steps: [${before}, {id: sure, ignore_error: true, ${word}}, ${after}]`,
    "sure",
  ],
  ["a loop", `steps: [${before}, {id: sure, foreach: "[1, 2]", ${word}}, ${after}]`, "sure/0"],
  [
    "a block",
    `steps: [${before}, {id: all, block: [{id: sure, ${word}}, ${after}], rescue: [{id: saved, fake.act: {}}]}]`,
    "sure",
  ],
  ["a called runbook", `steps: [${before}, {id: called, run: demo/asks}, ${after}]`, "called/sure"],
];

/** The doors by which it may be gone on with, without the answer. */
const DOORS: [door: string, options: (path: string) => Options][] = [
  ["resume", () => ({ resume: {} })],
  [
    "resume by one who may not be asked, with another word",
    () => ({ resume: {}, flags: { confirm: "other" } }),
  ],
  ["resume twice", () => ({ resume: {} })],
  ["--assume", (path) => ({ resume: { assumed: { [path]: "done" } } })],
];

async function through(h: Harness, text: string, options: Options): Promise<string> {
  h.calls.length = 0;
  try {
    return `exit ${(await h.run(text, options)).exit}`;
  } catch (thrown) {
    return (thrown as { code: string }).code;
  }
}

const acted = ({ calls }: Harness) =>
  calls.filter((call) => call === "act acts" || call === "act saved");

describe("a gate that was not answered", () => {
  test.each(GATES)(
    "%s: begins no run, so that there is nothing to resume, give up or undo",
    (_, text, options) =>
      withHarness(async (h) => {
        expect(await through(h, text, options)).toBe("approval_needed");
        expect(h.journal.runs(5)).toEqual([]);
        expect(h.calls).toEqual([]);
      }),
  );

  test.each(QUESTIONS)("%s: is asked again by whatever door", (_, text, asks) =>
    withHarness(async (h) => {
      h.write("demo/asks", `summary: Asks.\nrisk: change\nsteps: [{id: sure, ${word}}]\n`);
      expect(await through(h, text, {})).toBe("exit 4");
      expect(h.calls).toContain("act before");
      for (const [door, options] of DOORS) {
        const refused = door === "--assume" ? "usage" : "exit 4";
        expect([door, await through(h, text, options(asks))]).toEqual([door, refused]);
        expect([door, h.calls]).toEqual([door, []]);
      }
      const steps = h.journal.steps("run-1").filter(({ type }) => type === "confirm");
      expect(steps).toEqual([]);
      // Given up, what was done is taken back, and nobody has said yes.
      h.journal.db.run("UPDATE run SET cancelled = '--give-up'");
      expect(await through(h, text, { resume: {} })).toBe("exit 130");
      expect(h.calls).toEqual(["undo before"]);
      const undone = h.journal.steps("run-1").map(({ path }) => path);
      expect(undone.filter((path) => path.includes("sure"))).toEqual([]);
    }),
  );

  test.each(QUESTIONS)("%s: goes on with the answer", (_, text) =>
    withHarness(async (h) => {
      h.write("demo/asks", `summary: Asks.\nrisk: change\nsteps: [{id: sure, ${word}}]\n`);
      expect(await through(h, text, {})).toBe("exit 4");
      const answer = { resume: {}, flags: { yes: true, confirm: "drill" } };
      let end = await through(h, text, answer);
      // Each item of a loop asks for itself.
      if (end === "exit 4") end = await through(h, text, answer);
      expect([end, acted(h)]).toEqual(["exit 0", ["act acts"]]);
    }),
  );
});

test("whatever step type asks a person says so", async () => {
  const asking: string[] = [];
  for (const [type, load] of Object.entries(loaders))
    if ((await load()).default.asks) asking.push(type);
  expect(asking).toEqual(["confirm"]);
  const root = join(import.meta.dir, "../../../steps");
  const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".ts"),
  );
  const using = files.filter((file) => readFileSync(join(root, file), "utf8").includes("ctx.ask("));
  expect(using).toEqual(["core/confirm.ts"]);
});
