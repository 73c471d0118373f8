import { expect, test } from "bun:test";
import { thisProcess } from "../../../engine/journal/holder.ts";
import { type Harness, withHarness } from "./harness.ts";

/** Runs on record whose process is gone. */
function died(h: Harness, count: number, type: (n: number) => string = () => "fake.keep"): void {
  h.journal.db.transaction(() => {
    for (let n = 1; n <= count; n++) {
      const id = `dead-${String(n).padStart(4, "0")}`;
      h.journal.createRun({
        id,
        runbook: "demo/old",
        digest: "d",
        docs: { sources: [], docs: {} },
        params: {},
        target: { name: "drill", identity: "7", flags: {} },
        risk: "change",
        plan: false,
        holder: { ...thisProcess(), started: "another boot/1" },
        started_at: "2026-01-01T00:00:00.000Z",
        view: {},
        judged: { hazards: [], locks: ["all"], backup: null, withoutBackup: false },
      });
      h.journal.intent(id, {
        path: "a",
        id: "a",
        type: type(n),
        phase: "main",
        input: null,
        undo: null,
        started_at: "2026-01-01T00:00:00.000Z",
      });
    }
  })();
}

const STEPS = "steps: [{id: a, fake.look: {}}]";

test("runs that died half way: few are named, many are counted, and it takes no time", () =>
  withHarness(async (h) => {
    died(h, 2);
    expect((await h.run(STEPS)).run.warnings).toEqual([
      "Run dead-0002 (demo/old) on drill died before its end. Look at it with `pgdba runs dead-0002`, go on with `pgdba resume dead-0002`.",
      "Run dead-0001 (demo/old) on drill died before its end. Look at it with `pgdba runs dead-0001`, go on with `pgdba resume dead-0001`.",
    ]);
    h.journal.db.run("DELETE FROM step");
    h.journal.db.run("DELETE FROM run");
    died(h, 1_000);
    const { warnings } = (await h.run(STEPS)).run;
    expect(warnings).toHaveLength(4);
    expect(warnings[0]).toContain("Run dead-1000 ");
    expect(warnings[3]).toBe(
      "997 more runs on drill died before their end. `pgdba runs --limit 1000` lists them as dead.",
    );
  }));

test("a dead run that a command takes back is named before newer ones", () =>
  withHarness(async (h) => {
    died(h, 20, (n) => (n === 5 ? "config.apply" : "fake.keep"));
    const { warnings } = (await h.run(STEPS)).run;
    expect(warnings[0]).toBe(
      "Run dead-0005 (demo/old) on drill died before its end. Look at it with `pgdba runs dead-0005`, go on with `pgdba resume dead-0005`, or back with `pgdba config rollback --run dead-0005`.",
    );
    expect(warnings[1]).toContain("Run dead-0020 ");
    expect(warnings).toHaveLength(4);
  }));
