import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { clientOf } from "../../support/postgres.ts";
import { type Bench, bench, PLACES } from "./support.ts";

setDefaultTimeout(300_000);

/** Before 14 the server keeps neither rows of a partitioned table nor when it was analysed. */
describe.each(PLACES)("partitioned tables of PostgreSQL $name", ({ start }) => {
  let on: Bench;
  beforeAll(async () => {
    on = await bench(start);
    await on.client.query(`
      CREATE TABLE "Parts" (a int, b int) PARTITION BY RANGE (a);
      CREATE TABLE low PARTITION OF "Parts" FOR VALUES FROM (0) TO (1000) PARTITION BY RANGE (b);
      CREATE TABLE low_1 PARTITION OF low DEFAULT;
      CREATE TABLE high PARTITION OF "Parts" DEFAULT;
      CREATE TABLE empty (a int) PARTITION BY RANGE (a);
      INSERT INTO "Parts" SELECT i, i FROM generate_series(0, 2999) i;
      CREATE ROLE seer LOGIN PASSWORD 's'; GRANT pg_monitor TO seer`);
    // Counters are told to others once a second, at the end of a statement; before 15 through a collector.
    const counted = "SELECT FROM pg_stat_user_tables WHERE n_mod_since_analyze > 0";
    while ((await on.rows(counted)).length < 2) await Bun.sleep(100);
  });
  afterAll(() => on?.stop());

  const due = async (env: Record<string, string> = {}): Promise<string[]> => {
    const { envelope } = await on.pgdba(["maintenance", "tables", "--due", "analyze"], env);
    expect(envelope.error).toBeNull();
    return envelope.data.tables.map((one: any) => one.name).sort();
  };

  test("one is due until it was analysed, which its partitions confirm; before 14 only who may read it sees that", async () => {
    expect(await due({ PGDBA_PG_USER: "seer", PGDBA_PG_PASSWORD: "s" })).toEqual(
      on.server.version < 14 ? ["high", "low_1"] : ['"Parts"', "high", "low", "low_1"],
    );
    // A locked partition keeps nobody from being told what is due.
    const other = await clientOf(on.server);
    await other.query("BEGIN; LOCK TABLE high");
    expect(await due()).toEqual(['"Parts"', "high", "low", "low_1"]);
    const late = await on.pgdba(["maintenance", "analyze", '"Parts"', "--lock-timeout", "300ms"]);
    expect([late.exit, late.envelope.error.code]).toEqual([1, "assertion_failed"]);
    await other.query("ROLLBACK");
    await other.end();
    const done = await on.pgdba(["maintenance", "analyze", '"Parts"']);
    expect(done.envelope.error).toBeNull();
    expect(done.envelope.data.run.warnings ?? []).toEqual([]);
    expect(done.envelope.data.tables).toMatchObject([
      { table: '"Parts"', ok: true, changed_before: 3000, rows: 3000 },
    ]);
    expect(
      await on.rows("SELECT count(*)::int AS n FROM pg_stats WHERE tablename = 'Parts'"),
    ).toEqual([{ n: 2 }]);
    expect(await due()).toEqual([]);
    const again = await on.pgdba(["maintenance", "analyze", '"Parts"']);
    expect(again.envelope.data.tables).toMatchObject([{ ok: true, changed_before: 0, rows: 3000 }]);
  });

  test("one without partitions is analysed too", async () => {
    const { exit, envelope } = await on.pgdba(["maintenance", "analyze", "empty"]);
    expect([exit, envelope.error, envelope.data.analyzed]).toEqual([0, null, 1]);
  });
});
