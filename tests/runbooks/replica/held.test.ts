/** A session of a standby whose snapshot replay waits for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, pidOf, planted, VERSIONS_HERE } from "../../support/planted.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";

describe.each(VERSIONS_HERE)("replay of PostgreSQL %d that waits for a query", (version) => {
  let primary: Planted;
  let standby: TestServer;
  let reader: Client;
  let looks: Client;
  const there = async (...words: string[]) =>
    (await primary.run(words, { PGDBA_PG_PORT: String(standby.port) })).envelope;

  beforeAll(async () => {
    primary = await planted(version, { autovacuum: "off" });
    const writer = await primary.session("writer");
    await writer.query("SET synchronous_commit = on");
    await writer.query("CREATE TABLE t AS SELECT g AS n FROM generate_series(1, 1000) g");
    standby = await startServer({
      version,
      settings: { max_standby_streaming_delay: -1 },
      prepare: (dataDir) => cloneInto(dataDir, primary),
    });
    standby.password = primary.password;
    [reader, looks] = [await clientOf(standby), await clientOf(standby)];
    reader.on("error", () => {});
    await reader.query("SET application_name = 'report'");
    await reader.query("BEGIN ISOLATION LEVEL REPEATABLE READ");
    await reader.query("SELECT count(*) FROM t");
    await writer.query("DELETE FROM t WHERE n < 900");
    await writer.query("VACUUM t");
    await writer.query("INSERT INTO t VALUES (7)");
    const waits = "SELECT FROM pg_stat_activity WHERE wait_event = 'RecoveryConflictSnapshot'";
    while ((await looks.query(waits)).rowCount === 0) await Bun.sleep(20);
  }, 300_000);
  afterAll(async () => {
    await reader?.end().catch(() => {});
    await looks?.end();
    await standby?.stop();
    await primary?.stop();
  });

  test("all that look at it name the session, and the command that ends it lets replay go on", async () => {
    const pid = await pidOf(reader);
    const { upstream } = (await there("replica", "list")).data;
    expect(upstream.replay_held_by).toMatchObject({
      pid,
      application: "report",
      state: "idle in transaction",
      why: expect.stringContaining(
        "max_standby_streaming_delay is -1, so that replay waits without",
      ),
    });

    const tree = (await there("locks", "tree")).data;
    expect(tree.blockers).toMatchObject([{ who: `pid ${pid}`, root: true, frees: 1 }]);
    expect(tree.tree[1].wants).toContain("To remove rows that an older snapshot sees");

    const thresholds = JSON.stringify({
      "standby-replay-lag": { warning: 0, critical: 1e6, min_bytes: 1 },
      "idle-in-transaction": { warning: 1 },
    });
    const only = "standby-replay-lag,idle-in-transaction";
    const words = ["health", "check", "--only", only, "--thresholds", thresholds];
    await Bun.sleep(1_500);
    const { findings } = (await there(...words)).data;
    // The session is the cause, and the lag what it leads to.
    expect(findings).toMatchObject([
      { check: "idle-in-transaction", consequences: [{ check: "standby-replay-lag" }] },
    ]);
    const [{ consequences }] = findings;
    expect(consequences[0].message).toMatch(
      new RegExp(`replay waits for pid ${pid}, postgres \\(report\\) in .*without end`),
    );

    const command = upstream.replay_held_by.command.split(" ").slice(1);
    expect(command).not.toContain("--yes");
    const ended = await primary.run([...command, "--yes"]);
    expect(ended.envelope.error).toBeNull();
    const replayed = "SELECT count(*)::int AS n FROM t";
    while ((await looks.query(replayed)).rows[0].n !== 102) await Bun.sleep(50);
    expect((await there("replica", "list")).data.upstream.replay_held_by).toBeNull();
  }, 120_000);
});
