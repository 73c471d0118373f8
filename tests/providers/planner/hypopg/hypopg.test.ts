import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { Client } from "pg";
import { openHypopg } from "../../../../providers/planner/hypopg/hypopg.ts";
import {
  type Catalogue,
  type IndexDef,
  indexesOf,
  indexSql,
  type Planner,
  readCatalogue,
} from "../../../../providers/planner/twin/twin.ts";
import { binariesOf, debianWithHypopg } from "../../../support/debian.ts";
import { clientOf, startServer, type TestServer } from "../../../support/postgres.ts";
import { codeOf, openSession, type PgSession, specOf } from "../../postgres/helpers.ts";

setDefaultTimeout(300_000);

const found = debianWithHypopg();
const why = typeof found === "string" ? ` (skipped: ${found})` : "";

const index = (keys: string[], more: Partial<IndexDef> = {}): IndexDef => ({
  schema: "public",
  table: "items",
  method: "btree",
  keys: keys.map((column) => ({ column, sql: `"${column}"` })),
  include: [],
  where: null,
  ...more,
});

describe.skipIf(typeof found === "string")(`the server's own planner with hypopg${why}`, () => {
  let server: TestServer;
  let client: Client;
  let session: PgSession;
  let catalogue: Catalogue;
  let planner: Planner;

  beforeAll(async () => {
    if (typeof found === "string") return;
    server = await startServer({
      version: found.version,
      binaries: binariesOf(found),
      settings: { log_statement: "all" },
    });
    client = (await clientOf(server)) as unknown as Client;
    await client.query("CREATE SCHEMA extra; CREATE EXTENSION hypopg SCHEMA extra");
    await client.query(`CREATE TABLE items (id int PRIMARY KEY, kind int NOT NULL, name text NOT NULL, tags text[] NOT NULL);
      INSERT INTO items SELECT i, i % 500, 'n' || i, ARRAY['t' || i % 50] FROM generate_series(1, 50000) i;
      CREATE INDEX items_name ON items (name)`);
    await client.query("VACUUM ANALYZE items");
    session = await openSession(specOf(server));
    catalogue = await session.transaction({ readOnly: true }, (run) =>
      readCatalogue(
        async (sql, values = []) => (await run(sql, values)).rows,
        [
          { schema: null, name: "items" },
          { schema: null, name: "gone" },
        ],
      ),
    );
    planner = await openHypopg(await openSession(specOf(server)), catalogue);
  });

  afterAll(async () => {
    await planner?.close();
    await session?.close();
    await client?.end();
    await server?.stop();
  });

  const cost = async (sql: string, defs: IndexDef[] = []) =>
    (await planner.explain(sql, { with: defs }))["Total Cost"];

  test("the plan is as with the index built, and as before without it", async () => {
    for (const [sql, def] of [
      ["SELECT * FROM items WHERE kind = 7", index(["kind"])],
      ["SELECT * FROM items WHERE kind = $1 AND id > $2", index(["kind", "id"])],
      ["SELECT id FROM items WHERE kind = 7", index(["kind"], { include: ["id"] })],
      ["SELECT * FROM items WHERE kind = 7 AND id < 900", index(["id"], { where: "kind = 7" })],
      ["UPDATE items SET name = 'x' WHERE kind = 7", index(["kind"])],
    ] as const) {
      const before = await planner.explain(sql);
      const plan = await planner.explain(sql, { with: [def] });
      const [made] = await planner.sizes([def]);
      expect([...indexesOf(plan)]).toEqual(made?.names ?? ["not made"]);
      expect(plan["Total Cost"]).toBeLessThan(before["Total Cost"] / 2);
      await client.query(`CREATE INDEX built ${indexSql(def)}`);
      const { rows } = await client.query("SELECT pg_relation_size('built')::float8 AS bytes");
      // The extension knows nothing of entries shared by equal keys, and never makes less than it takes.
      expect((made?.bytes ?? 0) / rows[0].bytes).toBeWithin(0.5, 6);
      const real = await planner.explain(sql);
      expect(plan["Total Cost"] / real["Total Cost"]).toBeWithin(0.9, 1.25);
      await client.query("DROP INDEX built");
      expect(await planner.explain(sql)).toEqual(before);
    }
  });

  test("names stay the same although the extension makes up new ones", async () => {
    const sql = "SELECT * FROM items WHERE kind = 7";
    const [a, b] = [index(["kind"]), index(["kind", "id"])];
    const first = indexesOf(await planner.explain(sql, { with: [a] }));
    await planner.explain(sql, { with: [b] });
    await planner.explain(sql);
    expect(indexesOf(await planner.explain(sql, { with: [a] }))).toEqual(first);
  });

  test("what can't be made is none, and is said where another planner could", async () => {
    const gin = index(["tags"], { method: "gin" });
    expect(await planner.sizes([index(["nowhere"]), gin])).toEqual([null, null]);
    expect(planner.limits.map(({ object }) => object)).toContain("gin indexes");
    expect(await codeOf(cost("SELECT * FROM items WHERE tags @> '{t1}'", [gin]))).toBe(
      "unsupported",
    );
  });

  test("a table that is not there is a limit; what only the twin lacks is not", () => {
    expect(planner.limits.map(({ object }) => object)).toContain("gone");
    expect(planner.limits.map(({ object }) => object)).not.toContain("planner");
  });

  test("an index is pretended away where the extension can, else that is said", async () => {
    const sql = "SELECT * FROM items WHERE name = 'n7'";
    const without = planner.explain(sql, { without: ["public.items_name"] });
    if (planner.hides) {
      expect(indexesOf(await without)).toEqual(new Set());
      expect(indexesOf(await planner.explain(sql))).toEqual(new Set(["items_name"]));
    } else {
      expect(await codeOf(without)).toBe("unsupported");
      expect(planner.limits.map(({ object }) => object)).toContain("removable indexes");
    }
  });

  test("one statement at a time, and none is executed", async () => {
    expect(await codeOf(cost("SELECT 1; DROP TABLE items"))).toBe("query_failed");
    expect(await codeOf(cost("SELECT $1::int; DROP TABLE items"))).toBe("query_failed");
    await cost("DELETE FROM items");
    await cost("INSERT INTO items VALUES ($1, 1, 'x', '{}')");
    expect((await client.query("SELECT count(*)::int AS n FROM items")).rows).toEqual([
      { n: 50_000 },
    ]);
  });

  test("no other session sees them, no lock is left behind", async () => {
    const sql = "SELECT * FROM items WHERE kind = 8";
    await cost(sql, [index(["kind"])]);
    const { rows } = await client.query(
      "SELECT count(*)::int AS n FROM pg_locks WHERE relation = 'items'::regclass",
    );
    expect(rows).toEqual([{ n: 0 }]);
    const plan = (await client.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows[0]["QUERY PLAN"][0];
    expect(plan.Plan["Node Type"]).toBe("Seq Scan");
  });

  test("without the extension it says how to get it", async () => {
    await client.query("CREATE DATABASE bare");
    const bare = await openSession({ ...specOf(server), database: "bare" });
    expect(await codeOf(openHypopg(bare, catalogue))).toBe("unsupported");
    await bare.close();
  });

  test("a superuser's planner is not asked where others own what it may run", async () => {
    await client.query(
      "CREATE ROLE owner LOGIN PASSWORD 'p'; CREATE SCHEMA owned AUTHORIZATION owner",
    );
    const own = await openSession(specOf(server));
    expect(await codeOf(openHypopg(own, catalogue))).toBe("step_refused");
    await own.close();
    const theirs = await openSession({ ...specOf(server), user: "owner", password: () => "p" });
    expect(await (await openHypopg(theirs, catalogue)).close()).toBeUndefined();
    await client.query("DROP SCHEMA owned; DROP ROLE owner");
  });
});
