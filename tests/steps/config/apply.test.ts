import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { PgdbaError } from "../../../engine/errors.ts";
import apply from "../../../steps/config/apply.ts";
import { session } from "../../../steps/sql/session.ts";
import before from "../../../steps/config/before.ts";
import tune from "../../../steps/config/tune.ts";
import { clientOf, reload, RELOAD, startServer, type TestServer } from "../../support/postgres.ts";
import { autoConf, cleanUp, contextOn, newDir, runStep } from "./server.ts";

let server: TestServer;
let stateDir: string;
let runs = 0;

beforeAll(async () => {
  server = await startServer({ settings: { log_temp_files: "5MB" } });
  stateDir = await newDir();
});
afterAll(async () => {
  await cleanUp();
  await server.stop();
});
afterEach(() => sql("ALTER SYSTEM RESET ALL", RELOAD));

async function sql(...statements: string[]): Promise<any[]> {
  const client = await clientOf(server);
  try {
    let rows: any[] = [];
    for (const statement of statements)
      if (statement === RELOAD) await reload(client);
      else rows = (await client.query(statement)).rows;
    return rows;
  } finally {
    await client.end();
  }
}

/** What new sessions have. */
async function values(...names: string[]): Promise<string[]> {
  const rows = await sql(
    `SELECT current_setting(name) AS value FROM unnest('{${names}}'::text[]) WITH ORDINALITY AS n (name, at) ORDER BY at`,
  );
  return rows.map((row) => row.value);
}

const fresh = (about: { run?: string; path?: string; user?: string; password?: string } = {}) =>
  contextOn(server, { stateDir, run: `run-${++runs}`, ...about });

const failure = (work: Promise<unknown>) =>
  work.then(
    () => ({}),
    (error) => error,
  ) as Promise<PgdbaError>;

test("sets what is wanted, says what awaits a restart, and finds nothing to do the second time", async () => {
  const ctx = await fresh();
  const wanted = {
    work_mem: "8MB",
    max_connections: 90,
    random_page_cost: 1.1,
    track_io_timing: true,
    log_temp_files: "5120kB",
  };
  const output = await runStep(apply, ctx, { settings: wanted });
  expect(output.awaiting_restart).toEqual(["max_connections"]);
  expect(
    output.changes.map((change: any) => [
      change.name,
      change.current,
      change.wanted,
      change.action,
      change.takes_effect,
    ]),
  ).toEqual([
    ["work_mem", "4MB", "8MB", "set", "reload"],
    ["max_connections", "100", "90", "set", "restart"],
    ["random_page_cost", "4", "1.1", "set", "reload"],
    ["track_io_timing", "off", "on", "set", "reload"],
    ["log_temp_files", "5MB", "5MB", "none", "reload"],
  ]);
  expect(
    await values("work_mem", "max_connections", "random_page_cost", "track_io_timing"),
  ).toEqual(["8MB", "100", "1.1", "on"]);
  expect(await autoConf(server)).toEqual([
    "work_mem = '8MB'",
    "max_connections = '90'",
    "random_page_cost = '1.1'",
    "track_io_timing = 'on'",
  ]);
  expect(ctx.recorded.unchanged).toBe(0);

  const again = await fresh();
  const same = await runStep(apply, again, {
    settings: { ...wanted, work_mem: "8192kB", track_io_timing: "yes" },
  });
  expect(same.changes.every((change: any) => change.action === "none")).toBeTrue();
  expect(same.awaiting_restart).toEqual(["max_connections"]);
  expect(again.recorded.unchanged).toBe(1);
});

test("what a dead run has set is not taken from others that have set it since, to another value or to the same", async () => {
  const dead = await fresh();
  const wanted = { work_mem: "8MB", random_page_cost: 1.1, track_io_timing: true };
  await runStep(apply, dead, { settings: wanted });
  await runStep(apply, await fresh(), { settings: { work_mem: "16MB" } });
  const later = await fresh();
  await runStep(apply, later, { settings: { random_page_cost: "1.1", log_temp_files: "1MB" } });
  await apply.undo!(dead, { settings: wanted }, undefined);
  expect(await values("work_mem", "random_page_cost", "track_io_timing")).toEqual([
    "16MB",
    "1.1",
    "off",
  ]);
  expect(dead.recorded.warnings).toEqual([
    "work_mem, random_page_cost stay as they are: others have set them since",
  ]);
});

test("what many earlier runs kept costs no question to the server each, and one that is damaged stops nobody", async () => {
  const first = await fresh();
  await runStep(apply, first, { settings: { work_mem: "9MB" } });
  const kept = JSON.parse(
    await readFile(join(stateDir, "config-before", `${first.run.id}.json`), "utf8"),
  ) as object;
  for (const n of Array.from({ length: 30 }).keys())
    await writeFile(
      join(stateDir, "config-before", `kept-${n}.json`),
      JSON.stringify({ ...kept, run: `kept-${n}` }),
    );
  await writeFile(join(stateDir, "config-before", "torn.json"), '{"work_mem": ');
  const ctx = await fresh();
  const pg = await session(ctx);
  const ask = pg.ask.bind(pg);
  let asked = 0;
  pg.ask = (...args: Parameters<typeof ask>) => {
    if (args[0].includes("AS data_directory")) asked += 1;
    return ask(...args);
  };
  await runStep(apply, ctx, { settings: { work_mem: "9MB" } });
  expect(asked).toBeGreaterThan(0);
  expect(asked).toBeLessThan(5);
  const since = JSON.parse(
    await readFile(join(stateDir, "config-before", "kept-7.json"), "utf8"),
  ) as { steps: { since?: object }[] };
  expect(since.steps[0]?.since).toEqual({ work_mem: ctx.run.id });
});

test("one bad value among ten, and nothing is touched", async () => {
  await sql("ALTER SYSTEM SET work_mem = '7MB'");
  const good = {
    work_mem: "16MB",
    maintenance_work_mem: "128MB",
    random_page_cost: 1.5,
    seq_page_cost: 2,
    log_lock_waits: "on",
    checkpoint_timeout: "10min",
    max_wal_size: "2GB",
    log_min_duration_statement: "1s",
    autovacuum_naptime: "30s",
  };
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ shared_bufers: "1GB" }, /shared_bufers is not a setting .* did you mean shared_buffers\?/],
    [{ shared_buffers: "1gb" }, /has no unit gb/],
    [{ max_connections: 0 }, /is outside 1 to 262143/],
    [{ wal_level: "replicas" }, /must be one of minimal, replica, logical/],
    [{ fsync: "maybe" }, /must be on or off/],
    [{ server_version: "19" }, /is fixed/],
    [{ data_directory: "/x" }, /can't be set in a configuration file/],
    [{ timezone: "Mars/Olympus" }, /TimeZone is refused by the server/],
    [{ search_path: "" }, /can't be emptied/],
    [{ archive_command: "a\nb" }, /must be one line/],
    [{ "auto_explain.log_analyze": "on" }, /its extension is not loaded/],
    [{ port: 1.5 }, /is outside|whole|number/],
    [{ max_connections: 3 }, /leaves no connection besides the 3 reserved/],
    [{ wal_level: "minimal" }, /max_wal_senders is 0/],
    [
      { shared_preload_libraries: "auto_explain, nosuch, $libdir/x" },
      /shared_preload_libraries names a library that is not installed on the server: nosuch, \$libdir\/x$/,
    ],
    [{ session_preload_libraries: "nosuch" }, /not installed on the server: nosuch$/],
    [
      { local_preload_libraries: "nosuch, auto_explain, $libdir/auto_explain" },
      /\(in \$libdir\/plugins\): nosuch, auto_explain, \$libdir\/auto_explain$/,
    ],
  ];
  for (const [bad, said] of cases.filter(([bad]) => !("port" in bad))) {
    const error = await failure(runStep(apply, await fresh(), { settings: { ...good, ...bad } }));
    expect(error).toMatchObject({ code: "invalid_param" });
    expect(error.message).toMatch(/^1 of 10 settings can't be applied/);
    expect(error.message).toMatch(said);
    expect((error.data as any).problems).toHaveLength(1);
  }
  expect(await autoConf(server)).toEqual(["work_mem = '7MB'"]);
});

test("a value that only the server's own check refuses takes back those set before it", async () => {
  await sql("ALTER SYSTEM SET work_mem = '7MB'", RELOAD);
  const ctx = await fresh();
  const settings = { work_mem: "9MB", random_page_cost: 2, synchronous_standby_names: "ANY (((" };
  expect(await failure(runStep(apply, ctx, { settings }))).toMatchObject({ code: "query_failed" });
  expect(await autoConf(server)).toEqual(["work_mem = '7MB'"]);
  expect(await values("work_mem", "random_page_cost")).toEqual(["7MB", "4"]);
  // The engine's undo comes after it, and finds all as it was.
  await apply.undo!(ctx, { settings } as never, undefined);
  expect(await autoConf(server)).toEqual(["work_mem = '7MB'"]);
});

test("undo restores what was set, and takes out what was not", async () => {
  await sql(
    "ALTER SYSTEM SET work_mem = '7MB'",
    `ALTER SYSTEM SET search_path = 'a b', 'c"d'`,
    RELOAD,
  );
  const was = await autoConf(server);
  const ctx = await fresh();
  const settings = {
    work_mem: null,
    search_path: '"$user", public',
    random_page_cost: 2,
    max_connections: 50,
  };
  const output = await runStep(apply, ctx, { settings });
  expect(output.changes.map((change: any) => change.before)).toEqual([
    { set: true, value: "7MB" },
    { set: true, value: '"a b", "c""d"' },
    { set: false, value: null },
    { set: false, value: null },
  ]);
  expect(await values("work_mem", "search_path")).toEqual(["4MB", '"$user", public']);
  expect(await apply.probe!(ctx, { settings } as never)).toMatchObject({
    state: "done",
    output: { awaiting_restart: ["max_connections"] },
  });

  await apply.undo!(ctx, { settings } as never, output);
  expect((await autoConf(server)).toSorted()).toEqual(was.toSorted());
  expect(await values("work_mem", "search_path", "random_page_cost")).toEqual([
    "7MB",
    '"a b", "c""d"',
    "4",
  ]);
  expect(await apply.probe!(ctx, { settings } as never)).toEqual({
    state: "not_done",
    // What was there before is kept as long as the run is.
    partly: true,
  });
});

test("what was there before is on disk for its user only, and what the first try found stays", async () => {
  await sql("ALTER SYSTEM SET work_mem = '7MB'");
  const ctx = await fresh();
  await runStep(apply, ctx, { settings: { work_mem: "8MB" } });
  const file = join(stateDir, "config-before", `${ctx.run.id}.json`);
  expect((await stat(file)).mode & 0o777).toBe(0o600);
  // The same step again, as a resume repeats it, and another step of the run on the same setting.
  const repeated = await runStep(apply, await fresh({ run: ctx.run.id }), {
    settings: { work_mem: "8MB" },
  });
  expect(repeated.changes[0].before).toEqual({ set: true, value: "7MB" });
  await runStep(apply, await fresh({ run: ctx.run.id, path: "later" }), {
    settings: { work_mem: "9MB", jit: "off" },
  });

  const back = await runStep(before, await fresh(), { run: ctx.run.id });
  expect(back).toEqual({ settings: { work_mem: "7MB", jit: null }, changed_since: [] });
  await runStep(apply, await fresh(), { settings: back.settings });
  expect(await autoConf(server)).toEqual(["work_mem = '7MB'"]);
});

test("a setting that somebody else has changed since is not put back unless forced", async () => {
  const ctx = await fresh();
  await runStep(apply, ctx, { settings: { work_mem: "8MB", jit: "off" } });
  await sql("ALTER SYSTEM SET work_mem = '100MB'");
  const error = await failure(runStep(before, await fresh(), { run: ctx.run.id }));
  expect(error).toMatchObject({ code: "step_refused", data: { changed_since: ["work_mem"] } });
  const forced = await runStep(before, await fresh(), { run: ctx.run.id, force: true });
  expect(forced).toEqual({ settings: { work_mem: null, jit: null }, changed_since: ["work_mem"] });
  for (const run of ["run-0", "../run-1", ""])
    expect(await failure(before.run(await fresh(), { run } as never))).toMatchObject({
      code: "unknown_run",
    });
});

test("a plan shows the same changes and makes none", async () => {
  const plan = (await apply.plan!(await fresh(), {
    settings: { work_mem: "8MB", max_connections: 50 },
  } as never)) as any;
  expect(plan.changes.map((change: any) => change.action)).toEqual(["set", "set"]);
  expect(plan.awaiting_restart).toEqual(["max_connections"]);
  expect(await autoConf(server)).toEqual([]);
});

test("a fault elsewhere in the configuration is named, and nothing stays", async () => {
  const conf = join(server.dataDir, "postgresql.auto.conf");
  await writeFile(conf, "no_such_setting = 1\n");
  const ctx = await fresh();
  const [error, reloaded] = [
    await failure(
      runStep(apply, Object.assign(ctx, { clock: hasty() }), { settings: { work_mem: "8MB" } }),
    ),
    await values("work_mem"),
  ];
  expect(error.code).toBe("step_failed");
  expect(error.hint).toContain("no_such_setting");
  expect(reloaded).toEqual(["4MB"]);
  await writeFile(conf, "");
});

/** Waiting costs no time, and time passes ten times as fast. */
function hasty() {
  const start = performance.now();
  return {
    now: () => new Date(),
    monotonic: () => (performance.now() - start) * 10,
    sleep: (ms: number) => Bun.sleep(ms / 10),
  };
}

test("lists, quotes and backslashes arrive as they are meant, on the oldest version too", async () => {
  const settings = {
    shared_preload_libraries: 'pg_stat_statements, "auto_explain"',
    archive_command: `cp "%p" 'x'`,
    log_line_prefix: "it's \\ %m",
    DateStyle: "ISO, DMY",
    vacuum_cost_delay: "1500us",
  };
  const lines = [
    "shared_preload_libraries = 'pg_stat_statements, auto_explain'",
    `archive_command = 'cp "%p" ''x'''`,
    "log_line_prefix = 'it''s \\\\ %m'",
    "DateStyle = 'ISO, DMY'",
    "vacuum_cost_delay = '1500us'",
  ];
  const folders = { unix_socket_directories: "/tmp, /var/tmp" };
  await runStep(apply, await fresh(), { settings: { ...settings, ...folders } });
  expect(await autoConf(server)).toEqual([
    ...lines,
    `unix_socket_directories = '"/tmp", "/var/tmp"'`,
  ]);

  const old = await startServer({ version: 13 });
  try {
    const ctx = await contextOn(old, { stateDir, run: "run-old" });
    await runStep(apply, ctx, { settings: { ...settings, ...folders } });
    expect(await autoConf(old)).toEqual([...lines, "unix_socket_directories = '/tmp, /var/tmp'"]);
    await apply.undo!(ctx, { settings } as never, undefined);
    expect(await autoConf(old)).toEqual([]);
  } finally {
    await old.stop();
  }
}, 300_000);

test("a server that forbids ALTER SYSTEM is left alone", async () => {
  const conf = join(server.dataDir, "postgresql.conf");
  const text = await readFile(conf, "utf8");
  await writeFile(conf, `${text}\nallow_alter_system = off\n`);
  await sql(RELOAD);
  const error = await failure(runStep(apply, await fresh(), { settings: { work_mem: "8MB" } }));
  await writeFile(conf, text);
  await sql(RELOAD);
  expect(error).toMatchObject({ code: "step_refused" });
  expect(error.message).toContain("allow_alter_system");
});

test("a value that this role overrides for itself is in force for all others", async () => {
  await sql("ALTER ROLE postgres SET work_mem = '1MB'");
  try {
    const output = await runStep(apply, await fresh(), { settings: { work_mem: "8MB" } });
    expect(output.changes[0]).toMatchObject({ action: "set" });
  } finally {
    await sql("ALTER ROLE postgres RESET work_mem");
  }
  expect(await values("work_mem")).toEqual(["8MB"]);
});

test("a library that is installed may be preloaded, and the name of pgdba's own session hides nothing", async () => {
  const settings = { shared_preload_libraries: "auto_explain", application_name: "shop" };
  const output = await runStep(apply, await fresh(), { settings });
  expect(output.awaiting_restart).toEqual(["shared_preload_libraries"]);
  expect(await autoConf(server)).toContain("application_name = 'shop'");
});

test("an error repeats no more than 200 characters of what it was given", async () => {
  const long = "x".repeat(5000);
  for (const settings of [
    { work_mem: long },
    { [long]: 1 },
    { listen_addresses: `${long} ${long}` },
    { local_preload_libraries: long },
    { ssl_ca_file: long },
  ]) {
    const error = await failure(runStep(apply, await fresh(), { settings }));
    expect(error).toMatchObject({ code: "invalid_param" });
    expect(error.message.length + JSON.stringify(error.data).length).toBeLessThan(1500);
  }
});

test("who may not do it is told which GRANTs are missing, and with them may", async () => {
  await sql("CREATE ROLE ann LOGIN PASSWORD 'pw'");
  const settings = { work_mem: "8MB", log_temp_files: "7MB" };
  const asAnn = { user: "ann", password: "pw" };
  const first = await failure(runStep(apply, await fresh(asAnn), { settings }));
  expect(first).toMatchObject({ code: "insufficient_privilege" });
  // All in one round: what it takes to look, and to write.
  const grants = (first.data as any).grants as string[];
  expect(grants).toEqual([
    "GRANT pg_read_all_settings TO ann",
    "GRANT SELECT ON pg_file_settings TO ann",
    "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings() TO ann",
    "GRANT EXECUTE ON FUNCTION pg_reload_conf() TO ann",
    "GRANT ALTER SYSTEM ON PARAMETER work_mem TO ann",
    "GRANT ALTER SYSTEM ON PARAMETER log_temp_files TO ann",
  ]);
  expect(first.hint).toContain(grants.join("; "));
  await sql(...grants.slice(0, 3));
  const second = await failure(runStep(apply, await fresh(asAnn), { settings }));
  expect(second).toMatchObject({
    code: "insufficient_privilege",
    data: { grants: grants.slice(3) },
  });
  expect(await autoConf(server)).toEqual([]);
  await sql(...grants.slice(3));
  await runStep(apply, await fresh(asAnn), { settings });
  expect(await values("work_mem", "log_temp_files")).toEqual(["8MB", "7MB"]);
});

test("settings with which no session begins are taken back, though all have them", async () => {
  // What the checks know of is refused before; a trigger at login stands for what they do not.
  await sql(
    "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF current_setting('work_mem') = '9MB' THEN RAISE 'closed'; END IF; END$$",
    "CREATE EVENT TRIGGER closed ON login EXECUTE FUNCTION refuse()",
    "ALTER EVENT TRIGGER closed ENABLE ALWAYS",
  );
  try {
    const error = await failure(
      runStep(apply, await fresh(), { settings: { work_mem: "9MB", random_page_cost: 2 } }),
    );
    expect(error).toMatchObject({ code: "step_failed" });
    expect(error.message).toMatch(/takes no new session: .*closed/);
    expect(await autoConf(server)).toEqual([]);
  } finally {
    await sql("DROP EVENT TRIGGER closed");
  }
});

test("who may not look for libraries may not have them preloaded, but for those that are", async () => {
  await sql(
    "CREATE ROLE eve LOGIN PASSWORD 'pw'",
    "GRANT pg_read_all_settings TO eve",
    "GRANT SELECT ON pg_file_settings TO eve",
    "GRANT EXECUTE ON FUNCTION pg_show_all_file_settings(), pg_reload_conf() TO eve",
    "GRANT ALTER SYSTEM ON PARAMETER session_preload_libraries, local_preload_libraries TO eve",
  );
  for (const name of ["session_preload_libraries", "local_preload_libraries"]) {
    const error = await failure(
      runStep(apply, await fresh({ user: "eve", password: "pw" }), {
        settings: { [name]: "auto_explain" },
      }),
    );
    expect(error).toMatchObject({ code: "invalid_param" });
    expect(error.message).toMatch(
      /eve may not look whether the server has it .*pg_read_server_files/,
    );
  }
  await sql(
    "GRANT pg_read_server_files TO eve",
    "GRANT EXECUTE ON FUNCTION pg_stat_file(text, boolean), pg_config() TO eve",
  );
  await runStep(apply, await fresh({ user: "eve", password: "pw" }), {
    settings: { session_preload_libraries: "auto_explain" },
  });
  expect(await values("session_preload_libraries")).toEqual(["auto_explain"]);
});

test("a password inside a setting is registered as a secret", async () => {
  const ctx = await fresh();
  await runStep(apply, ctx, {
    settings: { primary_conninfo: "host=a user=b password='p w''x' sslmode=require" },
  });
  expect(ctx.recorded.secrets.length).toBeGreaterThan(0);
  expect(ctx.recorded.secrets.some((secret) => secret.startsWith("p w"))).toBeTrue();
});

test("nothing given, or two things, is refused", async () => {
  for (const input of [
    {},
    { settings: null, file: null },
    { settings: { a: 1 }, file: "x.yaml" },
    { settings: {} },
  ])
    expect(await failure(runStep(apply, await fresh(), input))).toMatchObject({
      code: "invalid_param",
    });
});

test("values of roles and databases that win are told, with what takes them out", async () => {
  await sql(
    `CREATE ROLE "App;1" LOGIN`,
    `CREATE ROLE same LOGIN`,
    `ALTER ROLE "App;1" SET work_mem = '1MB'`,
    `ALTER ROLE "App;1" IN DATABASE postgres SET work_mem = '2MB'`,
    `ALTER DATABASE template1 SET work_mem = '3MB'`,
    // The same value, and another setting, are in nobody's way.
    `ALTER ROLE same SET work_mem = '8192kB'`,
    `ALTER ROLE same SET jit = off`,
  );
  for (const act of ["plan", "run"] as const) {
    const ctx = await fresh();
    const done: any = await apply[act]!(ctx, { settings: { work_mem: "8MB" } });
    expect(done.overrides).toEqual([
      {
        name: "work_mem",
        database: null,
        role: "App;1",
        value: "1MB",
        reset: `ALTER ROLE "App;1" RESET work_mem;`,
      },
      {
        name: "work_mem",
        database: "postgres",
        role: "App;1",
        value: "2MB",
        reset: `ALTER ROLE "App;1" IN DATABASE postgres RESET work_mem;`,
      },
      {
        name: "work_mem",
        database: "template1",
        role: null,
        value: "3MB",
        reset: "ALTER DATABASE template1 RESET work_mem;",
      },
    ]);
    expect(ctx.recorded.warnings.join()).toContain(
      `sessions of role App;1 in database postgres keep work_mem = 2MB`,
    );
    if (act === "run") await sql(...done.overrides.map(({ reset }: { reset: string }) => reset));
  }
  await sql(`ALTER ROLE "App;1" SET random_page_cost = 7`);
  const advised: any = await tune.run(await fresh(), { workload: "oltp", memory: "4GB" });
  expect(advised.warnings.join()).toContain(`ALTER ROLE "App;1" RESET random_page_cost;`);
  await sql(`ALTER ROLE "App;1" RESET random_page_cost`);
  const ctx = await fresh();
  expect(await apply.run(ctx, { settings: { work_mem: "8MB" } })).toMatchObject({ overrides: [] });
  expect(ctx.recorded.warnings).toEqual([]);
  await sql(`DROP ROLE "App;1"`, "DROP ROLE same");
});

test("more memory than the machine has is told", async () => {
  const ctx = await fresh();
  const advised: any = await tune.run(ctx, { workload: "oltp", memory: "900TB" });
  expect(advised.warnings[0]).toMatch(
    /^memory is given as 921600GB, but the server's machine lets it have \d+(MB|GB):/,
  );
  expect(ctx.recorded.warnings).toEqual([advised.warnings[0]]);
  const fitting: any = await tune.run(await fresh(), { workload: "oltp" });
  expect(fitting.warnings.join()).not.toContain("is given as");
});
