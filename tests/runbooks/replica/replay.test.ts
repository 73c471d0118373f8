import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";

describe.each(VERSIONS_HERE)("replay of a standby of PostgreSQL %d", (version) => {
  let primary: Planted;
  let standby: TestServer;
  let reader: Client;
  const there = (words: string[]) => primary.run(words, { PGDBA_PG_PORT: String(standby.port) });
  beforeAll(async () => {
    primary = await planted(version);
    const writer = await primary.session("writer");
    await writer.query("CREATE TABLE t (n int)");
    standby = await startServer({ version, prepare: (dataDir) => cloneInto(dataDir, primary) });
    standby.password = primary.password;
    reader = await clientOf(standby);
  }, 300_000);
  afterAll(async () => {
    await reader?.end();
    await standby?.stop();
    await primary?.stop();
  });

  test("it is paused, found, and goes on with all that came meanwhile", async () => {
    const paused = (await there(["replica", "replay-pause"])).envelope;
    expect(paused).toMatchObject({ success: true, data: { was_paused: false } });
    const writer = await primary.session("writer");
    // Replay can only go on with what the standby has received, and that only what was written: these servers write later than they commit.
    await writer.query("SET synchronous_commit = on");
    await writer.query("SELECT pg_logical_emit_message(false, 'much', repeat('x', 1200000))");
    await writer.query("INSERT INTO t VALUES (1)");
    const [{ lsn }] = (await writer.query("SELECT pg_current_wal_lsn()::text AS lsn")).rows;
    const received = "SELECT pg_last_wal_receive_lsn() >= $1::pg_lsn AS all";
    while ((await reader.query(received, [lsn])).rows[0].all !== true) await Bun.sleep(20);
    const found = await there(["health", "check", "--only", "replay-paused"]);
    const [finding] = found.envelope.data.findings;
    expect(finding.remedy).toMatchObject({ runbook: "replica/replay-resume" });
    expect((await reader.query("SELECT n FROM t")).rows).toEqual([]);
    const listed = (await primary.run(["replica", "list"])).envelope.data;
    expect(listed.standbys).toMatchObject([{ state: "streaming", sync_state: "async" }]);
    expect(listed).toMatchObject({ upstream: null, hidden: null, left_out: 0, commits_wait: null });
    expect(listed.standbys[0].replay_bytes).toBeGreaterThan(listed.standbys[0].flush_bytes);
    expect(listed.not_replaying).toEqual([expect.stringContaining("does not replay")]);
    const below = (await there(["replica", "list"])).envelope.data;
    expect(below).toMatchObject({ standbys: [], upstream: { replay_paused: true } });
    expect(below.upstream.is.state).toBe("streaming");
    const { envelope } = await there(["run", finding.remedy.runbook]);
    expect(envelope).toMatchObject({ success: true, data: { was_paused: true, behind_bytes: 0 } });
    expect((await reader.query("SELECT n FROM t")).rows).toEqual([{ n: 1 }]);
    const again = (await there(["replica", "replay-resume"])).envelope;
    expect(again).toMatchObject({ success: true, data: { was_paused: false } });
  }, 300_000);

  test("a primary is told to be none", async () => {
    for (const act of ["replay-pause", "replay-resume"]) {
      const { envelope } = await primary.run(["replica", act]);
      expect(envelope.error.message).toBe("This server is not a standby");
    }
  }, 300_000);

  // Before 14 such a standby does not pause, it stops.
  test.skipIf(version < 14)(
    "it is not resumed where that would shut the standby down; the remedy's command and a restart mend it",
    async () => {
      await primary.run(["config", "apply", "--settings", '{"max_connections": 150}']);
      await primary.restart();
      while (!(await reader.query("SELECT pg_is_wal_replay_paused() AS p")).rows[0].p)
        await Bun.sleep(100);
      const [{ remedy }] = (await there(["health", "check", "--only", "replay-paused"])).envelope
        .data.findings;
      expect(remedy).toMatchObject({
        runbook: "config/apply",
        params: { settings: { max_connections: 150 } },
      });
      const { error } = (await there(["replica", "replay-resume"])).envelope;
      expect(error.code).toBe("assertion_failed");
      expect(error.message).toContain("max_connections = 150. Do not resume it");
      expect(error.hint).toContain(remedy.command);
      expect((await reader.query("SELECT pg_is_wal_replay_paused() AS p")).rows).toEqual([
        { p: true },
      ]);
      const set = ["run", "config/apply", "--settings", JSON.stringify(remedy.params.settings)];
      const applied = (await there(set)).envelope;
      expect(applied.error).toBeNull();
      expect(applied.data.restart).toContain("pg_ctl restart -m fast -D ");
      const brief = (await there(["health", "check", "--only", "replay-paused", "--brief"]))
        .envelope.data.findings[0];
      expect(brief.command).toBeUndefined();
      expect(brief.by_hand).toBe(`pg_ctl restart -m fast -D ${standby.dataDir}`);
      await reader.end();
      await standby.restart();
      reader = await clientOf(standby);
      expect(
        (await there(["health", "check", "--only", "replay-paused"])).envelope.data.findings,
      ).toEqual([]);
    },
    60_000,
  );
});
