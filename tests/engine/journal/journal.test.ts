import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../engine/clock.ts";
import { thisProcess } from "../../../engine/journal/holder.ts";
import { freeze } from "../../../engine/journal/docs.ts";
import { Journal } from "../../../engine/journal/journal.ts";
import { openLibrary } from "../../../engine/load/library.ts";
import { Waiter } from "../../../engine/journal/lock.ts";
import type { RunHeader } from "../../../engine/journal/rows.ts";
import { Secrets } from "../../../engine/secrets.ts";
import type { StepResult } from "../../../engine/types.ts";
import { codeOf, withHarness } from "../run/harness.ts";

let root: string;
let dirs = 0;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), "pgdba-journal-"));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));
const place = () => join(root, String(++dirs), "deep");

const holder = thisProcess();
const header = (id: string, more: Partial<RunHeader> = {}): RunHeader => ({
  id,
  runbook: "demo/one",
  digest: "d",
  docs: { sources: [], docs: {} },
  params: {},
  target: { name: "drill", identity: "7", flags: {} },
  risk: "change",
  plan: false,
  holder,
  started_at: "2026-01-01T00:00:00.000Z",
  view: {},
  judged: { hazards: [], locks: ["all"], backup: null, withoutBackup: false },
  ...more,
});
const result = (output: StepResult["output"]): StepResult => ({
  status: "ok",
  changed: true,
  attempts: 1,
  started_at: "2026-01-01T00:00:00.000Z",
  duration_ms: 1,
  output,
  error: null,
});
const step = {
  path: "a",
  id: "a",
  type: "fake.act",
  phase: "main",
  effect: "change",
  sensitive: false,
  happened: "yes",
} as const;
const intent = {
  path: "a",
  id: "a",
  type: "fake.act",
  phase: "main",
  input: null,
  undo: null,
  started_at: "2026-01-01T00:00:00.000Z",
} as const;

function pragma(journal: Journal, name: string): unknown {
  return Object.values(journal.db.query<Record<string, unknown>, []>(`PRAGMA ${name}`).get()!)[0];
}

test("what is on record survives a power cut: WAL, every commit synced, and only for its owner to read", () => {
  const dir = place();
  const journal = new Journal(dir, new Secrets());
  const syncs: unknown[] = [];
  // SQLite's word for FULL is 2, for NORMAL 1.
  const during = (write: () => void) => {
    write();
    syncs.push(pragma(journal, "synchronous"));
  };
  expect(pragma(journal, "journal_mode")).toBe("wal");
  expect(pragma(journal, "synchronous")).toBe(2);
  during(() => journal.createRun(header("r")));
  during(() => journal.outcome("r", { ...step, path: "read", effect: "read" }, result(null)));
  during(() => journal.intent("r", intent));
  during(() => journal.outcome("r", step, result(null)));
  during(() => journal.outcome("r", { ...step, path: "read", effect: "read" }, result(null)));
  during(() =>
    journal.finishRun("r", {
      status: "ok",
      exit: 0,
      finished_at: "",
      duration_ms: 1,
      output: null,
      error: null,
    }),
  );
  expect(syncs).toEqual([2, 1, 2, 2, 1, 2]);
  expect(statSync(dir).mode & 0o77).toBe(0);
  journal.close();
  const again = new Journal(dir, new Secrets());
  expect(pragma(again, "synchronous")).toBe(2);
  expect(again.run("r")).toMatchObject({ status: "ok", exit: 0, holder });
  again.close();
});

test("an intent is open until its outcome is known, and a repeated one opens it again", () => {
  const journal = new Journal(place(), new Secrets());
  journal.createRun(header("r"));
  journal.intent("r", { ...intent, undo: [{ "fake.act": { n: 1 } }] });
  expect(journal.steps("r")).toMatchObject([
    { path: "a", status: "open", result: null, undo: [{ "fake.act": { n: 1 } }] },
  ]);
  journal.outcome("r", step, result({ n: 1 }));
  expect(journal.steps("r")).toMatchObject([
    { path: "a", status: "ok", masked: false, result: { output: { n: 1 } } },
  ]);
  journal.intent("r", intent);
  journal.intent("r", { ...intent, path: "b" });
  journal.markOpenUnknown("r");
  expect(journal.steps("r").map(({ path, status }) => [path, status])).toEqual([
    ["a", "unknown"],
    ["b", "unknown"],
  ]);
  journal.close();
});

test("a masked result says so, for it can't be used again; what is sensitive is not kept at all", () => {
  const secrets = new Secrets();
  const journal = new Journal(place(), secrets);
  secrets.add("hunter2-secret");
  journal.createRun(
    header("r", {
      params: { p: "hunter2-secret" },
      target: { name: "u:hunter2-secret@h", identity: null, flags: {} },
    }),
  );
  journal.intent("r", {
    ...intent,
    input: { password: "hunter2-secret" },
    undo: [{ x: "hunter2-secret" }],
  });
  journal.outcome("r", step, result({ text: "it is hunter2-secret" }));
  journal.outcome("r", { ...step, path: "b", sensitive: true }, result({ text: "private" }));
  journal.outcome("r", { ...step, path: "c", sensitive: true }, result(null));
  journal.finishRun("r", {
    status: "failed",
    exit: 1,
    finished_at: "",
    duration_ms: 1,
    output: { o: "hunter2-secret" },
    error: {
      code: "step_failed",
      message: "hunter2-secret",
      step: null,
      where: null,
      hint: null,
      retryable: false,
    },
  });
  expect(
    journal.steps("r").map(({ path, masked, result }) => [path, masked, result!.output]),
  ).toEqual([
    ["a", true, { text: "it is ********" }],
    ["b", true, null],
    ["c", false, null],
  ]);
  const all = JSON.stringify([
    journal.db.query("SELECT * FROM run").all(),
    journal.db.query("SELECT * FROM step").all(),
  ]);
  expect(all).not.toContain("hunter2");
  expect(all).not.toContain("private");
  journal.close();
});

test("an unfinished run is taken over by one process only", async () => {
  const dir = place();
  const [one, two] = [new Journal(dir, new Secrets()), new Journal(dir, new Secrets())];
  one.createRun(header("r"));
  const before = one.run("r")!.holder;
  one.adoptRun("r", { ...holder, pid: 1001 }, before);
  expect(
    await codeOf((async () => two.adoptRun("r", { ...holder, pid: 1002 }, before))()),
  ).toMatchObject({ code: "lock_held" });
  expect(two.run("r")).toMatchObject({ status: "running", exit: null, holder: { pid: 1001 } });
  one.close();
  two.close();
});

test("runs are found newest first, and by the beginning of their id, taken as it is", () => {
  const journal = new Journal(place(), new Secrets());
  journal.createRun(header("aa-1", { started_at: "2026-01-01" }));
  journal.createRun(header("a%-2", { started_at: "2026-01-03" }));
  journal.createRun(header("aa-3", { started_at: "2026-01-02" }));
  expect(journal.runs(2).map(({ id }) => id)).toEqual(["a%-2", "aa-3"]);
  expect(journal.idsLike("a%")).toEqual(["a%-2"]);
  expect(journal.idsLike("aa").toSorted()).toEqual(["aa-1", "aa-3"]);
  expect(journal.run("aa")).toBeUndefined();
  journal.close();
});

test("a state folder that can't be used is journal_failed, with what to do", async () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  const garbage = join(root, "garbage");
  new Journal(garbage, new Secrets()).close();
  writeFileSync(
    join(garbage, "journal.db"),
    "this is no database, however one looks at it".repeat(200),
  );
  for (const dir of [join(file, "state"), "/proc/pgdba", garbage]) {
    const failed = await codeOf((async () => new Journal(dir, new Secrets()))());
    expect(failed).toMatchObject({
      code: "journal_failed",
      hint: expect.stringContaining("PGDBA_HOME"),
    });
  }
});

const STEPS = "steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}, {id: c, fake.act: {}}]\n";

test("a journal that can't be written before the run: nothing is done", () =>
  withHarness(async (h) => {
    h.journal.db.exec("PRAGMA query_only = ON");
    expect(await codeOf(h.run(STEPS))).toMatchObject({ code: "journal_failed" });
    expect(h.calls).toEqual([]);
  }));

test("a journal that fails on the way: the next step does not act, nothing is undone, a person must look", () =>
  withHarness(async (h) => {
    h.on = {
      b: () => {
        h.journal.db.exec("PRAGMA query_only = ON");
        return null;
      },
    };
    const ran = await h.run(STEPS);
    expect(h.calls).toEqual(["act a", "act b"]);
    expect(ran).toMatchObject({
      exit: 6,
      status: "needs_operator",
      error: { code: "journal_failed" },
      ended: ["a ok", "b unknown"],
    });
    h.journal.db.exec("PRAGMA query_only = OFF");
    expect(h.journal.run("run-1")!.status).toBe("running");
    expect(h.journal.steps("run-1").map(({ path, status }) => `${path} ${status}`)).toEqual([
      "a ok",
      "b open",
    ]);
  }));

test("a journal that fails at the very end: the run is told, and is not a success", () =>
  withHarness(async (h) => {
    const write = h.journal.finishRun.bind(h.journal);
    h.journal.finishRun = (id, end) => {
      h.journal.db.exec("PRAGMA query_only = ON");
      write(id, end);
    };
    const ran = await h.run("steps: [{id: a, fake.act: {}}]\noutput: {p: steps.a.output.path}\n");
    expect(ran).toMatchObject({
      exit: 6,
      error: { code: "journal_failed" },
      data: { p: "a" },
      ended: ["a ok"],
    });
  }));

test("a disk that is really full: no step acts that is not on record", async () => {
  const script = `trap '' XFSZ; ulimit -f 600; exec "$0" "$@"`;
  const child = Bun.spawn(
    ["bash", "-c", script, process.execPath, join(import.meta.dir, "disk-full.ts")],
    { stdout: "pipe", stderr: "inherit" },
  );
  const out = await new Response(child.stdout).text();
  const { exit, code, acted, recorded } = JSON.parse(out) as {
    exit: number;
    code: string;
    acted: string[];
    recorded: string[];
  };
  expect({ exit, code }).toEqual({ exit: 6, code: "journal_failed" });
  expect(acted.length).toBeGreaterThan(3);
  expect(acted.length).toBeLessThan(60);
  for (const path of acted) expect(recorded).toContain(path);
});

test("a journal of an older version is brought up to date when it is opened, with all that is in it", () => {
  const dir = place();
  const filled = new Journal(dir, new Secrets());
  filled.createRun(header("r1"));
  filled.intent("r1", intent);
  // As version 1 left it.
  filled.db.run("DROP TABLE lock");
  filled.db.run(
    "CREATE TABLE lock (key TEXT PRIMARY KEY, epoch INTEGER NOT NULL, run TEXT, holder TEXT, expires_at INTEGER) STRICT",
  );
  const far = JSON.stringify({ ...holder, host: "elsewhere" });
  filled.db.run(
    "INSERT INTO lock VALUES ('7', 41, 'r1', ?, 9999999999999), ('8', 3, NULL, NULL, NULL)",
    [far],
  );
  filled.outcome("r1", { ...step, path: "b" }, result(null));
  filled.db.run("ALTER TABLE step DROP COLUMN happened");
  filled.db.run("ALTER TABLE step DROP COLUMN assumed");
  filled.db.run("DROP TABLE answer");
  filled.db.run("ALTER TABLE run DROP COLUMN unwinding");
  filled.db.run("ALTER TABLE run DROP COLUMN view");
  filled.db.run("ALTER TABLE run DROP COLUMN judged");
  for (const name of ["attempts", "input_digest", "undo_digest"])
    filled.db.run(`ALTER TABLE step DROP COLUMN ${name}`);
  filled.db.run("DROP TABLE saw");
  filled.db.run("UPDATE run SET docs = ?", [
    JSON.stringify({ "demo/one": { data: { risk: "read" }, file: "one.yaml", digest: "d" } }),
  ]);
  filled.db.run("PRAGMA user_version = 1");
  filled.close();
  const seen = Journal.toLookAt(dir, new Secrets());
  expect(seen.run("r1")).toMatchObject({ holder, unwinding: null });
  expect(seen.runs(9)).toHaveLength(1);
  expect(seen.answers("r1")).toEqual([]);
  expect(seen.steps("r1")).toMatchObject([
    { happened: null, assumed: null, attempts: null, input_digest: null },
    {},
  ]);
  seen.close();

  for (const opened of ["first", "after a program of version 1 has marked it as its own again"]) {
    const journal = new Journal(dir, new Secrets());
    expect(journal.run("r1")?.holder, opened).toEqual(holder);
    expect(journal.run("r1")).toMatchObject({ view: null, judged: null });
    expect(journal.seen("r1").size).toBe(0);
    expect(journal.steps("r1")).toMatchObject([
      { path: "a", status: "open", happened: null, assumed: null },
      { path: "b", status: "ok", happened: null },
    ]);
    expect(journal.answers("r1")).toEqual([]);
    const doc = journal.docs("r1").get("demo/one")!;
    expect(doc).toMatchObject({ data: { risk: "read" }, lineage: ["demo/one"] });
    expect(doc.at(["risk"])).toMatchObject({ file: "one.yaml", line: 1 });
    const waiter = new Waiter(journal, systemClock, { keys: ["7"], run: "r2", holder });
    expect(waiter.heldBy()).toContain("@elsewhere");
    expect(
      journal.db.query("SELECT key, epoch, beats, lease_ms FROM lock ORDER BY key").all(),
    ).toEqual([
      { key: "7", epoch: 41, beats: 0, lease_ms: 15_000 },
      { key: "8", epoch: 3, beats: 0, lease_ms: 15_000 },
    ]);
    expect(journal.db.query("PRAGMA user_version").get()).toEqual({ user_version: 8 });
    journal.db.run("PRAGMA user_version = 1");
    journal.close();
  }
});

test("a journal of a newer version is left alone", () => {
  const dir = place();
  const journal = new Journal(dir, new Secrets());
  journal.db.run("PRAGMA user_version = 99");
  journal.close();
  expect(() => new Journal(dir, new Secrets())).toThrow("version 99");
});

test("the documents of a run come back with the place of every value, also of what they extend", async () => {
  const dir = place();
  const texts = {
    "t/base":
      "summary: S\nrisk: read\nsteps:\n  - id: a\n    set: {x: 1}\n  - id: b\n    set:\n      y: [2, {z: 3}]\n",
    "t/over": "extends: t/base\nsteps:\n  - id: b\n    set: {y: 4}\n",
  };
  for (const [name, text] of Object.entries(texts)) {
    mkdirSync(join(dir, "t"), { recursive: true });
    writeFileSync(join(dir, `${name}.yaml`), text);
  }
  const library = openLibrary([{ name: "project", dir }]);
  const docs = await Promise.all(Object.keys(texts).map((name) => library.load(name)));
  const journal = new Journal(place(), new Secrets());
  journal.createRun(header("r", { docs: freeze(docs) }));
  const back = journal.docs("r");
  for (const doc of docs) {
    const thawed = back.get(doc.name)!;
    const { at: _, ...plain } = doc;
    expect(thawed).toMatchObject(plain);
    let values = 0;
    const compare = (value: unknown, path: (string | number)[]): void => {
      values += 1;
      for (const key of [false, true]) expect(thawed.at(path, key)).toEqual(doc.at(path, key));
      if (Array.isArray(value)) value.forEach((item, index) => compare(item, [...path, index]));
      else if (value !== null && typeof value === "object")
        for (const [name, item] of Object.entries(value)) compare(item, [...path, name]);
    };
    compare(doc.data, []);
    expect(values).toBeGreaterThan(9);
    // What was not written stands where its nearest ancestor does.
    expect(thawed.at(["steps", 0, "when"])).toEqual(doc.at(["steps", 0]));
  }
  expect(back.get("t/over")!.at(["steps", 0]).file).toEndWith("base.yaml");
  expect(back.get("t/over")!.at(["steps", 1, "set", "y"])).toMatchObject({ line: 4, column: 14 });
  journal.close();
});

test("a journal of the version before programs were on record takes them now", () => {
  const dir = join(root, "without-programs");
  const before = new Journal(dir, new Secrets());
  before.db.run("DROP TABLE child");
  before.db.run("PRAGMA user_version = 4");
  before.close();
  const journal = new Journal(dir, new Secrets());
  expect(journal.db.query("SELECT count(*) AS n FROM child").get()).toEqual({ n: 0 });
  journal.close();
});

test("a journal that fails on the way of what only reads is given up with a word, and still refuses a change", () => {
  const journal = Journal.forReads(join(root, "lost-on-the-way"), new Secrets());
  expect(journal.lost).toBeNull();
  journal.db.exec("PRAGMA query_only = ON");
  journal.note(() => journal.db.run("DELETE FROM lock"));
  expect(journal.lost).toMatch(/not recorded; it changes nothing/);
  journal.markCancelled("r", "SIGINT");
  const intent = { path: "a", id: "a", type: "t", phase: "main", input: null, undo: null } as const;
  expect(() => journal.intent("r", { ...intent, started_at: "" })).toThrow("journal");
  journal.close();
});

test("a journal that another engine is just making is empty to whoever looks at it", () => {
  const dir = place();
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "journal.db"), "");
  const journal = Journal.toLookAt(dir, new Secrets());
  expect(journal.runs(10)).toEqual([]);
  journal.close();
});
