import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Bench, bench, PLACES } from "../maintenance/support.ts";

setDefaultTimeout(300_000);

describe.each(PLACES)("on PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    await on.client.query(`
      CREATE TABLE orders (id int PRIMARY KEY);
      CREATE TABLE lines (id int PRIMARY KEY, "order" int REFERENCES orders, note text);
      CREATE INDEX "of orders" ON lines ("order"); CREATE INDEX noted ON lines (note)`);
  });
  afterAll(() => on?.stop());
  const there = async (name: string): Promise<boolean> =>
    (await on.rows("SELECT FROM pg_class WHERE relname = $1", [name])).length > 0;

  test("the last index of a foreign key is asked about, and goes by the command that is named", async () => {
    const { exit, envelope } = await on.pgdba(["index", "drop", "of orders"]);
    expect([exit, envelope.error.code]).toEqual([4, "approval_needed"]);
    expect(envelope.error.message).toContain("lines_order_fkey to public.orders");
    expect(await there("of orders")).toBe(true);
    const wrong = await on.pgdba(["index", "drop", "of orders", "--confirmed", "noted"]);
    expect(wrong.envelope.error.code).toBe("assertion_failed");
    const command = /`(pgdba index drop [^`]*)`/.exec(envelope.error.hint)![1]!;
    const named = await on.shell(command);
    expect([named.exit, named.envelope.data.dropped]).toEqual([0, true]);
    expect(await there("of orders")).toBe(false);
  });

  test("one that nothing needs goes without a question; one that is not there is none", async () => {
    const { exit, envelope } = await on.pgdba(["index", "drop", "noted"]);
    expect([exit, envelope.data.dropped, await there("noted")]).toEqual([0, true, false]);
    const again = await on.pgdba(["index", "drop", "noted"]);
    expect([again.exit, again.envelope.data.dropped]).toEqual([0, false]);
  });
});
