import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("replication slots of PostgreSQL %d", (version) => {
  let server: Planted;
  let admin: Client;
  const slots = async (...words: string[]) =>
    (await server.run(["slot", "list", ...words])).envelope.data.slots;

  beforeAll(async () => {
    server = await planted(version, { wal_level: "logical" });
    admin = await server.session("admin");
    await admin.query("CREATE DATABASE app");
    await admin.query("SELECT pg_create_physical_replication_slot('gone', true)");
    const app = await server.session("app", "app");
    await app.query("SELECT pg_create_logical_replication_slot('feed', 'test_decoding')");
    await admin.query("CREATE TABLE t AS SELECT g FROM generate_series(1, 20000) g");
  });
  afterAll(() => server.stop());

  test("the list tells what each keeps, who reads it, and what dropping it frees", async () => {
    const [first, second] = await slots();
    expect(first).toMatchObject({ name: "gone", type: "physical", active: false, consumer: null });
    // It was made just now: its consumer may come.
    expect(first.command).toBeNull();
    expect(first.advice).toStartWith(version < 17 ? "Ask whose it is" : "It was read ");
    expect(first.bytes_held).toBeGreaterThan(1_000_000);
    // The other slot, which began later, keeps the rest as well.
    expect(first.frees_bytes).toBeLessThan(first.bytes_held);
    expect(second).toMatchObject({
      name: "feed",
      database: "app",
      plugin: "test_decoding",
      frees_bytes: 0,
    });
    const { data } = (await server.run(["slot", "list", "--limit", "1"])).envelope;
    expect(data).toMatchObject({ left_out: 1, used: 2, max_wal_size: "1GB" });
  });

  test("one that is polled has been read a moment ago, where the server knows", async () => {
    // Before, it might be that nobody has read it since the server started.
    const started = "SELECT now() > pg_postmaster_start_time() + interval '6 s' AS long";
    while (!(await admin.query(started)).rows[0].long) await Bun.sleep(200);
    const app = await server.session("polls", "app");
    await app.query("SELECT pg_logical_slot_peek_changes('feed', NULL, 1)");
    const { findings } = (await server.run(["health", "check", "--only", "slot-inactive"])).envelope
      .data;
    const { message } = findings.find(({ object }: any) => object === "slot feed");
    expect(message).toMatch(
      version < 17
        ? /feed \(test_decoding in app\) has no consumer now \(since when, /
        : /feed \(test_decoding in app\) was read \d+ s ago, by a consumer that comes by now and then/,
    );
    expect(findings[0].why).not.toContain("Nobody reads");
    const [feed] = await slots("feed");
    if (version >= 17) expect(feed.advice).toMatch(/^It was read \d+ s ago/);
  });

  test("one is moved forward, in its own database, and never back", async () => {
    const words = ["slot", "advance", "feed", "--confirmed", "feed", "--yes"];
    const { envelope } = await server.run(words);
    expect(envelope.error).toBeNull();
    expect(envelope.data.skipped_bytes).toBeGreaterThan(100_000);
    const [feed] = await slots("feed");
    expect(feed.confirmed_lsn).toBe(envelope.data.to);
    const back = await server.run([...words, "--to", "0/1"]);
    expect(back.envelope.error.message).toContain("already");
    const beyond = await server.run([...words, "--to", "FF/0"]);
    expect(beyond.envelope.error.message).toContain("WAL ends at");
  });

  test("dropping asks for the name, and shows what it frees; a run that is resumed asks again", async () => {
    const words = ["slot", "drop", "gone", "--yes"];
    const asked = await server.run(words);
    expect({ exit: asked.exit, code: asked.envelope.error.code }).toEqual({
      exit: 4,
      code: "approval_needed",
    });
    expect(asked.envelope.error.message).toMatch(/\d+ bytes of WAL need no longer be kept/);
    const { host, port, user, database } = server;
    expect(asked.envelope.error.hint).toContain(
      `--confirmed gone --yes --host ${host} --port ${port} --user ${user} --database ${database}\``,
    );
    expect(await slots("gone")).toHaveLength(1);
    const wrong = await server.run([...words, "--confirmed", "other"]);
    expect(wrong.exit).toBe(1);
    const unanswered = await server.run(["resume", asked.envelope.error.run.id, "--yes"]);
    expect(unanswered.exit).toBe(4);
    expect(await slots("gone")).toHaveLength(1);
    const other = await server.run(words);
    const { envelope } = await server.run(["resume", other.envelope.error.run.id, "--give-up"]);
    expect(envelope.error.code).toBe("interrupted");
    expect(JSON.stringify(envelope.error.run.steps)).not.toContain('"sure"');
    expect(envelope.data).toBeNull();
    // Somebody makes it anew before the answer: that one is not meant.
    await admin.query("SELECT pg_drop_replication_slot('gone')");
    await admin.query("CHECKPOINT");
    await admin.query("SELECT pg_create_physical_replication_slot('gone', true)");
    const stale = await server.run(["resume", asked.envelope.error.run.id, "--confirm", "gone"]);
    expect(stale.envelope.error.message).toContain("has changed since it was looked at");
    expect(await slots("gone")).toHaveLength(1);
    const dropped = await server.run([...words, "--confirmed", "gone"]);
    expect(dropped.envelope.data).toMatchObject({ dropped: true, there_again: false });
    expect(await slots("gone")).toEqual([]);
    const twice = await server.run([...words, "--confirmed", "gone"]);
    expect(twice.envelope.error.message).toContain("There is no slot gone");
  });

  test("a logical one is dropped in its own database", async () => {
    const { envelope } = await server.run(["slot", "drop", "feed", "--confirmed", "feed", "--yes"]);
    expect(envelope.data).toMatchObject({ dropped: true });
    expect(await slots()).toEqual([]);
  });
});
