import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { openLibrary } from "../../../engine/load/library.ts";
import type { JsonObject } from "../../../engine/types.ts";
import { UNREAD } from "../../../providers/postgres/recorded-texts.ts";
import check from "../../../steps/health/check.ts";
import suggest from "../../../steps/index/suggest.ts";
import analyze from "../../../steps/query/analyze.ts";
import live from "../../../steps/query/live.ts";
import snapshot from "../../../steps/query/snapshot.ts";
import top from "../../../steps/query/top.ts";
import report from "../../../steps/report/snapshot.ts";
import query from "../../../steps/sql/query.ts";
import { startServer, type TestServer, type Version } from "../../support/postgres.ts";
import { type Bench, bench, runStep } from "./support.ts";

const library = openLibrary([{ name: "builtin", dir: join(import.meta.dir, "../../../runbooks") }]);

describe.each([13, 18] as Version[])("texts that are not valid here, on %d", (version) => {
  let server: TestServer;
  let on: Bench;
  const benches: Bench[] = [];
  const opened = async (database: string, user?: string): Promise<Bench> => {
    const one = await bench(
      server,
      database,
      user === undefined ? undefined : { user, password: "p" },
    );
    benches.push(one);
    return one;
  };
  /** Runs a step in a context of its own; gives its output and warnings. */
  const run = async (step: Parameters<typeof runStep>[0], input: JsonObject, place = on) => {
    const ctx = { ...place.again({ stateDir: server.socketDir }), library };
    const output = await runStep(step, input, ctx);
    return { output, warnings: ctx.recorded.warnings };
  };
  const named = (statements: JsonObject[], word: string) =>
    statements.filter((one) => String(one["query"]).includes(word));

  beforeAll(async () => {
    server = await startServer({
      version,
      settings: { shared_preload_libraries: "pg_stat_statements" },
    });
    on = await opened("postgres");
    for (const statement of [
      "CREATE DATABASE bytes TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'",
      "CREATE DATABASE old TEMPLATE template0 ENCODING 'WIN1252' LC_COLLATE 'C' LC_CTYPE 'C'",
      "CREATE ROLE careless LOGIN PASSWORD 'p'",
      "CREATE ROLE good LOGIN PASSWORD 'p'",
      "CREATE EXTENSION pg_stat_statements",
      "CREATE TABLE orders (id int, customer int, note text)",
      "INSERT INTO orders SELECT i, i % 500, repeat('x', 50) FROM generate_series(1, 20000) i",
      "ANALYZE orders",
      "GRANT SELECT ON orders TO good",
      "ALTER ROLE careless SET pg_stat_statements.track = 'all'",
      "SELECT pg_stat_statements_reset()",
    ])
      await on.sql(statement);
    const bytes = await opened("bytes", "careless");
    const theirs = await opened("postgres", "good");
    // Whoever sends the bytes: a text made by the server is recorded as well.
    const ctx = (place: Bench) => place.again();
    await runStep(query, { sql: "SELECT 1" }, ctx(theirs));
    const { Client } = await import("pg");
    const asRole = async (user: string, database: string, sql: string): Promise<void> => {
      const client = new Client({
        host: server.host,
        port: server.port,
        user,
        password: "p",
        database,
      });
      await client.connect();
      await client.query(sql);
      await client.end();
    };
    await asRole(
      "careless",
      "bytes",
      String.raw`DO $$ BEGIN EXECUTE E'SELECT 1 AS "odd\xff\xe9"'; END $$`,
    );
    for (let n = 0; n < 5; n++)
      await asRole("good", "postgres", `SELECT note AS of_good FROM orders WHERE customer = ${n}`);
    await on.sql("SELECT count(*) AS of_superuser FROM orders");
    await bytes.close();
    benches.splice(benches.indexOf(bytes), 1);
  });
  afterAll(async () => {
    for (const one of benches) await one.close();
    await server.stop();
  });

  test("figures of all, texts of those that can be read; the others are counted, and it is said why", async () => {
    const { output, warnings } = await run(top, { limit: 50 });
    expect(named(output.statements, "of_good")).toMatchObject([{ calls: 5, database: "postgres" }]);
    const unread = output.statements.filter((one: JsonObject) => one["query"] === UNREAD);
    expect(unread.length).toBeGreaterThan(1);
    expect(unread.every((one: JsonObject) => Number(one["calls"]) > 0)).toBe(true);
    const [{ oid }] = await on.sql("SELECT oid FROM pg_database WHERE datname = 'bytes'");
    expect(warnings.join()).toContain(`${unread.length} statements are not shown`);
    expect(warnings.join()).toContain("bytes (SQL_ASCII)");
    expect(warnings.join()).toContain(`pg_stat_statements_reset(0, ${oid}, 0)`);
    const hidden = await run(top, { limit: 50 }, await opened("postgres", "good"));
    expect(named(hidden.output.statements, "of_good")).toHaveLength(1);
    expect(hidden.output.hidden).toBeGreaterThan(0);
  });

  test("a difference, a statement by its number, advice and a report too", async () => {
    await run(snapshot, {});
    const client = await opened("postgres", "good");
    await runStep(query, { sql: "SELECT count(note) AS again FROM orders" }, client.ctx);
    const { output } = await run(snapshot, { since: "last" });
    expect(named(output.changes.statements, "again")).toMatchObject([{ calls: 1, basis: "new" }]);
    const list = (await run(top, { limit: 50 })).output.statements;
    const [good] = named(list, "of_good");
    expect((await run(analyze, { queryid: String(good?.["queryid"]) })).output.generic).toBe(true);
    // A statement that ran in two databases has one number, and can be read in the other.
    const [bad] = await on.sql(
      `SELECT s.queryid::text FROM pg_stat_statements(false) s JOIN pg_database d ON d.oid = s.dbid AND d.datname = 'bytes'
       WHERE NOT EXISTS (SELECT FROM pg_stat_statements(false) o WHERE o.queryid = s.queryid AND o.dbid <> s.dbid) LIMIT 1`,
    );
    const refused = run(analyze, { queryid: String(bad?.["queryid"]) });
    await expect(refused).rejects.toMatchObject({
      code: "invalid_param",
      hint: expect.stringContaining("bytes"),
    });
    const advice = await run(suggest, {});
    expect(JSON.stringify(advice.output.suggestions)).toContain("customer");
    expect(advice.warnings.join()).toMatch(/statements? (is|are) left out/);
    const { output: whole } = await run(report, {});
    const { statements, missing } = JSON.parse(JSON.stringify(whole.report ?? whole));
    expect(statements.available).toBe(true);
    expect(statements.top.length).toBeGreaterThan(1);
    expect(missing).toContainEqual(
      expect.objectContaining({ section: "statements", partial: true }),
    );
  }, 300_000);

  test("in a database of bytes, and in one of another encoding, nothing fails", async () => {
    const cut = await opened("bytes");
    // Cut off in the middle of a letter, since there every byte is one.
    const long = cut.sql(`SELECT pg_sleep(60) /* x${"é".repeat(600)} */`).catch(() => {});
    for (const database of ["bytes", "old", "postgres"]) {
      const place = await opened(database);
      const seen = await run(live, { looks: 1 }, place);
      expect([database, named(seen.output.statements, "pg_sleep").length]).toEqual([database, 1]);
      const { errors } = (await run(check, {}, place)).output;
      expect([database, errors]).toEqual([database, []]);
      const { missing } = (await run(report, {}, place)).output;
      const failed = ((missing ?? []) as JsonObject[]).filter((one) => one["partial"] === false);
      expect([database, failed]).toEqual([database, []]);
    }
    const place = await opened("bytes");
    expect(
      (
        await run(
          query,
          { sql: "SELECT convert_from('\\x61ff62', 'SQL_ASCII') AS t, 'é' AS e" },
          place,
        )
      ).output.rows,
    ).toEqual([{ t: "a\ufffdb", e: "é" }]);
    await on.sql(
      "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND pid <> pg_backend_pid()",
    );
    await long;
  }, 300_000);

  test("through a database that can show them all, all are shown", async () => {
    const bytes = await opened("bytes");
    await bytes.sql("CREATE EXTENSION pg_stat_statements");
    for (const database of ["postgres", "bytes"]) {
      const { output, warnings } = await run(top, { limit: 200 }, await opened(database));
      expect([database, warnings]).toEqual([database, []]);
      if (database === "postgres") {
        expect(named(output.statements, "of_superuser")).toHaveLength(1);
        expect(named(output.statements, "odd\ufffd")).toMatchObject([{ database: "bytes" }]);
        expect(named(output.statements, UNREAD)).toEqual([]);
        // Our own statements are nobody's.
        expect(named(output.statements, "pgdba")).toEqual([]);
      }
    }
  });
});
