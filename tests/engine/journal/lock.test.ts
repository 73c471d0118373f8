import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../../engine/clock.ts";
import { type Holder, isDead, thisProcess } from "../../../engine/journal/holder.ts";
import { Journal } from "../../../engine/journal/journal.ts";
import { Lock } from "../../../engine/journal/lock.ts";
import { Secrets } from "../../../engine/secrets.ts";
import { codeOf, leaping, withHarness } from "../run/harness.ts";

let dir: string;
let one: Journal;
let two: Journal;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "pgdba-lock-"));
  one = new Journal(dir, new Secrets());
  two = new Journal(dir, new Secrets());
});
afterEach(() => {
  one.close();
  two.close();
  rmSync(dir, { recursive: true, force: true });
});

const me = thisProcess();
const gone: Holder = { ...me, started: "another boot/1" };
const waits: string[] = [];
const hooks = {
  signal: new AbortController().signal,
  onWait: (holder: string) => void waits.push(holder),
};
const want = (run: string, more: { holder?: Holder; waitMs?: number; leaseMs?: number } = {}) => ({
  key: "7",
  run,
  holder: me,
  waitMs: 0,
  ...more,
});
const row = () =>
  one.db
    .query<{ epoch: number; run: string | null; expires_at: number | null }, []>(
      "SELECT * FROM lock",
    )
    .get()!;

test("one at a time; a held lock names its holder; epochs only grow", async () => {
  const clock = leaping();
  const first = await Lock.acquire(one, clock, want("r1"), hooks);
  expect(await codeOf(Lock.acquire(two, clock, want("r2"), hooks))).toMatchObject({
    code: "lock_held",
    message: `7 is being worked on by run r1 (${me.user}@${me.host}, pid ${me.pid})`,
  });
  const elsewhere = await Lock.acquire(two, clock, { ...want("r3"), key: "8" }, hooks);
  expect(elsewhere.epoch).toBe(1);
  elsewhere.release();
  first.release();
  const epochs = [first.epoch];
  for (const run of ["r2", "r3"]) {
    const next = await Lock.acquire(two, clock, want(run), hooks);
    epochs.push(next.epoch);
    next.release();
    next.release();
  }
  expect(epochs).toEqual([1, 2, 3]);
});

test("waits as long as it may, says once for whom, and ends when told to", async () => {
  const clock = leaping();
  const first = await Lock.acquire(one, clock, want("r1", { leaseMs: 60_000 }), hooks);
  waits.length = 0;
  await codeOf(Lock.acquire(two, clock, want("r2", { waitMs: 1_000 }), hooks));
  expect(clock.slept.reduce((sum, ms) => sum + ms, 0)).toBe(1_000);
  expect(waits).toHaveLength(1);
  first.release();
  const third = await Lock.acquire(one, systemClock, want("r3"), hooks);
  const stop = new AbortController();
  const waiting = Lock.acquire(two, systemClock, want("r2", { waitMs: 60_000 }), {
    ...hooks,
    signal: stop.signal,
  });
  stop.abort(new Error("told to"));
  await expect(waiting).rejects.toThrow("told to");
  const patient = Lock.acquire(two, systemClock, want("r2", { waitMs: 5_000 }), hooks);
  await Bun.sleep(20);
  third.release();
  const second = await patient;
  expect(second.epoch).toBe(3);
  second.release();
});

test("a holder that died is superseded at once, one of another host only when its lease ran out", async () => {
  const clock = leaping();
  await Lock.acquire(one, clock, want("r1", { holder: gone }), hooks);
  const next = await Lock.acquire(
    two,
    clock,
    want("r2", { holder: { ...gone, host: "elsewhere" } }),
    hooks,
  );
  expect(next.epoch).toBe(2);
  expect(await codeOf(Lock.acquire(one, clock, want("r3"), hooks))).toMatchObject({
    code: "lock_held",
    message: expect.stringContaining("@elsewhere"),
  });
  await clock.sleep(15_001);
  const third = await Lock.acquire(one, clock, want("r3"), hooks);
  expect(third.epoch).toBe(3);
  third.release();
});

test("fenced: records only while the lock is held, and undoes what it recorded when it fails", async () => {
  const clock = leaping();
  const first = await Lock.acquire(one, clock, want("r1"), hooks);
  const recorded: string[] = [];
  first.fenced(() => recorded.push("before"));
  const broken = () =>
    first.fenced(() => {
      one.db.run("UPDATE lock SET expires_at = 1");
      throw new Error("no room");
    });
  expect(await codeOf((async () => broken())())).toMatchObject({ code: "journal_failed" });
  expect(row().expires_at).not.toBe(1);

  await clock.sleep(15_001);
  const second = await Lock.acquire(two, clock, want("r2"), hooks);
  expect(await codeOf((async () => first.fenced(() => recorded.push("after")))())).toMatchObject({
    code: "lock_lost",
    message: expect.stringContaining("run r2 holds it now"),
    hint: expect.stringContaining("resume r1"),
  });
  expect(recorded).toEqual(["before"]);
  first.release();
  expect(row()).toMatchObject({ epoch: 2, run: "r2" });
  second.fenced(() => recorded.push("second"));
  second.release();
  expect(row()).toMatchObject({ epoch: 2, run: null });
});

test("fenced: a process that was stopped past its lease may not act, though nobody took the lock", async () => {
  const clock = leaping();
  const lock = await Lock.acquire(one, clock, want("r1"), hooks);
  await clock.sleep(15_001);
  expect(await codeOf((async () => lock.fenced(() => {}))())).toMatchObject({ code: "lock_lost" });
  lock.release();
});

test("a lease is renewed while its process lives", async () => {
  const lock = await Lock.acquire(one, systemClock, want("r1", { leaseMs: 900 }), hooks);
  const before = row().expires_at!;
  await Bun.sleep(1200);
  expect(row().expires_at!).toBeGreaterThan(before + 500);
  lock.fenced(() => {});
  expect(await codeOf(Lock.acquire(two, systemClock, want("r2"), hooks))).toMatchObject({
    code: "lock_held",
  });
  lock.release();
});

test("dead is who is certainly gone: by pid and start time, on this host", async () => {
  expect(isDead(me)).toBe(false);
  expect(isDead(gone)).toBe(true);
  expect(isDead({ ...gone, host: `not-${hostname()}` })).toBe(false);
  expect(isDead({ ...me, started: "" })).toBe(false);
  const child = Bun.spawn(["sleep", "60"]);
  const about = { ...me, pid: child.pid, started: me.started };
  expect(isDead(about)).toBe(true);
  child.kill("SIGKILL");
  await child.exited;
  expect(isDead({ ...me, pid: child.pid })).toBe(true);
});

test("a run that loses its lock does not act again, and takes nothing back: another may be at work", () =>
  withHarness(async (h) => {
    h.on = {
      a: () => {
        h.journal.db.run("UPDATE lock SET epoch = epoch + 1, run = 'other'");
        return null;
      },
    };
    const ran = await h.run("steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}]");
    expect(h.calls).toEqual(["act a"]);
    expect(ran).toMatchObject({
      exit: 6,
      status: "needs_operator",
      error: { code: "lock_lost", step: "b" },
      ended: ["a ok", "b unknown"],
    });
    expect(ran.run["undo"]).toBeUndefined();
    expect(h.journal.db.query<{ run: string }, []>("SELECT run FROM lock").get()!.run).toBe(
      "other",
    );
  }));

test("the target's own lock counts too: held by another refuses, lost on the way ends the run", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}]";
    expect(
      await codeOf(
        h.run(text, { target: { lock: async () => ({ heldBy: "run x (ann@far, pid 1)" }) } }),
      ),
    ).toMatchObject({ code: "lock_held", message: expect.stringContaining("ann@far") });
    expect(
      h.journal.db.query<{ run: string | null }, []>("SELECT run FROM lock").get()!.run,
    ).toBeNull();
    expect(h.journal.runs(9)).toEqual([]);
    let held = true;
    h.on = {
      a: () => {
        held = false;
        return null;
      },
    };
    const lock = async () => ({
      held: () => held,
      release: async () => void h.calls.push("released"),
    });
    const ran = await h.run(text, { target: { lock } });
    expect(ran).toMatchObject({ exit: 6, error: { code: "lock_lost" } });
    expect(h.calls).toEqual(["act a", "released"]);
  }));

test("a read takes no lock", () =>
  withHarness(async (h) => {
    await Lock.acquire(
      h.journal,
      h.clock,
      { key: "7", run: "other", holder: me, waitMs: 0 },
      hooks,
    );
    expect((await h.run("summary: R\nrisk: read\nsteps: [{id: a, fake.look: {}}]")).exit).toBe(0);
    expect(await codeOf(h.run("steps: [{id: a, fake.act: {}}]"))).toMatchObject({
      code: "lock_held",
    });
    expect(h.calls).toEqual(["look a"]);
  }));
