import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Ajv } from "ajv";
import diff from "../../../steps/config/diff.ts";
import show from "../../../steps/config/show.ts";
import tune from "../../../steps/config/tune.ts";
import {
  clientOf,
  reload,
  sharedServer,
  startServer,
  type TestServer,
} from "../../support/postgres.ts";
import { cleanUp, contextOn, newDir, runStep } from "./server.ts";

let server: TestServer;
let dir: string;
const fresh = (about: { user?: string; password?: string } = {}) =>
  contextOn(server, { stateDir: dir, cwd: dir, ...about });

beforeAll(async () => {
  server = await startServer({
    settings: { work_mem: "16MB", log_temp_files: "5MB", cluster_name: "here" },
  });
  dir = await newDir();
});
afterAll(async () => {
  await cleanUp();
  await server.stop();
});

test("what was changed back does not await a restart, though the server says so", async () => {
  const own = await startServer({});
  const client = await clientOf(own);
  const reloaded = async (sql: string, name: string) => {
    await client.query(sql);
    await client.query("SELECT pg_reload_conf()");
    const flagged = `SELECT 1 FROM pg_settings WHERE name = '${name}' AND pending_restart`;
    for (let rows: unknown[] = []; rows.length === 0; { rows } = await client.query(flagged));
  };
  await client.query("CREATE ROLE reader LOGIN PASSWORD 'x' IN ROLE pg_read_all_settings");
  await reloaded("ALTER SYSTEM SET max_locks_per_transaction = 99", "max_locks_per_transaction");
  await client.query("ALTER SYSTEM RESET max_locks_per_transaction");
  await reloaded("ALTER SYSTEM SET max_prepared_transactions = 7", "max_prepared_transactions");
  const { settings, ...shown } = await runStep(
    show,
    await contextOn(own, { stateDir: dir, cwd: dir }),
    {},
  );
  expect(shown).toMatchObject({ pending_restart: ["max_prepared_transactions"], missing: [] });
  expect(settings.filter((one: any) => one.pending_restart).map((one: any) => one.name)).toEqual([
    "max_prepared_transactions",
  ]);
  const reader = { stateDir: dir, cwd: dir, user: "reader", password: "x" };
  const unsure = await runStep(show, await contextOn(own, reader), {});
  expect(unsure).toMatchObject({
    pending_restart: ["max_locks_per_transaction", "max_prepared_transactions"],
    missing: [expect.stringContaining("GRANT SELECT ON pg_file_settings TO reader")],
  });
  await client.end();
  await own.stop();
}, 300_000);

test("shows value, default, unit, file and line, and what awaits a restart", async () => {
  const client = await clientOf(server);
  await client.query("ALTER SYSTEM SET max_connections = 50");
  await reload(client);
  await client.end();
  const { settings, pending_restart, missing } = await runStep(show, await fresh(), {
    pattern: "*work_mem",
  });
  expect(settings.map((one: any) => one.name)).toEqual([
    "autovacuum_work_mem",
    "logical_decoding_work_mem",
    "maintenance_work_mem",
    "work_mem",
  ]);
  const { line, ...workMem } = settings.at(-1);
  expect(line).toBeGreaterThan(1);
  expect(workMem).toEqual({
    name: "work_mem",
    value: "16MB",
    default: "4MB",
    unit: "kB",
    source: "configuration file",
    file: join(server.dataDir, "postgresql.conf"),
    pending_restart: false,
    context: "user",
    takes_effect: "reload",
    managed_by_patroni: false,
    category: "Resource Usage / Memory",
    description: "Sets the maximum memory to be used for query workspaces.",
  });
  expect([pending_restart, missing]).toEqual([["max_connections"], []]);
  const names = async (input: object) =>
    (await runStep(show, await fresh(), input)).settings.map((one: any) => one.name);
  expect(await names({ pattern: "WAL_compr" })).toEqual(["wal_compression"]);
  expect(await names({ pattern: "no.such" })).toEqual([]);
  const changed = await names({ changed: true });
  expect(changed).toContain("work_mem");
  expect(changed).not.toContain("maintenance_work_mem");
  // What waits for a restart is set, whatever the server still runs with; what the server computes is not.
  expect(changed).toContain("max_connections");
  const all = (await runStep(show, await fresh(), {})).settings as any[];
  const computed = all.filter((one) => one.value !== one.default && one.source === "override");
  expect(computed.map(({ name }) => name)).toContain("data_directory");
  for (const { name } of [...computed, { name: "application_name" }, { name: "server_version" }])
    expect(changed).not.toContain(name);
  expect((await names({})).length).toBeGreaterThan(300);
});

test("permissions are in base 8; who finds nothing is told so", async () => {
  const { settings } = await runStep(show, await fresh(), { pattern: "data_directory_mode" });
  expect(settings).toMatchObject([{ value: "0700", default: "0700" }]);
  const ctx = await fresh();
  expect((await runStep(show, ctx, { pattern: "shared_bufers" })).settings).toEqual([]);
  expect(ctx.recorded.warnings).toEqual([
    "No setting matches shared_bufers; did you mean shared_buffers?",
  ]);
});

test("who may not see all is told what is missing", async () => {
  const client = await clientOf(server);
  await client.query("CREATE ROLE bob LOGIN PASSWORD 'pw'");
  await client.end();
  const { settings, missing } = await runStep(show, await fresh({ user: "bob", password: "pw" }), {
    pattern: "work_mem",
  });
  expect(settings.at(-1)).toMatchObject({ value: "16MB", file: null });
  const said = "Files, lines and some settings: GRANT pg_read_all_settings TO bob";
  expect(missing).toEqual([said, expect.stringContaining("Whether what waits for a restart")]);
  const ctx = await fresh({ user: "bob", password: "pw" });
  await runStep(diff, ctx, { settings: { work_mem: "1MB" } });
  expect(ctx.recorded.warnings).toEqual([`Not all settings could be compared. ${said}`]);
});

test("differences are by meaning, the important ones first, the furthest apart before others", async () => {
  const settings = {
    log_temp_files: "5120kB",
    work_mem: "8MB",
    fsync: "TRUE",
    log_min_messages: "error",
    maintenance_work_mem: "1GB",
    seq_page_cost: 2,
    nonesuch: 1,
  };
  const output = await runStep(diff, await fresh(), { settings });
  expect(
    output.differences.map((one: any) => [one.name, one.current, one.other, one.importance]),
  ).toEqual([
    ["fsync", "off", "on", "high"],
    ["maintenance_work_mem", "64MB", "1GB", "high"],
    ["work_mem", "16MB", "8MB", "high"],
    ["seq_page_cost", "1", "2", "medium"],
    ["log_min_messages", "warning", "error", "low"],
  ]);
  expect([output.same, output.only_there]).toEqual([1, ["nonesuch"]]);
});

test("a file that config show wrote equals the server it is from", async () => {
  const saved = await runStep(show, await fresh(), {});
  await writeFile(join(dir, "saved.json"), JSON.stringify({ success: true, data: saved }));
  const output = await runStep(diff, await fresh(), { file: "saved.json" });
  expect(output.differences).toEqual([]);
  // All but those that name the server.
  expect(output.same).toBeWithin(saved.settings.length - 20, saved.settings.length);
});

test("a file that config show wrote elsewhere tells what tunes that server, not what names it", async () => {
  const other = await sharedServer(18);
  const saved = await runStep(show, await contextOn(other, { stateDir: dir, run: "other" }), {});
  await writeFile(join(dir, "other.json"), JSON.stringify({ success: true, data: saved }));
  const output = await runStep(diff, await fresh(), { file: "other.json" });
  const names = output.differences.map((one: any) => one.name);
  expect(names).toContain("work_mem");
  for (const own of ["port", "data_directory", "config_file", "hba_file", "ident_file"])
    expect(names).not.toContain(own);
});

test("another cluster: what tunes it, not what names it", async () => {
  const other = await sharedServer(13);
  await mkdir(join(dir, "clusters"), { recursive: true });
  await writeFile(
    join(dir, "clusters", "other.yaml"),
    `ownership: connected\npostgres: {host: 127.0.0.1, port: ${other.port}, user: postgres, password_env: OTHER, sslmode: disable}\n`,
  );
  const ctx = Object.assign(await fresh(), { env: { OTHER: other.password } });
  const output = await runStep(diff, ctx, { cluster: "other" });
  const names = output.differences.map((one: any) => one.name);
  expect(output.against).toBe("cluster other");
  expect(names).toContain("work_mem");
  expect(names).toContain("server_version");
  for (const own of ["port", "data_directory", "cluster_name", "application_name"])
    expect(names).not.toContain(own);
  expect(output.only_here).toContain("io_method");
  expect(output.only_there).toContain("vacuum_cleanup_index_scale_factor");
});

test("one thing to compare with, no more and no less; no members without Patroni", async () => {
  for (const input of [{}, { file: "a", cluster: "b" }])
    expect(runStep(diff, await fresh(), input)).rejects.toMatchObject({ code: "invalid_param" });
  expect(runStep(diff, await fresh(), { member: "pg2" })).rejects.toMatchObject({
    code: "capability_missing",
  });
});

test("config.tune asks the server what it is and what its build can do, and the machine when it runs here", async () => {
  const output = await runStep(tune, await fresh(), { workload: "oltp" });
  expect(new Ajv({ strict: false }).validate(tune.output, output)).toBeTrue();
  const { inputs, settings, warnings } = output;
  for (const name of ["pg_version", "connections", "memory", "cpus", "os"])
    expect([name, inputs[name].source]).toEqual([name, "detected"]);
  expect([inputs.pg_version.value, inputs.connections.value, inputs.os.value]).toEqual([
    18,
    100,
    "linux",
  ]);
  const client = await clientOf(server);
  const { rows } = await client.query(
    "SELECT name, enumvals FROM pg_settings WHERE name IN ('io_method', 'wal_compression') ORDER BY 1",
  );
  await client.end();
  const can = rows[0].enumvals.includes("io_uring");
  expect(settings.io_method.value).toBe(can ? "io_uring" : "worker");
  expect(settings.wal_compression.value).toBe(rows[1].enumvals.includes("lz4") ? "lz4" : "on");
  expect(
    warnings.some((text: string) => text.startsWith("This server is built without io_uring")),
  ).toBe(!can);
  // All of it is something that this server takes.
  const { differences } = await runStep(diff, await fresh(), { settings });
  expect(differences.length).toBeGreaterThan(10);
  for (const one of differences) expect(one.reason).toBe(settings[one.name].reason);
});

test("config.tune asks a server that runs elsewhere for its memory, or whoever runs it", async () => {
  const elsewhere = async (about: { user?: string; password?: string } = {}) => {
    const ctx = await fresh(about);
    const postgres = await ctx.use("postgres");
    const there = { ...postgres, spec: { ...postgres.spec, host: "db.example.com" } };
    return Object.assign(ctx, { use: async () => there });
  };
  const asked = await runStep(tune, await elsewhere(), { workload: "oltp" });
  expect([asked.inputs.memory.source, asked.inputs.cpus.source]).toEqual(["detected", "detected"]);
  const client = await clientOf(server);
  await client.query("CREATE ROLE stranger LOGIN PASSWORD 'x'");
  await client.end();
  const there = await elsewhere({ user: "stranger", password: "x" });
  const error = await tune.run(there, { workload: "oltp" } as never).catch((thrown) => thrown);
  expect([error.code, error.data]).toEqual(["invalid_param", { missing: ["memory"] }]);
  expect(error.hint).toContain("--memory 64GB");
  expect(error.hint).toContain('GRANT pg_read_server_files TO "stranger"');
  const { inputs } = await runStep(tune, there, { workload: "oltp", memory: "4GB" });
  expect([inputs.cpus.source, inputs.pg_version.source]).toEqual(["default", "detected"]);
});

test("config.tune: what is given wins, and another version is not measured by this build", async () => {
  const { inputs, settings } = await runStep(tune, await fresh(), {
    workload: "oltp",
    memory: "64GB",
    cpus: 16,
    connections: 400,
    pg_version: 17,
  });
  for (const name of ["pg_version", "connections", "memory", "cpus"])
    expect([name, inputs[name].source]).toEqual([name, "given"]);
  expect([
    settings.shared_buffers.value,
    settings.max_connections.value,
    settings.wal_compression.value,
  ]).toEqual(["16GB", 400, "lz4"]);
});

test("config.tune goes by what the node of the server may use, where its provider tells that", async () => {
  const onNode = async (can: boolean, facts: () => unknown) => {
    const ctx = await fresh();
    const asked: string[] = [];
    const target = await ctx.target.facts();
    const nodes = { facts: async (node: string) => (asked.push(node), facts()) };
    Object.assign(ctx.target, {
      facts: async () => ({
        ...target,
        capabilities: [...target.capabilities, "nodes"],
        facts: { ...target.facts, member: "pg2", can: { facts: can } },
      }),
    });
    const use = ctx.use.bind(ctx);
    Object.assign(ctx, {
      use: async (what: "postgres") => (what === ("nodes" as string) ? nodes : use(what)),
    });
    const { inputs } = await runStep(tune, ctx, { workload: "oltp" });
    return { asked, memory: inputs.memory.value, cpus: inputs.cpus.value };
  };
  const small = { cpus: 3, memoryBytes: 5 * 1024 ** 3 };
  expect(await onNode(true, () => small)).toEqual({ asked: ["pg2"], memory: "5GB", cpus: 3 });
  // Where it can't tell, the server's own machine does.
  const own = await onNode(false, () => small);
  expect([own.asked, own.memory === "5GB"]).toEqual([[], false]);
  const broken = await onNode(true, () => {
    throw new Error("no line to it");
  });
  expect([broken.asked, broken.memory]).toEqual([["pg2"], own.memory]);
});
