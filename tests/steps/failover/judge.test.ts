import { describe, expect, test } from "bun:test";
import type { Facts, SlotFacts } from "../../../steps/failover/facts/facts.ts";
import type { Check, Move } from "../../../steps/failover/judge/check.ts";
import { candidates, explained, judge, refusals } from "../../../steps/failover/judge/judge.ts";
import { at, goodFacts, MOVE } from "./facts.ts";

/** The checks that are not met, in one line each. */
function unmet(facts: Facts, move: Partial<Move> = {}): string[] {
  return judge(facts, { ...MOVE, ...move })
    .filter(({ status, id }) => status !== "ok" && id !== "checkpoint")
    .map(({ id, about, level, status }) => `${level} ${id} ${about ?? "-"} ${status}`);
}

test("nothing speaks against a move in a cluster that is well, and each check is told", () => {
  expect(unmet(goodFacts())).toEqual([]);
  const told = judge(goodFacts(), MOVE);
  expect(new Set(told.map(({ id }) => id)).size).toBeGreaterThan(25);
  expect(told.find(({ id }) => id === "checkpoint")).toMatchObject({
    level: "act",
    status: "failed",
    figure: 4096,
  });
  expect(told.find(({ id }) => id === "replay_lag")).toMatchObject({
    figure: 0,
    threshold: 1_048_576,
  });
});

const slot = (over: Partial<SlotFacts> = {}): SlotFacts => ({
  name: "cdc",
  logical: true,
  temporary: false,
  active: true,
  status: "reserved",
  failover: true,
  synced: false,
  retained: 1000,
  ...over,
});
const GONE = { unseen: "connection refused" };

type Case = [name: string, spoil: (facts: Facts) => void, unmet: string[], move?: Partial<Move>];

const CASES: Case[] = [
  [
    "no leader",
    (f) => void (f.leaders = []),
    [
      "refuse leader - failed",
      "refuse second_primary pg1 failed",
      "data_loss receive_lag pg2 unseen",
      "data_loss replay_lag pg2 unseen",
      "warn version pg2 unseen",
    ],
  ],
  [
    "two leaders",
    (f) => void (f.leaders = ["pg1", "pg3"]),
    [
      "refuse leader - failed",
      "refuse second_primary pg1 failed",
      "data_loss receive_lag pg2 unseen",
      "data_loss replay_lag pg2 unseen",
      "warn version pg2 unseen",
    ],
  ],
  [
    "a second one that takes writes",
    (f) => void (at(f, "pg3").server.standby = false),
    ["refuse second_primary pg3 failed"],
  ],
  [
    "a second one by its Patroni",
    (f) => {
      at(f, "pg3").member.server = GONE;
      at(f, "pg3").patroni.primary = true;
    },
    ["refuse second_primary pg3 failed", "warn hot_standby_settings pg3 unseen"],
  ],
  [
    "one that can't be asked",
    (f) => {
      at(f, "pg3").member.server = GONE;
      at(f, "pg3").member.patroni = GONE;
    },
    [
      "warn second_primary pg3 unseen",
      "warn other_members pg3 unseen",
      "warn hot_standby_settings pg3 unseen",
    ],
  ],
  [
    "a leader that can't be asked",
    (f) => void (at(f, "pg1").member.server = GONE),
    [
      "refuse leader_answers pg1 failed",
      "warn free_disk pg1 unseen",
      "warn hot_standby_settings pg1 unseen",
      "warn streaming pg2 unseen",
      "warn version pg2 unseen",
    ],
  ],
  [
    "a store without quorum",
    (f) => Object.assign((f.dcs as any).value, { quorum: false, reachable: 1 }),
    ["refuse dcs - failed"],
  ],
  [
    "a store that is full",
    (f) => Object.assign((f.dcs as any).value, { alarms: ["NOSPACE"] }),
    ["refuse dcs - failed"],
  ],
  [
    "a store with a member less",
    (f) => Object.assign((f.dcs as any).value, { reachable: 2 }),
    ["warn dcs - failed"],
  ],
  ["a store that nobody knows", (f) => void (f.dcs = GONE), ["warn dcs - unseen"]],
  [
    "a candidate that lost the store",
    (f) => void (at(f, "pg2").patroni.dcsAge = 21),
    ["refuse dcs_seen pg2 failed"],
  ],
  [
    "a leader that does not tell when it saw the store",
    (f) => void (at(f, "pg1").patroni.dcsAge = null),
    ["warn dcs_seen pg1 unseen"],
  ],
  ["pause, with a name", (f) => void (f.patroni.pause = true), ["warn pause - failed"]],
  [
    "pause, without",
    (f) => void (f.patroni.pause = true),
    ["refuse pause - failed"],
    { named: false },
  ],
  [
    "a switchover that is scheduled",
    (f) => void (f.patroni.scheduled = { from: "pg1", to: "pg3", at: "2030-01-01T00:00:00Z" }),
    ["refuse scheduled - failed"],
  ],
  [
    "a PgBouncer that does not answer",
    (f) => void (f.poolers[0]!.follower = GONE),
    ["refuse pgbouncer pgbouncer1 unseen"],
  ],
  [
    "a PgBouncer without a follower",
    (f) => void (f.poolers[0]!.follower = { value: null }),
    ["warn pgbouncer pgbouncer1 failed"],
  ],
  [
    "a PgBouncer that another run has paused",
    (f) => Object.assign((f.poolers[0]!.follower as any).value, { paused: "run-9" }),
    ["refuse pgbouncer pgbouncer1 failed"],
  ],
  [
    "a PgBouncer that this run has paused",
    (f) => Object.assign((f.poolers[0]!.follower as any).value, { paused: "run-1" }),
    [],
  ],
  [
    "a PgBouncer that does not know the candidate",
    (f) => Object.assign((f.poolers[0]!.follower as any).value, { members: ["pg1"] }),
    ["refuse pgbouncer pgbouncer1 failed"],
  ],
  [
    "a PgBouncer that goes elsewhere",
    (f) => Object.assign((f.poolers[0]!.follower as any).value, { route: "pg3" }),
    ["refuse pgbouncer pgbouncer1 failed"],
  ],
  ["no such member", () => {}, ["refuse member pg9 failed"], { candidate: "pg9" }],
  ["no member at all", () => {}, ["refuse member - failed"], { candidate: "" }],
  ["the leader itself", () => {}, ["refuse member pg1 failed"], { candidate: "pg1" }],
  [
    "a candidate that does not answer",
    (f) => {
      at(f, "pg2").member.server = GONE;
      at(f, "pg2").member.patroni = GONE;
      at(f, "pg2").member.lsns = GONE;
    },
    [
      "refuse reachable pg2 failed",
      "refuse identity pg2 unseen",
      "data_loss receive_lag pg2 unseen",
      "data_loss replay_lag pg2 unseen",
      "data_loss timeline pg2 unseen",
      ...["dcs_seen", "free_disk", "running", "second_primary", "version"].map(
        (id) => `warn ${id} pg2 unseen`,
      ),
    ],
  ],
  [
    "a candidate that has started before its Patroni has noticed",
    (f) => Object.assign(at(f, "pg2").patroni, { running: false, state: "starting" }),
    [],
  ],
  [
    "a candidate that is being made",
    (f) => Object.assign(at(f, "pg2").patroni, { running: false, state: "creating replica" }),
    ["refuse running pg2 failed"],
  ],
  [
    "a candidate that receives nothing",
    (f) => void (at(f, "pg2").server.receiver = null),
    ["refuse streaming pg2 failed"],
  ],
  [
    "a candidate behind another standby",
    (f) => void (at(f, "pg1").server.standbys = { value: [] }),
    ["refuse streaming pg2 failed"],
  ],
  [
    "a candidate that catches up",
    (f) => Object.assign((at(f, "pg1").server.standbys as any).value[0], { state: "catchup" }),
    ["refuse streaming pg2 failed"],
  ],
  [
    "a candidate of another cluster",
    (f) => void (at(f, "pg2").server.identity = "8"),
    ["refuse identity pg2 failed"],
  ],
  [
    "a candidate that hides its identity",
    (f) => {
      at(f, "pg2").server.identity = null;
      at(f, "pg2").patroni.identity = null;
    },
    ["refuse identity pg2 unseen"],
  ],
  [
    "another version",
    (f) => void (at(f, "pg2").server.version = 160_001),
    ["refuse version pg2 failed"],
  ],
  [
    "another timeline",
    (f) => void (at(f, "pg2").server.timeline = 2),
    ["data_loss timeline pg2 failed"],
  ],
  [
    "a timeline that is not told",
    (f) => {
      at(f, "pg2").server.timeline = null;
      at(f, "pg2").patroni.timeline = null;
    },
    ["data_loss timeline pg2 unseen"],
  ],
  [
    "a candidate that has received too little",
    (f) => {
      for (const one of at(f, "pg1").lsns) one.received = 3_000_000n;
    },
    ["data_loss receive_lag pg2 failed", "data_loss replay_lag pg2 failed"],
  ],
  [
    "a candidate that has replayed too little",
    (f) => {
      for (const one of at(f, "pg2").lsns) {
        one.received = 3_000_000n;
      }
      for (const one of at(f, "pg1").lsns) one.received = 3_000_000n;
    },
    ["data_loss replay_lag pg2 failed"],
  ],
  [
    "a candidate that falls behind",
    (f) => void (at(f, "pg1").lsns[1]!.received = 1_800_000n),
    ["warn lag_trend pg2 failed"],
  ],
  [
    "a lag that nobody saw",
    (f) => void (at(f, "pg2").member.lsns = GONE),
    ["data_loss receive_lag pg2 unseen", "data_loss replay_lag pg2 unseen"],
  ],
  [
    "nofailover",
    (f) => void (at(f, "pg2").patroni.nofailover = true),
    ["refuse nofailover pg2 failed"],
  ],
  [
    "failover_priority 0",
    (f) => void (at(f, "pg2").patroni.priority = 0),
    ["refuse failover_priority pg2 failed"],
  ],
  [
    "a watchdog that fails",
    (f) => void (at(f, "pg2").patroni.watchdogFailed = true),
    ["refuse watchdog pg2 failed"],
  ],
  [
    "a candidate that is not synchronous",
    (f) => void (f.patroni.synchronous = "on"),
    ["data_loss synchronous pg2 failed"],
  ],
  [
    "nosync",
    (f) => {
      f.patroni.synchronous = "on";
      at(f, "pg2").member.role = "sync_standby";
      at(f, "pg2").patroni.nosync = true;
    },
    ["data_loss nosync pg2 failed"],
  ],
  [
    "nobody left to confirm",
    (f) => {
      f.patroni.synchronous = "strict";
      f.members.splice(2);
      at(f, "pg1").patroni.running = false;
      at(f, "pg2").member.role = "sync_standby";
    },
    ["warn synchronous_after - failed"],
  ],
  [
    "replay that is paused",
    (f) => void (at(f, "pg2").server.replayPaused = true),
    ["refuse replay_paused pg2 failed"],
  ],
  [
    "a candidate that waits for a restart",
    (f) => void (at(f, "pg2").patroni.pendingRestart = true),
    ["warn pending_restart pg2 failed"],
  ],
  [
    "a restart that is scheduled",
    (f) => void (at(f, "pg1").patroni.scheduledRestart = true),
    ["refuse scheduled_restart pg1 failed"],
  ],
  [
    "a candidate with less",
    (f) => void (at(f, "pg2").server.settings["max_wal_senders"] = "5"),
    ["warn hot_standby_settings pg1 failed"],
  ],
  [
    "a candidate with more",
    (f) => void (at(f, "pg2").server.settings["max_connections"] = "200"),
    ["warn hot_standby_settings pg1 failed", "warn hot_standby_settings pg3 failed"],
  ],
  [
    "more clients than fit",
    (f) => void (at(f, "pg1").server.connections = { value: 100 }),
    ["warn connections pg2 failed"],
  ],
  [
    "a full disk",
    (f) => void (at(f, "pg2").member.disk = { value: [{ of: "wal", path: "/wal", freeBytes: 5 }] }),
    ["refuse free_disk pg2 failed"],
  ],
  [
    "a full disk of the leader",
    (f) => void (at(f, "pg1").member.disk = { value: [{ of: "data", path: "/d", freeBytes: 5 }] }),
    ["refuse free_disk pg1 failed"],
  ],
  [
    "a disk that nobody sees",
    (f) => void (at(f, "pg2").member.disk = GONE),
    ["warn free_disk pg2 unseen"],
  ],
  [
    "an archiver that fails",
    (f) =>
      void (at(f, "pg1").server.archiver = {
        value: { failing: true, lastFailed: "0001", ready: 1 },
      }),
    ["warn archiver pg1 failed"],
  ],
  [
    "an archiver that is behind",
    (f) =>
      void (at(f, "pg1").server.archiver = {
        value: { failing: false, lastFailed: null, ready: 10 },
      }),
    ["warn archiver pg1 failed"],
  ],
  [
    "an archiver that is half seen",
    (f) =>
      void (at(f, "pg1").server.archiver = {
        value: { failing: false, lastFailed: null, ready: null },
      }),
    ["warn archiver pg1 unseen"],
  ],
  [
    "a physical slot that is lost",
    (f) => void (at(f, "pg1").server.slots = { value: [slot({ logical: false, status: "lost" })] }),
    ["warn slot_state cdc failed"],
  ],
  [
    "a logical slot of the leader alone",
    (f) => void (at(f, "pg1").server.slots = { value: [slot()] }),
    ["data_loss logical_slot cdc failed"],
  ],
  [
    "a logical slot that is not synchronised",
    (f) => {
      at(f, "pg1").server.slots = { value: [slot()] };
      at(f, "pg2").server.slots = { value: [slot()] };
    },
    ["data_loss logical_slot cdc failed"],
  ],
  [
    "a logical slot that goes along",
    (f) => {
      at(f, "pg1").server.slots = { value: [slot()] };
      at(f, "pg2").server.slots = { value: [slot({ synced: true })] };
    },
    [],
  ],
  [
    "slots that nobody sees",
    (f) => void (at(f, "pg1").server.slots = GONE),
    ["warn slots pg1 unseen"],
  ],
  [
    "a prepared transaction",
    (f) =>
      void (at(f, "pg1").server.prepared = { value: [{ gid: "g", database: "app", seconds: 1 }] }),
    ["warn prepared pg1 failed"],
  ],
  [
    "a long transaction",
    (f) => void (at(f, "pg1").server.transactions = { value: [long(16)] }),
    ["warn transactions pg1 failed"],
  ],
  [
    "a long transaction that is cancelled",
    (f) => void (at(f, "pg1").server.transactions = { value: [long(16)] }),
    ["act transactions pg1 failed"],
    { cancels: true },
  ],
  [
    "a short transaction",
    (f) => void (at(f, "pg1").server.transactions = { value: [long(14)] }),
    [],
  ],
  [
    "a base backup",
    (f) => void (at(f, "pg1").server.baseBackups = { value: [{ pid: 1, phase: "streaming" }] }),
    ["warn base_backups pg1 failed"],
  ],
  [
    "a leader that can't be rewound",
    (f) =>
      Object.assign(at(f, "pg1").server.settings, { data_checksums: "off", wal_log_hints: "off" }),
    ["warn rewind pg1 failed"],
  ],
  [
    "another member that does not run",
    (f) => Object.assign(at(f, "pg3").patroni, { running: false, state: "stopped" }),
    ["warn other_members pg3 failed"],
  ],
];

function long(seconds: number) {
  return { pid: 7, user: "app", database: "app", application: "", state: "active", seconds };
}

const hintOf = (facts: Facts, id: string): string =>
  judge(facts, MOVE).find((one) => one.id === id)?.hint ?? "";

describe("each check is at its level", () => {
  test.each(CASES)("%s", (_name, spoil, expected, move = {}) => {
    const facts = goodFacts();
    spoil(facts);
    expect(unmet(facts, move).toSorted()).toEqual(expected.toSorted());
  });

  test("all reasons are told together, and a loss that is accepted is none", () => {
    const facts = goodFacts();
    at(facts, "pg2").patroni.nofailover = true;
    at(facts, "pg2").server.timeline = 2;
    const checks: Check[] = judge(facts, MOVE);
    expect(refusals(checks, false).map(({ id }) => id)).toEqual(["timeline", "nofailover"]);
    expect(refusals(checks, true).map(({ id }) => id)).toEqual(["nofailover"]);
    const silent = goodFacts();
    Object.assign(at(silent, "pg2").member, { server: GONE, patroni: GONE, lsns: GONE });
    expect(refusals(judge(silent, MOVE), false).map(({ id }) => id)).toEqual(["reachable"]);
  });

  test("a leader that can't be asked is the one reason, for each standby, and nothing counts as good for it", () => {
    const facts = goodFacts();
    Object.assign(at(facts, "pg1").member, { server: GONE, lsns: GONE });
    const checks = judge(facts, MOVE);
    expect(refusals(checks, true).map(({ id }) => id)).toEqual(["leader_answers"]);
    expect(explained(checks).map(({ id }) => id)).toContain("receive_lag");
    const { force: _force, ...move } = MOVE;
    const all = candidates(facts, { ...move, force: false }, true);
    expect(all.map(({ able, why }) => [able, why.length])).toEqual([
      [false, 1],
      [false, 1],
    ]);
    expect(all[0]!.why[0]).toContain("pg1 leads and can't be asked");
    at(facts, "pg2").server.receiver = null;
    expect(refusals(judge(facts, MOVE), true).map(({ id }) => id)).toEqual(["leader_answers"]);
    expect(hintOf(facts, "leader_answers")).toContain("runs out (in 20 s)");
    facts.dcs = { unseen: "no answer" };
    expect(hintOf(facts, "leader_answers")).toContain("30 s after it was last renewed");
  });

  test("a standby that has still to follow to a new timeline has parted from nobody", () => {
    const facts = goodFacts();
    at(facts, "pg2").server.timeline = 2;
    const told = (end: bigint | undefined) => {
      facts.patroni.ends = end === undefined ? {} : { 2: end };
      return hintOf(facts, "timeline");
    };
    expect(told(1_000_000n)).toContain("nothing that the leader lacks");
    expect(told(999_999n)).toContain("would be lost");
    expect(told(undefined)).toContain("would be lost");
    facts.patroni.ends = { 2: 1_000_000n };
    expect(refusals(judge(facts, MOVE), false).map(({ id }) => id)).toEqual(["timeline"]);
  });
});

/** pg1 is gone, and nobody holds the key. */
function withoutLeader(): Facts {
  const facts = goodFacts();
  facts.leaders = [];
  Object.assign((facts.dcs as any).value, { holder: null, ttlSeconds: null });
  const { member } = at(facts, "pg1");
  Object.assign(member, {
    role: "replica",
    state: "stopped",
    patroni: GONE,
    server: GONE,
    lsns: GONE,
  });
  return facts;
}

describe("by force", () => {
  const force = { force: true };
  const only = (facts: Facts, move: Partial<Move> = {}) =>
    unmet(facts, { ...force, ...move }).filter((line) => !line.startsWith("warn"));

  test("a key that is held keeps the role where it is", () => {
    expect(unmet(goodFacts(), force)).toContain("refuse leader - failed");
    const facts = withoutLeader();
    Object.assign((facts.dcs as any).value, { holder: "pg1", ttlSeconds: 7 });
    expect(unmet(facts, force)).toContain("refuse leader - failed");
  });

  test("what an old primary may have written that nobody can ask is a loss to be accepted", () => {
    expect(only(withoutLeader())).toEqual([
      "data_loss old_primary pg1 unseen",
      "data_loss unknown_loss pg2 failed",
    ]);
  });

  test("an old primary that nobody knows, or that is no member any more, is not taken for good", () => {
    const facts = withoutLeader();
    facts.members.shift();
    expect(only(facts)).toEqual([]);
    facts.patroni.lastLeader = null;
    expect(only(facts)).toEqual([
      "data_loss old_primary - unseen",
      "data_loss unknown_loss pg2 failed",
    ]);
    const gone = withoutLeader();
    Object.assign(at(gone, "pg1").member, { role: "gone" });
    expect(only(gone)).toEqual([
      "data_loss old_primary pg1 unseen",
      "data_loss unknown_loss pg2 failed",
    ]);
    expect(only(gone, { candidate: "pg1" })).toContain("refuse member pg1 failed");
  });

  test("one that still takes writes is stopped first, or its writes are lost", () => {
    const facts = withoutLeader();
    at(facts, "pg1").member.server = at(goodFacts(), "pg1").member.server;
    expect(only(facts)).toContain("data_loss old_primary pg1 failed");
    expect(only(facts, { fences: true })).toContain("act old_primary pg1 failed");
    expect(only(facts, { dead: ["pg1"] })).not.toContain("data_loss old_primary pg1 failed");
  });

  test("the bytes that the candidate lacks are told, by the store and by the others", () => {
    const facts = withoutLeader();
    Object.assign((facts.dcs as any).value, { optime: 1_000_500n });
    const risk = judge(facts, { ...MOVE, ...force }).find(({ id }) => id === "bytes_at_risk")!;
    expect([risk.level, risk.status, risk.figure]).toEqual(["data_loss", "failed", 500]);
  });

  test("a synchronous standby has lost nothing that was acknowledged", () => {
    const facts = withoutLeader();
    facts.patroni.synchronous = "on";
    at(facts, "pg2").member.role = "sync_standby";
    expect(only(facts, { dead: ["pg1"] })).toEqual([]);
  });

  test("the newest timeline comes first, then the most received", () => {
    const order = (facts: Facts) =>
      candidates(facts, { ...MOVE, ...force, dead: ["pg1"] }, true).map(
        ({ member, able }) => `${member} ${able}`,
      );
    const facts = withoutLeader();
    for (const one of at(facts, "pg3").lsns) one.received = 1_000_900n;
    expect(order(facts)).toEqual(["pg3 true", "pg2 true"]);
    at(facts, "pg3").server.timeline = 2;
    at(facts, "pg3").patroni.timeline = 2;
    expect(order(facts)).toEqual(["pg2 true", "pg3 true"]);
    at(facts, "pg2").patroni.nofailover = true;
    expect(order(facts)).toEqual(["pg3 true", "pg2 false"]);
  });
});

test("who could take over, the best first, and why the others could not", () => {
  const facts = goodFacts();
  at(facts, "pg2").patroni.nofailover = true;
  const all = candidates(facts, MOVE, false);
  expect(all.map(({ member, able, why }) => [member, able, why])).toEqual([
    ["pg3", true, []],
    ["pg2", false, ["pg2 has the tag nofailover"]],
  ]);
  for (const one of at(facts, "pg2").lsns) one.replayed = 0n;
  expect(candidates(facts, MOVE, false)[1]).toMatchObject({
    receive_lag: 0,
    replay_lag: 1_000_000,
  });
});
