import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, pidOf, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("who blocks whom in PostgreSQL %d", (version) => {
  let server: Planted;
  let pids: Record<string, number>;
  let clients: Record<string, Client>;

  beforeAll(async () => {
    server = await planted(version, { max_prepared_transactions: 5 });
    const names = ["shop", "worker", "migrate", "reader", "other"];
    clients = {};
    pids = {};
    for (const name of names) {
      clients[name] = await server.session(name);
      pids[name] = await pidOf(clients[name]);
    }
    const { shop, other } = clients as Record<string, Client>;
    await shop!.query("CREATE TABLE orders (id int PRIMARY KEY, n int)");
    await shop!.query("INSERT INTO orders VALUES (1, 1), (2, 1), (3, 1)");
    await other!.query(
      "BEGIN; UPDATE orders SET n = 9 WHERE id = 3; PREPARE TRANSACTION 'it''s lost'",
    );
    await shop!.query("BEGIN; UPDATE orders SET n = 2 WHERE id = 1");
    // One after the other: who comes first in the queue decides.
    for (const [name, sql] of [
      ["worker", "UPDATE orders SET n = 3 WHERE id = 1"],
      ["migrate", "ALTER TABLE orders ADD COLUMN x int"],
      ["reader", "SELECT * FROM orders"],
    ] as const) {
      clients[name]!.query(sql).catch(() => {});
      const waits = "SELECT FROM pg_locks WHERE pid = $1 AND NOT granted";
      while ((await shop!.query(waits, [pids[name]])).rowCount === 0) await Bun.sleep(10);
    }
  });
  afterAll(() => server.stop());

  test("the tree has them where they wait, and each blocker what it would free", async () => {
    const { exit, envelope } = await server.run(["locks", "tree"]);
    expect(exit).toBe(0);
    const { data } = envelope;
    expect(data).toMatchObject({ waiting: 3, roots: 2, hidden: null, left_out: 0 });
    const tree = data.tree.map((row: any) => [row.who.trim(), row.level]);
    expect(tree).toContainEqual([`└ pid ${pids.worker}`, 1]);
    expect(tree).toContainEqual([`└ pid ${pids.reader}`, 2]);
    expect(data.tree.find((row: any) => row.pid === pids.reader)).toMatchObject({
      wants: "AccessShareLock on orders",
    });
    const blockers = Object.fromEntries(
      data.blockers.map((one: any) => [one.who, [one.root, one.frees_at_once, one.frees]]),
    );
    expect(blockers).toEqual({
      // The worker goes on at once; ALTER TABLE still waits for the prepared transaction.
      [`pid ${pids.shop}`]: [true, 1, 1],
      [`pid ${pids.migrate}`]: [false, 1, 1],
      [`pid ${pids.worker}`]: [false, 0, 0],
      "gid it's lost": [true, 0, 0],
    });
    const acts = data.advice.map((one: any) => [one.act, one.who, one.loses]);
    // It frees as many: only the statement of migrate is lost, ending shop's session would lose its UPDATE.
    const written =
      /^what its transaction has changed since \d{4}-.*Z and not committed \(transaction \d+\): ask/;
    expect(acts).toEqual([
      [
        "hurts least",
        `pid ${pids.migrate} (migrate)`,
        "nothing but its statement, which can be run again",
      ],
      ["frees most", `pid ${pids.shop} (shop)`, expect.stringMatching(written)],
    ]);
    expect(data.advice[0].command).toContain(" --yes ");
    expect(data.advice[1].command).toMatch(/^pgdba session terminate \d+ --started \S+ --host/);
    const loses = Object.fromEntries(data.blockers.map((one: any) => [one.who, one.loses]));
    expect(loses[`pid ${pids.shop}`]).toMatch(written);
    const gid = data.blockers.find((one: any) => one.kind === "prepared transaction");
    expect(gid.command).toBe(
      `pgdba prepared rollback 'it'\\''s lost' --host ${server.host} --port ${server.port} --user ${server.user} --database ${server.database}`,
    );
    const little = await server.run(["locks", "tree", "--limit", "1"]);
    expect(little.envelope.data).toMatchObject({ left_out: 3, blockers_left_out: 3 });
  });

  test("where the act that hurts least frees fewer, both are told", async () => {
    await clients.other!.query("ROLLBACK PREPARED 'it''s lost'");
    const { data } = (await server.run(["locks", "tree"])).envelope;
    expect(data.advice).toMatchObject([
      {
        act: "hurts least",
        who: `pid ${pids.migrate} (migrate)`,
        frees: "1 session goes on at once",
      },
      {
        act: "frees most",
        who: `pid ${pids.shop} (shop)`,
        frees: "1 session goes on at once, 2 more only when the transactions of these have ended",
        loses: expect.stringContaining("what its transaction has changed"),
      },
    ]);
    const lost = await server.run(data.advice[1].command.split(" ").slice(1));
    expect(lost.envelope.error.code).toBe("approval_needed");
    const asked = await server.run(data.advice[0].command.split(" ").slice(1));
    expect(asked.envelope.data.cancelled).toEqual([pids.migrate]);
    const again = await server.run(data.advice[0].command.split(" ").slice(1));
    expect(again.exit).toBe(0);
    expect(again.envelope.data).toMatchObject({ cancelled: [], gone: [pids.migrate], remain: [] });
    expect(again.envelope.data.note).toBe(
      `Already over: pid ${pids.migrate} runs no statement, it is idle`,
    );
  });

  test("a role that sees no statements sees who waits, and is told what it does not see", async () => {
    await clients.other!.query("CREATE ROLE plain LOGIN PASSWORD 'plain'");
    const { envelope } = await server.run(["locks", "tree"], {
      PGDBA_PG_USER: "plain",
      PGDBA_PG_PASSWORD: "plain",
    });
    expect(envelope.error).toBeNull();
    expect(envelope.data).toMatchObject({ waiting: 1 });
    expect(envelope.data.hidden).toContain("GRANT pg_monitor");
  });

  test("the commands free them as they stand, and what loses work with a confirmation", async () => {
    for (let round = 0; round < 3; round++) {
      const { data } = (await server.run(["locks", "tree"])).envelope;
      const first = data.blockers.find(
        (one: any) => one.command?.includes("session") && one.frees > 0,
      );
      if (first === undefined) break;
      const yes = first.loses.includes("not committed") ? ["--yes"] : [];
      expect(first.command.includes("--yes")).toBe(yes.length === 0);
      const ended = await server.run([...first.command.split(" ").slice(1), ...yes]);
      expect(ended.exit).toBe(0);
    }
    const { data } = (await server.run(["locks", "tree"])).envelope;
    expect(data).toMatchObject({ waiting: 0, blockers: [] });
  });
});
