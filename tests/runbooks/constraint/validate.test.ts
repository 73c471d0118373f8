import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { clientOf } from "../../support/postgres.ts";
import { type Bench, bench, PLACES } from "../maintenance/support.ts";

setDefaultTimeout(300_000);

describe.each(PLACES)("on PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    await on.client.query(`
      CREATE TABLE "Customers" (id int, grp int, PRIMARY KEY (id, grp));
      INSERT INTO "Customers" SELECT i, i FROM generate_series(1, 100) i;
      CREATE TABLE orders (id int, "Customer" int, grp int, total int);
      INSERT INTO orders SELECT i, i % 102, i % 102, i - 3 FROM generate_series(1, 1020) i;
      ALTER TABLE orders ADD CONSTRAINT customer FOREIGN KEY ("Customer", grp) REFERENCES "Customers" NOT VALID;
      ALTER TABLE orders ADD CONSTRAINT positive CHECK (total > 0) NOT VALID;
      ALTER TABLE orders ADD CONSTRAINT "fine One" CHECK (id > 0) NOT VALID`);
  });
  afterAll(() => on?.stop());
  const left = async (): Promise<string[]> =>
    (await on.rows("SELECT conname FROM pg_constraint WHERE NOT convalidated ORDER BY 1")).map(
      ({ conname }) => conname,
    );

  test("a plan validates nothing, and a lock that is not had is told", async () => {
    const plan = await on.pgdba(["constraint", "validate", "--plan"]);
    expect([plan.exit, plan.envelope.error]).toEqual([0, null]);
    const other = await clientOf(on.server);
    await other.query("BEGIN; LOCK TABLE orders IN SHARE UPDATE EXCLUSIVE MODE");
    const args = ["constraint", "validate", "orders", "positive", "--lock-timeout", "300ms"];
    const tried = await on.pgdba(args);
    await other.query("ROLLBACK");
    await other.end();
    expect(tried.envelope.error.message).toContain("lock timeout");
    expect(await left()).toEqual(["customer", "fine One", "positive"]);
  });

  test("where only a damaged index lacks what a foreign key refers to, no row is said to break it", async () => {
    await on.client
      .query(`CREATE TABLE parents (id int PRIMARY KEY, name text); CREATE TABLE children (id int, parent int);
      INSERT INTO parents SELECT i FROM generate_series(1, 100000) i; INSERT INTO children VALUES (1, 5), (2, 200000);
      UPDATE pg_index SET indisready = false WHERE indexrelid = 'parents_pkey'::regclass`);
    await on.client.query("INSERT INTO parents VALUES (200000, 'unseen')");
    await on.client
      .query(`UPDATE pg_index SET indisready = true WHERE indexrelid = 'parents_pkey'::regclass;
      ALTER TABLE children ADD CONSTRAINT parent FOREIGN KEY (parent) REFERENCES parents NOT VALID`);
    await on.client.query("VACUUM ANALYZE parents, children");
    const { envelope } = await on.pgdba(["constraint", "validate", "children"]);
    expect(envelope.error.message).toContain("violates foreign key constraint");
    expect(envelope.error.message).toContain("without indexes no row is found that breaks it");
    await on.client.query("DROP TABLE children, parents");
  });

  test("those that hold are validated; of the others the rows that break them are shown, then nothing is left", async () => {
    const first = await on.pgdba(["constraint", "validate"]);
    expect([first.exit, first.envelope.error.code]).toEqual([1, "assertion_failed"]);
    // The first and the last of each 102 customers are not there.
    expect(first.envelope.error.message).toContain("orders.customer: ");
    expect(first.envelope.error.message).toContain("(20 rows break it");
    expect(first.envelope.error.message).toContain("(3 rows break it");
    // It has no primary key: where a row lies names it.
    expect(first.envelope.error.message).toContain(`{"ctid":"(0,`);
    expect(await left()).toEqual(["customer", "positive"]);
    const said = /SELECT t\.\* FROM "public"\."orders" t .*?(?= finds all)/;
    const sql = said.exec(first.envelope.error.message)?.[0] ?? "";
    expect(await on.rows(sql)).toHaveLength(20);
    await on.client.query(
      `DELETE FROM orders WHERE total <= 0 OR "Customer" NOT BETWEEN 1 AND 100`,
    );
    const again = await on.pgdba(["constraint", "validate", "orders"]);
    expect(again.envelope.data).toMatchObject({ validated: 2, failed: 0 });
    expect(await left()).toEqual([]);
    const gone = await on.pgdba(["health", "check", "--only", "constraint-not-valid"]);
    expect(gone.envelope.data.passed).toEqual(["constraint-not-valid"]);
  });
});
