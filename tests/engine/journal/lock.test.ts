import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { GLOBAL_FLAGS } from "../../../engine/cli/args.ts";
import { DEFAULT_LOCK_WAIT } from "../../../engine/cli/start-run.ts";
import { systemClock } from "../../../engine/clock.ts";
import { parseDuration } from "../../../engine/shared/units.ts";
import { type Holder, isDead, stateOf, thisProcess } from "../../../engine/journal/holder.ts";
import { Journal } from "../../../engine/journal/journal.ts";
import { LEASE_MS, type Lock, Waiter } from "../../../engine/journal/lock.ts";
import { Stop } from "../../../engine/run/stop.ts";
import { Secrets } from "../../../engine/secrets.ts";
import type { Clock } from "../../../engine/types.ts";
import { codeOf, leaping, withHarness } from "../run/harness.ts";

let dir: string;
let one: Journal;
let two: Journal;
/** To be released in the end, lest they go on beating. */
const open: Lock[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "pgdba-lock-"));
  one = new Journal(dir, new Secrets());
  two = new Journal(dir, new Secrets());
});
afterEach(() => {
  for (const lock of open.splice(0)) {
    try {
      lock.release();
    } catch {
      // Its journal was closed with the harness.
    }
  }
  one.close();
  two.close();
  rmSync(dir, { recursive: true, force: true });
});

const me = thisProcess();
const gone: Holder = { ...me, started: "another boot/1" };
const elsewhere: Holder = { ...gone, host: "elsewhere" };

interface More {
  keys?: string[];
  holder?: Holder;
  leaseMs?: number;
}
function waiter(journal: Journal, clock: Clock, run: string, more: More = {}): Waiter {
  return new Waiter(journal, clock, { keys: ["drill (roles)"], run, holder: me, ...more });
}

/** Looks once, and takes it. @throws when it is held */
function taken(journal: Journal, clock: Clock, run: string, more: More = {}): Lock {
  const one = waiter(journal, clock, run, more);
  const lock = one.heldBy() === null ? one.take() : null;
  if (!lock) throw new Error(`held by ${one.heldBy()}`);
  open.push(lock);
  return lock;
}

const epochOf = ({ epochs }: Lock) => Math.max(...epochs.values());
const row = () =>
  one.db
    .query<{ epoch: number; beats: number; run: string | null }, []>("SELECT * FROM lock")
    .get()!;
const beat = () => one.db.run("UPDATE lock SET beats = beats + 1");
const lostIn = (work: () => void) => codeOf((async () => work())());

test("one at a time; a held lock names its holder; epochs only grow", () => {
  const clock = leaping();
  const first = taken(one, clock, "r1");
  expect(waiter(two, clock, "r2").heldBy()).toBe(`run r1 (${me.user}@${me.host}, pid ${me.pid})`);
  expect(epochOf(taken(two, clock, "r3", { keys: ["8 (roles)"] }))).toBe(1);
  first.release();
  const epochs = [epochOf(first)];
  for (const run of ["r2", "r3"]) {
    const next = taken(two, clock, run);
    epochs.push(epochOf(next));
    next.release();
    next.release();
  }
  expect(epochs).toEqual([1, 2, 3]);
});

test("to look at a lock changes nothing of it, and it is taken only as it was seen", async () => {
  const clock = leaping();
  const [first, second] = [waiter(one, clock, "r1"), waiter(two, clock, "r2")];
  // Both have seen that it is free.
  expect([first.heldBy(), second.heldBy()]).toEqual([null, null]);
  open.push(first.take()!);
  const before = row();
  expect(second.take()).toBeNull();
  expect(second.heldBy()).toContain("run r1");
  expect(row()).toEqual(before);

  // Its counter stood still, and moves in the last moment.
  await clock.sleep(LEASE_MS + 1);
  expect(second.heldBy()).toBeNull();
  beat();
  expect(second.take()).toBeNull();
  expect(row()).toEqual({ ...before, beats: 1 });
});

test("a holder that died on this host is passed over at once, any other after its own lease without a beat", async () => {
  const clock = leaping();
  taken(one, clock, "r1", { holder: gone });
  taken(two, clock, "r2", { holder: elsewhere, leaseMs: 40_000 });
  expect(row()).toMatchObject({ epoch: 2, run: "r2" });
  // With a lease of our own that is shorter.
  const third = waiter(one, clock, "r3", { leaseMs: 300 });
  expect(third.heldBy()).toContain("@elsewhere");
  await clock.sleep(39_999);
  expect(third.heldBy()).toContain("@elsewhere");
  beat();
  await clock.sleep(2);
  expect(third.heldBy()).toContain("@elsewhere");
  await clock.sleep(40_000);
  expect(third.heldBy()).toContain("@elsewhere");
  // One who comes now has seen nothing yet.
  expect(waiter(two, clock, "r4").heldBy()).toContain("@elsewhere");
  await clock.sleep(1);
  expect(third.heldBy()).toBeNull();
  const lock = third.take()!;
  open.push(lock);
  expect(epochOf(lock)).toBe(3);
});

test("a damaged record of a holder is one that nobody knows: it blocks until its lease is over, not longer", async () => {
  const clock = leaping();
  const damage: Record<string, (string | number | null)[]> = {
    holder: [
      "{bad",
      "null",
      "7",
      "[]",
      "",
      "{}",
      '{"user":"u","host":"h","pid":"1","started":""}',
      null,
    ],
    run: [null],
    lease_ms: [-1, 0],
  };
  for (const [column, values] of Object.entries(damage))
    for (const value of values) {
      one.db.run("DELETE FROM lock");
      const lock = taken(one, clock, "r1", { holder: elsewhere });
      one.db.query(`UPDATE lock SET ${column} = ?`).run(value);
      const other = waiter(two, clock, "r2");
      expect(other.heldBy(), `${column} ${value}`).toContain(
        column === "run" ? "@elsewhere" : "run r1 (",
      );
      await clock.sleep(LEASE_MS);
      expect(other.heldBy()).not.toBeNull();
      await clock.sleep(1);
      expect(other.heldBy()).toBeNull();
      const next = other.take()!;
      expect(epochOf(next)).toBeGreaterThan(0);
      next.fenced(() => {});
      expect(await lostIn(() => lock.fenced(() => {}))).toMatchObject({ code: "lock_lost" });
      next.release();
    }
});

test("the time of day counts for nobody: clocks that differ or jump, by years and on either side", async () => {
  const clock = leaping();
  for (const [mine, theirs] of [
    ["2001-01-01", "2049-01-01"],
    ["2049-01-01", "2001-01-01"],
  ] as const) {
    let now = mine;
    const jumping: Clock = { ...clock, now: () => new Date(now) };
    const lock = taken(one, jumping, "r1");
    now = theirs;
    lock.fenced(() => {});
    const other = waiter(two, { ...clock, now: () => new Date(theirs) }, "r2");
    expect(other.heldBy()).toContain("run r1");
    expect(other.heldBy()).toContain("run r1");
    lock.fenced(() => {});
    expect(row().run).toBe("r1");
    lock.release();
  }
  expect(
    one.db
      .query("PRAGMA table_info(lock)")
      .all()
      .map((column) => (column as { name: string }).name),
  ).toEqual(["key", "epoch", "beats", "lease_ms", "run", "holder"]);
});

test("fenced: records only while the lock is held, and undoes what it recorded when it fails", async () => {
  const clock = leaping();
  const first = taken(one, clock, "r1");
  const recorded: string[] = [];
  first.fenced(() => recorded.push("before"));
  const broken = () =>
    first.fenced(() => {
      one.db.run("UPDATE lock SET beats = 99");
      throw new Error("no room");
    });
  expect(await lostIn(broken)).toMatchObject({ code: "journal_failed" });
  expect(row().beats).not.toBe(99);

  const second = waiter(two, clock, "r2");
  second.heldBy();
  await clock.sleep(LEASE_MS + 1);
  expect(second.heldBy()).toBeNull();
  const lock = second.take()!;
  open.push(lock);
  expect(await lostIn(() => first.fenced(() => recorded.push("after")))).toMatchObject({
    code: "lock_lost",
    message: expect.stringContaining("run r2 holds it now"),
    hint: expect.stringContaining("resume r1"),
  });
  expect(recorded).toEqual(["before"]);
  first.release();
  expect(row()).toMatchObject({ epoch: 2, run: "r2" });
  lock.fenced(() => recorded.push("second"));
  lock.release();
  expect(row()).toMatchObject({ epoch: 2, run: null });
});

test("fenced: a process that was stopped past its lease may not act, though nobody took the lock", async () => {
  const clock = leaping();
  const lock = taken(one, clock, "r1");
  await clock.sleep(LEASE_MS + 1);
  expect(await lostIn(() => lock.fenced(() => {}))).toMatchObject({ code: "lock_lost" });
});

test("a lease is renewed while its process lives", async () => {
  const lock = taken(one, systemClock, "r1", { leaseMs: 1_500 });
  const other = waiter(two, systemClock, "r2");
  const deadline = performance.now() + 2_250;
  while (performance.now() < deadline) {
    expect(other.heldBy()).toContain("run r1");
    await Bun.sleep(20);
  }
  expect(row().beats).toBeGreaterThan(1);
  lock.fenced(() => {});
});

test("waits as long as it may, says once for whom, and ends when told to", () =>
  withHarness(async (h) => {
    taken(h.journal, h.clock, "other");
    const text = "steps: [{id: a, fake.act: {}}]";
    expect(await codeOf(h.run(text, { lockWaitMs: 1_050 }))).toMatchObject({ code: "lock_held" });
    expect(h.clock.slept.reduce((sum, ms) => sum + ms, 0)).toBe(1_050);
    expect(h.events.filter(({ kind }) => kind === "lock.waiting")).toHaveLength(1);
    const stop = new Stop();
    const waiting = h.run(text, { lockWaitMs: 60_000, stop });
    stop.request("SIGINT");
    expect(await codeOf(waiting)).toMatchObject({ code: "interrupted" });
    expect(h.calls).toEqual([]);
  }));

const KEYS = ["7", "alias", "drill", "local:5432"].flatMap((name) =>
  ["backup", "config", "roles"].map((word) => `${name} (${word})`),
);

test("targets that may be the same server exclude each other, and what was had of it is given back", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.act: {}}, {id: b, fake.act: {}}]";
    const facts = (identity: string | null, places?: string[]) => async () => ({
      identity,
      places,
      capabilities: [],
      state: "up" as const,
      facts: {},
    });
    const untold = { target: { name: "alias", facts: facts(null, ["local:5432", "7"]) } };
    const locks = () =>
      h.journal.db.query("SELECT key, run IS NOT NULL AS held FROM lock ORDER BY key").all();
    const holding: unknown[] = [];
    h.on = { a: () => (holding.push(...locks()), null) };
    expect((await h.run(text, untold)).exit).toBe(0);
    expect(holding).toEqual(KEYS.map((key) => ({ key, held: 1 })));
    expect(locks()).toEqual(KEYS.map((key) => ({ key, held: 0 })));
    h.calls.length = 0;
    for (const key of ["7 (backup)", "local:5432 (roles)", "alias (config)"]) {
      const lock = taken(h.journal, h.clock, "other", { keys: [key] });
      expect(await codeOf(h.run(text, untold))).toMatchObject({ code: "lock_held" });
      lock.release();
    }
    // A server that tells who it is has its place as well, by which it is found when it is down.
    const told = { target: { name: "alias", facts: facts("9", ["local:5432"]) } };
    const down = taken(h.journal, h.clock, "other", { keys: ["local:5432 (roles)"] });
    expect(await codeOf(h.run(text, told))).toMatchObject({ code: "lock_held" });
    down.release();
    // One of them went to somebody quicker.
    const quicker = async () => {
      taken(h.journal, h.clock, "quicker", { keys: ["local:5432 (roles)"] });
      return {
        held: async () => "held" as const,
        release: async () => void h.calls.push("given back"),
      };
    };
    expect(
      await codeOf(h.run(text, { target: { ...untold.target, lock: quicker } })),
    ).toMatchObject({ code: "lock_held", message: expect.stringContaining("run quicker") });
    expect(h.calls.splice(0)).toEqual(["given back"]);
    expect(locks()).toContainEqual({ key: "7 (roles)", held: 0 });
    h.journal.db.run("DELETE FROM lock");
    // To lose one is to lose all.
    h.on = {
      a: () => (
        h.journal.db.run("UPDATE lock SET run = 'other' WHERE key = 'local:5432 (config)'"),
        null
      ),
    };
    expect(await h.run(text, untold)).toMatchObject({ exit: 6, error: { code: "lock_lost" } });
    expect(h.calls).toEqual(["act a"]);
  }));

test("a run locks what its steps and it itself say: equal words wait for each other, `all` for each, none for nobody", () =>
  withHarness(async (h) => {
    const locking = (word: string, risk = "change") =>
      `summary: s\nrisk: ${risk}\nlocks: [${word}]\nsteps: [{id: a, fake.free: {}}]`;
    const asked: unknown[] = [];
    const target = {
      lock: async (_: string, words?: readonly string[]) => {
        asked.push(words);
        return { held: async () => "held" as const, release: async () => {} };
      },
    };
    const held = () =>
      h.journal.db
        .query<{ key: string }, []>("SELECT key FROM lock WHERE run IS NOT NULL ORDER BY key")
        .all()
        .map(({ key }) => key);
    h.on = { a: () => held() };
    const taken_ = async (text: string) => {
      h.calls.length = 0;
      const ran = await h.run(`${text}\noutput: {held: steps.a.output}`, { target });
      return [ran.data["held"], asked.splice(0)];
    };
    expect(await taken_(locking("roles"))).toEqual([["7 (roles)", "drill (roles)"], [["roles"]]]);
    // What it reads may be locked, too.
    expect(await taken_(locking("backup", "read").replace("fake.free", "fake.look"))).toEqual([
      ["7 (backup)", "drill (backup)"],
      [["backup"]],
    ]);
    // A change that locks nothing of the target is fenced by its own run, and the target is not asked.
    expect(await taken_(locking("none"))).toEqual([[expect.stringMatching(/^run run-/)], []]);
    const all = ["backup", "config", "roles"];
    expect(await taken_("steps: [{id: a, fake.act: {}}]")).toEqual([
      ["7", "drill"].flatMap((name) => all.map((word) => `${name} (${word})`)),
      [["all"]],
    ]);

    const other = taken(h.journal, h.clock, "long", { keys: ["drill (backup)"] });
    for (const [word, waits] of [
      ["roles", false],
      ["none", false],
      ["backup", true],
      ["all", true],
    ] as const) {
      const outcome = waits
        ? await codeOf(h.run(locking(word)))
        : await h.run(locking(word)).then(({ status }) => ({ code: status, message: "" }));
      expect([word, outcome.code]).toEqual([word, waits ? "lock_held" : "ok"]);
      if (waits)
        expect(outcome.message).toMatch(/drill is being .* run long .*, which locks backup$/);
    }
    other.release();
  }));

test("a cluster has one lock, whether it is up or down, and by whatever name it is reached", () =>
  withHarness(async (h) => {
    const text = "steps: [{id: a, fake.act: {}}]";
    const down = {
      expectedIdentity: "7",
      facts: async () => ({ state: "down" as const, identity: null, capabilities: [], facts: {} }),
    };
    const keys: unknown[] = [];
    h.on = {
      a: () => {
        const rows = h.journal.db.query("SELECT key FROM lock WHERE run IS NOT NULL").values();
        keys.push(rows.flat().filter((key) => String(key).endsWith("(roles)")));
        return null;
      },
    };
    expect((await h.run(text, { target: down })).status).toBe("ok");
    // An entry without an identifier is known by its name alone while it is down, and still when it is up.
    expect((await h.run(text, { target: { ...down, expectedIdentity: null } })).status).toBe("ok");
    expect((await h.run(text)).status).toBe("ok");
    expect(keys).toEqual([
      ["7 (roles)", "drill (roles)"],
      ["drill (roles)"],
      ["7 (roles)", "drill (roles)"],
    ]);
  }));

test("by default it waits longer than a lease, so that what is gone for good is outwaited", () =>
  withHarness(async (h) => {
    expect(parseDuration(DEFAULT_LOCK_WAIT)).toBeGreaterThan(LEASE_MS + 1_000);
    expect(GLOBAL_FLAGS["lock-wait"].summary).toContain(`(${DEFAULT_LOCK_WAIT})`);
    taken(h.journal, h.clock, "other", { holder: elsewhere });
    const ran = await h.run("steps: [{id: a, fake.act: {}}]", {
      lockWaitMs: parseDuration(DEFAULT_LOCK_WAIT),
    });
    expect(ran.exit).toBe(0);
  }));

test("dead is who is certainly gone: by pid and start time, on this host", async () => {
  expect(isDead(me)).toBe(false);
  expect(isDead(gone)).toBe(true);
  expect(isDead({ ...gone, host: `not-${hostname()}` })).toBe(false);
  expect(isDead({ ...me, started: "" })).toBe(false);
  // Its number counts in another container, which has our host's name.
  expect(stateOf({ ...gone, space: "pid:[1]" })).toBe("unseen");
  expect(stateOf({ ...gone, space: me.space! })).toBe("dead");
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
    const rows = () => h.journal.db.query("SELECT * FROM lock").all();
    expect(rows()).toEqual([]);
    expect(h.journal.runs(9)).toEqual([]);

    // Nor is the lease of another taken, that seems to be over, when the target says that he is alive.
    taken(h.journal, h.clock, "x", { holder: elsewhere });
    const before = rows();
    const refused = h.run(text, {
      lockWaitMs: 3 * LEASE_MS,
      target: { lock: async () => ({ heldBy: "run x (ann@far, pid 1)" }) },
    });
    expect(await codeOf(refused)).toMatchObject({ code: "lock_held" });
    expect(rows()).toEqual(before);
    h.journal.db.run("DELETE FROM lock");
    expect(h.calls).toEqual([]);

    // What was had of the target is given back when the lease went to somebody quicker.
    const quicker = async () => {
      taken(h.journal, h.clock, "quicker");
      return {
        held: async () => "held" as const,
        release: async () => void h.calls.push("given back"),
      };
    };
    expect(await codeOf(h.run(text, { target: { lock: quicker } }))).toMatchObject({
      code: "lock_held",
      message: expect.stringContaining("run quicker"),
    });
    expect(h.calls.splice(0)).toEqual(["given back"]);
    h.journal.db.run("DELETE FROM lock");
    let held = true;
    h.on = {
      a: () => {
        held = false;
        return null;
      },
    };
    const lock = async () => ({
      held: async () => (held ? ("held" as const) : { heldBy: "run y" }),
      release: async () => void h.calls.push("released"),
    });
    const ran = await h.run(text, { target: { lock } });
    expect(ran).toMatchObject({ exit: 6, error: { code: "lock_lost" } });
    expect(h.calls).toEqual(["act a", "released"]);
  }));

test("a read takes no lock", () =>
  withHarness(async (h) => {
    taken(h.journal, h.clock, "other");
    expect((await h.run("summary: R\nrisk: read\nsteps: [{id: a, fake.look: {}}]")).exit).toBe(0);
    expect(await codeOf(h.run("steps: [{id: a, fake.act: {}}]"))).toMatchObject({
      code: "lock_held",
    });
    expect(h.calls).toEqual(["look a"]);
  }));
