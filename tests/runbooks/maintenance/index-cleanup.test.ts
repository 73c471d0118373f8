import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { type Bench, bench, PLACES } from "./support.ts";

setDefaultTimeout(120_000);

describe.each(PLACES)("on PostgreSQL $name", ({ name, start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    for (const sql of [
      "CREATE TABLE few (id int PRIMARY KEY, b text)",
      "INSERT INTO few SELECT i, repeat('x', 100) FROM generate_series(1, 100000) i",
      "DELETE FROM few WHERE id > 500 AND id < 100000",
      "VACUUM few",
      "DELETE FROM few WHERE id = 100000",
    ])
      await on.client.query(sql);
  });
  afterAll(() => on?.stop());

  test("an empty end that holds a last dead row is cut off when the indexes are not passed by", async () => {
    const freed = async (...more: string[]): Promise<number> => {
      const { envelope } = await on.pgdba(["maintenance", "vacuum", "few", ...more]);
      expect(envelope.error).toBeNull();
      return envelope.data.tables[0].freed;
    };
    // Before 14 nothing is passed by.
    if (name === "18") expect(await freed()).toBe(0);
    expect(await freed("--index-cleanup", "on")).toBeGreaterThan(1_000_000);
  });
});
