import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { wordsOf } from "../../support/command-lines.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

const SETTINGS = {
  logging_collector: "on",
  wal_level: "logical",
  log_line_prefix: "%m [%p] %q%u@%d/%a ",
  log_timezone: "Asia/Kolkata",
};

async function until<T>(ask: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  for (let tries = 0; ; tries++) {
    const value = await ask();
    if (holds(value) || tries === 300) return value;
    await Bun.sleep(100);
  }
}

describe.each(VERSIONS_HERE)("the log of PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  const show = async (...words: string[]) => (await server.run(["log", "show", ...words])).envelope;
  const fail = (sql: string) => dba.query(sql).catch(() => {});

  beforeAll(async () => {
    server = await planted(version, SETTINGS);
    dba = await server.session("dba");
  });
  afterAll(() => server.stop());

  const formats = version >= 15 ? ["stderr", "csvlog", "jsonlog"] : ["stderr", "csvlog"];
  test.each(formats)(
    "as %s is read with its parts, within bounds and without passwords",
    async (format) => {
      await dba.query(`ALTER SYSTEM SET log_destination = '${format}'`);
      await dba.query("SELECT pg_reload_conf()");
      await until(
        () => dba.query("SELECT pg_current_logfile($1) AS file", [format]),
        ({ rows }) => rows[0].file !== null,
      );
      const begun = Date.now();
      await fail(`SELECT 1 /* ${format} "odd",\n lines */ / 0`);
      await fail(`ALTER ROLE nobody_${format} PASSWORD 'hidden-${format}'`);
      await fail(
        `DO $$ BEGIN RAISE WARNING 'first of ${format}'; RAISE EXCEPTION 'second of ${format}' USING DETAIL = 'a "detail"', HINT = 'a hint'; END $$`,
      );
      const all = await until(
        () => show(format),
        ({ data }) => data.matched >= 4,
      );
      expect(all.error).toBeNull();
      const { entries } = all.data;
      expect(JSON.stringify(all)).not.toContain(`hidden-${format}`);
      const divided = entries.find(({ message }: any) => message === "division by zero");
      expect(divided).toMatchObject({
        severity: "ERROR",
        role: "postgres",
        database: "postgres",
        application: "dba",
        statement: `SELECT 1 /* ${format} "odd",\n lines */ / 0`,
      });
      expect(Math.abs(Date.parse(divided.time) - begun)).toBeLessThan(60_000);
      expect(entries.at(-1)).toMatchObject({
        message: `second of ${format}`,
        detail: 'a "detail"',
        hint: "a hint",
        context: expect.stringContaining("PL/pgSQL function"),
      });
      const errors = await show(`/(first|SECOND) of ${format}/`, "--severity", "error");
      expect(errors.data.entries.map(({ message }: any) => message)).toEqual([
        `second of ${format}`,
      ]);
      const one = await show(
        format,
        "--limit",
        "1",
        "--in-database",
        "postgres",
        "--role",
        "postgres",
      );
      expect([one.data.entries.length, one.data.left_out]).toEqual([1, one.data.matched - 1]);
      expect(
        (await show(format, "--until", new Date(begun - 60_000).toISOString())).data.matched,
      ).toBe(0);
      expect((await show(format, "--since", "1h")).data.matched).toBe(all.data.matched);
      expect((await show(format, "--role", "other")).data.matched).toBe(0);
      await fail(`SELECT 'long ${format} ${"x".repeat(30_000)}' / 0`);
      const long = await until(
        () => show(`/long ${format} x/`, "--full"),
        ({ data }) => data.matched >= 1,
      );
      expect(JSON.stringify(long.data.entries)).toMatch(/xxx … \(cut: 30\d\d\d characters\)/);
      // A pattern doesn't tell what is masked.
      expect((await show("/PASSWORD .hidden/")).data.matched).toBe(0);
      expect((await show("--read", "300GB")).error?.code).toBe("invalid_param");
      const little = await show("--read", "300B");
      expect(little.data).toMatchObject({ bytes: 300, unread_bytes: expect.any(Number) });
    },
  );

  test("the error of a subscription's worker is found by the command that its list gives", async () => {
    await dba.query("CREATE DATABASE source");
    const source = await server.session("source", "source");
    await source.query(
      `CREATE TABLE feed_of (id int PRIMARY KEY); CREATE PUBLICATION p FOR TABLE feed_of`,
    );
    await source.query("SELECT pg_create_logical_replication_slot('s', 'pgoutput')");
    await dba.query("CREATE TABLE feed_of (id int PRIMARY KEY); INSERT INTO feed_of VALUES (7)");
    const to = `host=${server.host} port=${server.port} user=${server.user} password=${server.password} dbname=source`;
    await dba.query(
      `CREATE SUBSCRIPTION "My feed" CONNECTION '${to}' PUBLICATION p WITH (create_slot = false, slot_name = 's', copy_data = false)`,
    );
    await source.query("INSERT INTO feed_of VALUES (7)");
    const listed = await until(
      async () =>
        (await server.run(["subscription", "list", "My feed"])).envelope.data.subscriptions[0],
      ({ state, advice }) => state === "no worker" && advice !== null,
    );
    const command = /`pgdba (log show .*?)`/.exec(listed.advice)?.[1] ?? "";
    expect(command).toStartWith("log show 'subscription \"My feed\"' --processes --severity error");
    const { envelope } = await until(
      async () => server.run(await wordsOf(command)),
      ({ envelope: { data } }) => data.matched > 0,
    );
    expect(envelope.data.entries.at(-1).message).toMatch(
      // 18 names the conflict first.
      /duplicate key value violates|conflict=insert_exists/,
    );
    expect(JSON.stringify(envelope)).not.toContain(server.password);
    await dba.query(`ALTER SUBSCRIPTION "My feed" DISABLE`);
    await dba.query(`ALTER SUBSCRIPTION "My feed" SET (slot_name = NONE)`);
    await dba.query(`DROP SUBSCRIPTION "My feed"`);
  }, 120_000);

  test("a role that may not read it is told what to grant, and then reads it", async () => {
    await dba.query("CREATE ROLE looker LOGIN PASSWORD 'looks'");
    const as = { PGDBA_PG_USER: "looker", PGDBA_PG_PASSWORD: "looks" };
    const refused = (await server.run(["log", "show"], as)).envelope.error;
    expect(refused.code).toBe("insufficient_privilege");
    await dba.query(/As a superuser: (GRANT .*?)\. It lies/.exec(refused.hint)![1]!);
    expect((await server.run(["log", "show"], as)).envelope.error).toBeNull();
  });

  test("a time that is none, and a log that SQL can't read, are told", async () => {
    expect((await show("--since", "yesterday")).error.code).toBe("invalid_param");
    await dba.query("ALTER SYSTEM SET logging_collector = off");
    await server.restart();
    const { error } = await show();
    expect(error.message).toBe(
      "The server's log can't be read by SQL: it does not collect its log (logging_collector is off)",
    );
    expect(error.hint).toContain("standard error");
  });
});
