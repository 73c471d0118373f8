import { describe, expect, test } from "bun:test";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { Client } from "pg";
import { write } from "../../e2e/support.ts";
import { worldOf } from "../sequence/support.ts";

describe.each([13, 18] as const)("roles of PostgreSQL %d", (version) => {
  const world = worldOf(version, { log_statement: "all", log_min_duration_statement: "0" });
  const logsIn = async (user: string, password: string): Promise<boolean> => {
    const { host, port } = world.server;
    const client = new Client({ host, port, user, password, database: "postgres" });
    return client.connect().then(
      () => client.end().then(() => true),
      () => false,
    );
  };

  test("settings of a role, of a database and of a role there are set, read back, and taken out", async () => {
    const { sql, pgdba } = world;
    await sql(`create role "Odd;role" login`, `create database "Odd;db"`);
    const settings = `{"search_path": "\\"a b\\", public", "work_mem": "7MB"}`;
    const own = await pgdba([
      "role",
      "set",
      "Odd;role",
      "--settings",
      settings,
      "--connection-limit",
      "3",
    ]);
    expect(own.envelope.error).toBe(null);
    expect(own.envelope.data).toMatchObject({
      changes: [
        { name: "search_path", before: null, after: `"a b", public` },
        { name: "work_mem", before: null, after: "7MB" },
        { name: "connection_limit", before: -1, after: 3 },
      ],
    });
    const database = ["--in-database", "Odd;db"];
    await pgdba(["role", "set", ...database, "--settings", `{"work_mem": "8MB"}`]);
    await pgdba(["role", "set", "Odd;role", ...database, "--settings", `{"work_mem": "9MB"}`]);
    const there =
      "select setrole::regrole::text as role, setdatabase > 0 as there, setconfig from pg_db_role_setting order by setrole = 0, setdatabase > 0";
    expect(await sql(there)).toEqual([
      {
        role: `"Odd;role"`,
        there: false,
        setconfig: [`search_path="a b", public`, "work_mem=7MB"],
      },
      { role: `"Odd;role"`, there: true, setconfig: ["work_mem=9MB"] },
      { role: "-", there: true, setconfig: ["work_mem=8MB"] },
    ]);
    // Once more is nothing, and a list that is written otherwise is the same.
    const again = await pgdba([
      "role",
      "set",
      "Odd;role",
      "--settings",
      `{"search_path": "\\"a b\\",public"}`,
    ]);
    expect(again.envelope.data).toMatchObject({ changes: [] });
    await pgdba(["role", "set", "Odd;role", ...database, "--settings", `{"work_mem": null}`]);
    expect((await sql(there)).length).toBe(2);
    // The database of the connection changes nothing of what is meant: the role's own settings and attributes.
    const at = ["--database", "Odd;db"];
    const reset = ["role", "set", "Odd;role", "--settings", `{"work_mem": null}`, ...at];
    expect((await pgdba(reset)).envelope.data).toMatchObject({
      changes: [{ name: "work_mem", before: "7MB", after: null }],
    });
    const limit = ["role", "set", "Odd;role", "--connection-limit", "4", ...at];
    expect((await pgdba(limit)).envelope.data).toMatchObject({
      changes: [{ name: "connection_limit", before: 3, after: 4 }],
    });
  }, 300_000);

  test("a limit that is used up by sessions left open is no reason to raise it: they are shown first", async () => {
    const { sql, pgdba, server } = world;
    await sql("create role few login connection limit 1 password 'few'");
    const { host, port } = server;
    const left = new Client({ host, port, user: "few", password: "few", database: "postgres" });
    await left.connect();
    const named = async (): Promise<any> => {
      const words = ["health", "check", "--only", '["connection-limit-role"]'];
      const { findings } = (await pgdba(words)).envelope.data as any;
      return findings.find((one: any) => one.object === "role few").remedy;
    };
    expect(await named()).toMatchObject({
      runbook: "role/set",
      params: { role: "few", connection_limit: 2 },
    });
    await left.query("begin");
    const remedy = await named();
    expect(remedy).toMatchObject({ runbook: "session/list", sql: null });
    expect(remedy.command).toContain("session/list --role few");
    await left.end();
  }, 300_000);

  test("sessions that keep what was set before are told, with the command that ends the idle ones", async () => {
    const { sql, pgdba, server } = world;
    await sql("create role pooled login password 'pooled'");
    const { host, port } = server;
    const open = { host, port, user: "pooled", password: "pooled", database: "postgres" };
    const clients = [new Client(open), new Client(open)] as const;
    for (const client of clients) await client.connect();
    await clients[0].query("select 1");
    await clients[1].query("begin");
    const words = ["role", "set", "pooled", "--in-database", "postgres", "--settings"];
    const set = async (settings: string, ...more: string[]): Promise<string[]> =>
      ((await pgdba([...words, settings, ...more])).envelope.data as any).run.warnings;
    for (const warnings of [
      await set(`{"work_mem": "6MB"}`, "--plan"),
      await set(`{"work_mem": "6MB"}`),
    ]) {
      expect(warnings.length).toBe(1);
      expect(warnings[0]).toContain(
        "2 open sessions of pooled in postgres keep the old work_mem until connected anew; of them 1 idle in a transaction, 1 idle: pgdba session terminate --role pooled --in-database postgres --state idle",
      );
    }
    // What is so already is no news to anybody, and neither is a limit.
    expect(await set(`{"work_mem": "6MB"}`)).toEqual([]);
    const limit = await pgdba(["role", "set", "pooled", "--connection-limit", "9"]);
    expect((limit.envelope.data as any).run.warnings).toEqual([]);
    await clients[0].query("begin");
    const [busy] = await set(`{"work_mem": "8MB"}`);
    expect(busy).toContain("until connected anew; of them 2 idle in a transaction");
    expect(busy).not.toContain("terminate");
    for (const client of clients) await client.end();
    expect(await set(`{"work_mem": "7MB"}`)).toEqual([]);
  }, 300_000);

  test("what is refused is refused before anything is changed", async () => {
    const { sql, pgdba } = world;
    await sql("create role spare login");
    const faults: [string[], string][] = [
      [["nobody", "--connection-limit", "1"], "step_refused"],
      [["spare"], "invalid_param"],
      [["postgres", "--no-login"], "step_refused"],
      [["spare", "--settings", `{"no_such": "1"}`], "query_failed"],
    ];
    for (const [args, code] of faults)
      expect((await pgdba(["role", "set", ...args])).envelope.error).toMatchObject({ code });
    expect(await sql("select rolconnlimit from pg_roles where rolname = 'spare'")).toEqual([
      { rolconnlimit: -1 },
    ]);
  }, 300_000);

  test("a failure later in the run puts everything back as it was", async () => {
    const { sql, pgdba, at } = world;
    await sql(
      "create role again login connection limit 7 valid until '2031-01-01' password 'old'",
      "alter role again set work_mem = '5MB'",
    );
    write(at.cwd, {
      ".pgdba/runbooks/team/fails.yaml": `summary: x
risk: change
steps:
  - role.set: {role: again, connection_limit: 1, valid_until: infinity, settings: {work_mem: 6MB, statement_timeout: 1min}}
  - role.password: {role: again}
  - assert: {that: "false", message: no}
`,
    });
    const before = await sql(
      "select rolconnlimit, rolvaliduntil, rolconfig from pg_roles where rolname = 'again'",
    );
    const { exit } = await pgdba(["run", "team/fails"]);
    expect(exit).toBe(5);
    expect(
      await sql(
        "select rolconnlimit, rolvaliduntil, rolconfig from pg_roles where rolname = 'again'",
      ),
    ).toEqual(before);
    expect(await logsIn("again", "old")).toBe(true);
    expect(
      readdirSync(join(at.home, "passwords")).filter((name) => name.startsWith("again")),
    ).toEqual([]);
  }, 300_000);

  test("a password is made, works, and stands in no log of the server, nor does its verifier", async () => {
    const { sql, pgdba, server } = world;
    await sql("create role app login password 'old'");
    const { envelope, stdout, stderr } = await pgdba(["role", "password", "app"]);
    expect(envelope.error).toBe(null);
    const { file, verified } = envelope.data as { file: string; verified: boolean };
    const password = readFileSync(file, "utf8").trim();
    expect([verified, statSync(file).mode & 0o777, password.length]).toEqual([true, 0o600, 32]);
    expect([await logsIn("app", password), await logsIn("app", "old")]).toEqual([true, false]);
    const [{ rolpassword }] = await sql("select rolpassword from pg_authid where rolname = 'app'");
    expect(rolpassword).toStartWith("SCRAM-SHA-256$4096:");
    const log = await server.log();
    expect(log).toContain("rolname");
    expect([log.includes(password), log.includes(rolpassword)]).toEqual([false, false]);
    expect((stdout + stderr).includes(password)).toBe(false);
  }, 300_000);

  test("a given password is taken from where it is named; one that the server does not let in is taken back", async () => {
    const { sql, pgdba, server } = world;
    await sql("create role given login password 'old'");
    const env = { NEW: "Ünïcode ½ 'pass\\word" };
    const ok = await pgdba(["role", "password", "given", "--password", "env:NEW"], { env });
    expect([ok.exit, await logsIn("given", env.NEW)]).toEqual([0, true]);
    // The server lets it in no more.
    const hba = readFileSync(join(server.dataDir, "pg_hba.conf"), "utf8");
    write(server.dataDir, { "pg_hba.conf": `host all given all reject\n${hba}` });
    await sql("select pg_reload_conf()");
    while (await logsIn("given", env.NEW)) await Bun.sleep(20);
    const refused = await pgdba(["role", "password", "given"]);
    expect([refused.exit, refused.envelope.error?.code]).toEqual([5, "step_failed"]);
    write(server.dataDir, { "pg_hba.conf": hba });
    await sql("select pg_reload_conf()");
    for (const ends = Date.now() + 20_000; !(await logsIn("given", env.NEW)); await Bun.sleep(20))
      expect(Date.now()).toBeLessThan(ends);
  }, 300_000);

  test("an expired role gets a new password with its end in one act; the old one stays dead", async () => {
    const { sql, pgdba } = world;
    await sql("create role late login password 'old' valid until '2020-01-01'");
    const there = "select rolvaliduntil::text as until from pg_roles where rolname = 'late'";
    const [before] = await sql(there);
    const at = ["--host", world.server.host, "--port", String(world.server.port)];
    const refused = await pgdba(["role", "password", "late", ...at, "--database", "postgres"]);
    expect(refused.envelope.error).toMatchObject({ code: "step_refused" });
    const hint = refused.envelope.error?.hint ?? "";
    // The command of the hint, with the flags of the connection that were given.
    const words = hint.slice(hint.indexOf("pgdba ") + 6).split(" ");
    expect(words).toContain("--database");
    for (const [until, code] of [
      ["2020-06-01", "step_refused"],
      ["no time", "query_failed"],
    ] as const) {
      const { envelope } = await pgdba(["role", "password", "late", "--valid-until", until]);
      expect(envelope.error).toMatchObject({ code });
    }
    // An end in the plan is no change.
    const plan = await pgdba([...words, "--plan"]);
    expect(plan.envelope.error).toBe(null);
    expect(JSON.stringify(plan.envelope.data)).toContain(
      `"valid_until":{"before":"${before.until}","after":"infinity"}`,
    );
    expect(await sql(there)).toEqual([before]);
    const { envelope } = await pgdba(words);
    expect(envelope.error).toBe(null);
    const { file, verified, valid_until } = envelope.data as any;
    expect([verified, valid_until]).toEqual([true, "infinity"]);
    const password = readFileSync(file, "utf8").trim();
    expect([await logsIn("late", password), await logsIn("late", "old")]).toEqual([true, false]);
    // One statement for both: at no time was another password good for the new time.
    expect(await sql(there)).toEqual([{ until: "infinity" }]);
  }, 300_000);

  test("the password of the connection is a word of the state folder's path, of a hint and of the role: what pgdba tells is usable", async () => {
    const { sql, pgdba, at } = world;
    await sql(
      "create role boss login superuser password 'exam'",
      "create role exam login password 'old'",
    );
    const home = join(at.home, "exam", "home");
    const env = { PGDBA_HOME: home, PGDBA_PG_USER: "boss", PGDBA_PG_PASSWORD: "exam" };
    const { envelope } = await pgdba(["role", "password", "exam"], { env });
    const { file } = envelope.data as { file: string };
    expect(file).toStartWith(join(home, "passwords", "exam."));
    expect(await logsIn("exam", readFileSync(file, "utf8").trim())).toBe(true);
    const nothing = await pgdba(["role", "set", "spare"], { env });
    expect(nothing.envelope.error?.hint).toStartWith("For example");
    // The word alone is masked as ever.
    const missing = await pgdba(["role", "password", "exam-2"], { env });
    expect(missing.envelope.error?.message).toBe("There is no role ********-2");
  }, 300_000);

  test("a failure later in the run puts back the end of the password too", async () => {
    const { sql, pgdba, at } = world;
    await sql("create role back login password 'old' valid until '2020-01-01'");
    write(at.cwd, {
      ".pgdba/runbooks/team/ends.yaml": `summary: x
risk: change
steps:
  - role.password: {role: back, valid_until: "2031-01-01"}
  - assert: {that: "false", message: no}
`,
    });
    const row = "select rolpassword, rolvaliduntil from pg_authid where rolname = 'back'";
    const before = await sql(row);
    expect((await pgdba(["run", "team/ends"])).exit).toBe(5);
    expect(await sql(row)).toEqual(before);
  }, 300_000);

  test("roles that could not log in, and the one of the connection, are refused with the command that helps", async () => {
    const { sql, pgdba } = world;
    await sql("create role barred nologin");
    const hints: [string, RegExp][] = [
      ["barred", /pgdba role set barred --login/],
      ["postgres", /Connect as another superuser/],
    ];
    for (const [role, hint] of hints) {
      const { envelope } = await pgdba(["role", "password", role]);
      expect(envelope.error).toMatchObject({
        code: "step_refused",
        hint: expect.stringMatching(hint),
      });
    }
  }, 300_000);

  test("of a server that no entry knows, who is connected tells which roles would be locked out", async () => {
    const { sql, pgdba, server } = world;
    await sql(
      "create role manager superuser login password 'm'",
      "create role copier login replication password 'c'",
    );
    const { host, port } = server;
    const as = async (user: string, password: string, more: object) => {
      const client = new Client({ host, port, user, password, database: "postgres", ...more });
      client.on("error", () => {});
      await client.connect();
      return client;
    };
    const copies = await as("copier", "c", {
      replication: "database",
      application_name: "pg2",
    } as object);
    const alone = await pgdba(["role", "password", "copier", "--plan"]);
    expect(alone.envelope.error).toBe(null);
    expect((alone.envelope.data as any).run.warnings).toEqual([
      expect.stringMatching(/^pg2 replicates as copier/),
    ]);
    const manages = await as("manager", "m", { application_name: "Patroni heartbeat" });
    for (const [role, message] of [
      ["manager", /the role by which Patroni manages this server/],
      ["copier", /the role by which members of Patroni replicate \(pg2\)/],
    ] as const)
      for (const args of [
        ["password", role],
        ["set", role, "--no-login"],
      ])
        expect((await pgdba(["role", ...args])).envelope.error).toMatchObject({
          code: "step_refused",
          message: expect.stringMatching(message),
        });
    await Promise.all([copies.end(), manages.end()]);
  }, 300_000);
});
