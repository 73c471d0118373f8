import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { wordsOf } from "../../support/command-lines.ts";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";
import { clientOf, reload, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { until } from "./support.ts";

describe.each(VERSIONS_HERE)("a primary of PostgreSQL %d and its standby", (version) => {
  let primary: Planted;
  let standby: TestServer;
  let admin: Awaited<ReturnType<typeof clientOf>>;
  let other: Awaited<ReturnType<typeof clientOf>>;
  const found = async (check: string, thresholds = {}) => {
    const words = ["health", "check", "--only", check, "--full"];
    const given = ["--thresholds", JSON.stringify({ [check]: thresholds })];
    return (await primary.run([...words, ...given])).envelope.data.findings;
  };
  const names = async (value: string) => {
    await admin.query(`alter system set synchronous_standby_names = '${value}'`);
    await reload(admin);
  };
  /** Until the standby counts as the setting says. */
  const seen = () =>
    until(
      () => admin.query("select from pg_stat_replication where sync_state in ('sync', 'quorum')"),
      ({ rows }) => rows.length === 1,
    );

  beforeAll(async () => {
    primary = await planted(version, { wal_level: "replica" });
    standby = await startServer({
      version,
      settings: { wal_level: "replica", cluster_name: "stb_a" },
      prepare: (dataDir) => cloneInto(dataDir, primary),
    });
    admin = await clientOf(primary);
    // A copy of the primary, it has its passwords.
    other = await clientOf({ ...standby, password: primary.password });
    await admin.query("set synchronous_commit = local");
    await admin.query("create table written (n int)");
    await until(
      () => admin.query("select from pg_stat_replication where state = 'streaming'"),
      ({ rows }) => rows.length === 1,
    );
  }, 60_000);
  afterAll(async () => {
    await admin?.end();
    await other?.end();
    await standby?.stop();
    await primary?.stop();
  });

  test.each([
    ['FIRST 2 (stb_a, "stb b")', "FIRST 1 (stb_a)", "stb b"],
    ["ANY 2 (gone, STB_A)", "ANY 1 (stb_a)", "gone"],
    ["2 (*)", "FIRST 1 (stb_a)", ""],
    ["gone", "FIRST 1 (stb_a)", "gone"],
  ])(
    "that streams is kept synchronous where more are asked for: %s",
    async (asked, kept, missing) => {
      await names(asked);
      const [finding] = await until(
        () => found("sync-standbys-short"),
        ([one]) => one?.evidence.proposal === kept,
      );
      expect(finding).toMatchObject({ severity: "critical", evidence: { missing } });
      expect(finding.message).toContain("stb_a");
      expect(finding.remedy.params).toEqual({ settings: { synchronous_standby_names: kept } });
      // A commit hangs, and goes on.
      const writer = await clientOf(primary);
      const done = writer.query("insert into written values (1)");
      const line = await wordsOf(finding.remedy.command);
      expect((await primary.run(line.slice(1))).envelope.error).toBeNull();
      await done;
      await writer.end();
      await seen();
      const [left] = await found("sync-standbys-short");
      expect(left).toMatchObject({ severity: "info", remedy: { command: null, sql: null } });
      expect(left.remedy.text).toContain("leave the setting as it is");
    },
  );

  test("whose replay stands still is found on the primary", async () => {
    await names("");
    await other.query("select pg_wal_replay_pause()");
    await admin.query(
      "create table grown as select n, repeat('x', 100) from generate_series(1, 10000) n",
    );
    const look = () => found("replication-lag", { warning: 0.5, critical: 1e6 });
    const unreplayed = ([one]: any[]) => one?.evidence.unreplayed_bytes > 1_000_000;
    const [still] = await until(look, unreplayed);
    expect(still).toMatchObject({ severity: "warning", object: "standby stb_a" });
    expect(still.message).toMatch(/, 1\d+ kB of which it has received and not replayed$/);
    expect(still.remedy.text).toContain("does not replay it");
    await other.query("select pg_wal_replay_resume()");
    await until(look, (all) => all.length === 0);
  });
});
