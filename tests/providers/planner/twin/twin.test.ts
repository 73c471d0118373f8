import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { startTwinServer } from "../../../../providers/planner/twin/template.ts";
import { memoryPlace } from "../../../../providers/planner/twin/memory.ts";
import { hasParameters, spelt } from "../../../../providers/parameters/spelling.ts";
import { planOf } from "../../../../providers/planner/twin/plan.ts";
import {
  type IndexDef,
  indexesOf,
  indexSql,
  nodesOf,
  openTwin,
  type PlanNode,
  shapeOfPlan,
  startTwin,
  type Twin,
} from "../../../../providers/planner/twin/twin.ts";
import {
  clientOf,
  createDatabase,
  sharedServer,
  startServer,
  type TestServer,
} from "../../../support/postgres.ts";
import { codeOf, openSession, type PgSession, specOf } from "../../postgres/helpers.ts";
import { STATEMENTS } from "./statements.ts";

let server: TestServer;
let client: Client;
let session: PgSession;
let stateDir: string;
let spares: string[];
let twin: Twin;

setDefaultTimeout(300_000);

beforeAll(async () => {
  stateDir = await mkdtemp(join(tmpdir(), "pgdba-twin-"));
  await chmod(stateDir, 0o755);
  spares = [join(stateDir, "spare")];
  const settings = {
    random_page_cost: 1.1,
    work_mem: "2MB",
    log_statement: "all",
    logging_collector: "off",
  };
  server = await startServer({ initdbArgs: ["--locale=C.UTF-8"], settings });
  client = (await clientOf(server)) as unknown as Client;
  await client.query(await readFile(join(import.meta.dir, "shop.sql"), "utf8"));
  await client.query("VACUUM ANALYZE");
  session = await openSession(specOf(server));
  twin = await clone(session);
});

afterAll(async () => {
  await twin?.close();
  await session?.close();
  await client?.end();
  await server?.stop();
  await rm(stateDir, { recursive: true, force: true });
});

function clone(of: PgSession, tables?: string[]): Promise<Twin> {
  const options = {
    stateDir,
    spares,
    ...(tables === undefined ? {} : { tables: tables.map((name) => ({ schema: "app", name })) }),
  };
  return of.transaction({ readOnly: true }, (run) =>
    openTwin(
      async (sql, values = []) => (await run(sql, values, { maxRows: 1_000_000 })).rows,
      options,
    ),
  );
}

async function realPlan(sql: string): Promise<PlanNode> {
  const { text } = await spelt(sql, 18);
  return planOf(
    (
      await client.query(
        `EXPLAIN (FORMAT JSON${hasParameters(sql) ? ", GENERIC_PLAN" : ""}) ${text}`,
      )
    ).rows,
  );
}

/** The directories of twins, in memory and on disk. */
async function runs(): Promise<string[]> {
  const disk = { dir: join(stateDir, "twin"), prefix: "" };
  const places = [disk, await memoryPlace(disk.dir)].filter((place) => place !== null);
  return places.flatMap(({ dir, prefix }) =>
    readdirSync(dir)
      .filter((name) => name.startsWith(`${prefix}run-`))
      .map((name) => join(dir, name)),
  );
}

/** One that nobody has reaped does not run. */
async function running(pid: number): Promise<boolean> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return text !== "" && !text.includes(") Z ");
}

const index = (table: string, keys: IndexDef["keys"], more: Partial<IndexDef> = {}): IndexDef => ({
  schema: "app",
  table,
  method: "btree",
  keys,
  include: [],
  where: null,
  ...more,
});
const key = (column: string, suffix?: string) => ({
  column,
  sql: `"${column}"`,
  ...(suffix === undefined ? {} : { suffix }),
});

describe("the twin plans as the server does", () => {
  test("nothing is missing", () => {
    expect(twin.limits).toEqual([]);
  });
  for (const sql of STATEMENTS) {
    test(sql, async () => {
      const [ours, theirs] = [await twin.explain(sql), await realPlan(sql)];
      expect(shapeOfPlan(ours)).toBe(shapeOfPlan(theirs));
      expect(ours["Plan Rows"]).toBe(theirs["Plan Rows"]);
      // GIN's cost depends on figures in its metapage that SQL does not show.
      expect(Math.abs(ours["Total Cost"] - theirs["Total Cost"])).toBeLessThanOrEqual(
        0.01 * theirs["Total Cost"],
      );
    });
  }
  test("a table that has grown since ANALYZE", async () => {
    await client.query(
      "CREATE TABLE app.grown (a int, b text); INSERT INTO app.grown SELECT i, 'x' FROM generate_series(1, 5000) i",
    );
    await client.query("ANALYZE app.grown");
    await client.query("INSERT INTO app.grown SELECT i, 'y' FROM generate_series(1, 20000) i");
    const grown = await clone(session, ["grown"]);
    expect((await grown.explain("SELECT * FROM app.grown"))["Total Cost"]).toBe(
      (await realPlan("SELECT * FROM app.grown"))["Total Cost"],
    );
    expect(grown.catalogue.relations.map((relation) => relation.name)).toEqual(["grown"]);
    await grown.close();
    await client.query("DROP TABLE app.grown");
  });
});

describe("indexes that do not exist", () => {
  const cases: { name: string; def: IndexDef; sql: string }[] = [
    {
      name: "one column",
      def: index("orders_2024", [key("total")]),
      sql: "SELECT * FROM app.orders WHERE total = 12.5 AND placed >= '2024-01-01' AND placed < '2025-01-01'",
    },
    {
      name: "low cardinality",
      def: index("lines", [key("qty")]),
      sql: "SELECT count(*) FROM app.lines WHERE qty = 3",
    },
    {
      name: "two columns and more of the row",
      def: index("customers", [key("country"), key("created", "DESC")], { include: ["id"] }),
      sql: "SELECT id FROM app.customers WHERE country = 'FR' ORDER BY created DESC LIMIT 500",
    },
    {
      name: "partial",
      def: index("customers", [key("created")], { where: "discount > 48" }),
      sql: "SELECT * FROM app.customers WHERE discount > 48 AND created < '2024-01-05'",
    },
    {
      name: "a partitioned table",
      def: index("orders", [key("note")]),
      sql: "SELECT * FROM app.orders WHERE note = 'note 50'",
    },
    {
      name: "text patterns",
      def: index("customers", [key("email", "text_pattern_ops")]),
      sql: "SELECT * FROM app.customers WHERE email LIKE 'user199%'",
    },
    {
      name: "gin",
      def: index("products", [key("data", "jsonb_path_ops")], { method: "gin" }),
      sql: `SELECT * FROM app.products WHERE data @> '{"size": 3}'`,
    },
  ];
  for (const { name, def, sql } of cases) {
    test(name, async () => {
      const without = await twin.explain(sql);
      const ours = await twin.explain(sql, { with: [def] });
      const [{ bytes } = { bytes: 0 }] = (await twin.sizes([def])).flatMap((made) => made ?? []);
      await client.query(`CREATE INDEX built ${indexSql(def)}`);
      try {
        const theirs = await realPlan(sql);
        expect(theirs["Total Cost"]).toBeLessThan(without["Total Cost"]);
        const nodes = (plan: PlanNode) => nodesOf(plan).map((node) => node["Node Type"]);
        expect(nodes(ours)).toEqual(nodes(theirs));
        expect(ours["Total Cost"] / theirs["Total Cost"]).toBeWithin(0.9, 1.1);
        const { rows } = await client.query(
          "SELECT sum(pg_relation_size(relid))::float8 AS bytes FROM pg_partition_tree('app.built') WHERE isleaf",
        );
        const real =
          rows[0].bytes ||
          (await client.query("SELECT pg_relation_size('app.built')::float8 AS bytes")).rows[0]
            .bytes;
        if (def.method === "btree") expect(bytes / real).toBeWithin(0.8, 1.25);
      } finally {
        await client.query("DROP INDEX app.built");
      }
      // What was pretended for one plan is gone in the next.
      expect(await twin.explain(sql)).toEqual(without);
    });
  }
  test("an index pretended away", async () => {
    const sql = "SELECT * FROM app.lines WHERE sku = 'sku-5'";
    expect([...indexesOf(await twin.explain(sql))]).toEqual(["lines_sku"]);
    expect([...indexesOf(await twin.explain(sql, { without: ["app.lines_sku"] }))]).toEqual([]);
    expect([...indexesOf(await twin.explain(sql))]).toEqual(["lines_sku"]);
  });
  test("one of a partitioned table pretended away", async () => {
    const sql = "SELECT * FROM app.orders WHERE customer = 4711";
    expect(indexesOf(await twin.explain(sql)).size).toBe(4);
    expect([...indexesOf(await twin.explain(sql, { without: ["app.orders_customer"] }))]).toEqual(
      [],
    );
  });
  test("other settings", async () => {
    const sql = "SELECT * FROM app.customers WHERE id < 3000 ORDER BY created";
    const before = await twin.explain(sql);
    await client.query("SET random_page_cost = 50");
    const theirs = await realPlan(sql);
    await client.query("RESET random_page_cost");
    expect(await twin.explain(sql, { settings: { random_page_cost: "50" } })).toEqual(theirs);
    expect(await twin.explain(sql)).toEqual(before);
  });
  test("a thousand are soon tried", async () => {
    const begun = performance.now();
    for (let n = 0; n < 100; n++) {
      await twin.explain("SELECT * FROM app.products WHERE price = 7", {
        with: [index("products", [key("price")], { where: `price < ${n}` })],
      });
    }
    expect(performance.now() - begun).toBeLessThan(15_000);
  });
});

describe("what it does to the server and to this machine", () => {
  test("nothing but SELECTs in a read-only transaction reaches the server", async () => {
    const log = join(server.dataDir, "../log");
    const before = (await readFile(log, "utf8")).length;
    const other = await clone(session, ["customers"]);
    await other.explain("SELECT 1 FROM app.customers", {
      with: [index("customers", [key("about")])],
    });
    await other.close();
    const text = (await readFile(log, "utf8")).slice(before);
    const asked = [...text.matchAll(/LOG: {2}(?:statement|execute [^:]*): *\s*(\S+)/g)].map(
      (match) => match[1],
    );
    expect(asked.length).toBeGreaterThan(10);
    expect([...new Set(asked)].toSorted()).toEqual(["BEGIN", "ROLLBACK", "SELECT", "WITH"]);
  });
  test("a role that may read one table only is told what it lacks", async () => {
    await client.query(
      "CREATE ROLE clerk LOGIN PASSWORD 'x'; GRANT USAGE ON SCHEMA app TO clerk; GRANT SELECT ON app.customers TO clerk",
    );
    const clerk = await openSession({ ...specOf(server), user: "clerk", password: () => "x" });
    const theirs = await clone(clerk, ["customers", "lines", "nothing"]);
    expect(theirs.limits).toEqual([
      { object: "app.nothing", reason: expect.stringContaining("no such table"), missing: true },
      {
        object: "app.lines",
        reason: expect.stringContaining("GRANT SELECT ON app.lines TO clerk"),
      },
    ]);
    const sql = "SELECT * FROM app.customers WHERE id = 17";
    expect(await theirs.explain(sql)).toEqual(await realPlan(sql));
    await theirs.close();
    await clerk.close();
  });
  test("files are for one user, and gone on close", async () => {
    const other = await clone(session, ["customers"]);
    const files = [join(stateDir, "twin"), ...(await runs())].flatMap((dir) =>
      readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()),
    );
    expect(files.length).toBeGreaterThan(500);
    expect(
      files.filter((entry) => (statSync(join(entry.parentPath, entry.name)).mode & 0o077) !== 0),
    ).toEqual([]);
    expect(await runs()).toHaveLength(2);
    await other.close();
    expect(await runs()).toHaveLength(1);
  });
  test("where memory has no room for it, it is on disk", async () => {
    const from = {
      locale: { datcollate: "C" },
      relation_count: 1_000_000_000,
      version_num: 180_000,
    };
    const { server: large } = await startTwinServer({ stateDir, spares }, from);
    expect(large.dataDir).toStartWith(join(stateDir, "twin"));
    await large.close();
    expect(await runs()).toHaveLength(1);
  });
  test("kill -9 leaves no server, and the next twin no file", async () => {
    const script = `import { openTwin } from ${JSON.stringify(join(import.meta.dir, "../../../../providers/planner/twin/twin.ts"))};
      import { openSession } from ${JSON.stringify(join(import.meta.dir, "../../../../providers/postgres/session.ts"))};
      const spec = ${JSON.stringify({ ...specOf(server), password: undefined })};
      const session = await openSession({ ...spec, password: () => process.env.PW });
      await openTwin(async (sql, values = []) => (await session.query(sql, values)).rows, { stateDir: ${JSON.stringify(stateDir)}, spares: ${JSON.stringify(spares)}, tables: [{ schema: "app", name: "customers" }] });
      console.log("open"); setInterval(() => {}, 1000);`;
    const child = Bun.spawn([process.execPath, "-e", script], {
      env: { ...process.env, PW: server.password },
      stdout: "pipe",
    });
    for await (const chunk of child.stdout)
      if (new TextDecoder().decode(chunk).includes("open")) break;
    const [left] = (await runs()).filter((name) => name.includes(`run-${child.pid}-`));
    expect(left).toBeDefined();
    const base = left!;
    const pid = Number((await readFile(join(base, "data/postmaster.pid"), "utf8")).split("\n")[0]);
    // Its keeper is stopped, as it would be by the end of the machine.
    const keeper = Number(
      (await readFile(`/proc/${pid}/stat`, "utf8")).split(") ")[1]!.split(" ")[1],
    );
    process.kill(keeper, "SIGKILL");
    child.kill("SIGKILL");
    await child.exited;
    expect(await running(pid)).toBe(true);
    await (await clone(session, ["customers"])).close();
    expect(await running(pid)).toBe(false);
    expect(existsSync(base)).toBe(false);
  });
  test("kill -9 of this process alone ends the server and removes the files", async () => {
    const script = `import { startTwinServer } from ${JSON.stringify(join(import.meta.dir, "../../../../providers/planner/twin/template.ts"))};
      await startTwinServer({ stateDir: ${JSON.stringify(stateDir)}, spares: ${JSON.stringify(spares)} }, { locale: { datcollate: 'C' }, relation_count: 1, version_num: 180000 }); console.log("open"); setInterval(() => {}, 1000);`;
    const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
    for await (const chunk of child.stdout)
      if (new TextDecoder().decode(chunk).includes("open")) break;
    child.kill("SIGKILL");
    await child.exited;
    const deadline = performance.now() + 30_000;
    while ((await runs()).length > 1 && performance.now() < deadline) await Bun.sleep(20);
    expect(await runs()).toHaveLength(1);
  });
  test("code that comes from the server runs as nobody's superuser", async () => {
    await client.query(`CREATE FUNCTION app.evil() RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$
      BEGIN IF current_setting('is_superuser') = 'on' OR pg_has_role(session_user, 'pg_execute_server_program', 'USAGE') THEN RETURN 1; END IF; RETURN 2; END $$`);
    const other = await clone(session, ["customers"]);
    // The planner computes it: a constant that equals 2 leaves the scan, one that equals 1 leaves nothing of it.
    expect(
      (await other.explain("SELECT * FROM app.customers WHERE app.evil() = 2"))["Node Type"],
    ).toBe("Seq Scan");
    expect(
      (await other.explain("SELECT * FROM app.customers WHERE app.evil() = 1"))["Node Type"],
    ).toBe("Result");
    await other.close();
  });
  test("only one statement is planned, and none is run", async () => {
    for (const sql of [
      "SELECT 1; DROP TABLE app.lines",
      "SELECT $1::int; DROP TABLE app.lines",
      "DROP TABLE app.lines",
      "COPY app.lines TO PROGRAM 'true'",
      "ANALYZE SELECT 1",
    ]) {
      expect(await codeOf(twin.explain(sql))).toBe("query_failed");
    }
    expect((await twin.explain("DELETE FROM app.lines"))["Plan Rows"]).toBe(0);
  });
});

describe("other servers", () => {
  test("a locale of ICU", async () => {
    const french = await startServer({ initdbArgs: ["--locale-provider=icu", "--icu-locale=fr"] });
    const filler = await clientOf(french);
    const of = await openSession(specOf(french));
    try {
      await filler.query(
        `CREATE TABLE mots (m text); INSERT INTO mots SELECT (ARRAY['côte', 'cote', 'Coté', 'été', 'Z'])[1 + i % 5] || i FROM generate_series(1, 5000) i; CREATE INDEX ON mots (m)`,
      );
      await filler.query("VACUUM ANALYZE mots");
      const other = await clone(of);
      expect(other.limits).toEqual([]);
      for (const sql of [
        "SELECT * FROM mots WHERE m > 'd' AND m < 'y'",
        "SELECT * FROM mots WHERE m LIKE 'Cot%'",
        "SELECT * FROM mots WHERE m LIKE 'Cot%' COLLATE \"C\"",
      ]) {
        const theirs = planOf((await filler.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows);
        expect(await other.explain(sql)).toEqual(theirs);
      }
      await other.close();
    } finally {
      await of.close();
      await filler.end();
      await french.stop();
    }
  });
  test("a locale that this machine lacks is said", async () => {
    const other = await session.transaction({ readOnly: true }, (run) =>
      openTwin(
        async (sql, values = []) => {
          const { rows } = await run(sql, values, { maxRows: 1_000_000 });
          return rows.map((row) =>
            "locale" in row
              ? { ...row, locale: { datcollate: "tlh_QO.UTF-8", datlocprovider: "c" } }
              : row,
          );
        },
        { stateDir, spares, tables: [{ schema: "app", name: "customers" }] },
      ),
    );
    expect(other.limits).toEqual([
      { object: "collation", reason: expect.stringContaining("tlh_QO.UTF-8") },
    ]);
    expect(shapeOfPlan(await other.explain("SELECT * FROM app.customers WHERE id = 5"))).toContain(
      "customers_pkey",
    );
    await other.close();
  });
  describe.each([13, 14, 15, 16, 17] as const)("version %d", (version) => {
    test("has a twin of its own, whose plans and costs are the server's", async () => {
      const old = await sharedServer(version);
      const database = await createDatabase(old);
      const filler = await clientOf(old, database);
      await filler.query(await readFile(join(import.meta.dir, "types.sql"), "utf8"));
      await filler.query("VACUUM ANALYZE");
      const of = await openSession({ ...specOf(old), database });
      const other = await clone(of);
      // pg_stats does not show what is known of ranges before 17.
      const ranges = { object: "public.kinds", reason: expect.stringContaining("range") };
      expect(other.limits).toEqual(version < 17 ? [ranges] : []);
      for (const sql of [
        "SELECT * FROM t WHERE id = 5",
        "SELECT * FROM t WHERE k = 'k7' AND at > '2024-02-01'",
        "SELECT k, count(*) FROM t GROUP BY k",
        "SELECT * FROM kinds WHERE mood = 'sad' AND amount > 440 AND amount < 490",
        "SELECT * FROM kinds WHERE word > 'w5' ORDER BY word LIMIT 10",
        "SELECT * FROM kinds WHERE short = 'v3'",
        "SELECT * FROM kinds WHERE tags @> ARRAY['t3']",
        "SELECT * FROM kinds WHERE doc @@ 'word7'::tsquery",
        "SELECT * FROM kinds WHERE lower(word) = 'w77'",
        "SELECT a.* FROM kinds a JOIN t ON t.id = a.id WHERE t.k = 'k9' AND a.mood = 'calm'",
        "UPDATE kinds SET word = 'x' WHERE amount BETWEEN 700 AND 705",
      ]) {
        const theirs = planOf((await filler.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows);
        const ours = await other.explain(sql);
        if (sql.includes("@")) {
          // What a GIN index holds inside is in its metapage, which is not cloned.
          expect(shapeOfPlan(ours)).toBe(shapeOfPlan(theirs));
          expect(ours["Total Cost"] / theirs["Total Cost"]).toBeWithin(0.99, 1.01);
        } else expect(ours, sql).toEqual(theirs);
      }
      const generic = "SELECT * FROM kinds WHERE amount < $1 AND mood = $2";
      await filler.query(`PREPARE s AS ${generic}; SET plan_cache_mode = force_generic_plan`);
      const { rows } = await filler.query("EXPLAIN (FORMAT JSON) EXECUTE s(NULL, NULL)");
      expect(await other.explain(generic)).toEqual(planOf(rows));
      // For no value in particular no partition can be left out, and the indexes of all are seen.
      const any = await other.explain("SELECT * FROM t WHERE id = $1");
      expect([...indexesOf(any)].toSorted()).toEqual(["t1_pkey", "t2_pkey"]);
      const def = { ...index("kinds", [key("short"), key("id")]), schema: "public" };
      const sql = "SELECT id FROM kinds WHERE short = 'v3' AND id > 500";
      const before = await other.explain(sql);
      const ours = await other.explain(sql, { with: [def] });
      await filler.query(`CREATE INDEX ${indexSql(def)}`);
      const real = planOf((await filler.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows);
      expect(ours["Node Type"]).toBe(real["Node Type"]);
      expect(ours["Total Cost"] / real["Total Cost"]).toBeWithin(0.9, 1.1);
      // The server forgets the size of a table that it builds an index on; the twin puts it back.
      expect(await other.explain(sql)).toEqual(before);
      await other.close();
      await of.close();
      await filler.end();
    });
  });
  test("one that this machine has no programs of is planned by 18, and that is said", async () => {
    const from = { locale: { datcollate: "C" }, relation_count: 1, version_num: 120_000 };
    const starting = startTwin({ ...from, ...NOTHING }, { stateDir, spares });
    const other = await starting.become({ ...twin.catalogue, ...from, limits: [] });
    expect(other.limits).toEqual([
      { object: "planner", reason: expect.stringMatching(/server is PostgreSQL 12.*as 18 does/) },
    ]);
    await other.close();
  });
});

/** What a twin's start does not look at. */
const NOTHING = { user: "", database: "", block_size: 8192, search_path: "" };
