import { expect, test } from "bun:test";
import type { Seen, ServerSeen } from "../../../steps/chaos/whole/servers.ts";
import { judge } from "../../../steps/chaos/whole/whole.ts";

const server = (more: Partial<ServerSeen> = {}): ServerSeen => ({
  standby: true,
  timeline: 3,
  receiver: "streaming",
  paused: false,
  received: "0/3000000",
  replayed: "0/3000000",
  senders: [],
  synchronous: [],
  ...more,
});
const LEADER = server({ standby: false, receiver: null, senders: ["b", "c"], synchronous: ["b"] });
const all = (a: ServerSeen | null, b: ServerSeen | null, c: ServerSeen | null): Seen[] =>
  Object.entries({ a, b, c }).map(([member, one]) => ({ member, server: one, why: one && null }));
const missing = (servers: Seen[], settings = {}) => judge(servers, settings).missing;

test("a cluster is whole when all stream from one leader, and enough are synchronous", () => {
  expect(judge(all(LEADER, server(), server()), { synchronous_mode: true })).toEqual({
    leader: "a",
    timeline: 3,
    standbys: ["b", "c"],
    synchronous: ["b"],
    missing: [],
  });
});

test("each thing that it lacks is told", () => {
  expect(missing([...all(LEADER, server(), null)])).toEqual(["c does not answer: null"]);
  expect(missing(all(LEADER, server({ receiver: null }), server()))).toEqual(["b does not stream"]);
  expect(missing(all(LEADER, server({ timeline: 2 }), server()))).toEqual([
    "b is on timeline 2, the leader on 3",
  ]);
  expect(missing(all({ ...LEADER, senders: ["b"] }, server(), server()))).toEqual([
    "a does not stream to c",
  ]);
  expect(missing(all(LEADER, server({ paused: true }), server()))).toEqual([
    "replay is paused on b",
  ]);
  expect(missing(all(server(), server(), server()))).toEqual(["no server is out of recovery"]);
  expect(missing(all(LEADER, LEADER, server()))).toEqual(["a and b are all out of recovery"]);
});

test("the synchronous set must be as full as Patroni is set to have it, and no fuller than there are standbys", () => {
  const three = all({ ...LEADER, synchronous: [] }, server(), server());
  expect(missing(three, { synchronous_mode: "off" })).toEqual([]);
  expect(missing(three, { synchronous_mode: true })).toEqual([
    "0 of 1 synchronous standbys are there",
  ]);
  const wanted = { synchronous_mode: "quorum", synchronous_node_count: 5 };
  expect(missing(all(LEADER, server(), server()), wanted)).toEqual([
    "1 of 2 synchronous standbys are there",
  ]);
  expect(missing(three, { pause: true })).toEqual(["Patroni is paused"]);
});
