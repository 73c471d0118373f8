/** A cluster of three members in which nothing speaks against a move to pg2, to be spoilt one fact at a time. */

import type {
  Facts,
  MemberFacts,
  PatroniFacts,
  ServerFacts,
} from "../../../steps/failover/facts/facts.ts";
import type { Move } from "../../../steps/failover/judge/check.ts";

export const MOVE: Move = {
  candidate: "pg2",
  run: "run-1",
  named: true,
  maxLag: 1_048_576,
  longTransaction: 15,
  cancels: false,
  force: false,
  dead: [],
  fences: false,
};

export function goodFacts(): Facts {
  return {
    leaders: ["pg1"],
    members: ["pg1", "pg2", "pg3"].map(memberOf),
    patroni: {
      pause: false,
      synchronous: "off",
      maxLag: 1_048_576,
      ttl: 30,
      loopWait: 10,
      scheduled: null,
      lastLeader: "pg1",
      ends: { 1: 100_000n, 2: 900_000n },
    },
    dcs: {
      value: {
        quorum: true,
        reachable: 3,
        members: 3,
        alarms: [],
        holder: "pg1",
        ttlSeconds: 20,
        optime: 1_000_000n,
      },
    },
    poolers: [
      {
        name: "pgbouncer1",
        follower: { value: { route: "pg1", paused: null, members: ["pg1", "pg2", "pg3"] } },
      },
    ],
  };
}

function memberOf(name: string): MemberFacts {
  const leads = name === "pg1";
  const at = { at: 0, received: 1_000_000n, replayed: 1_000_000n };
  return {
    name,
    role: leads ? "leader" : "replica",
    state: leads ? "running" : "streaming",
    patroni: { value: patroniOf(leads) },
    server: { value: serverOf(leads) },
    lsns: { value: [{ ...at }, { ...at, at: 400 }] },
    disk: { value: [{ of: "data", path: "/data", freeBytes: 10 * 1024 ** 3 }] },
  };
}

function patroniOf(leads: boolean): PatroniFacts {
  return {
    running: true,
    primary: leads,
    state: "running",
    identity: "7",
    timeline: 3,
    pendingRestart: false,
    scheduledRestart: false,
    watchdogFailed: false,
    dcsAge: 1,
    nofailover: false,
    nosync: false,
    priority: null,
  };
}

function serverOf(leads: boolean): ServerFacts {
  return {
    standby: !leads,
    version: 170_002,
    identity: "7",
    timeline: 3,
    replayPaused: false,
    receiver: leads ? null : "streaming",
    settings: {
      max_connections: "100",
      max_worker_processes: "8",
      max_wal_senders: "10",
      max_prepared_transactions: "0",
      max_locks_per_transaction: "64",
      wal_log_hints: "on",
      data_checksums: "on",
      full_page_writes: "on",
      max_wal_size: "1024",
      archive_mode: "on",
    },
    connections: { value: 5 },
    sinceCheckpoint: { value: 4096 },
    standbys: {
      value: leads
        ? ["pg2", "pg3"].map((name) => ({ name, state: "streaming", sync: "async" }))
        : [],
    },
    slots: { value: [] },
    prepared: { value: [] },
    transactions: { value: [] },
    baseBackups: { value: [] },
    archiver: { value: { failing: false, lastFailed: null, ready: 0 } },
  };
}

/** A member, its server and its Patroni, to be changed in place. */
export function at(facts: Facts, name: string) {
  const member = facts.members.find((one) => one.name === name)!;
  return {
    member,
    server: (member.server as { value: ServerFacts }).value,
    patroni: (member.patroni as { value: PatroniFacts }).value,
    lsns: (member.lsns as { value: { received: bigint; replayed: bigint }[] }).value,
  };
}
