import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Bench, bench, PLACES } from "../maintenance/support.ts";

setDefaultTimeout(300_000);

describe.each(PLACES)("on PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    await on.client.query(`
      CREATE TABLE "Orders" (id int PRIMARY KEY, customer int, total int);
      INSERT INTO "Orders" SELECT i, i, i FROM generate_series(1, 20000) i;
      CREATE INDEX first ON "Orders" (customer); CREATE INDEX twin ON "Orders" (customer);
      CREATE INDEX wide ON "Orders" (customer, total);
      CREATE INDEX broken ON "Orders" (total);
      UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass`);
  });
  afterAll(() => on?.stop());

  test("all are listed, with what does the same or more", async () => {
    const { envelope } = await on.pgdba(["index", "list", "--table", '"Orders"']);
    expect(envelope.error).toBeNull();
    const about = (name: string): any =>
      envelope.data.indexes.find((one: any) => one.name === name);
    expect(about("twin")).toMatchObject({ same_as: "first", covered_by: "wide", scans: 0 });
    expect(about('"Orders_pkey"')).toMatchObject({ constraint: "Orders_pkey", same_as: null });
    expect(about("wide")).toMatchObject({ same_as: null, covered_by: null });
    expect(about("broken").valid).toBe(false);
    const few = await on.pgdba(["index", "list", "--unused", "--limit", "1"]);
    expect(few.envelope.data.left_out).toBe(3);
  });

  test("one gets a verdict", async () => {
    for (const [index, verdict] of [
      ["twin", "may go: first is the same, and stays"],
      ["first", "keep: twin is the same, and of the two that one may go"],
      ["wide", "not known yet: scans are counted only since "],
      ['"Orders_pkey"', "keep: the constraint Orders_pkey depends on it"],
      ["broken", "may go: it is invalid"],
    ] as const) {
      const { envelope } = await on.pgdba(["index", "list", index]);
      expect([index, envelope.error, envelope.data.verdict]).toEqual([
        index,
        null,
        expect.stringContaining(verdict),
      ]);
    }
    // Where one of the two has a constraint, or is scanned, the check index-duplicate keeps the same.
    const words = ["health", "check", "--only", '["index-duplicate"]'];
    const { findings } = (await on.pgdba(words)).envelope.data as any;
    expect(findings.map((one: any) => one.object)).toEqual(["public.twin"]);
    const gone = await on.pgdba(["index", "list", "nothing"]);
    expect(gone.envelope.error.message).toContain("There is no index nothing");
  });
});
