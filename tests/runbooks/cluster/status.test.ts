/** The status of what no Patroni runs, by the real command line. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { at, cli, place, removePlaces, write } from "../../e2e/support.ts";
import { LIMIT_MS, Rehearsed } from "../../support/rehearsed.ts";
import { sharedServer, type TestServer } from "../../support/postgres.ts";

setDefaultTimeout(LIMIT_MS);
const shop = new Rehearsed();
let server: TestServer;
beforeAll(async () => {
  server = await sharedServer();
  const made = await shop.create("--nodes", "pg1,pg2");
  expect(made.envelope.error).toBeNull();
});
afterAll(async () => {
  await shop.destroy();
  await shop.close();
  removePlaces();
});

const status = async (...more: string[]) => {
  const ran = await cli(["cluster", "status", "--full", ...more], shop.place);
  const members = (at(ran.envelope, "data", "members") ?? []) as Record<string, unknown>[];
  const findings = (at(ran.envelope, "data", "findings") ?? []) as { check: string }[];
  return {
    ran,
    said: members.map(({ name, role, state }) => `${name} ${role} ${state}`),
    checks: findings.map(({ check }) => check),
  };
};

test("a cluster of plain processes has a status, with the disks of its nodes", async () => {
  const { ran, said, checks } = await status();
  expect(ran.envelope.error).toBeNull();
  expect(said).toEqual(["pg1 leader running", "pg2 replica streaming"]);
  expect(at(ran.envelope, "data", "leader_by")).toBe("sql");
  expect(at(ran.envelope, "data", "patroni")).toBeNull();
  expect(checks).toContain("archive-discards");
  const disks = at(ran.envelope, "data", "disks") as { node: string }[];
  expect(new Set(disks.map(({ node }) => node))).toEqual(new Set(["pg1", "pg2"]));
  expect(at(ran.envelope, "data", "run", "warnings")).toEqual([
    expect.stringContaining("shop, the only cluster"),
  ]);
});

test("one that is down is told by its nodes", async () => {
  const nodes = await shop.nodes();
  await nodes.stop("pg2", "fast");
  const half = await status("--cluster", "shop");
  expect(half.said).toEqual(["pg1 leader running", "pg2 unknown stopped"]);
  expect(half.checks.slice(0, 2)).toEqual(["no-candidate", "member-down"]);
  await nodes.stop("pg1", "fast");
  const down = await status("--cluster", "shop", "--fail-on", "critical");
  expect([down.ran.exit, down.said]).toEqual([1, ["pg1 unknown stopped", "pg2 unknown stopped"]]);
  expect(down.checks[0]).toBe("no-leader");
  expect(at(down.ran.envelope, "data", "state")).toBe("down");
});

test("one server is no cluster, and no name is no cluster either: one clear error each", async () => {
  const bare = place({});
  const flags = [
    "--host",
    server.host,
    "--port",
    String(server.port),
    "--user",
    server.user,
    "--database",
    "postgres",
  ];
  const one = await cli(["cluster", "status", ...flags], bare, {
    env: { PGPASSWORD: server.password },
  });
  expect([one.exit, one.envelope.error?.code]).toEqual([3, "capability_missing"]);
  expect(one.envelope.error?.hint).toContain("pgdba cluster connect");
  for (const runbook of ["failover trigger --target pg2 --yes", "pgbouncer status"]) {
    const argv = [...runbook.split(" "), ...flags];
    const { envelope } = await cli(argv, bare, { env: { PGPASSWORD: server.password } });
    expect([runbook, envelope.error?.code]).toEqual([runbook, "capability_missing"]);
    expect(envelope.error?.hint).toContain("pgdba cluster connect");
  }
  const none = await cli(["cluster", "status"], bare);
  expect([none.exit, none.envelope.error?.code]).toEqual([2, "no_target"]);
  write(bare.root, {
    "home/clusters/alone.yaml": `ownership: connected\npostgres: {host: ${server.host}, port: ${server.port}, user: ${server.user}, password_env: PW}\n`,
  });
  const alone = await cli(["cluster", "status", "--cluster", "alone"], bare, {
    env: { PW: server.password },
  });
  expect([alone.envelope.error?.code, alone.envelope.error?.hint]).toEqual([
    "capability_missing",
    expect.stringContaining("health check"),
  ]);
});
