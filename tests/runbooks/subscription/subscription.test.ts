import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

setDefaultTimeout(300_000);

describe.each(VERSIONS_HERE)("subscriptions of PostgreSQL %d", (version) => {
  let publisher: Planted;
  let subscriber: Planted;
  let there: Client;
  let here: Client;

  const one = async (name = "Feed;1") =>
    (await subscriber.run(["subscription", "list", name])).envelope.data.subscriptions[0];
  const until = async <T>(look: () => Promise<T>, is: (value: T) => boolean): Promise<T> => {
    for (let tries = 0; tries < 300; tries++) {
      const value = await look();
      if (is(value)) return value;
      await Bun.sleep(200);
    }
    throw new Error("It did not come to that");
  };

  beforeAll(async () => {
    publisher = await planted(version, { wal_level: "logical" });
    subscriber = await planted(version, { wal_retrieve_retry_interval: "500ms" });
    there = await publisher.session("publisher");
    here = await subscriber.session("subscriber");
    await there.query(`CREATE TABLE "Orders" (id int PRIMARY KEY, n int); CREATE TABLE plain (n int); CREATE TABLE late (id int PRIMARY KEY);
      INSERT INTO "Orders" VALUES (1, 1); INSERT INTO late VALUES (1); CREATE PUBLICATION "Pub;1" FOR TABLE "Orders", plain`);
    await here.query(
      `CREATE TABLE "Orders" (id int PRIMARY KEY, n int); CREATE TABLE plain (n int)`,
    );
    await here.query("CREATE DATABASE other");
    const { host, port, user, password } = publisher;
    const connection = `host=${host} port=${port} user=${user} password=${password} dbname=postgres`;
    await here.query(
      `CREATE SUBSCRIPTION "Feed;1" CONNECTION '${connection}' PUBLICATION "Pub;1" WITH (slot_name = feed)`,
    );
    await (
      await subscriber.session("other", "other")
    ).query(
      `CREATE SUBSCRIPTION apart CONNECTION '${connection}' PUBLICATION p WITH (connect = false)`,
    );
  }, 300_000);
  afterAll(async () => {
    await subscriber?.stop();
    await publisher?.stop();
  });

  test("the publisher's list tells what is sent, to whom, and which tables refuse updates", async () => {
    await until(one, ({ state }) => state === "running");
    const { data } = (await publisher.run(["publication", "list", "Pub;1"])).envelope;
    expect(data).toMatchObject({
      publications: [
        {
          name: "Pub;1",
          sends: ["insert", "update", "delete", "truncate"],
          tables: 2,
          without_identity: ["plain"],
        },
      ],
      readers: [{ slot: "feed", active: true }],
      wal_level: "logical",
    });
    const words = data.publications[0].command.split(" ").slice(1);
    expect((await publisher.run(words)).envelope.error).toBeNull();
    expect(
      (await publisher.run(["publication", "list"])).envelope.data.publications[0].without_identity,
    ).toEqual([]);
  });

  test("the list tells the worker, the tables and other databases", async () => {
    const { envelope } = await subscriber.run(["subscription", "list"]);
    expect(envelope.data).toMatchObject({
      subscriptions: [
        { name: "Feed;1", state: "running", publications: ["Pub;1"], tables: 2, not_ready: 0 },
      ],
      elsewhere: ["other"],
      left_out: 0,
    });
    expect(envelope.data.subscriptions[0].apply_errors).toBe(version >= 15 ? 0 : null);
    expect(envelope.data.subscriptions[0].worker).toBeGreaterThan(0);
    const none = await subscriber.run(["subscription", "list", "nothing"]);
    expect(none.envelope.error.hint).toContain("--database");
  });

  test("who is no superuser sees it without its passwords, and changes nothing", async () => {
    await here.query("CREATE ROLE guest LOGIN PASSWORD 'g'");
    const as = { PGDBA_PG_USER: "guest", PGDBA_PG_PASSWORD: "g" };
    const { envelope } = await subscriber.run(["subscription", "list"], as);
    if (version < 14) {
      expect(envelope.error.message).toContain("only a superuser sees");
      return;
    }
    expect(envelope.data.subscriptions).toMatchObject([{ name: "Feed;1", may_change: false }]);
    expect(JSON.stringify(envelope)).not.toContain(publisher.password);
    for (const act of ["enable", "disable", "refresh"])
      expect(
        (await subscriber.run(["subscription", act, "Feed;1"], as)).envelope.error.message,
      ).toBe("Only its owner postgres may change Feed;1");
  });

  test("it is disabled and enabled again, and what came meanwhile is applied", async () => {
    const planned = await subscriber.run(["subscription", "disable", "Feed;1", "--plan"]);
    expect([planned.exit, (await one()).enabled]).toEqual([0, true]);
    const off = (await subscriber.run(["subscription", "disable", "Feed;1"])).envelope;
    expect(off.data).toMatchObject({ was: "running", ended: true, slot: "feed" });
    const { state, command } = await one();
    expect(state).toBe("disabled");
    await there.query(`INSERT INTO "Orders" VALUES (2, 2)`);
    const refused = await subscriber.run(["subscription", "refresh", "Feed;1"]);
    expect(refused.envelope.error.message).toContain("is disabled");
    expect(command).toStartWith("pgdba subscription enable 'Feed;1'");
    const on = await subscriber.run(["subscription", "enable", "Feed;1"]);
    expect(on.envelope.data).toMatchObject({ was: "disabled", is: "running" });
    await until(
      () => here.query(`SELECT FROM "Orders" WHERE id = 2`),
      ({ rowCount }) => rowCount === 1,
    );
    const again = (await subscriber.run(["subscription", "enable", "Feed;1"])).envelope.data;
    expect(again).toMatchObject({ was: "running", is: "running" });
  });

  test("one whose publisher does not answer is disabled again", async () => {
    const nowhere = "host=127.0.0.1 port=1 dbname=postgres user=nobody";
    await here.query(
      `CREATE SUBSCRIPTION nowhere CONNECTION '${nowhere}' PUBLICATION p WITH (connect = false, slot_name = 'none_there')`,
    );
    const { exit, envelope } = await subscriber.run(["subscription", "enable", "nowhere"]);
    expect([exit, envelope.error.message]).toEqual([
      5,
      "No worker of nowhere has heard from the publisher in 30 s",
    ]);
    expect((await one("nowhere")).state).toBe("disabled");
    await here.query("ALTER SUBSCRIPTION nowhere SET (slot_name = NONE)");
    const slotless = (await subscriber.run(["subscription", "enable", "nowhere"])).envelope;
    expect(slotless.error.message).toBe("nowhere has no slot at its publisher");
    await here.query("DROP SUBSCRIPTION nowhere");
  });

  test("a table that was published later comes after a refresh; one that is not here is told", async () => {
    await there.query(`ALTER PUBLICATION "Pub;1" ADD TABLE late`);
    const lacking = (await subscriber.run(["subscription", "refresh", "Feed;1"])).envelope;
    expect(lacking.error.data.sqlstate).toBe("42P01");
    await here.query("CREATE TABLE late (id int PRIMARY KEY)");
    const { data } = (await subscriber.run(["subscription", "refresh", "Feed;1"])).envelope;
    expect(data).toMatchObject({ tables: 3, added: ["late"], left: [] });
    await until(
      () => here.query("SELECT FROM late"),
      ({ rowCount }) => rowCount === 1,
    );
    await there.query(`ALTER PUBLICATION "Pub;1" DROP TABLE late`);
    const left = await subscriber.run(["subscription", "refresh", "Feed;1", "--no-copy"]);
    expect(left.envelope.data).toMatchObject({ tables: 2, added: [], left: ["late"] });
  });

  test("a worker that waits for a lock is told as blocked, with who blocks it", async () => {
    await here.query(`BEGIN; LOCK TABLE "Orders" IN EXCLUSIVE MODE`);
    await there.query(`INSERT INTO "Orders" VALUES (3, 3)`);
    const blocked = await until(one, ({ state }) => state === "blocked");
    expect(blocked.waits_for).toBe("Lock relation");
    expect(blocked.command).toStartWith("pgdba locks tree");
    await here.query("COMMIT");
    await until(one, ({ state }) => state === "running");
  });

  test("a transaction that can't be applied is skipped by its position, after the name was said", async () => {
    await here.query(`INSERT INTO "Orders" VALUES (10, 0)`);
    await there.query(
      `BEGIN; INSERT INTO "Orders" VALUES (9, 9); INSERT INTO "Orders" VALUES (10, 10); COMMIT`,
    );
    const skip = (lsn: string, ...more: string[]) =>
      subscriber.run(["subscription", "skip", "Feed;1", lsn, "--yes", ...more]);
    if (version < 15) {
      expect((await skip("FF/0")).envelope.error.hint).toContain("Delete or correct the row");
      await here.query(`DELETE FROM "Orders" WHERE id = 10`);
      await until(
        () => here.query(`SELECT FROM "Orders" WHERE id = 9`),
        ({ rowCount }) => rowCount === 1,
      );
      return;
    }
    const log = await until(
      () => subscriber.log(),
      (text) => /finished at ([0-9A-F]+\/[0-9A-F]+)/.test(text),
    );
    const lsn = /finished at ([0-9A-F]+\/[0-9A-F]+)/.exec(log)![1]!;
    const look = ["health", "check", "--only", "subscription-errors"];
    const [finding] = (
      await until(
        () => subscriber.run(look),
        ({ envelope }) => envelope.data.findings.length === 1,
      )
    ).envelope.data.findings;
    expect(finding.remedy.text).toContain("pgdba subscription skip");
    const asked = await skip(lsn);
    expect([asked.exit, asked.envelope.error.message]).toEqual([
      4,
      expect.stringContaining(`ends at ${lsn}? All its changes are lost here.`),
    ]);
    expect((await skip(lsn, "--confirmed", "Feed")).envelope.error.message).toBe(
      "Feed is not Feed;1",
    );
    const past = (await skip("0/1", "--confirmed", "Feed;1")).envelope;
    expect(past.error.message).toContain("has applied what lies before");
    // The error disables it, and skipping enables it.
    await here.query(`ALTER SUBSCRIPTION "Feed;1" SET (disable_on_error = true)`);
    await until(one, ({ state }) => state === "disabled");
    const { command, advice } = await one();
    expect([command, advice]).toEqual([null, expect.stringContaining("its CONTEXT names")]);
    // So does the finding: to enable it comes after the error.
    const [off] = (await subscriber.run(["health", "check", "--only", "subscription-disabled"]))
      .envelope.data.findings;
    expect(off.message).toMatch(
      /is disabled; it has met \d+ errors?, and one is enough to disable it \(disable_on_error\)$/,
    );
    expect(off.remedy).toMatchObject({
      text: expect.stringMatching(/^First mend the error: .* Only then enable it/),
      sql: null,
      runbook: "log/show",
    });
    const wrong = await skip("FF/0", "--confirmed", "Feed;1");
    expect([wrong.exit, wrong.envelope.error.message]).toEqual([
      5,
      "No transaction that ends at FF/0 came to Feed;1 in a minute: nothing was skipped",
    ]);
    expect(await one()).toMatchObject({ state: "disabled", skips: null });
    const { data } = (await skip(lsn, "--confirmed", "Feed;1")).envelope;
    expect(data).toMatchObject({ skipped: lsn, was: "disabled", is: "running" });
    await there.query(`INSERT INTO "Orders" VALUES (11, 11)`);
    await until(
      () => here.query(`SELECT FROM "Orders" WHERE id = 11`),
      ({ rowCount }) => rowCount === 1,
    );
    expect((await here.query(`SELECT n FROM "Orders" WHERE id IN (9, 10)`)).rows).toEqual([
      { n: 0 },
    ]);
  }, 300_000);
});
