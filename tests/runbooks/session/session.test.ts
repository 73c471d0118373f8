import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { until } from "../../support/rehearsed.ts";
import { type Planted, pidOf, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("sessions of PostgreSQL %d", (version) => {
  let server: Planted;
  let idle: Client;
  let admin: Client;
  const startedOf = async (pid: number): Promise<string | undefined> => {
    const { envelope } = await server.run(["session", "list", String(pid)]);
    return envelope.data.sessions[0]?.started;
  };
  const is = async (pid: number): Promise<string | undefined> =>
    (await admin.query("SELECT state FROM pg_stat_activity WHERE pid = $1", [pid])).rows[0]?.state;

  beforeAll(async () => {
    server = await planted(version);
    admin = await server.session("admin");
    await admin.query("CREATE ROLE plain LOGIN PASSWORD 'plain'");
    idle = await server.session("shop");
    await idle.query("BEGIN");
    await idle.query("SELECT 1 AS forgotten");
  });
  afterAll(() => server.stop());

  test("the list counts them, and shows who is idle in a transaction first", async () => {
    const { exit, envelope } = await server.run(["session", "list"]);
    expect(exit).toBe(0);
    const { data } = envelope;
    expect(data.server).toMatchObject({ idle_in_transaction: 1, hidden: 0 });
    expect(data.groups).toContainEqual(
      expect.objectContaining({ application: "shop", state: "idle in transaction", sessions: 1 }),
    );
    expect(data.sessions[0]).toMatchObject({
      pid: await pidOf(idle),
      application: "shop",
      may_end: true,
      own: false,
    });
    // Of the places some are nobody's but superusers'.
    expect(data.server).toMatchObject({ reserved_for_superusers: 3, reserved_for_members: 0 });
    // A filter is one of the groups as well.
    const shop = await server.run(["session", "list", "--application", "shop"]);
    expect(shop.envelope.data.groups).toMatchObject([{ application: "shop", sessions: 1 }]);
    const one = await server.run(["session", "list", "--limit", "1"]);
    expect(one.envelope.data).toMatchObject({ left_out: data.sessions.length - 1 });
    const none = await server.run(["session", "list", "--longer-than", "1h"]);
    expect(none.envelope.data.sessions).toEqual([]);
  });

  test("who waits at a commit for a standby is counted as waiting", async () => {
    const payer = await server.session("payer");
    await payer.query("SET synchronous_commit = on");
    await admin.query("ALTER SYSTEM SET synchronous_standby_names = 'gone'");
    await admin.query("SELECT pg_reload_conf()");
    let hangs: Promise<unknown> | undefined;
    try {
      await until(
        async () => (await payer.query("SHOW synchronous_standby_names")).rows[0],
        ({ synchronous_standby_names }) => synchronous_standby_names === "gone",
      );
      hangs = payer.query("CREATE TABLE payments ()");
      const { envelope } = await until(
        () => server.run(["session", "list"]),
        ({ envelope: { data } }) => data.server.waiting_for_standbys === 1,
      );
      const group = envelope.data.groups.find((one: any) => one.application === "payer");
      expect(group).toMatchObject({ state: "active", waiting: 1 });
    } finally {
      await admin.query("ALTER SYSTEM RESET synchronous_standby_names");
      await admin.query("SELECT pg_reload_conf()");
      await hangs;
    }
    await payer.query("DROP TABLE payments");
  });

  test("the database of the connection is no filter: alone it ends and cancels nobody, beside a pid it is borne", async () => {
    const connection = ["--host", server.host, "--port", String(server.port), "--user", "postgres"];
    const at = [...connection, "--database", "postgres"];
    for (const act of ["terminate", "cancel"]) {
      const { exit, envelope } = await server.run(["session", act, ...at, "--yes"]);
      expect(exit).not.toBe(0);
      expect(envelope.error).toMatchObject({ code: "assertion_failed" });
      expect(envelope.error.message).toContain("Without a pid or a filter");
    }
    const pid = await pidOf(idle);
    const started = (await startedOf(pid))!;
    const one = ["session", "terminate", String(pid), "--started", started, "--plan"];
    const plan = await server.run([...one, ...at]);
    expect(plan.envelope.data.sessions).toMatchObject([{ pid }]);
    const elsewhere = ["session", "list", "--in-database", "template1", ...at];
    expect((await server.run(elsewhere)).envelope.data.sessions).toEqual([]);
    const alone = await server.run(["session", "terminate", String(pid), ...at, "--yes"]);
    expect(alone.envelope.error.hint).toContain(`--started ${started} --yes ${at.join(" ")}`);
    const here = ["session", "list", "--in-database", "postgres", ...connection];
    expect((await server.run(here)).envelope.data.sessions[0]).toMatchObject({ pid });
    expect(await is(pid)).toBe("idle in transaction");
  });

  test("a role that may not look is told so, and ends only its own", async () => {
    const env = { PGDBA_PG_USER: "plain", PGDBA_PG_PASSWORD: "plain" };
    const { envelope } = await server.run(["session", "list"], env);
    expect(envelope.data.hidden).toContain("GRANT pg_monitor");
    const shop = envelope.data.sessions.find((one: any) => one.application === "shop");
    expect(shop).toMatchObject({ state: "hidden", may_end: false });
    const words = ["session", "terminate", "--application", "shop", "--yes"];
    const refused = await server.run(words, env);
    expect(refused.envelope.error).toMatchObject({ code: "assertion_failed" });
    expect(refused.envelope.error.message).toContain("may end none");
    expect(await is(await pidOf(idle))).toBe("idle in transaction");
  });

  test("a statement is cancelled, its session stays, and one whose statement has ended is told to be over", async () => {
    const busy = await server.session("busy");
    const pid = await pidOf(busy);
    const failed = busy.query("SELECT pg_sleep(60)").catch((error: any) => error.code);
    const words = ["session", "cancel", "--application", "busy", "--yes"];
    const plan = await server.run([...words, "--plan"]);
    expect(plan.envelope.data.sessions).toMatchObject([{ pid }]);
    expect(await is(pid)).toBe("active");
    const { exit, envelope } = await server.run(words);
    expect({ exit, cancelled: envelope.data.cancelled }).toEqual({ exit: 0, cancelled: [pid] });
    expect(await failed).toBe("57014");
    expect((await busy.query("SELECT 1 AS n")).rows).toEqual([{ n: 1 }]);
    const since = ["--started", (await startedOf(pid))!];
    const again = await server.run(["session", "cancel", String(pid), ...since, "--yes"]);
    expect(again.exit).toBe(0);
    expect(again.envelope.data).toMatchObject({ cancelled: [], gone: [pid], remain: [] });
    expect(again.envelope.data.note).toBe(`Already over: pid ${pid} runs no statement, it is idle`);
    // A transaction that is left open stays so, and what ends it is told.
    const open = await pidOf(idle);
    const left = [
      "session",
      "cancel",
      String(open),
      "--started",
      (await startedOf(open))!,
      "--yes",
    ];
    const { data } = (await server.run(left)).envelope;
    expect(data.note).toContain(`idle in transaction. What its transaction has locked stays so`);
    expect(data.note).toContain(`pgdba session terminate ${open} --started`);
    expect(await is(open)).toBe("idle in transaction");
  });

  test("one is ended by pid and start only, and never another that has its pid", async () => {
    const client = await server.session("one");
    const pid = await pidOf(client);
    const alone = await server.run(["session", "terminate", String(pid), "--yes"]);
    expect(alone.exit).toBe(1);
    const started = await startedOf(pid);
    expect(alone.envelope.error.hint).toContain(
      `session terminate ${pid} --started ${started} --yes`,
    );
    const words = (when: string) => [
      "session",
      "terminate",
      String(pid),
      "--started",
      when,
      "--yes",
    ];
    const other = await server.run(words("2020-01-01T00:00:00.000001Z"));
    expect(other.envelope.data).toMatchObject({ ended: [], gone: [pid] });
    expect(await is(pid)).toBe("idle");
    const ended = await server.run(words(started!));
    expect(ended.envelope.data).toMatchObject({ ended: [pid], remain: [] });
    expect(await is(pid)).toBeUndefined();
    const twice = await server.run(words(started!));
    expect({ exit: twice.exit, gone: twice.envelope.data.gone }).toEqual({ exit: 0, gone: [pid] });
  });

  test("one that is named with a state is ended only while it is in it", async () => {
    const client = await server.session("lent");
    const pid = await pidOf(client);
    const words = ["session", "terminate", String(pid), "--state", "idle", "--yes"];
    const alone = await server.run(words);
    const since = ["--started", (await startedOf(pid))!];
    expect(alone.envelope.error.hint).toContain(`${since.join(" ")} --state 'idle' --yes`);
    await client.query("BEGIN");
    const left = (await server.run([...words, ...since])).envelope;
    expect(left.error).toBe(null);
    expect(left.data).toMatchObject({ ended: [], gone: [], changed: [pid], remain: [] });
    expect(left.data.note).toContain(
      `1 of 1 still there, as it was in another state each time: pgdba session terminate ${pid} ${since.join(" ")} --state idle --yes`,
    );
    expect(await is(pid)).toBe("idle in transaction");
    await client.query("COMMIT");
    const ended = await server.run([...words, ...since]);
    expect(ended.envelope.data).toMatchObject({ ended: [pid], changed: [], note: null });
    expect(await is(pid)).toBeUndefined();
  });

  test("filters end those that fit all of them, and what is not a client's is refused", async () => {
    const state = ["--state", "idle in transaction"];
    const missed = await server.run(["session", "terminate", ...state, "--role", "plain", "--yes"]);
    expect(missed.envelope.data).toMatchObject({ sessions: [], ended: [] });
    const pid = await pidOf(idle);
    const { envelope } = await server.run([
      "session",
      "terminate",
      ...state,
      "--longer-than",
      "1ms",
      "--yes",
    ]);
    expect(envelope.data).toMatchObject({ ended: [pid], changed: [] });
    expect(await is(pid)).toBeUndefined();
    const { rows } = await admin.query(
      "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'",
    );
    const refused = await server.run(["session", "terminate", String(rows[0].pid), "--yes"]);
    expect(refused.envelope.error.message).toContain("no session of a client but a checkpointer");
    const everything = await server.run(["session", "terminate", "--yes"]);
    expect(everything.envelope.error.message).toContain("every session would be ended");
  });
});
