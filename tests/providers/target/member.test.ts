import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PgdbaError } from "../../../engine/errors.ts";
import { memberSource } from "../../../providers/target/member.ts";
import type { TargetFlags } from "../../../providers/target/options.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";

const dir = mkdtempSync(join(tmpdir(), "pgdba-members-"));
mkdirSync(join(dir, "clusters"));
afterAll(() => rmSync(dir, { recursive: true }));

function register(name: string, yaml: string): void {
  writeFileSync(join(dir, "clusters", `${name}.yaml`), yaml);
}
const node = (name: string, host: string, port: number, reach = ""): string =>
  `  - {name: ${name}, roles: [postgres], address: {host: ${host}, port: ${port}}${reach}}\n`;
const SHOP = `ownership: connected
labels: [production]
system_identifier: "77"
postgres: {host: 10.0.0.1, user: dba, database: shop, password_env: SHOP_PW}
patroni: {endpoints: ["http://10.0.0.1:8008"]}
nodes:
${node("pg1", "10.0.0.1", 5432)}${node("pg2", "pg2", 5432, ", reach: {host: 127.0.0.1, port: 15432}")}`;

const options = (flags: TargetFlags, env: Record<string, string> = {}) => ({
  flags,
  env: { SHOP_PW: "s3cret", ...env },
  stateDir: dir,
  onSecret: () => {},
});
async function found(flags: TargetFlags, env: Record<string, string> = {}) {
  const source = await memberSource(options(flags, env)).catch((error: PgdbaError) => error.code);
  if (typeof source !== "object") return source;
  const { name, spec } = source;
  return `${name} = ${spec.user}@${spec.host}:${spec.port}/${spec.database} ${spec.password?.()}`;
}
const resolved = async (flags: TargetFlags, more: object = {}, env = {}) => {
  const target = await resolveTarget({ ...options(flags, env), ...more });
  return [target.name, target.assumed === true];
};

test("nobody is meant where nothing is registered", async () => {
  expect(await found({ host: "pg1" })).toBeUndefined();
  expect(await resolved({}, { assumes: true })).toEqual(["none", false]);
});

test("the only cluster is meant by a run that looks at one, and by no other; flags and environment win, and the lab counts by name", async () => {
  register("shop", SHOP);
  register("lab", "ownership: managed\nprovider: embedded\npostgres: {host: h, user: u}\n");
  expect(await resolved({}, { assumes: true })).toEqual(["shop", true]);
  expect(await resolved({}, {})).toEqual(["none", false]);
  expect(await resolved({ cluster: "shop" }, { assumes: true })).toEqual(["shop", false]);
  expect(await resolved({}, { assumes: true }, { PGHOST: "h", PGUSER: "u" })).toEqual([
    "u@h:5432/u",
    false,
  ]);
  expect(await resolved({ host: "h", user: "u" }, { assumes: true })).toEqual([
    "u@h:5432/u",
    false,
  ]);
});

test("a member is meant by its name, its place or its host, with the cluster's account, labels and identity", async () => {
  const pg2 = "shop/pg2 = dba@127.0.0.1:15432/shop s3cret";
  for (const [flags, env, is] of [
    [{ host: "pg2" }, {}, pg2],
    [{ host: "pg2", cluster: "shop" }, {}, pg2],
    [{ host: "pg2", database: "other" }, {}, pg2.replace("/shop ", "/other ")],
    [{ host: "127.0.0.1:15432" }, {}, pg2],
    [{ host: "127.0.0.1", port: "15432" }, {}, pg2],
    [{ host: "127.0.0.1" }, { PGPORT: "15432" }, pg2],
    [{ host: "10.0.0.1" }, {}, "shop/pg1 = dba@10.0.0.1:5432/shop s3cret"],
    [
      { host: "pg2", user: "app" },
      { PGPASSWORD: "other" },
      pg2.replace("dba", "app").replace("s3cret", "other"),
    ],
    // A role of somebody's own, another port, a host where anything may listen, a socket: servers like any other.
    [{ host: "10.0.0.1", user: "app" }, {}, undefined],
    [{ host: "10.0.0.1" }, { PGUSER: "app" }, undefined],
    [{ host: "10.0.0.1", port: "6000" }, {}, undefined],
    [{ host: "127.0.0.1" }, {}, undefined],
    [{ host: "/tmp" }, {}, undefined],
    [{ host: "pg3" }, {}, undefined],
    [{ host: "pg3", cluster: "shop" }, {}, "invalid_param"],
    [{ host: "pg3", cluster: "shpo" }, {}, "no_target"],
  ] as [TargetFlags, Record<string, string>, string | undefined][])
    expect([flags, await found(flags, env)]).toEqual([flags, is]);
  const source = await memberSource(options({ host: "pg2" }));
  expect(source).toMatchObject({
    cluster: null,
    member: "pg2",
    labels: ["production"],
    ownership: "connected",
    expectedIdentity: "77",
    flags: ["--cluster", "shop", "--host", "pg2"],
  });
  expect(source).not.toHaveProperty("patroni");
});

test("a name that two clusters have is refused, and each is named with its cluster; then no cluster is the only one", async () => {
  register("mall", SHOP.replaceAll("10.0.0.1", "10.0.1.1").replace("15432", "16432"));
  expect(await found({ host: "pg2" })).toBe("invalid_param");
  expect(await found({ host: "pg2", cluster: "mall" })).toContain("mall/pg2 = dba@127.0.0.1:16432");
  expect(await found({ host: "10.0.1.1" })).toContain("mall/pg1");
  expect(await resolved({}, { assumes: true })).toEqual(["none", false]);
});

test("a host and a port may be written as one word of any server", async () => {
  expect(await resolved({ host: "db9:6000", user: "u" })).toEqual(["u@db9:6000/u", false]);
  expect(await resolved({ host: "[::1]:6000", user: "u" })).toEqual(["u@[::1]:6000/u", false]);
});
