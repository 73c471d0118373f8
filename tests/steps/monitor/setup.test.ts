import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFile, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import type { Doc, JsonObject, LibraryEntry } from "../../../engine/types.ts";
import { identityOf } from "../../../providers/executable.ts";
import type { Nodes } from "../../../providers/nodes/contract.ts";
import { isPasswordOf, scramVerifier } from "../../../providers/postgres/scram.ts";
import { clusterFile } from "../../../providers/registry/folder.ts";
import { readClusterFile } from "../../../providers/registry/read.ts";
import type { ClusterFile } from "../../../providers/registry/schema.ts";
import { changeCluster } from "../../../providers/registry/write.ts";
import packageJson from "../../../package.json" with { type: "json" };
import account from "../../../steps/monitor/account.ts";
import poolerLogin from "../../../steps/monitor/pooler-login.ts";
import accountRemove from "../../../steps/monitor/account-remove.ts";
import follow, { joined, once } from "../../../steps/monitor/follow.ts";
import install from "../../../steps/monitor/install.ts";
import targets from "../../../steps/monitor/targets.ts";
import nodeOff from "../../../steps/monitor/node-off.ts";
import watchers from "../../../steps/monitor/watchers.ts";
import { watchedIn } from "../../../steps/monitor/node/home.ts";
import { targetFiles } from "../../../steps/monitor/node/targets.ts";
import { alertmanagerConfig } from "../../../steps/monitor/node/alertmanager.ts";
import { prometheusConfig } from "../../../steps/monitor/node/prometheus.ts";
import { RULE_FILES } from "../../../steps/monitor/node/rules.ts";
import { thresholdsInForce } from "../../../steps/monitor/rules/in-force.ts";
import { fakeContext } from "../../support/context.ts";
import { clientOf, sharedServer } from "../../support/postgres.ts";
import { through } from "../../support/target.ts";
import { targetOf } from "../report/support.ts";

let stateDir = "";
beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "pgdba-monitor-"));
  await mkdir(join(stateDir, "clusters"), { mode: 0o700 });
  await writeFile(clusterFile(stateDir, "orders"), stringify(ENTRY), { mode: 0o600 });
});
afterAll(() => rm(stateDir, { recursive: true, force: true }));

const address = (host: string, port: number) => ({
  address: { host, port },
  reach: { host: "127.0.0.1", port: port + 10_000 },
});
const ENTRY = {
  ownership: "managed",
  provider: "docker",
  system_identifier: "7",
  version: 17,
  secrets: {
    superuser: { file: "secrets/orders/superuser" },
    pgbouncer_admin: { file: "secrets/orders/pgbouncer_admin" },
  },
  postgres: { host: "127.0.0.1", port: 15_432, user: "postgres" },
  patroni: { endpoints: ["http://127.0.0.1:18008"], scope: "orders" },
  accounts: {
    superuser: { user: "postgres", password: "superuser" },
    pgbouncer_admin: { user: "boss", password: "pgbouncer_admin" },
  },
  nodes: [
    { name: "etcd1", roles: ["etcd"], endpoints: { etcd: address("etcd1", 2379) } },
    {
      name: "pg1",
      roles: ["postgres"],
      address: { host: "pg1", port: 5432 },
      endpoints: { patroni: address("pg1", 8008) },
    },
    {
      name: "pgb1",
      roles: ["pgbouncer"],
      endpoints: { pgbouncer: address("pgb1", 6432), follower: address("pgb1", 6433) },
    },
  ],
};

const entry = async () => (await readClusterFile("orders", clusterFile(stateDir, "orders")))!.data;

async function onServer() {
  const server = await sharedServer();
  const target = targetOf(server);
  const context = () =>
    fakeContext({ target: { ...through(target), cluster: "orders" }, run: { stateDir } });
  return { server, context, close: () => target.close() };
}

test("the role may look and nothing else; its password is in one file, and in no statement; all of it can be taken back", async () => {
  const { server, context, close } = await onServer();
  const admin = await clientOf(server);
  await admin.query("drop role if exists pgdba_monitor");
  try {
    const before = await entry();
    const first = context();
    expect(await account.plan!(first, {})).toEqual({
      user: "pgdba_monitor",
      secret: "monitor",
      made: true,
    });
    expect(await account.run(first, {})).toEqual({
      user: "pgdba_monitor",
      secret: "monitor",
      made: true,
    });
    const file = join(stateDir, "secrets/orders/monitor");
    const password = (await readFile(file, "utf8")).trim();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(first.recorded.secrets).toContain(password);
    expect((await entry()).accounts?.["monitor"]).toEqual({
      user: "pgdba_monitor",
      password: "monitor",
    });
    const { rows } = await admin.query(
      "select rolsuper, rolcreaterole, rolreplication, pg_has_role(oid, 'pg_monitor', 'usage') as sees, (select rolpassword from pg_authid a where a.oid = r.oid) as kept from pg_roles r where rolname = 'pgdba_monitor'",
    );
    expect(rows[0]).toMatchObject({
      rolsuper: false,
      rolcreaterole: false,
      rolreplication: false,
      sees: true,
    });
    expect(rows[0].kept).toStartWith("SCRAM-SHA-256$");

    // A restore brings back another password: it is put right.
    await admin.query("alter role pgdba_monitor password 'another'");
    const restored = context();
    await account.run(restored, {});
    expect(restored.recorded.unchanged).toBe(0);
    expect(restored.recorded.warnings).toHaveLength(1);
    const set = await admin.query(
      "select rolpassword from pg_authid where rolname = 'pgdba_monitor'",
    );
    expect(isPasswordOf(password, set.rows[0].rolpassword)).toBe(true);
    expect(isPasswordOf(`${password}x`, set.rows[0].rolpassword)).toBe(false);

    const again = context();
    await account.run(again, {});
    expect(again.recorded.unchanged).toBe(1);
    await account.undo!(again, {}, undefined);
    expect(again.recorded.unchanged).toBe(2);

    await account.undo!(first, {}, undefined);
    expect(await entry()).toEqual(before);
    expect(
      (await admin.query("select from pg_roles where rolname = 'pgdba_monitor'")).rows,
    ).toHaveLength(0);

    await account.run(context(), {});
    const removing = context();
    expect(await accountRemove.run(removing, {})).toEqual({ user: "pgdba_monitor", removed: true });
    expect(await entry()).toEqual(before);
    await expect(stat(file)).rejects.toThrow();
    const none = context();
    expect(await accountRemove.run(none, {})).toEqual({ user: null, removed: false });
    expect(none.recorded.unchanged).toBe(1);
  } finally {
    await admin.query("drop role if exists pgdba_monitor");
    await admin.end();
    await close();
  }
}, 300_000);

test("what a dead run has made for monitoring stays when it is given up after another run has set monitoring up with it", async () => {
  const { context, close } = await onServer();
  const removed: unknown[] = [];
  const nodes = {
    list: async () => [{ node: "pg1" }, { node: "monitor1" }],
    deprovision: async (which: unknown) => (removed.push(which), [{ node: "monitor1" }]),
  };
  const there = () =>
    fakeContext({ target: { cluster: "orders", use: async () => nodes }, run: { stateDir } });
  const before = await readFile(clusterFile(stateDir, "orders"), "utf8");
  const record = (parts: object) =>
    changeCluster(stateDir, "orders", (at) => ({ ...at!.data, ...parts }));
  try {
    const dead = context();
    await account.run(dead, {});
    const kept = (await entry()).accounts;
    await record({ monitoring: { prometheus: "http://127.0.0.1:1" } });
    await account.undo!(dead, {}, undefined);
    expect(dead.recorded.warnings).toEqual([expect.stringContaining("Another run has set")]);
    expect((await entry()).accounts).toEqual(kept!);
    expect(await account.run(context(), {})).toMatchObject({ made: false });
    const own = there();
    expect(await nodeOff.run(own, { node: "monitor1", watched: false })).toEqual({
      removed: false,
    });
    expect(own.recorded.unchanged).toBe(1);
    expect(removed).toEqual([]);
    // Where nobody has, or it was watched before this run began, it goes, and the entry names it no more.
    const { nodes: others } = await entry();
    await record({ nodes: [...others!, { name: "monitor1", roles: ["monitoring"] }] });
    expect(await nodeOff.run(there(), { node: "monitor1", watched: true })).toEqual({
      removed: true,
    });
    expect(removed).toEqual([{ run: own.run.id, but: ["pg1"] }]);
    expect((await entry()).nodes).toEqual(others!);
  } finally {
    await accountRemove.run(context(), {});
    await writeFile(clusterFile(stateDir, "orders"), before);
    await close();
  }
}, 30_000);

test("two state folders that watch one server have a role each: neither takes the other's away", async () => {
  const { server, context, close } = await onServer();
  const admin = await clientOf(server);
  const other = await mkdtemp(join(tmpdir(), "pgdba-other-"));
  const there = () => {
    const ctx = context();
    return { ...ctx, run: { ...ctx.run, stateDir: other } };
  };
  const roles = async () =>
    (
      await admin.query(
        "select rolname from pg_roles where rolname like 'pgdba_monitor%' order by 1",
      )
    ).rows.map(({ rolname }) => rolname as string);
  try {
    await mkdir(join(other, "clusters"), { mode: 0o700 });
    await copyFile(clusterFile(stateDir, "orders"), clusterFile(other, "orders"));
    await account.run(context(), {});
    const verifier = async () =>
      (await admin.query("select rolpassword from pg_authid where rolname = 'pgdba_monitor'")).rows;
    const before = await verifier();
    const { user } = (await account.run(there(), {})) as { user: string };
    expect(user).toMatch(/^pgdba_monitor_[0-9a-f]{8}$/);
    expect(await verifier()).toEqual(before);
    expect(await roles()).toEqual(["pgdba_monitor", user]);
    // It stays that of this folder.
    expect(await account.run(there(), {})).toMatchObject({ user, made: false });
    expect(await accountRemove.run(there(), {})).toEqual({ user, removed: true });
    expect(await roles()).toEqual(["pgdba_monitor"]);
    expect(await accountRemove.run(there(), {})).toEqual({ user: null, removed: false });
    expect(await roles()).toEqual(["pgdba_monitor"]);
  } finally {
    await accountRemove.run(context(), {});
    await admin.end();
    await close();
    await rm(other, { recursive: true });
  }
}, 300_000);

test("a server that is not registered is refused by all of them, with the way to register it", async () => {
  const target = targetOf(await sharedServer());
  try {
    for (const { run } of [account, watchers, accountRemove]) {
      const ctx = fakeContext({ target: { ...through(target), cluster: null }, run: { stateDir } });
      expect(await run(ctx, {}).catch((error: unknown) => error)).toMatchObject({
        code: "capability_missing",
        message: expect.stringContaining("is not registered"),
      });
    }
  } finally {
    await target.close();
  }
});

test("where no Docker Engine answers, no node beside is known, and the role can still be removed", async () => {
  const facts = async () => ({ capabilities: ["postgres"] });
  const ctx = fakeContext({
    target: { cluster: "orders", name: "orders", facts } as never,
    run: { stateDir },
    env: { DOCKER_HOST: "unix:///nowhere/docker.sock" },
  });
  expect(await watchers.run(ctx, {})).toEqual({ nodes: [] });
  expect(ctx.recorded.warnings).toEqual([
    expect.stringMatching(/^No Docker Engine answers.*whether a node there watches orders/),
  ]);
});

test("a node whose container somebody else has removed is told, as one that does not run, while the entry names it", async () => {
  const file = clusterFile(stateDir, "orders");
  const kept = await readFile(file, "utf8");
  const monitor = { name: "monitor1", roles: ["monitoring"] };
  await writeFile(file, stringify({ ...ENTRY, nodes: [...ENTRY.nodes, monitor] }), { mode: 0o600 });
  const facts = async () => ({ capabilities: ["postgres", "nodes"] });
  const use = async () => ({ list: async () => [{ node: "pg1", roles: ["postgres"] }] });
  const target = { cluster: "orders", name: "orders", facts, use } as never;
  try {
    expect(await watchers.run(fakeContext({ target, run: { stateDir } }), {})).toEqual({
      nodes: [{ node: "monitor1", beside: false, running: false }],
    });
  } finally {
    await writeFile(file, kept);
  }
});

test("no two targets of a job have the same labels: they would be one series", () => {
  const files = targetFiles(watchedIn("orders", ENTRY as unknown as ClusterFile), "monitor1");
  for (const [job, groups] of Object.entries(files)) {
    const of = groups.flatMap(({ targets: all, labels }) => all.map(() => JSON.stringify(labels)));
    expect([job, new Set(of).size]).toEqual([job, of.length]);
  }
  expect(files["alertmanager"]).toEqual([
    { targets: ["127.0.0.1:9093"], labels: { cluster: "orders", instance: "monitor1" } },
  ]);
});

test("members that Patroni lists are added, and those that are down stay", async () => {
  const known = {
    cluster: "o",
    servers: [{ name: "pg2", host: "pg2", port: 5432, api: 8008 }],
    etcd: [],
    poolers: [],
    hasDisks: true,
  };
  const members = [{ name: "pg1", host: "10.0.0.1", port: 5433, api: "https://10.0.0.1:8009" }];
  expect(joined(known, members).servers).toEqual([
    { name: "pg1", host: "10.0.0.1", port: 5433, api: 8009 },
    { name: "pg2", host: "pg2", port: 5432, api: 8008 },
  ]);
  const into = await mkdtemp(join(tmpdir(), "pgdba-targets-"));
  try {
    const cluster = async () => ({
      members: [...members, { name: "pg1", host: "pg1", port: 5432, api: "" }],
    });
    const ctx = fakeContext({
      target: { cluster: "orders", use: async () => ({ cluster }) },
      run: { stateDir },
    });
    await once(ctx, into);
    const read = async (job: string) =>
      JSON.parse(await readFile(join(into, `${job}.json`), "utf8"));
    expect(await read("postgres")).toEqual([
      { targets: ["pg1:5432/postgres"], labels: { cluster: "orders", instance: "pg1" } },
    ]);
    const written = (await stat(join(into, "node.json"))).mtimeMs;
    await once(ctx, into);
    expect((await stat(join(into, "node.json"))).mtimeMs).toBe(written);
    const ended = follow.run(ctx, { into }).catch((error: Error) => error.message);
    ctx.abort(new Error("enough"));
    expect(await ended).toContain("enough");
  } finally {
    await rm(into, { recursive: true });
  }
});

/** The password of the role: as it lies on the node, and as its programs log in by it. */
const KEPT = "/run/secrets/monitor";
const USED = "/run/monitoring/monitor";

/** A node whose files are in memory, and whose Prometheus says what is given. */
function nodeWith(
  said: { targets: JsonObject[]; deaf: { job: string; instance: string }[] },
  identity: string,
) {
  const secrets = new Map<string, string>();
  const files = new Map<string, string>([
    ["/var/lib/pgdba/bin/pgdba.json", JSON.stringify({ identity })],
  ]);
  const ran: string[] = [];
  const ok = (stdout = "") => ({
    exit_code: 0,
    signal: null,
    stdout,
    stderr: "",
    truncated: false,
  });
  const no = { ...ok(), exit_code: 1, stderr: "wrong" };
  let refuse = "";
  /** As the script of the node does it, without the tools themselves. */
  const putAll = (told: string) => {
    const others = (
      JSON.parse(told) as { path: string; content: string; check: string[] | null }[]
    ).filter(({ path, content }) => files.get(path) !== content);
    const refused = others.find(({ check }) => check !== null && check[0] === refuse);
    if (refused !== undefined)
      return { refused: { check: refused.check!.join(" "), said: "wrong" } };
    for (const { path, content } of others) files.set(path, content);
    return { put: others.map(({ path }) => path) };
  };
  const nodes = {
    facts: async () => ({ os: { arch: process.arch } }),
    put: async (_node: string, path: string, { content }: { content: string }) =>
      void files.set(path, content),
    stop: async () => void ran.push("stop"),
    // The start script hands on what is kept.
    async start() {
      ran.push("start");
      secrets.set(USED, secrets.get(KEPT)!);
    },
    async exec(_node: string, [program = "", ...rest]: string[], { stdin = "" } = {}) {
      ran.push([program, ...rest].join(" "));
      const path = rest.at(-1)!;
      if (path.includes("json.load(sys.stdin)")) return ok(JSON.stringify(putAll(stdin)));
      if (program === "sh" && path === KEPT) return ok(void secrets.set(path, stdin));
      if (program === "cat" && secrets.has(path)) return ok(secrets.get(path));
      if (program === "cat") return files.has(path) ? ok(files.get(path)) : no;
      if (program === "test") return files.has(path) ? ok() : no;
      if (program === "rm") files.delete(path);
      if (program === refuse) return no;
      if (path === "--version" || rest.includes("--version"))
        return ok(JSON.stringify({ data: { version: packageJson.version } }));
      if (path.includes("/targets"))
        return ok(JSON.stringify({ data: { activeTargets: said.targets } }));
      if (path.includes("/query"))
        return ok(JSON.stringify({ data: { result: said.deaf.map((metric) => ({ metric })) } }));
      if (path.includes("/rules"))
        return ok(JSON.stringify({ data: { groups: [{ rules: [1, 2] }, { rules: [3] }] } }));
      return ok();
    },
  };
  return {
    nodes: nodes as unknown as Nodes,
    files,
    secrets,
    ran,
    refuse: (program: string) => (refuse = program),
  };
}

test("a node is told what to do: no password is in it, what is right already stays, and who is silent is named", async () => {
  const { context, close } = await onServer();
  const arch = process.arch;
  const target = (job: string, health: string) => ({
    labels: { job, instance: "pg1" },
    health,
    lastError: "",
  });
  const said = {
    targets: [target("patroni", "up"), target("node", "down")],
    deaf: [] as { job: string; instance: string }[],
  };
  const world = nodeWith(said, await identityOf(arch));
  try {
    await account.run(context(), {});
    const password = (await readFile(join(stateDir, "secrets/orders/monitor"), "utf8")).trim();
    const run = async (input: JsonObject) => {
      const ctx = fakeContext({
        target: { cluster: "orders", use: async () => world.nodes },
        run: { stateDir },
      });
      return [
        (await install.run(ctx, { node: "monitor1", wait: "1s", ...input })) as JsonObject,
        ctx,
      ] as const;
    };
    const [first] = await run({ receivers: ["http://people/hook"] });
    expect(first).toMatchObject({
      targets: 2,
      up: 1,
      rules: 3,
      silent: [{ job: "node", instance: "pg1", why: "down" }],
    });
    for (const [path, text] of world.files)
      expect([path, text.includes(password)]).toEqual([path, false]);
    const json = (path: string) => JSON.parse(world.files.get(`/var/lib/pgdba/${path}`)!);
    expect(json("clusters/orders.yaml")).toMatchObject({
      ownership: "connected",
      postgres: { host: "pg1", port: 5432, user: "pgdba_monitor", password_secret: "monitor" },
      patroni: { endpoints: ["http://pg1:8008"] },
    });
    expect(json("monitor/targets/pgbouncer.json")).toEqual([
      { targets: ["127.0.0.1:9127"], labels: { cluster: "orders", instance: "pgb1" } },
    ]);
    const services = json("monitor/services.json");
    // PgBouncer is asked by the same role, and nobody's power over it is on the node.
    expect(services.accounts).toEqual({ monitor: "pgdba_monitor" });
    expect(JSON.stringify(services)).toContain("postgres://pgdba_monitor@pgb1:6432/pgbouncer");
    expect(services.services.map(({ name }: { name: string }) => name)).toContain(
      "pgbouncer-exporter-pgb1",
    );
    expect(world.ran.at(-1)).toContain("/api/v1/rules");
    expect(world.ran.some((line) => line.includes("pkill -HUP"))).toBe(true);
    // The receivers that were set stay, and nothing is told to read its files again.
    world.ran.length = 0;
    const [again, ctx] = await run({});
    expect(again["files"]).toEqual([]);
    expect(ctx.recorded.unchanged).toBe(1);
    expect(world.files.get("/var/lib/pgdba/monitor/alertmanager.yml")).toContain(
      "http://people/hook",
    );
    expect(world.ran.some((line) => line.includes("pkill"))).toBe(false);
    // A run that died when it had put all, and told nobody: what is right already has not been read.
    for (const told of ["", "former former"]) {
      world.files.set("/var/lib/pgdba/monitor/told", told);
      world.ran.length = 0;
      const [cut, ended] = await run({});
      expect([cut["files"], ended.recorded.unchanged]).toEqual([[], 0]);
      expect(world.ran.filter((line) => line.includes("pkill")).length).toBe(2);
    }
    expect((await run({}))[1].recorded.unchanged).toBe(1);
    // Programs that log in by a former password are given the one that the role has, and begin anew.
    expect(world.secrets.get(KEPT)).toBe(password);
    world.secrets.set(KEPT, "former").set(USED, "former");
    world.ran.length = 0;
    const [, renewed] = await run({});
    expect(renewed.recorded.unchanged).toBe(0);
    expect(world.secrets.get(USED)).toBe(password);
    expect(world.ran.filter((line) => line === "stop" || line === "start")).toEqual([
      "stop",
      "start",
    ]);
    // An exporter that answers for a server which does not let it in has not seen it.
    said.targets.push(target("postgres", "up"));
    said.deaf.push({ job: "postgres", instance: "pg1" });
    const [deaf] = await run({});
    said.targets.pop();
    expect(deaf).toMatchObject({
      targets: 3,
      up: 1,
      silent: [{ job: "node" }, { job: "postgres", instance: "pg1" }],
    });
    // So does how long samples are kept.
    const retention = () =>
      json("monitor/services.json").services[0].argv.find((word: string) =>
        word.includes("retention"),
      );
    expect(retention()).toEndWith("=15d");
    await run({ retention: "2d" });
    await run({});
    expect(retention()).toEndWith("=2d");
    // Receivers that somebody has put there by hand stay, and routes are those of this pgdba.
    const routes = "/var/lib/pgdba/monitor/alertmanager.yml";
    const people = { name: "people", email_configs: [{ to: "dba@example.com" }] };
    const byHand = { route: { receiver: "people" }, receivers: [people] };
    world.files.set(routes, stringify(byHand));
    await run({});
    expect(parse(world.files.get(routes)!)).toMatchObject({
      route: { routes: expect.any(Array) },
      receivers: [people],
    });
    await run({ receivers: ["http://people/hook"] });
    // A threshold reaches the rules, and the health checks there; it stays where none is given.
    await run({ thresholds: { "replication-lag": { warning: 10 }, "disk-used": { warning: 70 } } });
    const [left] = await run({});
    expect(left["files"]).toEqual([]);
    const rules = world.files.get("/var/lib/pgdba/monitor/rules/thresholds.rules.yml")!;
    expect(rules).toContain(
      "vector(10)\n        labels:\n          check: replication-lag\n          param: warning\n",
    );
    expect(rules).toContain(
      "vector(70)\n        labels:\n          check: disk-used\n          param: warning\n",
    );
    const pgdba = json("monitor/services.json").services.find(
      ({ name }: { name: string }) => name === "pgdba",
    );
    expect(pgdba.argv).toContain('{"replication-lag":{"warning":10}}');
    await expect(run({ thresholds: { "disk-used": { info: 1 } } })).rejects.toThrow(
      "There is no threshold disk-used.info",
    );
    await run({ thresholds: {} });
    expect(world.files.get("/var/lib/pgdba/monitor/rules/thresholds.rules.yml")).toBe(
      RULE_FILES["thresholds.rules.yml"]!,
    );
    // Of what the tool refuses nothing is put in force.
    world.refuse("amtool");
    const before = new Map(world.files);
    const refused = { receivers: ["http://other/"], thresholds: { "disk-used": { warning: 60 } } };
    await expect(run(refused)).rejects.toThrow("amtool check-config refuses it: wrong");
    expect(world.files).toEqual(before);
    // pgdba reads the entry when it starts: it is started again where that is another, and not for receivers.
    world.refuse("");
    world.ran.length = 0;
    await run({ receivers: ["http://other/"] });
    expect(world.ran.some((line) => line.includes("pkill -HUP"))).toBe(true);
    expect(world.ran.some((line) => line.includes("pkill -x pgdba"))).toBe(false);
    const kept = await readFile(clusterFile(stateDir, "orders"), "utf8");
    await writeFile(
      clusterFile(stateDir, "orders"),
      `${kept}repository: {kind: directory, location: /backups}\n`,
    );
    await run({});
    await writeFile(clusterFile(stateDir, "orders"), kept);
    expect(json("clusters/orders.yaml")).toMatchObject({ repository: { location: "/backups" } });
    expect(world.ran.some((line) => line.includes("pkill -x pgdba"))).toBe(true);
  } finally {
    await accountRemove.run(context(), {});
    await close();
  }
}, 300_000);

test("one that the entry has no more is asked no more on the nodes that monitor, and pgdba is started again there", async () => {
  const world = nodeWith({ targets: [], deaf: [] }, "");
  const file = clusterFile(stateDir, "orders");
  const kept = await readFile(file, "utf8");
  const account = { user: "pgdba_monitor", password: "monitor" };
  const second = { name: "pg2", roles: ["postgres"], address: { host: "pg2", port: 5432 } };
  const withBoth = {
    ...ENTRY,
    secrets: { ...ENTRY.secrets, monitor: { file: "secrets/orders/monitor" } },
    accounts: { ...ENTRY.accounts, monitor: account },
  };
  const run = async (data: object) => {
    await writeFile(file, stringify(data));
    const ctx = fakeContext({
      target: { cluster: "orders", use: async () => world.nodes },
      run: { stateDir },
    });
    world.ran.length = 0;
    const told = (await targets.run(ctx, { nodes: ["monitor1"] })) as { members: string[] };
    return { members: told.members, ctx };
  };
  const asked = () =>
    JSON.parse(world.files.get("/var/lib/pgdba/monitor/targets/postgres.json")!).map(
      ({ labels }: { labels: { instance: string } }) => labels.instance,
    );
  try {
    expect((await run({ ...withBoth, nodes: [...ENTRY.nodes, second] })).members).toEqual([
      "pg1",
      "pg2",
    ]);
    expect(asked()).toEqual(["pg1", "pg2"]);
    const { ctx } = await run({ ...withBoth, nodes: [...ENTRY.nodes, second] });
    expect(ctx.recorded.unchanged).toBe(1);
    expect(world.ran.some((line) => line.includes("pkill -x pgdba"))).toBe(false);
    await run(withBoth);
    expect(asked()).toEqual(["pg1"]);
    expect(world.ran.some((line) => line.includes("pkill -x pgdba"))).toBe(true);
  } finally {
    await writeFile(file, kept);
  }
});

test("TLS is asked of Patroni and etcd where the cluster has it; webhooks are for people, not for the dead man's switch", async () => {
  const jobs = (await prometheusConfig({ patroni: "/ca", etcd: null }))["scrape_configs"] as {
    job_name: string;
    scheme?: string;
  }[];
  expect(jobs.filter(({ scheme }) => scheme === "https").map(({ job_name }) => job_name)).toEqual([
    "patroni",
    "etcd",
  ]);
  const { receivers } = (await alertmanagerConfig(["http://a/"])) as { receivers: JsonObject[] };
  expect(receivers).toEqual([
    { name: "people", webhook_configs: [{ url: "http://a/", send_resolved: true }] },
    { name: "urgent", webhook_configs: [{ url: "http://a/", send_resolved: true }] },
    { name: "watchdog" },
  ]);
});

test("a default that the user's layers change reaches the alerts and the checks; without layers pgdba's own hold", async () => {
  const data: Record<string, JsonObject> = {
    "health/checks/lock-waits": { params: { warning: { default: 5 }, critical: { default: 60 } } },
    "health/check": { params: { backup_max_age: { default: "2d" } } },
  };
  const library = {
    entries: () => [],
    find: (name: string) => (name in data ? ({ name } as LibraryEntry) : undefined),
    load: async (name: string) => ({ data: data[name] }) as Doc,
  };
  const { rules, checks } = await thresholdsInForce(library, {});
  expect(checks).toEqual({ "lock-waits": { warning: 5 } });
  expect(rules).toContain("vector(172800)");
  const none = { ...library, find: () => undefined };
  expect(await thresholdsInForce(none, {})).toEqual({
    rules: RULE_FILES["thresholds.rules.yml"]!,
    checks: {},
  });
});

test("PgBouncer lets the role of monitoring in by a verifier; one that was made before is warned of, and what is right stays", async () => {
  const { context, close } = await onServer();
  const kept = new Map<string, string>();
  const nodes = {
    async exec(node: string, [program]: string[], { stdin = "" } = {}) {
      const ok = (stdout: string) => ({ exit_code: 0, stdout, stderr: "" });
      if (program === "cat")
        return kept.has(node) ? ok(kept.get(node)!) : { ...ok(""), exit_code: 1 };
      const { user, verifier } = JSON.parse(stdin) as { user: string; verifier: string | null };
      expect(user).toBe("pgdba_monitor");
      if (node === "old") return ok('{"known": false}');
      if (verifier === null) kept.delete(node);
      else kept.set(node, `${verifier}\n`);
      return ok('{"known": true}');
    },
  };
  const there = () =>
    fakeContext({ target: { cluster: "orders", use: async () => nodes }, run: { stateDir } });
  try {
    await account.run(context(), {});
    const password = (await readFile(join(stateDir, "secrets/orders/monitor"), "utf8")).trim();
    const first = there();
    const both = { nodes: ["pgb1", "old"] };
    expect(await poolerLogin.run(first, both)).toEqual({ nodes: ["pgb1"] });
    expect(isPasswordOf(password, kept.get("pgb1")!.trim())).toBe(true);
    expect(first.recorded.warnings).toEqual([
      expect.stringContaining("old was made by an older pgdba"),
    ]);
    const again = there();
    expect(await poolerLogin.run(again, { nodes: ["pgb1"] })).toEqual({ nodes: [] });
    expect(again.recorded.unchanged).toBe(1);
    // Another password is given anew; taken back it is let in no more.
    kept.set("pgb1", scramVerifier("another"));
    expect(await poolerLogin.run(there(), { nodes: ["pgb1"] })).toEqual({ nodes: ["pgb1"] });
    expect(isPasswordOf(password, kept.get("pgb1")!.trim())).toBe(true);
    await poolerLogin.undo!(first, both, undefined);
    expect(kept.size).toBe(0);
    kept.set("pgb1", scramVerifier(password));
    expect(await poolerLogin.run(there(), { nodes: ["pgb1"], remove: true })).toEqual({
      nodes: ["pgb1"],
    });
    expect(kept.size).toBe(0);
  } finally {
    await accountRemove.run(context(), {});
    await close();
  }
}, 300_000);
