import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import create from "../../../steps/index/create.ts";
import drop from "../../../steps/index/drop.ts";
import { clientOf } from "../../support/postgres.ts";
import { codeOf } from "../../providers/postgres/helpers.ts";

const messageOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "nothing",
    (error: Error) => error.message,
  );
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

let on: Bench;

beforeAll(async () => {
  on = await bench();
  await on.client
    .query(`CREATE SCHEMA "My Shop"; CREATE TABLE "My Shop".orders (id int PRIMARY KEY, customer int NOT NULL, note text);
    INSERT INTO "My Shop".orders SELECT i, i % 1000, 'n' || i FROM generate_series(1, 20000) i; CREATE UNIQUE INDEX note_once ON "My Shop".orders (note); ANALYZE`);
});

afterAll(() => on?.stop());

const DEFINITION = `CREATE INDEX "by Customer" ON "My Shop".orders (customer)`;
const QUERY = `SELECT * FROM "My Shop".orders WHERE customer = $1`;

async function indexes(): Promise<string[]> {
  const { rows } = await on.client.query(
    `SELECT indexrelid::regclass::text AS name, indisvalid FROM pg_index WHERE indrelid = '"My Shop".orders'::regclass ORDER BY 1`,
  );
  return rows.map((row) => `${row.name}${row.indisvalid ? "" : " invalid"}`);
}

const KEPT = [`"My Shop".note_once`, `"My Shop".orders_pkey`];
const ALL = [`"My Shop"."by Customer"`, ...KEPT];

test("what fails while they only look has changed nothing", async () => {
  const query = "SELECT * FROM no_such_table";
  const created = on.context();
  expect(await codeOf(create.run(created, { definition: DEFINITION, query }))).not.toBe("nothing");
  const missing = on.context();
  await codeOf(create.run(missing, { definition: "CREATE INDEX x ON no_such_table (a)" }));
  const dropped = on.context();
  await codeOf(drop.run(dropped, { index: "no_such_schema.x", query }));
  const constraint = on.context();
  await codeOf(drop.run(constraint, { index: '"My Shop".orders_pkey' }));
  const said = [created, missing, dropped, constraint].map((ctx) => ctx.recorded.unchanged);
  expect(said).toEqual([1, 1, 1, 1]);
  expect(await indexes()).toEqual(KEPT);
});

describe("index.create", () => {
  test("builds it concurrently and says that the planner uses it; the undo drops it", async () => {
    const ctx = on.context();
    const output = await create.run(ctx, { definition: DEFINITION, query: QUERY });
    expect(output).toMatchObject({
      index: "My Shop.by Customer",
      table: "My Shop.orders",
      created: true,
      used: true,
    });
    expect(output.cost_after).toBeLessThan(output.cost_before / 2);
    expect(await create.probe!(ctx, { definition: DEFINITION })).toMatchObject({ state: "done" });
    const again = on.context();
    expect(await create.run(again, { definition: DEFINITION })).toMatchObject({
      created: false,
      used: null,
    });
    expect(again.recorded.unchanged).toBe(1);
    await create.undo!(
      ctx,
      { definition: DEFINITION },
      await create.run(again, { definition: DEFINITION }),
    );
    expect(await indexes()).toEqual(ALL);
    await create.undo!(ctx, { definition: DEFINITION }, output);
    expect(await indexes()).toEqual(KEPT);
    expect(await create.probe!(ctx, { definition: DEFINITION })).toEqual({ state: "not_done" });
  });
  test("another index of the name is refused, whatever makes it another one; the same one is not", async () => {
    await on.client.query(
      `CREATE TABLE others (a int, s text, v varchar(20)); INSERT INTO others SELECT i, 's' || i, 'v' FROM generate_series(1, 100) i`,
    );
    for (const [there, wanted, same] of [
      ["ON orders_copy (a)", "ON others (a)", false],
      ["ON others (lower(s))", "ON others (upper(s))", false],
      ["ON others (a) WHERE s = 'a'", "ON others (a) WHERE s = 'b'", false],
      ["ON others (s)", "ON others (s text_pattern_ops)", false],
      ["ON others (a)", "ON others (a DESC)", false],
      ["ON others (a)", "ON others USING hash (a)", false],
      ["ON others (a) INCLUDE (s)", "ON others (a, s)", false],
      ['ON others (s COLLATE "C")', "ON others (s)", false],
      [
        "ON others (lower(v)) WHERE a > 5",
        "ON public.others USING btree (LOWER(v)) WHERE (a > 5)",
        true,
      ],
      ["ON others (a) WITH (fillfactor = 50)", "ON others (a)", true],
    ] as const) {
      await on.client.query("CREATE TABLE IF NOT EXISTS orders_copy (a int)");
      await on.client.query(`CREATE INDEX ix ${there}`);
      const given = { definition: `CREATE INDEX ix ${wanted}` };
      const run = create.run(on.context(), given);
      if (same) expect(await run).toMatchObject({ created: false });
      else expect(await codeOf(run), wanted).toBe("step_refused");
      expect((await create.probe!(on.context(), given)).state).toBe(same ? "done" : "not_done");
      await on.client.query("DROP INDEX ix");
    }
    expect(
      (await on.client.query("SELECT to_regclass('pg_temp.pgdba_stand_in') AS left")).rows,
    ).toEqual([{ left: null }]);
  });
  test("a partitioned table is refused with what to do, and a query that can't be planned before anything is done", async () => {
    await on.client.query(
      "CREATE TABLE parted (a int) PARTITION BY RANGE (a); CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (9)",
    );
    const definition = "CREATE INDEX parted_a ON parted (a)";
    for (const done of [
      create.run(on.context(), { definition }),
      create.plan!(on.context(), { definition }),
    ])
      expect(await messageOf(done)).toContain("public.parted is partitioned");
    const ctx = on.context();
    await create.run(ctx, { definition: "CREATE INDEX parted_a ON ONLY parted (a)" });
    expect(ctx.recorded.warnings.join()).toContain("not valid");
    expect(
      await messageOf(
        create.run(on.context(), { definition: DEFINITION, query: "SELECT nothing" }),
      ),
    ).toContain("The query can't be planned");
    expect(await indexes()).toEqual(KEPT);
  });
  test("says when the planner does not use it", async () => {
    const output = await create.run(on.context(), {
      definition: DEFINITION,
      query: `SELECT * FROM "My Shop".orders WHERE note = 'n7'`,
    });
    expect(output).toMatchObject({ created: true, used: false });
    await on.client.query(`DROP INDEX "My Shop"."by Customer"`);
  });
  test("a lock that is not had in time leaves no invalid index, and progress names who holds it", async () => {
    const other = await clientOf(on.server);
    await other.query(`BEGIN; LOCK TABLE "My Shop".orders IN ROW EXCLUSIVE MODE`);
    const ctx = on.context();
    const tried = codeOf(create.run(ctx, { definition: DEFINITION, lock_timeout: "4s" }));
    // What is left can be dropped as soon as the transaction that was in the way has ended.
    const drops =
      "SELECT FROM pg_stat_activity WHERE query LIKE 'DROP INDEX%' AND wait_event_type = 'Lock'";
    while ((await on.client.query(drops)).rowCount === 0) await Bun.sleep(20);
    await other.query("ROLLBACK");
    expect(await tried).toBe("timeout");
    const said = ctx.recorded.progress.map(({ text }) => text);
    expect(said.some((text) => /waiting for .*held up by process \d+/.test(text!))).toBe(true);
    await other.end();
    expect(await indexes()).toEqual(KEPT);
  });
  test("one that is being built is attached to: its end is waited for, and the index is the step's own", async () => {
    const other = await clientOf(on.server);
    await other.query(`BEGIN; LOCK TABLE "My Shop".orders IN ROW EXCLUSIVE MODE`);
    const builder = await clientOf(on.server);
    const building = builder.query(DEFINITION.replace("INDEX", "INDEX CONCURRENTLY"));
    let probed = await create.probe!(on.context(), { definition: DEFINITION });
    while (probed.state !== "running") {
      await Bun.sleep(5);
      probed = await create.probe!(on.context(), { definition: DEFINITION });
    }
    const following = create.run(
      on.context({ attached: { job: "run-1/step", note: probed.note ?? null } }),
      { definition: DEFINITION },
    );
    await other.query("ROLLBACK");
    await building;
    const output = await following;
    expect(output).toMatchObject({ created: true, index: "My Shop.by Customer" });
    expect(await indexes()).toEqual(ALL);
    await create.undo!(on.context(), { definition: DEFINITION }, output);
    expect(await indexes()).toEqual(KEPT);

    await other.query(`BEGIN; LOCK TABLE "My Shop".orders IN ROW EXCLUSIVE MODE`);
    const cancelled = codeOf(builder.query(DEFINITION.replace("INDEX", "INDEX CONCURRENTLY")));
    while ((await create.probe!(on.context(), { definition: DEFINITION })).state !== "running")
      await Bun.sleep(5);
    await create.stop!(on.context(), { definition: DEFINITION });
    expect(await cancelled).toContain("canceling statement due to user request");
    await other.query("ROLLBACK");
    // The error is sent before the server has cleaned up after it.
    while ((await create.probe!(on.context(), { definition: DEFINITION })).state === "running")
      await Bun.sleep(5);
    await create.undo!(on.context(), { definition: DEFINITION }, undefined);
    expect(await indexes()).toEqual(KEPT);
    await Promise.all([other.end(), builder.end()]);
  });
  test("an invalid one that was left by somebody is built again", async () => {
    await on.client.query(`CREATE INDEX "by Customer" ON "My Shop".orders (customer)`);
    await on.client.query(
      `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '"My Shop"."by Customer"'::regclass`,
    );
    expect(await create.probe!(on.context(), { definition: DEFINITION })).toEqual({
      state: "not_done",
      partly: true,
    });
    expect(await create.run(on.context(), { definition: DEFINITION })).toMatchObject({
      created: true,
    });
    expect(await indexes()).toEqual(ALL);
    await on.client.query(`DROP INDEX "My Shop"."by Customer"`);
  });
  test("only one CREATE INDEX with a name is taken", async () => {
    for (const definition of [
      `${DEFINITION}; DROP TABLE "My Shop".orders`,
      `DROP TABLE "My Shop".orders`,
      `CREATE INDEX ON "My Shop".orders (id)`,
      "CREATE INDEX",
      `CREATE TABLE t (a int)`,
    ]) {
      expect(await codeOf(create.run(on.context(), { definition }))).toBe("invalid_param");
    }
    expect(
      await codeOf(create.run(on.context(), { definition: "CREATE INDEX x ON nowhere (a)" })),
    ).toBe("step_refused");
    expect(await indexes()).toEqual(KEPT);
  });
  test("a name that another index has is refused, and that one stays", async () => {
    await on.client.query(DEFINITION);
    const other = DEFINITION.replace(/\([^)]*\)/, "(id)");
    expect(other).not.toBe(DEFINITION);
    expect(await codeOf(create.run(on.context(), { definition: other }))).toBe("step_refused");
    expect(await indexes()).toEqual(ALL);
    await on.client.query(`DROP INDEX "My Shop"."by Customer"`);
  });
});

describe("index.drop", () => {
  test("drops it, and the undo builds the same again", async () => {
    await on.client.query(DEFINITION);
    const before = (
      await on.client.query(`SELECT pg_get_indexdef('"My Shop"."by Customer"'::regclass) AS text`)
    ).rows[0].text;
    const input = { index: `"My Shop"."by Customer"`, query: QUERY };
    const output = await drop.run(on.context(), input);
    expect(output).toMatchObject({
      dropped: true,
      definition: before,
      index: "My Shop.by Customer",
    });
    expect(output.cost_after).toBeGreaterThan(output.cost_before);
    expect(await indexes()).toEqual(KEPT);
    expect(await drop.probe!(on.context(), input)).toMatchObject({ state: "done" });
    await drop.undo!(on.context(), input, output);
    expect(
      (await on.client.query(`SELECT pg_get_indexdef('"My Shop"."by Customer"'::regclass) AS text`))
        .rows[0].text,
    ).toBe(before);
    await on.client.query(`DROP INDEX "My Shop"."by Customer"`);
  });
  test("one that is not there is no change", async () => {
    const ctx = on.context();
    expect(await drop.run(ctx, { index: "nothing" })).toMatchObject({ dropped: false });
    expect(ctx.recorded.unchanged).toBe(1);
  });
  test("a unique index that a failed build left invalid is dropped, and the undo does not build it", async () => {
    const failed = on.client.query(
      `CREATE UNIQUE INDEX CONCURRENTLY once_customer ON "My Shop".orders (customer)`,
    );
    expect(await messageOf(failed)).toContain("could not create unique index");
    expect(await indexes()).toContain(`"My Shop".once_customer invalid`);
    const ctx = on.context();
    const output = await drop.run(ctx, { index: "My Shop.once_customer" });
    expect(output).toMatchObject({ dropped: true });
    await drop.undo!(
      { ...ctx, noted: ctx.recorded.notes.at(-1) },
      { index: "My Shop.once_customer" },
      output,
    );
    expect(await indexes()).toEqual(KEPT);
  });
  test("what more depends on is refused", async () => {
    for (const index of [`"My Shop".orders_pkey`, `"My Shop".note_once`])
      expect(await codeOf(drop.run(on.context(), { index }))).toBe("step_refused");
    expect(await indexes()).toEqual(KEPT);
  });
});

test("index.drop: a table is no index, and an index that is not there is said", async () => {
  expect(await messageOf(drop.run(on.context(), { index: "My Shop.orders" }))).toContain(
    "is a table, not an index",
  );
  const ctx = on.context();
  expect(await drop.run(ctx, { index: "nosuch" })).toMatchObject({ dropped: false });
  const planned = on.context();
  expect(await drop.plan!(planned, { index: "nosuch" })).toMatchObject({ found: false });
  expect(planned.recorded.warnings).toEqual(["There is no index nosuch; nothing would be dropped"]);
  expect(ctx.recorded.warnings.join()).toContain("no index nosuch");
  expect(await messageOf(drop.run(ctx, { index: "a.b.c" }))).toContain("name of one index");
});

test("index.drop: a plan shows scans, the foreign keys it serves, and what costs more without it", async () => {
  await on.client.query(`CREATE TABLE "My Shop".customers (id int PRIMARY KEY);
    INSERT INTO "My Shop".customers SELECT i FROM generate_series(0, 999) i;
    ALTER TABLE "My Shop".orders ADD CONSTRAINT "of;whom" FOREIGN KEY (customer) REFERENCES "My Shop".customers;
    CREATE INDEX "by Customer" ON "My Shop".orders (customer); ANALYZE "My Shop".orders`);
  const ctx = on.context();
  const planned = await drop.plan!(ctx, { index: '"My Shop"."by Customer"', query: QUERY });
  expect(planned).toMatchObject({
    index: "My Shop.by Customer",
    table: "My Shop.orders",
    scans: expect.any(Number),
    scans_since: expect.stringMatching(/^20/),
    constraints: [{ name: "of;whom", type: "foreign key", referenced: '"My Shop".customers' }],
    dearer: null,
  });
  const { cost_before, cost_after } = planned as { cost_before: number; cost_after: number };
  expect(cost_after).toBeGreaterThan(cost_before * 2);
  expect(ctx.recorded.warnings.join()).toContain("of;whom");
  expect(await indexes()).toEqual(ALL);
  // Without pg_stat_statements nobody knows what uses it; that is said.
  const blind = on.context();
  expect(await drop.plan!(blind, { index: '"My Shop"."by Customer"' })).toMatchObject({
    cost_after: null,
    dearer: null,
  });
  expect(blind.recorded.warnings.join()).toContain("is not known");
  await on.client.query(`DROP INDEX "My Shop"."by Customer"`);
});
