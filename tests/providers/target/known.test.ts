import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Known, KnownAs, Target, TargetFacts } from "../../../engine/types.ts";
import type { TargetFlags } from "../../../providers/target/options.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import { pgbouncerMissing, startPgbouncer } from "../../support/pgbouncer.ts";
import { clientOf, sharedServer, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { codeOf } from "../postgres/helpers.ts";
import { postgresOf } from "../../support/target.ts";
import type { PgSession } from "../../../providers/postgres/session.ts";

setDefaultTimeout(300_000);

const dir = mkdtempSync(join(tmpdir(), "pgdba-known-"));
const open: Target[] = [];
let server: TestServer;
/** Of the same system identifier; a copy once it was promoted. */
let standby: TestServer;
let identity: string;

beforeAll(async () => {
  server = await sharedServer();
  [standby, identity] = await Promise.all([
    startServer({ prepare: (dataDir) => cloneInto(dataDir, server) }),
    ask<string>(server, "SELECT system_identifier::text AS value FROM pg_control_system()"),
  ]);
}, 300_000);
afterAll(async () => {
  for (const target of open) await target.close();
  await standby.stop();
  rmSync(dir, { recursive: true });
});

async function ask<T>(at: TestServer, sql: string): Promise<T> {
  const client = await clientOf(at);
  const { rows } = await client.query(sql);
  await client.end();
  return rows[0].value as T;
}

/** The registry, from the start: name to its file's lines beside the connection. */
function registry(files: Record<string, { host?: string; at?: TestServer; lines?: string }>): void {
  rmSync(join(dir, "clusters"), { recursive: true, force: true });
  mkdirSync(join(dir, "clusters"));
  for (const [name, { host, at = server, lines = "" }] of Object.entries(files))
    writeFileSync(
      join(dir, "clusters", `${name}.yaml`),
      `ownership: managed\n${lines}\npostgres: {host: "${host ?? at.host}", port: ${at.port}, user: postgres, sslmode: disable, password_env: PW}\n`,
    );
}
const id = () => `system_identifier: "${identity}"`;
const prod = () => ({ lines: `labels: [production]\n${id()}` });

function rewrite(name: string, change: (text: string) => string): void {
  const file = join(dir, "clusters", `${name}.yaml`);
  writeFileSync(file, change(readFileSync(file, "utf8")));
}

async function known(flags: TargetFlags, env: Record<string, string> = {}): Promise<Known> {
  return (await facts(flags, env)).known!;
}

async function facts(flags: TargetFlags, env: Record<string, string> = {}): Promise<TargetFacts> {
  const { password } = server;
  const target = await resolveTarget({
    flags,
    env: { PW: password, PGPASSWORD: password, PGSSLMODE: "disable", ...env },
    stateDir: dir,
    onSecret: () => {},
  });
  open.push(target);
  return target.facts();
}
const at = ({ host, port }: TestServer, otherHost = host): TargetFlags => ({
  host: otherHost,
  port,
  user: "postgres",
  database: "postgres",
});
const names = ({ as }: Known) => as.map(({ cluster }) => cluster);

test("a server is known by its system identifier, by whichever way it is reached", async () => {
  registry({
    prod: prod(),
    alias: { host: "localhost" },
    second: { host: "localhost", lines: id() },
  });
  for (const flags of [
    at(server),
    at(server, "localhost"),
    at(server, server.socketDir),
    at(standby),
    { cluster: "alias" },
    { cluster: "second" },
  ]) {
    const { as } = await known(flags);
    expect(as, JSON.stringify(flags)).toContainEqual({
      cluster: "prod",
      labels: ["production"],
      ownership: "managed",
    });
  }
  const { host, port } = server;
  const env = { PGHOST: host, PGPORT: String(port), PGUSER: "postgres", PGDATABASE: "postgres" };
  expect(names(await known({}, env))).toContain("prod");
  // Under its own name it adds nothing to itself.
  expect(names(await known({ cluster: "prod" }))).toEqual(["alias", "second"]);
});

test.skipIf(pgbouncerMissing() !== null)("through a pooler too", async () => {
  registry({ prod: prod() });
  const pooler = await startPgbouncer(server, 2);
  try {
    expect(names(await known(at(pooler)))).toEqual(["prod"]);
    writeFileSync(
      join(dir, "clusters/pooled.yaml"),
      `ownership: managed\npostgres: {host: ${pooler.host}, port: ${pooler.port}, user: postgres, sslmode: disable, password_env: PW}\n`,
    );
    expect(names(await known({ cluster: "pooled" }))).toEqual(["prod"]);
  } finally {
    for (const target of open.splice(0)) await target.close();
    await pooler.stop();
  }
});

test("another server is not it, whatever its address says", async () => {
  registry({ prod: { lines: 'labels: [production]\nsystem_identifier: "7"' } });
  expect(await known(at(server))).toEqual({ as: [], unread: [], loose: false, twins: false });
});

test("whoever names a node of a cluster means the cluster, also when nothing runs there", async () => {
  // Nobody listens on these ports of the machine.
  const node = (name: string, port: number) =>
    `{name: ${name}, roles: [postgres], address: {host: "127.0.0.1", port: ${port}}}`;
  registry({
    prod: {
      host: "192.0.2.1",
      lines: `${prod().lines}\nnodes: [${node("a", 1)}, ${node("b", 2)}]`,
    },
    other: { host: "192.0.2.2" },
  });
  const down = (port: number) => facts({ host: "localhost", port, user: "postgres" });
  for (const { state, known: about, places } of [await down(1), await down(2)]) {
    expect(state).toBe("unreachable");
    expect(about?.as).toMatchObject([{ cluster: "prod", labels: ["production"] }]);
    // Two runs that name two nodes lock the same.
    expect(places).toContain(identity);
  }
  expect(names((await down(3)).known!)).toEqual([]);
});

test("a server of no cluster has one key by any spelling, up or down", async () => {
  registry({});
  const place = `local:${server.port}`;
  expect((await facts(at(server))).places).toEqual([place]);
  expect((await facts(at(server, server.socketDir))).places).toEqual([place]);
});

test("a file that can't be read may speak of any server", async () => {
  registry({ prod: prod() });
  writeFileSync(join(dir, "clusters/broken.yaml"), "ownership: [");
  mkdirSync(join(dir, "clusters/folder.yaml"));
  const { as, unread } = await known(at(server));
  expect(as).toHaveLength(1);
  expect(unread.join()).toMatch(/broken\.yaml.*folder\.yaml/s);
});

test("labels without an identity hold by their own name and address alone, and that is said", async () => {
  registry({
    prod: { lines: "labels: [production]" },
    elsewhere: { host: "192.0.2.1", lines: "labels: [production]" },
  });
  expect(await known({ cluster: "prod" })).toMatchObject({ as: [], loose: true });
  registry({ prod: { lines: "labels: [production]" }, plain: {}, alias: { host: "localhost" } });
  for (const flags of [
    at(server),
    at(server, "localhost"),
    at(server, server.socketDir),
    { cluster: "plain" },
    { cluster: "alias" },
  ]) {
    const { as, loose } = await known(flags);
    expect(as.find(({ cluster }) => cluster === "prod")?.labels, JSON.stringify(flags)).toEqual([
      "production",
    ]);
    expect(loose).toBe(false);
  }
  expect(names(await known(at(standby)))).not.toContain("prod");
});

test("one that does not tell who it is may be any of them, by whatever name it is reached, unless it is shown to be another", async () => {
  const connected = "ownership: connected\nlabels: [finance]";
  const away = { host: "nowhere.invalid", lines: 'system_identifier: "7"' };
  registry({ prod: prod(), plain: {}, away });
  rewrite("plain", (text) => text.replace("ownership: managed", connected));
  const client = await clientOf(server);
  await client.query(
    "CREATE ROLE known_plain LOGIN PASSWORD 'pw'; REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public",
  );
  try {
    const env = { PGPASSWORD: "pw" };
    const plain = { cluster: "plain", labels: ["finance"], ownership: "connected" };
    const bare = await facts({ ...at(server), user: "known_plain" }, env);
    expect(bare.identity).toBe(null);
    expect(names(bare.known!)).toEqual(["away", "plain", "prod"]);
    for (const host of [server.host, "LocalHost", "127.0.1", server.socketDir]) {
      registry({ named: { host }, prod: prod(), plain: {}, away });
      rewrite("plain", (text) => text.replace("ownership: managed", connected));
      rewrite("named", (text) =>
        text.replace("user: postgres", "user: known_plain").replace("PW", "PGPASSWORD"),
      );
      const named = await facts({ cluster: "named" }, env);
      expect(names(named.known!), host).toEqual(["away", "plain", "prod"]);
      expect(named.known!.as).toContainEqual(plain as KnownAs);
      // Its lock meets that of every run that may work on the same server.
      expect(named.places).toEqual(bare.places!);
      expect(named.places).toContain(identity);
    }
    // What runs beside it is another; an entry without an identifier and with another address says nothing.
    const other = await startServer();
    try {
      const theirs = await ask<string>(
        other,
        "SELECT system_identifier::text AS value FROM pg_control_system()",
      );
      registry({
        named: {},
        other: { at: other, lines: `labels: [drill]\nsystem_identifier: "${theirs}"` },
        elsewhere: { at: other },
      });
      rewrite("named", (text) =>
        text.replace("user: postgres", "user: known_plain").replace("PW", "PGPASSWORD"),
      );
      rewrite("other", (text) => text.replace("PW", "OTHER"));
      expect(names(await known({ cluster: "named" }, { ...env, OTHER: other.password }))).toEqual(
        [],
      );
      // Nobody can ask it.
      expect(names(await known({ cluster: "named" }, env))).toEqual(["other"]);
    } finally {
      await other.stop();
    }
  } finally {
    await client.query("GRANT EXECUTE ON FUNCTION pg_control_system() TO public");
    for (const target of open.splice(0)) await target.close();
    await client.query("DROP ROLE known_plain");
    await client.end();
  }
});

test("a restored copy is another server where that can be shown, and else counts as what it is a copy of", async () => {
  await ask({ ...standby, password: server.password }, "SELECT pg_promote() AS value");
  const copy = { at: standby, lines: `labels: [drill]\n${id()}` };
  registry({ prod: prod(), copy });
  expect(names(await known({ cluster: "copy" }))).toEqual([]);
  expect(names(await known({ cluster: "prod" }))).toEqual([]);
  expect(names(await known(at(standby)))).toEqual(["copy"]);
  expect(names(await known(at(server)))).toEqual(["prod"]);
  // Nobody can ask the other one.
  registry({ prod: { host: "nowhere.invalid", ...prod() }, copy });
  expect(names(await known({ cluster: "copy" }))).toEqual(["prod"]);
  // pgdba made both, and marked them: neither holds the other's locks, and what the one is labelled is not said of the other.
  const made = (mark: string) => `provider: embedded\ncluster_id: ${mark}\n`;
  const marked = { ...copy, lines: `${made("two")}${copy.lines}` };
  const gone = { host: "nowhere.invalid", lines: `${made("one")}${prod().lines}` };
  registry({ prod: gone, copy: marked });
  expect(await known({ cluster: "copy" })).toMatchObject({ as: [], twins: true });
  expect(await known({ cluster: "prod" })).toMatchObject({ as: [], twins: true });
  // It has no entry of its own.
  registry({ prod: prod() });
  expect(names(await known(at(standby)))).toEqual(["prod"]);
});

/** The connection is cut, and both sides know. */
async function end(session: PgSession): Promise<void> {
  await session.close();
  while (session.alive()) await Bun.sleep(1);
}

test("a session that is opened again must meet the same server", async () => {
  const other = await startServer();
  let backend = server;
  const proxy = createServer((client) => {
    const upstream = connect(backend.port, backend.host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      from.on("error", () => to.destroy()).on("close", () => to.destroy());
      from.pipe(to);
    }
  });
  const port = await new Promise<number>((done) =>
    proxy.listen(0, "127.0.0.1", () => done((proxy.address() as AddressInfo).port)),
  );
  registry({});
  const target = await resolveTarget({
    flags: { ...at(server), port },
    env: { PGDBA_PG_PASSWORD: server.password, PGSSLMODE: "disable" },
    stateDir: dir,
    onSecret: () => {},
  });
  open.push(target);
  const connection = await postgresOf(target);
  await target.facts();
  // Another one with our password.
  const client = await clientOf(other);
  await client.query(`ALTER ROLE postgres PASSWORD '${server.password}'`);
  try {
    backend = other;
    await end(await connection.session());
    expect(await codeOf(connection.session())).toBe("identity_mismatch");
    backend = server;
    expect((await (await connection.session()).query("SELECT 1 AS n")).rows).toEqual([{ n: 1 }]);
  } finally {
    await client.end();
    proxy.close();
    await other.stop();
  }
});
