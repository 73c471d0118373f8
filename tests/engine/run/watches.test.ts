import { expect, test } from "bun:test";
import { Stop } from "../../../engine/run/stop.ts";
import { codeOf, fail, type Harness, untilAborted, withHarness } from "./harness.ts";

/** What was called, without the reads. */
const acts = (h: Harness) => h.calls.filter((call) => !call.startsWith("look"));

const HEAD = "summary: S\nrisk: change\nwatches: true\n";
const LOOP = `${HEAD}steps:
  - {id: setup, fake.act: {}}
  - id: loop
    block:
      - {id: look, fake.look: {}}
      - {id: heal, fake.act: {}}
      - {id: sub, run: sub/look}
    output: {n: steps.look.output.n}
    until: output.n == -1
    every: 10ms
`;

function writeSub(h: Harness): void {
  h.write("sub/look", "summary: S\nrisk: read\nsteps: [{id: x, foreach: [1, 2], fake.look: {}}]\n");
}

/** Told to stop when `look` is called for the `nth` time. */
function stopAt(h: Harness, stop: Stop, nth: number): void {
  let n = 0;
  h.on["look"] = () => {
    if (++n === nth) stop.request("SIGTERM");
    return { n };
  };
}

test("it runs until it is told to stop: exit 0; what ended rounds did stays, and the round under way is taken back", () =>
  withHarness(async (h) => {
    writeSub(h);
    const stop = new Stop();
    let n = 0;
    h.on = {
      look: () => ({ n: ++n }),
      heal: () => {
        if (n === 60) stop.request("SIGTERM");
        return null;
      },
    };
    const ran = await h.run(LOOP, { stop, maxSteps: 20 });
    expect(ran).toMatchObject({ exit: 0, status: "ok", error: null, envelope: { success: true } });
    expect(acts(h).filter((call) => call.startsWith("act"))).toHaveLength(61);
    expect(acts(h).slice(-2)).toEqual(["undo loop@2/heal", "undo setup"]);
    // However many rounds it made.
    expect(h.journal.steps("run-1").length).toBeLessThan(16);
    expect(h.journal.db.query("SELECT count(*) AS n FROM saw").get()).toMatchObject({ n: 1 });
    expect(ran.steps.length).toBeLessThan(16);
    // What the rounds changed can be read afterwards.
    const past = h.journal.steps("run-1", { past: true }).filter(({ phase }) => phase === "past");
    expect(past.filter(({ id }) => id === "heal").length).toBeGreaterThan(50);
    expect(past[0]?.path).toMatch(/^loop@2\.\d{4}-.*Z\//);
  }));

test("of rounds that changed something the last are on record, of others none", () =>
  withHarness(async (h) => {
    const stop = new Stop();
    stopAt(h, stop, 520);
    const looks = h.on["look"]!;
    let found = false;
    h.on["look"] = (...args) => {
      found = !found;
      return looks(...args);
    };
    h.on["heal"] = (ctx) => {
      if (!found) ctx.unchanged();
      return null;
    };
    const FAST = LOOP.replace("      - {id: sub, run: sub/look}\n", "").replace("10ms", "1ms");
    expect((await h.run(FAST, { stop })).exit).toBe(0);
    const past = h.journal.steps("run-1", { past: true }).filter(({ phase }) => phase === "past");
    expect(past.length).toBeGreaterThan(200);
    expect(past.length).toBeLessThanOrEqual(500);
    expect(past.some(({ id, result }) => id === "heal" && result?.changed === false)).toBe(false);
  }));

test("a second signal, or an undo that fails, is no good end", () =>
  withHarness(async (h) => {
    writeSub(h);
    const stop = new Stop();
    h.on = {
      look: () => ({ n: 1 }),
      heal: (ctx) => {
        stop.request("SIGINT");
        stop.request("SIGINT");
        return untilAborted(ctx, null);
      },
    };
    expect((await h.run(LOOP, { stop })).exit).toBe(130);
    const other = new Stop();
    h.on = { "setup~undo": fail("stuck") };
    stopAt(h, other, 3);
    expect(await h.run(LOOP, { stop: other })).toMatchObject({ exit: 6, status: "needs_operator" });
    h.on = { look: fail("broken") };
    expect(await h.run(LOOP)).toMatchObject({ exit: 5, error: { message: "broken" } });
  }));

test("kill -9 in a later round: the resumed run takes up that round, and nothing is done twice", () =>
  withHarness(async (h) => {
    writeSub(h);
    // The fourth round: its paths are those of the second.
    const text = LOOP.replace("heal, fake.act", "heal, fake.probed");
    const stop = new Stop();
    let n = 0;
    h.on = {
      look: () => ({ n: ++n }),
      heal: (ctx) => {
        if (n < 4) return null;
        stop.request("a test");
        stop.request("a test");
        return untilAborted(ctx, null);
      },
    };
    await h.run(text, { stop });
    h.journal.db.run("UPDATE run SET cancelled = NULL");
    h.calls.length = 0;
    const again = new Stop();
    h.on = { "heal~probe": () => "done" };
    stopAt(h, again, 2);
    const ran = await h.run(text, { stop: again, resume: {} });
    expect(ran).toMatchObject({ exit: 0, status: "ok" });
    expect(h.calls.filter((call) => !call.includes("/sub/") && !call.includes("loop/sub"))).toEqual(
      [
        "probe loop@2/heal",
        "look loop@2/look",
        "act loop@2/heal",
        "look loop@2/look",
        "undo setup",
      ],
    );
  }));

test("it locks its own name and not the target; one that reads locks nothing", () =>
  withHarness(async (h) => {
    writeSub(h);
    const stop = new Stop();
    let held = "";
    h.on = {
      look: async () => {
        const key = h.journal.db
          .query<{ key: string }, []>("SELECT key FROM lock WHERE run IS NOT NULL")
          .all();
        held = key.map((row) => row.key).join(" | ");
        // Beside it, another run changes the target, and a second one of its name does not begin.
        const beside = await h.run("steps: [{id: beside, fake.keep: {}}]", {}, "demo/beside");
        expect(beside.exit).toBe(0);
        const second = await codeOf(h.run(LOOP, {}, "demo/one"));
        expect(second.code).toBe("lock_held");
        expect(second.message).toMatch(/^demo\/one runs already on .*: run run-1 \(.*\)$/);
        stop.request("SIGTERM");
        return { n: 1 };
      },
    };
    let remote = 0;
    const target = { lock: async () => ({ heldBy: String(++remote) }) };
    const ran = await h.run(LOOP, { stop, target });
    expect(ran.exit).toBe(0);
    expect(held.split(" | ").every((key) => key.includes(": demo/one ("))).toBe(true);
    expect(remote).toBe(0);
  }));

test("only a runbook that says so calls one that watches; a plan shows one round", () =>
  withHarness(async (h) => {
    writeSub(h);
    h.write("sub/watch", LOOP);
    const refused = await codeOf(h.run("steps: [{run: sub/watch}]"));
    expect(refused).toMatchObject({ code: "invalid_runbook" });
    expect(refused.message).toContain("runs until it is interrupted");
    h.on = { look: () => ({ n: 1 }) };
    const plan = await h.run(
      "summary: S\nrisk: read\nwatches: true\nsteps: [{id: look, fake.look: {}, until: output.n == 2}]",
      { plan: true },
    );
    expect(plan).toMatchObject({ exit: 0, status: "planned" });
    expect(h.calls).toEqual(["look look"]);
  }));

test("what only became one by extending or replacing another locks the target as that does", () =>
  withHarness(async (h) => {
    h.write("base/once", "summary: S\nrisk: change\nsteps: [{id: act, fake.act: {}}]\n");
    h.write("base/watch", `${HEAD}steps: [{id: act, fake.act: {}}]\n`);
    let keys: string[] = [];
    h.on["act"] = () => {
      const rows = h.journal.db.query<{ key: string }, []>("SELECT key FROM lock").all();
      keys = rows.map(({ key }) => key).filter((key) => key.startsWith("drill"));
      h.journal.db.run("DELETE FROM lock");
      return null;
    };
    const extending = async (base: string): Promise<string[]> => {
      await h.run(`${HEAD}extends: ${base}\n`);
      return keys.toSorted();
    };
    expect(await extending("base/once")).toEqual([
      "drill (backup)",
      "drill (config)",
      "drill (roles)",
    ]);
    expect(await extending("base/watch")).toEqual([
      "drill: demo/one (backup)",
      "drill: demo/one (config)",
      "drill: demo/one (roles)",
    ]);
  }));
