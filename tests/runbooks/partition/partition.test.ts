import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { type Planted, planted, VERSIONS_HERE } from "../../support/planted.ts";

describe.each(VERSIONS_HERE)("partitions of PostgreSQL %d", (version) => {
  let server: Planted;
  let dba: Client;
  beforeAll(async () => {
    server = await planted(version);
    dba = await server.session("dba");
    await dba.query(`
      CREATE ROLE app; CREATE SCHEMA s; CREATE TABLE s."Log" (d date, n int) PARTITION BY RANGE (d); ALTER TABLE s."Log" OWNER TO app;
      CREATE TABLE s.log_1 PARTITION OF s."Log" FOR VALUES FROM ('2030-01-01') TO ('2030-02-01')`);
  });
  afterAll(() => server.stop());

  test("the next one is made, its table's owner owns it, and it takes the rows that were refused", async () => {
    const row = `INSERT INTO s."Log" VALUES ('2030-02-03', 1)`;
    expect((await dba.query(row).catch((e) => e)).code).toBe("23514");
    const add = [
      "partition",
      "add",
      's."Log"',
      "Log_2",
      "--from",
      "2030-02-01",
      "--to",
      "2030-03-01",
    ];
    expect((await server.run([...add, "--plan"])).envelope.success).toBe(true);
    expect((await server.run(add)).envelope.success).toBe(true);
    await dba.query(row);
    const owner = await dba.query(
      "SELECT pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relname = 'Log_2'",
    );
    expect(owner.rows).toEqual([{ owner: "app" }]);
    const { data } = (await server.run(["partition", "list", 's."Log"', "--limit", "1"])).envelope;
    expect(data.tables).toMatchObject([
      { partitions: 2, left_out: 1, newest: [{ name: 's."Log_2"' }] },
    ]);
    expect((await server.run(add)).envelope.error.message).toBe(
      "There is something named Log_2 already",
    );
  }, 300_000);

  test("one that its table's owner can't be given is not made", async () => {
    await dba.query(`CREATE ROLE maker LOGIN PASSWORD 'x' IN ROLE app; GRANT USAGE, CREATE ON SCHEMA s TO maker;
      CREATE TABLE s.half (d date) PARTITION BY RANGE (d); ALTER TABLE s.half OWNER TO app`);
    const bounds = ["--from", "2030-02-01", "--to", "2030-03-01"];
    const by = { PGDBA_PG_USER: "maker", PGDBA_PG_PASSWORD: "x" };
    const add = ["partition", "add", "s.half", "half_2", ...bounds];
    const { envelope } = await server.run(add, by);
    expect(envelope.error?.data).toMatchObject({ sqlstate: "42501" });
    expect((await dba.query("SELECT to_regclass('s.half_2') AS it")).rows).toEqual([{ it: null }]);
  }, 300_000);

  test("it has the grants and storage parameters that all partitions beside it have; what only some have is told", async () => {
    await dba.query(`CREATE ROLE "re ports"; CREATE ROLE etl; CREATE ROLE few; CREATE TABLE s.own (d int) PARTITION BY RANGE (d); ALTER TABLE s.own OWNER TO app;
      CREATE TABLE s.own_1 PARTITION OF s.own FOR VALUES FROM (1) TO (2) WITH (fillfactor = 70, autovacuum_enabled = off);
      CREATE TABLE s.own_2 PARTITION OF s.own FOR VALUES FROM (2) TO (3) WITH (fillfactor = 70); CREATE TABLE s.own_rest PARTITION OF s.own DEFAULT;
      GRANT SELECT ON s.own_1, s.own_2 TO "re ports"; GRANT INSERT, UPDATE ON s.own_1, s.own_2 TO etl; GRANT DELETE ON s.own_1, s.own_2 TO etl WITH GRANT OPTION;
      GRANT SELECT ON s.own_1, s.own_2 TO PUBLIC; GRANT SELECT ON s.own_2 TO few; GRANT TRUNCATE ON s.own_rest TO few`);
    const add = (n: number) => [
      "partition",
      "add",
      "s.own",
      `own_${n}`,
      "--from",
      String(n),
      "--to",
      String(n + 1),
    ];
    const warning = `few may SELECT some of the other partitions only (1 of 2), and so not "s"."own_3": where it is to, GRANT SELECT ON "s"."own_3" TO few`;
    const plan = (await server.run([...add(3), "--plan"])).envelope.data;
    expect(JSON.stringify(plan)).toContain("INSERT, UPDATE ON");
    expect(plan.run.warnings).toEqual([warning]);
    const { data, error } = (await server.run(add(3))).envelope;
    expect(error).toBe(null);
    expect(data.run.warnings).toEqual([warning]);
    expect(data.granted).toEqual([
      { role: `"re ports"`, rights: "SELECT" },
      { role: "PUBLIC", rights: "SELECT" },
      { role: "etl", rights: "INSERT, UPDATE" },
      { role: "etl", rights: "DELETE" },
    ]);
    const { rows } = await dba.query(
      `SELECT relacl::text[] AS acl, reloptions AS options, pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relname = 'own_3'`,
    );
    expect(rows[0]).toMatchObject({ options: ["fillfactor=70"], owner: "app" });
    expect(rows[0].acl.slice(1).toSorted()).toEqual(
      [`"re ports"=r/app`, "=r/app", "etl=awd*/app"].toSorted(),
    );
    // Row security does not come with a grant: what the others hide would lie open.
    await dba.query("ALTER TABLE s.own_2 ENABLE ROW LEVEL SECURITY");
    const guarded = (await server.run(add(4))).envelope.data;
    expect(guarded.granted).toEqual([]);
    expect(guarded.run.warnings.join()).toContain(
      `"re ports" may SELECT the other partitions, whose row security "s"."own_4" does not have`,
    );
  }, 300_000);

  test("bounds are read back in their time zone, and a plan tells what is in the way", async () => {
    await dba.query(`SET TimeZone = 'Asia/Tokyo'; CREATE TABLE s.ev (t timestamptz, n int) PARTITION BY RANGE (t); CREATE TABLE s."Rest" PARTITION OF s.ev DEFAULT;
      INSERT INTO s.ev VALUES ('2030-02-03', 1); ALTER DATABASE postgres SET TimeZone = 'Asia/Tokyo'`);
    const add = async (from: string, to: string, ...more: string[]) =>
      (
        await server.run([
          "partition",
          "add",
          "s.ev",
          "ev_1",
          "--from",
          from,
          "--to",
          to,
          "--plan",
          ...more,
        ])
      ).envelope;
    expect((await add("2030-02-01", "2030-03-01")).error.message).toBe(
      'Rows of this range lie in the default partition s."Rest" already, 1 or more',
    );
    expect((await add("2030-03-01", "2030-02-01")).error.message).toContain("is not below");
    expect((await add("soon", "2030-02-01")).error.data.sqlstate).toBe("22007");
    const small = await add("2030-03-01", "2030-04-01", "--max-size", "1kB");
    expect([small.command, small.error.message]).toEqual([
      "partition add-large",
      expect.stringContaining('s."Rest" has 8192 bytes, more than 1kB'),
    ]);
    const planned = (await add("2030-03-01", "2030-04-01")).data;
    expect(planned.from).toBe("2030-03-01 00:00:00+09");
    const made = await server.run([
      "partition",
      "add",
      "s.ev",
      "ev_1",
      "--from",
      "2030-03-01",
      "--to",
      "2030-04-01",
    ]);
    expect(made.envelope.data.bounds).toBe(
      "FOR VALUES FROM ('2030-03-01 00:00:00+09') TO ('2030-04-01 00:00:00+09')",
    );
    // The last hour of it, in another time zone.
    const shared = ["partition", "add", "s.ev", "ev_2", "--plan"];
    const across = ["--from", "2030-03-31 14:00+00", "--to", "2030-05-01"];
    expect((await server.run([...shared, ...across])).envelope.error.message).toBe(
      "A part of this range is taken already, by s.ev_1 (FOR VALUES FROM ('2030-03-01 00:00:00+09') TO ('2030-04-01 00:00:00+09'))",
    );
    const beside = ["--from", "2030-03-31 15:00+00", "--to", "2030-05-01"];
    expect((await server.run([...shared, ...beside])).envelope.error).toBeNull();
  }, 300_000);

  test("rows that fell into the default partition are moved, and others stay; what would do more is refused", async () => {
    await dba.query(`CREATE TABLE s.fall (id int GENERATED ALWAYS AS IDENTITY, d date, twice int GENERATED ALWAYS AS (extract(day FROM d)::int * 2) STORED) PARTITION BY RANGE (d);
      CREATE TABLE s."Fall rest" (d date, gone int, id int NOT NULL, twice int GENERATED ALWAYS AS (extract(day FROM d)::int * 2) STORED); ALTER TABLE s."Fall rest" DROP COLUMN gone;
      ALTER TABLE s.fall ATTACH PARTITION s."Fall rest" DEFAULT; ALTER TABLE s.fall OWNER TO app; CREATE INDEX ON s.fall (id);
      INSERT INTO s.fall (d) SELECT date '2030-01-01' + i FROM generate_series(0, 99) i`);
    const all = async () =>
      (await dba.query("SELECT md5(string_agg(f::text, ',' ORDER BY id)) AS sum FROM s.fall f"))
        .rows;
    const [before] = await all();
    const bounds = ["--from", "2030-02-01", "--to", "2030-03-01"];
    const add = ["partition", "add", "s.fall", "fall_2", ...bounds];
    const told = (await server.run(add)).envelope.error;
    expect(told.hint).toContain("--move");
    const words = told.hint.match(/`pgdba ([^`]*)`/)[1].split(" ");
    const planned = (await server.run([...words, "--plan"])).envelope;
    expect(planned.data).toMatchObject({
      in_default: { partition: 's."Fall rest"', rows_of_the_range: 28, or_more: false },
    });
    const other = await server.session("other");
    await other.query("BEGIN; SELECT count(*) FROM s.fall");
    const locked = (await server.run([...words, "--lock-timeout", "200ms"])).envelope;
    await other.query("ROLLBACK");
    expect([locked.success, (await all())[0]]).toEqual([false, before]);
    const done = (await server.run(words)).envelope;
    expect(done.error).toBeNull();
    expect(done.data).toMatchObject({
      moved: 28,
      bounds: "FOR VALUES FROM ('2030-02-01') TO ('2030-03-01')",
    });
    const counts = await dba.query(
      `SELECT (SELECT count(*)::int FROM s.fall_2) AS moved, (SELECT count(*)::int FROM s."Fall rest") AS rest, pg_get_userbyid(relowner) AS owner FROM pg_class WHERE relname = 'fall_2'`,
    );
    expect([counts.rows, (await all())[0]]).toEqual([
      [{ moved: 28, rest: 72, owner: "app" }],
      before,
    ]);
    const [{ newest }] = (await server.run(["partition", "list", "s.fall"])).envelope.data.tables;
    expect(newest).toMatchObject([
      { is_default: true, estimated_rows: 72, analyzed_at: expect.any(String) },
      { name: "s.fall_2", estimated_rows: 28, analyzed_at: expect.any(String) },
    ]);
    await dba.query(`GRANT USAGE ON SCHEMA s TO app; CREATE FUNCTION s.acts() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
      CREATE TRIGGER acts AFTER DELETE ON s.fall FOR EACH ROW EXECUTE FUNCTION s.acts()`);
    const third = [
      "partition",
      "add",
      "s.fall",
      "fall_3",
      "--from",
      "2030-03-01",
      "--to",
      "2030-04-01",
      "--move",
    ];
    expect((await server.run(third)).envelope.error.message).toContain("acts");
    await dba.query(
      `DROP TRIGGER acts ON s.fall; CREATE RULE nothing AS ON INSERT TO s.fall DO INSTEAD NOTHING`,
    );
    expect((await server.run(third)).envelope.error.message).toContain("0 inserted");
    expect((await all())[0]).toEqual(before);
    await dba.query(`DROP RULE nothing ON s.fall; ALTER TABLE s.fall ADD PRIMARY KEY (id, d);
      CREATE TABLE s.points (id int, d date, FOREIGN KEY (id, d) REFERENCES s.fall ON DELETE CASCADE); INSERT INTO s.points SELECT id, d FROM s.fall`);
    expect((await server.run(third)).envelope.error.message).toContain("of s.points");
    expect((await dba.query("SELECT count(*)::int AS n FROM s.points")).rows).toEqual([{ n: 100 }]);
  }, 300_000);

  test("bounds of every kind are compared as their column compares them", async () => {
    await dba.query(`CREATE TABLE s.num (n int) PARTITION BY RANGE (n); CREATE TABLE s.num_low PARTITION OF s.num FOR VALUES FROM (MINVALUE) TO (-5);
      CREATE TABLE s.num_9 PARTITION OF s.num FOR VALUES FROM (9) TO (20); CREATE TABLE s.num_high PARTITION OF s.num FOR VALUES FROM (100) TO (MAXVALUE);
      CREATE TABLE s.txt (t text COLLATE "C") PARTITION BY RANGE (t); CREATE TABLE s.txt_1 PARTITION OF s.txt FOR VALUES FROM ('a''b') TO ('b')`);
    const add = async (table: string, from: string, to: string) =>
      (
        await server.run([
          "partition",
          "add",
          table,
          "next",
          `--from=${from}`,
          `--to=${to}`,
          "--plan",
        ])
      ).envelope.error?.message ?? null;
    const taken = "A part of this range is taken already, by ";
    expect(await add("s.num", "10", "30")).toBe(`${taken}s.num_9 (FOR VALUES FROM (9) TO (20))`);
    expect(await add("s.num", "-10", "0")).toStartWith(`${taken}s.num_low`);
    expect(await add("s.num", "20", "200")).toStartWith(`${taken}s.num_high`);
    expect(await add("s.num", "20", "100")).toBeNull();
    expect(await add("s.txt", "a", "a'c")).toStartWith(`${taken}s.txt_1`);
    expect(await add("s.txt", "a", "a'b")).toBeNull();
  }, 300_000);
});
