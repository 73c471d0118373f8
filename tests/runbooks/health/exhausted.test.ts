import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "pg";
import { wordsOf } from "../../support/command-lines.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("sessions that use up a limit of PostgreSQL %d", (version) => {
  let server: Planted;
  let admin: Client;
  const found = async (check: string) =>
    (await server.run(["health", "check", "--only", check, "--full"])).envelope.data.findings;
  /** Until its sessions have done nothing for a few seconds. */
  const idle = async (role: string, count: number) => {
    for (;;) {
      const { rows } = await admin.query(
        "select count(*)::int as n from pg_stat_activity where usename = $1 and state = 'idle' and state_change < now() - interval '3 s'",
        [role],
      );
      if (rows[0].n === count) return;
      await Bun.sleep(200);
    }
  };

  const others: Client[] = [];
  const open = async (user: string, application_name: string) => {
    const { host, port } = server;
    const login = { host, port, user, password: "x", database: "shop" };
    const client = new Client({ ...login, application_name });
    client.on("error", () => {});
    await client.connect();
    others.push(client);
  };
  const run = async (command: string) =>
    (await server.run((await wordsOf(command)).slice(1))).envelope;

  beforeAll(async () => {
    server = await planted(version);
    admin = await server.session("admin");
    for (const role of ["reports", "portal"])
      await admin.query(`create role ${role} login password 'x'`);
    await admin.query("create database shop connection limit 8");
    for (let n = 0; n < 6; n++) await open("reports", "report-worker");
    await open("portal", "booking");
    await idle("reports", 6);
  });
  afterAll(async () => {
    for (const client of others) await client.end().catch(() => {});
    await server.stop();
  });

  test("the role that holds them idle is bounded first, and its idle sessions are ended; the limit stays", async () => {
    const [finding] = await found("connection-limit-database");
    expect(finding.message).toStartWith(
      "shop has 7 of the 8 connections it may have (87.5 %): 6 idle of reports (report-worker), for up to ",
    );
    expect(finding.evidence).toMatchObject({ used: 7, holder: "reports", holder_idle: 6 });
    expect(finding.remedy.params).toEqual({ role: "reports", connection_limit: 4 });
    expect(finding.remedy.text).not.toContain("or raise the limit");
    // Few idle sessions matter where they fill a limit, and go away with it.
    const [few] = await found("connections-idle");
    expect(few).toMatchObject({ check: "connection-limit-database", object: "database shop" });
    expect(few.consequences).toMatchObject([{ check: "connections-idle" }]);
    const [end] = finding.remedy.also;
    expect(end.params).toMatchObject({ role: "reports", in_database: "shop", state: "idle" });
    expect((await run(finding.remedy.command)).error).toBeNull();
    expect((await run(end.command)).data.ended).toHaveLength(6);
    expect(await found("connection-limit-database")).toEqual([]);
  });

  test("a role whose own limit is used up has its idle sessions ended first, and its limit raised only after that", async () => {
    await admin.query("alter role reports connection limit 4");
    for (let n = 0; n < 4; n++) await open("reports", "report-worker");
    await idle("reports", 4);
    const [{ message, remedy }] = await found("connection-limit-role");
    expect(message).toContain("(100 %): 4 idle of reports (report-worker)");
    expect(remedy.also).toMatchObject([
      { runbook: "role/set", params: { role: "reports", connection_limit: 8 } },
    ]);
    expect((await run(remedy.command)).data.ended).toHaveLength(4);
    expect(await found("connection-limit-role")).toEqual([]);
  });

  test("a timeout that is off for a role is set by the command, but for that of statements", async () => {
    const timeouts = await found("timeouts-off");
    const by = Object.fromEntries(timeouts.map((one: any) => [one.object, one]));
    expect(by.statement_timeout.remedy.command).toBeNull();
    expect(by.lock_timeout.evidence.role_names).toBe("portal, reports");
    expect((await run(by.lock_timeout.remedy.command)).error).toBeNull();
    const left = (await found("timeouts-off")).find((one: any) => one.object === "lock_timeout");
    expect(left.evidence.role_names).toBe("reports");
  });

  test("a session that is idle in a transaction for a few seconds is left alone, unless others wait for it", async () => {
    await admin.query("create table booked (n int); insert into booked values (1)");
    const booking = await server.session("booking");
    await booking.query("begin; update booked set n = 2");
    const look = () =>
      server.run([
        "health",
        "check",
        "--only",
        "idle-in-transaction",
        "--full",
        "--thresholds",
        '{"idle-in-transaction": {"info": 0}}',
      ]);
    const first = async () => {
      for (;;) {
        const [one] = (await look()).envelope.data.findings;
        if (one !== undefined) return one;
      }
    };
    const alone = await first();
    expect(alone).toMatchObject({ severity: "info", remedy: { command: null, sql: null } });
    const waiting = await server.session("waiting");
    const done = waiting.query("update booked set n = 3").catch(() => {});
    for (;;) {
      const one = await first();
      if (one.remedy.command === null) continue;
      expect(one.message).toContain("blocks 1 session");
      break;
    }
    await booking.query("rollback");
    await done;
  });
});
