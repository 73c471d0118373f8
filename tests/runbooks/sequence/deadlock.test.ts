import { describe, expect, test } from "bun:test";
import { clientOf } from "../../support/postgres.ts";
import { type World, worldOf } from "./support.ts";

/** A key, what references it, what references that, and a table that is only locked, since its own column is bigint already. */
async function plant({ sql }: World, schema: string): Promise<void> {
  await sql(
    `create schema ${schema}`,
    `create table ${schema}.a_keys (id serial primary key, n int default 0)`,
    `create table ${schema}.b_lines (id int primary key references ${schema}.a_keys, n int default 0)`,
    `create table ${schema}.c_parts (id int references ${schema}.b_lines, n int default 0) partition by range (n)`,
    `create table ${schema}.c_parts_1 partition of ${schema}.c_parts for values from (0) to (1000000)`,
    `create table ${schema}.d_wide (id bigint references ${schema}.a_keys, n int default 0)`,
    `insert into ${schema}.a_keys (n) select 0 from generate_series(1, 2000)`,
    `insert into ${schema}.b_lines (id) select g from generate_series(1, 2000) g`,
    `insert into ${schema}.d_wide (id) values (1), (2), (3)`,
  );
}

/** Clients whose transactions lock the tables in one order after the other; tells how they ended. */
function writers({ server }: World, orders: string[][]): () => Promise<Record<string, number>> {
  let on = true;
  const ended: Record<string, number> = {};
  const work = orders.map(async (order) => {
    const client = await clientOf(server);
    while (on) {
      let how = "done";
      try {
        await client.query("begin");
        for (const statement of order) {
          await client.query(statement);
          await Bun.sleep(15);
        }
        await client.query("commit");
      } catch (error) {
        how = (error as { code?: string }).code ?? String(error);
        await client.query("rollback");
      }
      ended[how] = (ended[how] ?? 0) + 1;
      await Bun.sleep(5);
    }
    await client.end();
  });
  return async () => {
    on = false;
    await Promise.all(work);
    return ended;
  };
}

const ROUNDS = 3;

// So that what waits too long is met at once: a session looks for a deadlock after this.
describe.each([13, 18] as const)("PostgreSQL %d", (version) => {
  const world = worldOf(version, { deadlock_timeout: "250ms" });
  const deadlocks = async (): Promise<number> => {
    // 13 counts what sessions tell it now and then, and half a second later at the latest.
    await Bun.sleep(2_000);
    const [row] = await world.sql(
      "select deadlocks::int as n from pg_stat_database where datname = current_database()",
    );
    return row.n;
  };

  test.each([
    ["alter", ["c_parts_1", "d_wide"]],
    ["batches", ["b_lines", "d_wide"]],
  ])(
    "who locks the tables in another order is never the victim: --method %s",
    async (method, last) => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const schema = `${method}${round}`;
        await plant(world, schema);
        if (method === "batches") await world.sql(`drop table ${schema}.c_parts`);
        const lock = (name: string, mode = "row exclusive") =>
          `lock table only ${schema}.${name} in ${mode} mode`;
        const up = lock("a_keys");
        const [first, second] = last as [string, string];
        const stop = writers(world, [
          [lock(second), lock(first), up],
          [lock(first), up, lock(second, "row share")],
          [up, `select nextval('${schema}.a_keys_id_seq')`],
        ]);
        const { envelope } = await world.pgdba(
          ["sequence", "widen", `${schema}.a_keys_id_seq`, "--method", method].concat(
            "--lock-timeout",
            "5s",
          ),
        );
        const ended = await stop();
        expect(envelope.error).toBeNull();
        expect(Object.keys(ended)).toEqual(["done"]);
        expect(ended["done"]).toBeGreaterThan(5);
      }
      expect(await deadlocks()).toBe(0);
    },
    90_000,
  );

  test("who writes rows in another order than they are filled is never the victim", async () => {
    await world.sql(
      "create table written (id serial primary key, n int default 0)",
      "insert into written (n) select 0 from generate_series(1, 20000)",
    );
    const write = (id: number) => `update written set n = n + 1 where id = ${id}`;
    const stop = writers(
      world,
      [1, 2, 3].map((n) => [write(20000 - n), write(10000 - n), write(n)]),
    );
    const words = ["sequence", "widen", "written_id_seq", "--method", "batches"];
    const { envelope } = await world.pgdba(words);
    const ended = await stop();
    expect(envelope.error).toBeNull();
    expect(Object.keys(ended)).toEqual(["done"]);
    expect(await deadlocks()).toBe(0);
    const [row] = await world.sql("select sum(n)::int as n, count(*)::int as rows from written");
    expect(row).toEqual({ n: 3 * ended["done"]!, rows: 20000 });
  });
});
