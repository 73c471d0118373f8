import { expect, test } from "bun:test";
import { PgdbaError } from "../../../../engine/errors.ts";
import { statusIn } from "../../../../providers/patroni/status.ts";
import { judgeFound } from "../../../../steps/cluster/discover/judge.ts";
import type { Found, Server } from "../../../../steps/cluster/discover/probe.ts";

const server = (more: Partial<Server> = {}): Server => ({
  identity: "7",
  version_num: 170_004,
  standby: true,
  receiver: "streaming",
  streams: [],
  ...more,
});

function member(name: string, more: Partial<Found> = {}): Found {
  const address = { host: name, port: 5432 };
  return {
    name,
    role: "replica",
    address,
    reach: address,
    api: `http://${name}:8008`,
    apiTold: `http://${name}:8008`,
    status: statusIn({
      database_system_identifier: "7",
      patroni: { scope: "main", version: "4.0" },
    }),
    statusWhy: null,
    server: server(),
    serverWhy: null,
    ...more,
  };
}
const leader = (more: Partial<Found> = {}): Found =>
  member("pg1", { role: "leader", server: server({ standby: false, receiver: null }), ...more });
const down = new PgdbaError("connection_failed", "no answer within 5 s", { hint: "h" });

function refusal(found: Found[], accepts = false): Partial<PgdbaError> {
  try {
    return { message: `accepted: ${judgeFound(found, accepts).problems.join("; ")}` };
  } catch (error) {
    return error as PgdbaError;
  }
}

test("a cluster whose members agree is one", () => {
  expect(judgeFound([leader(), member("pg2")], false)).toMatchObject({
    scope: "main",
    identity: "7",
    version_num: 170_004,
    leader: { name: "pg1" },
    problems: [],
  });
  // What a role without pg_monitor does not see of the standby, the leader tells.
  const seen = leader({ server: server({ standby: false, streams: ["pg2"] }) });
  expect(
    judgeFound([seen, member("pg2", { server: server({ receiver: null }) })], false),
  ).toBeDefined();
  // The leader of a standby cluster is a standby itself.
  const standby = member("pg1", { role: "standby_leader" });
  expect(judgeFound([standby, member("pg2")], false).leader.name).toBe("pg1");
});

test.each([
  ["nobody", [], "step_refused", "knows no member"],
  ["no leader", [member("pg1"), member("pg2")], "step_refused", "names no leader"],
  ["two leaders", [leader(), member("pg2", { role: "leader" })], "step_refused", "several leaders"],
  [
    "another that takes writes",
    [leader(), member("pg2", { server: server({ standby: false }) })],
    "step_refused",
    "pg2 takes writes, and is not the leader",
  ],
  [
    "a server of another cluster",
    [leader(), member("pg2", { server: server({ identity: "8" }) })],
    "identity_mismatch",
    "PostgreSQL of pg2 has system identifier 8",
  ],
  [
    "a Patroni of another cluster",
    [leader(), member("pg2", { status: statusIn({ database_system_identifier: "9" }) })],
    "identity_mismatch",
    "Patroni of pg2 has system identifier 9",
  ],
  [
    "nobody tells who it is",
    [leader({ status: statusIn({}), server: server({ standby: false, identity: null }) })],
    "insufficient_privilege",
    "system identifier",
  ],
  [
    "no server at all",
    [leader({ server: null, serverWhy: down })],
    "connection_failed",
    "pg1: no answer within 5 s",
  ],
  [
    "a password that was not named",
    [leader({ server: null, serverWhy: new PgdbaError("missing_secret", "x", { hint: "h" }) })],
    "missing_secret",
    "asks for a password",
  ],
] as [string, Found[], string, string][])(
  "%s is refused whatever is accepted",
  (_, found, code, words) => {
    for (const accepts of [false, true]) {
      const error = refusal(found, accepts);
      expect([error.code, error.message]).toEqual([code as never, expect.stringContaining(words)]);
      expect(error.hint).toBeTruthy();
    }
  },
);

test.each([
  ["a server out of reach", member("pg2", { server: null, serverWhy: down }), "pg2:5432", true],
  [
    "an API out of reach",
    member("pg2", { status: null, statusWhy: "ECONNREFUSED" }),
    ":8008",
    true,
  ],
  ["no WAL", member("pg2", { server: server({ receiver: null }) }), "does not receive WAL", false],
])("%s is told, and accepted when that is said", (_, odd, words, far) => {
  const error = refusal([leader(), odd]);
  expect([error.code, error.message]).toEqual(["step_refused", expect.stringContaining(words)]);
  expect(error.hint).toContain("--accept-problems");
  expect(error.hint?.includes("--members")).toBe(far);
  expect(judgeFound([leader(), odd], true).problems).toEqual([expect.stringContaining(words)]);
});
