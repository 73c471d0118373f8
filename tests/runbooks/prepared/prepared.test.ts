import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { shellQuoted } from "../../../engine/shared/shell-words.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

const ODD = "it's\\lost";

describe.each(VERSIONS_HERE)("prepared transactions of PostgreSQL %d", (version) => {
  let server: Planted;
  let app: Client;
  const rows = async () => (await app.query("SELECT n FROM t ORDER BY n")).rows.map(({ n }) => n);

  beforeAll(async () => {
    server = await planted(version, { max_prepared_transactions: 5 });
    const admin = await server.session("admin");
    await admin.query("CREATE DATABASE app");
    app = await server.session("app", "app");
    await app.query("CREATE TABLE t (n int)");
    for (const [n, gid] of [
      [1, "good"],
      [2, ODD],
    ] as const) {
      await app.query("BEGIN");
      await app.query("INSERT INTO t VALUES ($1)", [n]);
      await app.query(`PREPARE TRANSACTION ${app.escapeLiteral(gid)}`);
    }
  });
  afterAll(() => server.stop());

  test("the list tells since when, how many locks they hold, and whom they block", async () => {
    const blocked = await server.session("blocked", "app");
    const waiting = blocked.query("SET lock_timeout = '5min'; LOCK TABLE t").catch(() => {});
    const waits = "SELECT FROM pg_locks WHERE relation = 't'::regclass AND NOT granted";
    while ((await app.query(waits)).rowCount === 0) await Bun.sleep(20);
    const { data } = (await server.run(["prepared", "list"])).envelope;
    expect(data.transactions).toMatchObject([
      { gid: "good", owner: "postgres", database: "app", may_finish: true, tables: null },
      { gid: ODD, database: "app" },
    ]);
    expect(data.transactions[0].locks).toBeGreaterThan(1);
    expect(data.transactions[0].blocks).toBe(1);
    // Nothing that began after them has ended.
    const raw = await app.query(
      "SELECT transaction::text AS xid FROM pg_prepared_xacts ORDER BY prepared",
    );
    expect(data.transactions.map((one: any) => one.xid)).toEqual(raw.rows.map(({ xid }) => xid));
    // Whoever ends it the wrong way loses data: who knows the right one is named, and the other way as well.
    const { blockers } = (await server.run(["locks", "tree"])).envelope.data;
    expect(blockers[0].loses).toMatch(/ask its transaction manager first.*pgdba prepared commit/);
    const one = (await server.run(["prepared", "list", "--limit", "1"])).envelope.data;
    expect(one).toMatchObject({ left_out: 1, max_prepared_transactions: 5 });
    await app.query(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'blocked'",
    );
    await waiting;
  }, 300_000);

  test("one is committed, another rolled back, and what became of each is asked", async () => {
    const asked = await server.run(["prepared", "commit", "good", "--yes"]);
    expect({ exit: asked.exit, code: asked.envelope.error.code }).toEqual({
      exit: 4,
      code: "approval_needed",
    });
    expect(await rows()).toEqual([]);
    const { host, port, user, database } = server;
    const at = `--host ${host} --port ${port} --user ${user} --database ${database}`;
    expect(asked.envelope.error.hint).toContain(
      `\`pgdba prepared commit good --confirmed good --yes ${at}\``,
    );
    // Nothing but the gid answers, whatever door is taken.
    for (const more of [[], ["--yes"], ["--confirm", "other"]]) {
      const again = await server.run(["resume", asked.envelope.error.run.id, ...more]);
      expect([again.exit, again.envelope.error.code]).toEqual([4, "approval_needed"]);
    }
    expect(await rows()).toEqual([]);
    const committed = await server.run([
      "resume",
      asked.envelope.error.run.id,
      "--confirm",
      "good",
    ]);
    expect(committed.envelope.data).toMatchObject({ status: "committed" });
    expect(await rows()).toEqual([1]);
    // As a finding has it: `run`, the gid as a flag, and nobody at a terminal. The hint is the whole command.
    const found = await server.run(["run", "prepared/rollback", "--gid", ODD, "--yes"]);
    const word = shellQuoted(ODD);
    expect(found.envelope.error.hint).toContain(
      `\`pgdba prepared rollback ${word} --confirmed ${word} --yes ${at}\``,
    );
    const back = await server.run(["prepared", "rollback", ODD, "--confirmed", ODD, "--yes"]);
    expect(back.envelope.error).toBeNull();
    expect(back.envelope.data).toMatchObject({ gid: ODD, database: "app", status: "aborted" });
    expect(await rows()).toEqual([1]);
    const none = await server.run(["prepared", "rollback", ODD, "--confirmed", ODD, "--yes"]);
    expect(none.envelope.error.message).toContain("No prepared transaction");
  });

  test("another that got the gid meanwhile is not meant", async () => {
    const prepare = async (n: number) => {
      await app.query("BEGIN");
      await app.query("INSERT INTO t VALUES ($1)", [n]);
      await app.query("PREPARE TRANSACTION 'same'");
    };
    await prepare(3);
    const asked = await server.run(["prepared", "rollback", "same", "--yes"]);
    await app.query("COMMIT PREPARED 'same'");
    await prepare(4);
    const { envelope } = await server.run([
      "resume",
      asked.envelope.error.run.id,
      "--confirm",
      "same",
    ]);
    expect(envelope.error.message).toContain("Another transaction has got the gid");
    await app.query("COMMIT PREPARED 'same'");
    expect(await rows()).toEqual([1, 3, 4]);
  });
});
