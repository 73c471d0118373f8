import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PgdbaError } from "../../../engine/errors.ts";
import { listClusters, readRegistry } from "../../../providers/registry/folder.ts";
import { parseCluster } from "../../../providers/registry/read.ts";
import { readPassword } from "../../../providers/registry/secrets.ts";

const root = mkdtempSync(join(tmpdir(), "pgdba-registry-"));
const clusters = join(root, "clusters");
afterAll(() => rmSync(root, { recursive: true, force: true }));
beforeEach(() => {
  rmSync(clusters, { recursive: true, force: true });
  mkdirSync(clusters, { recursive: true });
});

const FULL = `ownership: managed
provider: embedded
labels: [lab]
system_identifier: "7396112233445566778"
cluster_id: 0d9e4f
postgres: {host: 127.0.0.1, port: 5433, user: postgres, sslmode: disable, password_secret: superuser}
patroni: {endpoints: ["http://127.0.0.1:8008/"], scope: orders, password_secret: api}
nodes:
  - {name: pg1, roles: [postgres], address: {host: 127.0.0.1, port: 5433}, place: {folder: /var/lib/pg1}}
  - {name: etcd1, roles: [etcd, backup], address: {host: "::1", port: 2379}, reach: {host: localhost, port: 12379}}
accounts: {replication: {user: replicator, password: superuser}}
version: 18
repository: {kind: object_store, location: "s3://bucket/orders", secret: api}
monitoring: {prometheus: "http://prometheus:9090"}
secrets:
  superuser: {file: secrets/orders/superuser}
  api: {env: ORDERS_API}
`;

const parse = (text: string) => parseCluster("orders", join(clusters, "orders.yaml"), text);
const refusal = async (text: string): Promise<PgdbaError> => {
  const thrown = await parse(text).then(
    () => undefined,
    (error: unknown) => error as PgdbaError,
  );
  if (thrown === undefined) throw new Error("accepted");
  return thrown;
};

test("each member's REST API is reached where its node says, the state where the DCS is, clients at the PgBouncers", async () => {
  const { patroni, dcs, pgbouncer, secrets } = await parse(`ownership: managed
postgres: {host: 127.0.0.1, user: postgres}
patroni: {endpoints: ["https://127.0.0.1:7003"], scope: orders, members: {pg3: "https://db3:8008"}}
dcs: {kind: etcd3, endpoints: ["http://127.0.0.1:7001/"], user: patroni, password_secret: etcd}
pgbouncer: {user: admin, password_env: ADMIN, instances: [{name: pgbouncer1, host: 127.0.0.1, follower: "http://127.0.0.1:7005"}]}
nodes:
  - name: pg1
    roles: [postgres]
    endpoints: {patroni: {address: {host: pg1, port: 8008}, reach: {host: 127.0.0.1, port: 7003}}}
  - {name: pg2, roles: [postgres]}
secrets: {etcd: {env: ETCD}}
`);
  expect(patroni?.members).toEqual({ pg1: "https://127.0.0.1:7003", pg3: "https://db3:8008" });
  expect(dcs).toEqual({
    kind: "etcd3",
    endpoints: ["http://127.0.0.1:7001"],
    scope: "orders",
    namespace: "service",
    user: "patroni",
    cafile: undefined,
    passwordNames: { variable: "ETCD" },
  });
  const follower = "http://127.0.0.1:7005";
  expect(pgbouncer).toEqual({
    sslmode: "prefer",
    cafile: undefined,
    user: "admin",
    instances: [{ name: "pgbouncer1", host: "127.0.0.1", port: 6432, follower }],
    passwordNames: { variable: "ADMIN" },
  });
  expect(secrets.map(({ name }) => name)).toEqual(["etcd", "pgbouncer"]);
});

test("an entry tells all of its cluster, and where its secrets are", async () => {
  const entry = await parse(FULL);
  expect(entry.spec).toMatchObject({ host: "127.0.0.1", port: 5433, database: "postgres" });
  expect(entry.password).toEqual({ file: join(root, "secrets/orders/superuser") });
  expect(entry.patroni).toEqual({
    endpoints: ["http://127.0.0.1:8008"],
    members: {},
    user: undefined,
    cafile: undefined,
    passwordNames: { variable: "ORDERS_API" },
  });
  expect(entry.data.nodes?.map(({ name, roles }) => [name, roles])).toEqual([
    ["pg1", ["postgres"]],
    ["etcd1", ["etcd", "backup"]],
  ]);
  expect([entry.identity, entry.partial]).toEqual(["7396112233445566778", null]);
});

test("what this pgdba does not know may be a newer one's, and is told as such; what it does know is not", async () => {
  const later = [
    `${FULL}\nkept_since: {repository: run-1}\n`,
    FULL.replace("name: etcd1", "zone: a, name: etcd1"),
  ];
  for (const text of later)
    expect((await refusal(text)).hint).toContain(
      "Where a newer pgdba has written it, run that one",
    );
  expect((await refusal("ownership: managed\n")).hint).not.toContain("newer pgdba");
  // A part that nobody knows yet may have been recorded, which is no fault of what there is.
  const { data } = await parse(`${FULL}\nrecorded_by: {kept_since: run-1}\n`);
  expect(data.recorded_by).toEqual({ kept_since: "run-1" });
});

test("one that is not finished needs no server; any other does", async () => {
  const entry = await parse("ownership: managed\nprovider: docker\npartial: 20260102-030405-abc\n");
  expect([entry.spec, entry.partial]).toEqual([null, "20260102-030405-abc"]);
  expect((await refusal("ownership: managed\n")).message).toContain("lacks `postgres`");
});

test.each([
  [
    "a URI as a host",
    FULL.replace("host: 127.0.0.1, port: 5433, user", "host: 'postgres://u:hunter2@h', user"),
    /`host` must be one host/,
  ],
  [
    "a URI as a database",
    FULL.replace("sslmode: disable", "database: 'postgres://u:hunter2@h/d'"),
    /`database` must be one part/,
  ],
  [
    "a connection string as a user",
    FULL.replace("user: postgres", "user: 'app password=hunter2'"),
    /`user` must be one part/,
  ],
  [
    "two hosts",
    FULL.replace("host: 127.0.0.1, port: 5433, user", "host: 'a,b', user"),
    /`host` must be one host/,
  ],
  [
    "a port that is none",
    FULL.replace("port: 5433, user", "port: 65536, user"),
    /`port` must be at most 65535/,
  ],
  ["a port in words", FULL.replace("port: 5433, user", "port: '0', user"), /`port` must be a port/],
  ["a secret's value", FULL.replace("{env: ORDERS_API}", "hunter2"), /`api` must be a mapping/],
  [
    "both places of a secret",
    FULL.replace("{env: ORDERS_API}", "{env: A, file: b}"),
    /unknown key/,
  ],
  [
    "a file outside of the state folder",
    FULL.replace("secrets/orders/superuser", "../hunter2"),
    /`file` must match/,
  ],
  [
    "an absolute file",
    FULL.replace("secrets/orders/superuser", "/etc/hunter2"),
    /`file` must match/,
  ],
  [
    "a secret that is nowhere",
    FULL.replace("password_secret: superuser", "password_secret: hunter2"),
    /a secret is named that does not stand under/,
  ],
  [
    "a secret of Object's own",
    FULL.replace("password_secret: superuser", "password_secret: constructor"),
    /a secret is named that does not stand under/,
  ],
  [
    "a repository's secret that is nowhere",
    FULL.replace("secret: api}", "secret: x}"),
    /a secret is named that does not stand under/,
  ],
  ["two nodes of one name", FULL.replace("name: etcd1", "name: pg1"), /two nodes are called pg1/],
  ["a node without roles", FULL.replace(", roles: [etcd, backup]", ""), /lacks `roles`/],
  [
    "a role that there is not",
    FULL.replace("[etcd, backup]", "[etdc]"),
    /item 1 of `roles` must be one of/,
  ],
  [
    "an account's secret that is nowhere",
    FULL.replace("replicator, password: superuser", "replicator, password: hunter2"),
    /a secret is named that does not stand under/,
  ],
  [
    "a provider that there is not",
    FULL.replace("provider: embedded", "provider: vmware"),
    /`provider` must be one of/,
  ],
  [
    "a password in a URL",
    FULL.replace("http://prometheus:9090", "http://u:hunter2@prometheus"),
    /`prometheus` must match/,
  ],
])("%s is refused, and no value is repeated", async (_name, text, message) => {
  const { code, message: said, hint } = await refusal(text);
  expect(code).toBe("invalid_config");
  expect(said).toMatch(message);
  expect(hint).toBeTruthy();
  expect(said + hint).not.toContain("hunter2");
});

describe("a secret's file", () => {
  const file = join(root, "secret");
  const read = () => {
    const told: string[] = [];
    const value = readPassword({ file }, "orders.yaml", {
      env: {},
      onSecret: (secret) => told.push(secret),
    });
    return { value, told };
  };
  const codeOf = () => {
    try {
      read();
      return "read";
    } catch (error) {
      return `${(error as PgdbaError).code}: ${(error as PgdbaError).message}`;
    }
  };

  test("is read when it is its owner's alone, and told before it is used", () => {
    writeFileSync(file, "pa:ss word\n", { mode: 0o600 });
    expect(read()).toEqual({ value: "pa:ss word", told: ["pa:ss word"] });
  });
  test("is refused when others may read it, is empty, or is not there", () => {
    rmSync(file);
    writeFileSync(file, "x\n", { mode: 0o640 });
    expect(codeOf()).toMatch(/^missing_secret: .*others may read it/);
    rmSync(file);
    writeFileSync(file, "\n", { mode: 0o600 });
    expect(codeOf()).toMatch(/^missing_secret: .*is empty/);
    rmSync(file);
    expect(codeOf()).toMatch(/^missing_secret: .*does not exist/);
  });
});

test("the folder is listed with what is wrong in it", async () => {
  expect(await listClusters(join(root, "nowhere"))).toEqual([]);
  writeFileSync(join(clusters, "orders.yaml"), FULL);
  writeFileSync(join(clusters, "broken.yaml"), "postgres: {host: h, password: hunter2}\n");
  writeFileSync(join(clusters, "old.yml"), FULL);
  writeFileSync(join(clusters, "not a name.yaml"), FULL);
  writeFileSync(join(clusters, ".hidden.yaml"), "{");
  writeFileSync(join(clusters, "notes.txt"), "{");
  mkdirSync(join(clusters, "folder.yaml"));
  const all = await listClusters(root);
  expect(all.map(({ name, problem }) => [name, problem?.code ?? null])).toEqual([
    ["broken", "invalid_config"],
    ["folder", "invalid_config"],
    ["not a name", "invalid_config"],
    ["old", "invalid_config"],
    ["orders", null],
  ]);
  const { entries, unread } = await readRegistry(root);
  expect(entries.map(({ name }) => name)).toEqual(["not a name", "orders"]);
  expect(unread.map((said) => said.replace(`${clusters}/`, ""))).toEqual([
    expect.stringMatching(/^broken\.yaml: /),
    expect.stringMatching(/^folder\.yaml is a folder/),
  ]);
  expect(JSON.stringify(all.map(({ problem }) => problem?.message))).not.toContain("hunter2");
});
