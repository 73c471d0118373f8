import { expect, test } from "bun:test";
import { choose, type Seen } from "../../../steps/pgbouncer/follow/choose.ts";

const now = 100_000;
const ttlMs = 20_000;
const seen = (name: string, state: Seen["state"], timeline: number | null = null): Seen => ({
  name,
  host: name,
  port: 5432,
  state,
  timeline,
  askedAt: now,
  why: state === "primary" ? null : `is ${state}`,
});
const route = { member: "pg1", host: "pg1", port: 5432, timeline: 5 };
const to = (member: string, timeline: number | null) => ({
  kind: "route",
  route: { member, host: member, port: 5432, timeline },
});

const [fresh, old] = [now - 1000, now - ttlMs];

test.each([
  [
    "nobody was asked yet",
    [seen("pg1", "unasked"), seen("pg2", "primary", 9)],
    fresh,
    { kind: "wait" },
  ],
  ["the one that leads", [seen("pg1", "primary", 5), seen("pg2", "other")], fresh, to("pg1", 5)],
  [
    "the newest timeline",
    [seen("pg1", "primary", 5), seen("pg2", "primary", 6)],
    fresh,
    to("pg2", 6),
  ],
  [
    "a timeline that is not told is the oldest",
    [seen("pg1", "primary", 5), seen("pg2", "primary")],
    fresh,
    to("pg1", 5),
  ],
  [
    "of equals the one of the route",
    [seen("pg0", "primary", 5), seen("pg1", "primary", 5)],
    fresh,
    to("pg1", 5),
  ],
  [
    "an older timeline is one that stood still",
    [seen("pg1", "silent"), seen("pg2", "primary", 4)],
    fresh,
    { kind: "keep", why: "pg1 is silent" },
  ],
  [
    "and after a ttl a restored cluster",
    [seen("pg1", "silent"), seen("pg2", "primary", 4)],
    old,
    to("pg2", 4),
  ],
  ["the same member may begin anew at once", [seen("pg1", "primary", 1)], fresh, to("pg1", 1)],
  [
    "silence is no death",
    [seen("pg1", "silent"), seen("pg2", "other")],
    fresh,
    { kind: "keep", why: "pg1 is silent" },
  ],
  [
    "but after a ttl",
    [seen("pg1", "silent"), seen("pg2", "other")],
    old,
    { kind: "none", lost: true, why: "no member has led for 20 s" },
  ],
  [
    "it says that it does not lead",
    [seen("pg1", "other")],
    fresh,
    { kind: "none", lost: false, why: "pg1 is other" },
  ],
  [
    "another has the key by now",
    [seen("pg1", "silent"), seen("pg2", "promoting")],
    fresh,
    { kind: "none", lost: false, why: "pg2 is being promoted" },
  ],
  [
    "it is about to stop, the key still its own",
    [seen("pg1", "promoting")],
    fresh,
    { kind: "none", lost: false, why: "pg1 is promoting" },
  ],
  [
    "it was taken out of the cluster",
    [seen("pg2", "other")],
    fresh,
    { kind: "none", lost: false, why: "pg1 is no member any more" },
  ],
] as const)("%s", (_, members, goodAt, verdict) => {
  expect(choose(members, { route, goodAt }, { now, ttlMs })).toEqual(verdict as never);
});

test("without a route there is none until somebody leads, however short the time", () => {
  const none = { route: undefined, goodAt: now };
  expect(choose([seen("pg1", "silent")], none, { now, ttlMs })).toEqual({
    kind: "none",
    lost: false,
    why: "no member leads",
  });
  expect(choose([seen("pg1", "primary", 1)], none, { now, ttlMs })).toEqual(to("pg1", 1) as never);
});
