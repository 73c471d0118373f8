import { expect, test } from "bun:test";
import { poolLimits } from "../../providers/nodes/configuration/parameters.ts";
import { secretsOf } from "../../providers/nodes/configuration/files.ts";
import { readFollowConfig } from "../../steps/pgbouncer/follow/config.ts";
import { BY_TLS, SPEC } from "../support/whole-cluster.ts";
import { expectGolden, fileOf } from "./golden.ts";

test("pgbouncer.ini and what the follower is told", () => {
  expectGolden(fileOf(SPEC, "pgbouncer1", "pgbouncer.ini"), "pgbouncer.ini");
  expectGolden(fileOf(SPEC, "pgbouncer1", "follow.json"), "follow.json");
});

test("pgbouncer.ini by TLS, and for the PgBouncer of Debian 12", () => {
  expectGolden(fileOf(BY_TLS, "pgbouncer1", "pgbouncer.ini"), "pgbouncer-tls.ini");
  expectGolden(fileOf(BY_TLS, "pgbouncer1", "follow.json"), "follow-tls.json");
  const old = fileOf({ ...SPEC, version: 15 }, "pgbouncer1", "pgbouncer.ini");
  expect(old).not.toContain("max_prepared_statements");
  expect(old).not.toContain("auth_dbname");
});

test("the follower takes its file", async () => {
  const file = `${import.meta.dir}/golden/follow.json`;
  // Its password lies where the start script puts it; no such file is here.
  expect(() => readFollowConfig(file)).toThrow(
    expect.objectContaining({ code: "missing_secret" }) as never,
  );
});

test.each([
  [
    {},
    1,
    { max_client_conn: 1000, max_db_connections: 87, default_pool_size: 39, reserve_pool_size: 8 },
  ],
  [
    { max_connections: 500 },
    2,
    {
      max_client_conn: 5000,
      max_db_connections: 243,
      default_pool_size: 109,
      reserve_pool_size: 24,
    },
  ],
  [
    { max_connections: 10 },
    4,
    { max_client_conn: 1000, max_db_connections: 1, default_pool_size: 1, reserve_pool_size: 0 },
  ],
])("limits of %p before %d PgBouncers", (settings, instances, limits) => {
  expect(poolLimits(settings, instances).limits).toEqual(limits);
});

test("each role is given the secrets that it needs, and no other", () => {
  const of = (name: string) =>
    Object.keys(
      secretsOf(
        SPEC,
        SPEC.nodes.find((n) => n.name === name)!,
      ),
    );
  expect(of("etcd1")).toEqual(["etcd_root", "etcd"]);
  expect(of("pgbouncer1")).toEqual(["pgbouncer", "pgbouncer_admin"]);
  expect(of("pg1")).toContain("owner");
  const { database: _, ...bare } = SPEC;
  expect(Object.keys(secretsOf(bare, SPEC.nodes[3]!))).not.toContain("owner");
});
