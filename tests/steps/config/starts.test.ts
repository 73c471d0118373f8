/** Values with which a server would not start again are refused. */

import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import apply from "../../../steps/config/apply.ts";
import before from "../../../steps/config/before.ts";
import { otherAddress, otherMember } from "../../../steps/config/place/member.ts";
import { clientOf, reload, RELOAD, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { autoConf, cleanUp, contextOn, newDir, runStep } from "./server.ts";

let server: TestServer;
let standby: TestServer;
let stateDir: string;
let runs = 0;

beforeAll(async () => {
  stateDir = await newDir();
  server = await startServer();
  standby = await startServer({
    prepare: (dataDir) => cloneInto(dataDir, server),
    settings: { hot_standby: "on", max_connections: 120 },
  });
}, 300_000);
afterAll(async () => {
  await cleanUp();
  await standby?.stop();
  await server?.stop();
});
afterEach(() => sql("ALTER SYSTEM RESET ALL", RELOAD));

async function sql(...statements: string[]): Promise<void> {
  const client = await clientOf(server);
  for (const statement of statements)
    await (statement === RELOAD ? reload(client) : client.query(statement));
  await client.end();
}

const on = (where: TestServer, about: { user?: string; password?: string } = {}) =>
  contextOn({ ...where, password: server.password }, { stateDir, run: `run-${++runs}`, ...about });

/** The message of the refusal. */
async function refusal(where: TestServer, settings: object): Promise<string> {
  const error = await runStep(apply, await on(where), { settings }).then(
    () => ({ code: "none", message: "" }),
    (thrown) => thrown,
  );
  expect([settings, error.code]).toEqual([settings, "invalid_param"]);
  return error.message;
}

test("a standby keeps what its primary may have, and may have more", async () => {
  for (const [name, value] of Object.entries({
    max_connections: 119,
    max_worker_processes: 7,
    max_wal_senders: 9,
    max_locks_per_transaction: 63,
  })) {
    expect(await refusal(standby, { [name]: value })).toMatch(
      /is below \d+, which is in force on this standby.* lower it on the primary first/,
    );
  }
  expect(await autoConf(standby)).toEqual([]);
  await runStep(apply, await on(standby), { settings: { max_connections: 130 } });
  // Taking it out leaves what postgresql.conf says.
  await runStep(apply, await on(standby), { settings: { max_connections: null } });
  expect(await autoConf(standby)).toEqual([]);
  await runStep(apply, await on(server), { settings: { max_connections: 90 } });
});

test("who takes a value first is said where a standby follows, in the plan too", async () => {
  const said = async (settings: object, where = server) => {
    const [ran, planned] = [await on(where), await on(where)];
    await apply.plan!(planned, { settings } as never);
    await runStep(apply, ran, { settings });
    expect(planned.recorded.warnings).toEqual(ran.recorded.warnings);
    return ran.recorded.warnings;
  };
  expect(await said({ max_connections: 150, max_wal_senders: 12, work_mem: "5MB" })).toEqual([
    expect.stringMatching(
      /^Standbys first: apply max_connections = 150, max_wal_senders = 12 on walreceiver \(127\.0\.0\.1\) and restart them before/,
    ),
  ]);
  expect(await said({ max_connections: 90, max_worker_processes: 9 })).toEqual([
    expect.stringMatching(/^Standbys first: apply max_worker_processes = 9 on/),
    expect.stringMatching(/^This server first: restart it with max_connections = 90, and lower/),
  ]);
  expect(await said({ work_mem: "6MB", max_connections: 100 })).toEqual([]);
  expect(await said({ max_connections: 140 }, standby)).toEqual([]);
  await runStep(apply, await on(standby), { settings: { max_connections: null } });
});

test("what a run changed on a standby is not put back on its primary", async () => {
  const ctx = await on(standby);
  await runStep(apply, ctx, { settings: { work_mem: "5MB" } });
  for (const force of [false, true]) {
    const error = await runStep(before, await on(server), { run: ctx.run.id, force }).catch(
      (thrown) => thrown,
    );
    expect(error.code).toBe("identity_mismatch");
    expect(error.message).toMatch(/another member of this cluster .*its data directory was/);
  }
  expect(await runStep(before, await on(standby), { run: ctx.run.id })).toEqual({
    settings: { work_mem: null },
    changed_since: [],
  });

  const one = { data_directory: "/d", port: "5432", cluster_name: "a", address: "10.0.0.1" };
  expect(otherMember(one, { ...one, cluster_name: "b" }, [])).toMatch(
    /cluster_name was a and is b/,
  );
  expect(otherMember(one, { ...one, port: "1" }, ["port"])).toBeUndefined();
  expect(otherAddress(one, { ...one, address: "10.0.0.2" })).toMatch(/address was 10/);
  for (const address of [null, "127.0.0.1", "::1", "10.0.0.1"])
    expect(otherAddress(one, { ...one, address })).toBeUndefined();
});

test("WAL can't be summarized at wal_level = minimal", async () => {
  const minimal = { wal_level: "minimal", max_wal_senders: 0 };
  expect(await refusal(server, { ...minimal, summarize_wal: true })).toMatch(
    /unless summarize_wal is off$/,
  );
  await runStep(apply, await on(server), { settings: minimal });
  expect(await refusal(server, { summarize_wal: "on" })).toMatch(/unless summarize_wal is off$/);
});

test("files and folders must be there, addresses must be some", async () => {
  const cases: [object, RegExp][] = [
    [
      { ssl_cert_file: "/no/such.crt" },
      /ssl_cert_file needs a file that is not on the server: \/no/,
    ],
    [{ ssl_key_file: "nosuch.key" }, /ssl_key_file needs a file/],
    [{ ssl_ca_file: "base" }, /ssl_ca_file needs a file .*: base;/],
    [{ ssl: "on" }, /^(?=.*\(ssl_cert_file\): server.crt)|\(ssl_key_file\): server.key/],
    [{ unix_socket_directories: "/tmp, /no/such" }, /needs a folder .*: \/no\/such;/],
    [{ listen_addresses: "localhost, 300.1.1.1" }, /neither an address nor a host: 300\.1\.1\.1/],
    [{ listen_addresses: "a b" }, /neither an address nor a host: a b/],
    [{ listen_addresses: "http://x" }, /neither an address nor a host: http:\/\/x/],
  ];
  for (const [settings, said] of cases) expect(await refusal(server, settings)).toMatch(said);
  for (const name of ["c.crt", "c.key"]) await writeFile(join(server.dataDir, name), "");
  await runStep(apply, await on(server), {
    settings: {
      ssl_cert_file: "c.crt",
      ssl_key_file: "c.key",
      unix_socket_directories: `${server.socketDir}, @abstract`,
      listen_addresses: "localhost, 127.0.0.1, ::1, db-1.example_x.org, *",
    },
  });
});

test("who may not look is told that files are not checked", async () => {
  await sql(
    "CREATE ROLE eve LOGIN PASSWORD 'pw'",
    "GRANT pg_read_all_settings TO eve",
    "GRANT SELECT ON pg_file_settings TO eve",
    "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO eve",
    "GRANT ALTER SYSTEM ON PARAMETER unix_socket_directories TO eve",
  );
  const ctx = await on(server, { user: "eve", password: "pw" });
  await runStep(apply, ctx, { settings: { unix_socket_directories: "/no/such" } });
  expect(ctx.recorded.warnings).toEqual([
    expect.stringMatching(
      /what unix_socket_directories names is not checked: .*pg_read_server_files/,
    ),
  ]);
});

test("who holds more WAL than a new limit lets it is said, in the plan too", async () => {
  const planned = async (settings: object) => {
    const ctx = await on(server);
    await apply.plan!(ctx, { settings } as never);
    return ctx.recorded.warnings;
  };
  await sql(
    "SELECT pg_create_physical_replication_slot('left_behind', true)",
    "SELECT pg_logical_emit_message(false, 'pgdba', repeat('x', 3000000))",
  );
  try {
    expect(await planned({ max_slot_wal_keep_size: "1MB" })).toEqual([
      expect.stringMatching(
        /^With max_slot_wal_keep_size = 1MB, the slot left_behind, which keeps \d+ (kB|MB) of WAL is lost/,
      ),
    ]);
    for (const enough of ["10GB", -1, null])
      expect(await planned({ max_slot_wal_keep_size: enough })).toEqual([]);
    const idle = { idle_replication_slot_timeout: "1s" };
    await Bun.sleep(1100);
    expect(await planned(idle)).toEqual([
      expect.stringMatching(/the slot left_behind, which nobody has used since .* is lost/),
    ]);
    expect(await planned({ idle_replication_slot_timeout: "1d" })).toEqual([]);
    expect(await planned({ wal_keep_size: 0, work_mem: "7MB" })).toEqual([]);
  } finally {
    await sql("SELECT pg_drop_replication_slot('left_behind')");
  }
});
