/** A statement is looked at as a session of another role runs it. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { PgdbaError } from "../../../engine/errors.ts";
import type { JsonObject } from "../../../engine/types.ts";
import analyze from "../../../steps/query/analyze.ts";
import { type Bench, bench, runStep } from "./support.ts";

const failure = async (promise: Promise<unknown>): Promise<PgdbaError> =>
  promise.then(
    () => expect.unreachable(),
    (error: PgdbaError) => error,
  );

describe.each([13, 18] as const)("as another role on PostgreSQL %d", (version) => {
  let on: Bench;
  const name = (role: string) => `${role}_${on.database}`;
  const run = (input: JsonObject, ctx = on.again()) => runStep(analyze, input, ctx);
  const as = (role: string, sql: string, more: JsonObject = {}) =>
    run({ sql, role: name(role), ...more });

  beforeAll(async () => {
    on = await bench(version);
    await on.sql(`
      CREATE SCHEMA shop;
      CREATE TABLE shop.orders (id int PRIMARY KEY, tenant int NOT NULL, customer int, placed int);
      INSERT INTO shop.orders SELECT i, i % 50, i % 5000, i FROM generate_series(1, 100000) i;
      CREATE INDEX orders_customer ON shop.orders (customer);
      CREATE INDEX orders_placed ON shop.orders (placed) WHERE placed < 0;
      ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON shop.orders USING (tenant = 7);
      CREATE ROLE ${name("app")}; CREATE ROLE ${name("poor")}; CREATE ROLE ${name("slow")}; CREATE ROLE ${name("owner")};
      GRANT USAGE ON SCHEMA shop TO ${name("app")}, ${name("slow")};
      GRANT SELECT ON shop.orders TO ${name("app")}, ${name("slow")};
      ALTER ROLE ${name("app")} SET search_path = shop;
      ALTER ROLE ${name("app")} SET work_mem = '1MB';
      ALTER ROLE ${name("app")} IN DATABASE ${on.database} SET work_mem = '2MB';
      ALTER ROLE ${name("slow")} SET enable_indexscan = off;
      ALTER ROLE ${name("slow")} SET enable_bitmapscan = off;
      ALTER ROLE ${name("slow")} SET search_path = shop;
      CREATE FUNCTION shop.acts() RETURNS int STABLE LANGUAGE plpgsql AS $$BEGIN PERFORM set_config('role', 'none', true); RETURN 1; END$$;
      ALTER FUNCTION shop.acts() OWNER TO ${name("owner")};
      GRANT EXECUTE ON FUNCTION shop.acts() TO PUBLIC;
      ANALYZE shop.orders`);
  });
  afterAll(async () => {
    await on.sql(`DROP SCHEMA shop CASCADE;
      DROP ROLE ${["app", "poor", "slow", "owner"].map(name).join(", ")}`);
    await on.close();
  });

  test("its row security, its search_path and the narrowest of its settings count", async () => {
    const { plan, settings, next } = await as("app", "SELECT count(*) FROM orders");
    expect(JSON.stringify(plan)).toContain("(orders.tenant = 7)");
    expect(settings).toMatchObject({ work_mem: "2MB", search_path: "shop" });
    expect(next).toContain(`--as-role ${name("app")}`);
    const executed = await as("app", "SELECT * FROM orders", { analyze: true });
    expect(executed.totals.rows).toBe(2000);
    // What is said for the statement goes before what the role has; and nothing of it stays.
    const said = { settings: { work_mem: "3MB" } };
    expect((await as("app", "SELECT FROM orders ORDER BY placed", said)).settings).toMatchObject({
      work_mem: "3MB",
    });
    const mine = await run({ sql: "SELECT current_user FROM shop.orders", analyze: true });
    expect(mine).toMatchObject({ totals: { rows: 100_000 }, settings: {} });
  });

  test("what it lacks is told of it", async () => {
    const denied = await failure(as("poor", "SELECT FROM shop.orders"));
    expect(denied).toMatchObject({
      code: "insufficient_privilege",
      hint: expect.stringContaining(`GRANT USAGE ON SCHEMA shop TO "${name("poor")}"`),
    });
    expect(await failure(run({ sql: "SELECT 1", role: "nobody at all" }))).toMatchObject({
      code: "invalid_param",
      message: "There is no role nobody at all",
    });
    const hidden = await failure(
      as("app", "SELECT FROM orders", { settings: { search_path: "public" } }),
    );
    expect(hidden.code).toBe("query_failed");
  });

  test("what it calls can't go back to the user that has connected", async () => {
    const call = "SELECT FROM shop.orders WHERE id = shop.acts()";
    expect(await failure(as("app", call, { analyze: true }))).toMatchObject({
      code: "step_refused",
    });
    const [{ role }] = (await on.sql("SELECT current_user AS role")) as [{ role: string }];
    expect(role).toBe(on.server.user);
  });

  test("a custom setting that a policy reads is given, or is the role's own", async () => {
    await on.sql(`CREATE TABLE shop.bills (id int, tenant int); GRANT SELECT ON shop.bills TO ${name("app")}, ${name("slow")};
      INSERT INTO shop.bills SELECT i, i % 10 FROM generate_series(1, 100) i; ALTER TABLE shop.bills ENABLE ROW LEVEL SECURITY;
      CREATE POLICY own ON shop.bills USING (tenant = current_setting('pgdba_shop.tenant')::int);
      ALTER ROLE ${name("slow")} SET pgdba_shop.tenant = '3'; ANALYZE shop.bills`);
    const sql = "SELECT * FROM shop.bills";
    const without = await failure(as("app", sql, { analyze: true }));
    expect(without.hint).toContain(`--settings '{"pgdba_shop.tenant":"VALUE"}'`);
    const given = { analyze: true, settings: { "pgdba_shop.tenant": "7" } };
    expect((await as("app", sql, given)).totals.rows).toBe(10);
    expect((await as("slow", sql, { analyze: true })).totals.rows).toBe(10);
    // What is missing otherwise has another hint, and what a module has defined is not set by this.
    const cast = await failure(as("app", "SELECT id::nope FROM shop.bills"));
    expect(cast.hint).not.toContain("--settings");
    await on.sql(`ALTER DATABASE ${on.database} SET session_preload_libraries = 'plpgsql'`);
    // In a session that has the module from its beginning.
    const fresh = await bench(version, on.database);
    for (const setting of ["plpgsql.extra_errors", "PLPGSQL.check_asserts", "statement_timeout"]) {
      const plan = run({ sql: "SELECT 1", settings: { [setting]: "off" } }, fresh.ctx);
      expect((await failure(plan)).code).toBe("invalid_param");
    }
    await fresh.close();
    await on.sql(`ALTER DATABASE ${on.database} RESET ALL`);
    await on.sql("DROP TABLE shop.bills");
  });

  test("an index that is there is not advised once more where settings keep the planner from it", async () => {
    const sql = "SELECT * FROM shop.orders WHERE customer = 42";
    const [found] = (await as("slow", sql)).findings;
    expect(found).toMatchObject({
      code: "filter_discards",
      advice: expect.stringMatching(
        /^orders_customer \(customer\) is there, and enable_indexscan = off and enable_bitmapscan = off keep the planner from it/,
      ),
    });
    const dear = { random_page_cost: "100000" };
    const [costly] = (await run({ sql, settings: dear })).findings;
    expect(costly.advice).toStartWith(
      "orders_customer (customer) is there, and random_page_cost = 100000 keeps",
    );
    expect(JSON.stringify([found, costly])).not.toContain("Create an index");
    // One over a part of the rows is none for all of them.
    const partial = "SELECT * FROM shop.orders WHERE placed = 5";
    const [without] = (await run({ sql: partial, settings: dear })).findings;
    expect(without.advice).toStartWith("Create an index on the columns of orders");
  });
});
