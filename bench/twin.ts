/**
 * How well the planner's twin plans as the server does: `bun bench/twin.ts [13 … 18]` (18 without one). Share of equal plans (node types, joins, tables, indexes)
 * and the ratio of costs, on schemas with partitions, foreign keys, enums, partial, expression and covering indexes, TOAST and a table
 * of more than 1 GB, with the indexes there are and with indexes that are only pretended.
 */
import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSession } from "../providers/postgres/session.ts";
import {
  type IndexDef,
  indexSql,
  openTwin,
  type PlanNode,
  shapeOfPlan,
} from "../providers/planner/twin/twin.ts";
import { serverPlan } from "../steps/index/advise/server-plan.ts";
import { STATEMENTS } from "../tests/providers/planner/twin/statements.ts";
import { fill, QUERIES, SCHEMA } from "../tests/steps/index/tpch.ts";
import { clientOf, startServer, VERSIONS } from "../tests/support/postgres.ts";
import { median } from "./measure.ts";

/** Asked of the twin: at least this share of plans equal. */
const EQUAL = 0.95;

const LARGE = [
  "SELECT * FROM large WHERE id = 77777",
  "SELECT count(*) FROM large WHERE k = 7",
  "SELECT * FROM large WHERE k BETWEEN 5 AND 6 ORDER BY id DESC LIMIT 10",
  "SELECT a.id FROM large a JOIN large b ON b.id = a.k WHERE a.id < 5000 AND a.id > 4000",
  "SELECT k, max(id) FROM large GROUP BY k",
  "SELECT id FROM documents WHERE kind = 3 AND length(body) > 10",
];

const PRETENDED: { def: IndexDef; sql: string }[] = [
  { def: def("public", "large", "n"), sql: "SELECT * FROM large WHERE n = 123456" },
  {
    def: def("public", "lineitem", "l_suppkey", "l_shipdate"),
    sql: "SELECT sum(l_quantity) FROM lineitem WHERE l_suppkey = 7 AND l_shipdate > '1996-01-01'",
  },
  {
    def: def("public", "orders", "o_custkey"),
    sql: "SELECT * FROM customer, orders WHERE c_custkey = o_custkey AND c_name = 'Customer#77'",
  },
  {
    def: { ...def("app", "customers", "created"), where: "country = 'DE'" },
    sql: "SELECT * FROM app.customers WHERE country = 'DE' ORDER BY created DESC LIMIT 3",
  },
  { def: def("app", "orders", "total"), sql: "SELECT * FROM app.orders WHERE total > 995" },
];

function def(schema: string, table: string, ...columns: string[]): IndexDef {
  return {
    schema,
    table,
    method: "btree",
    keys: columns.map((column) => ({ column, sql: column })),
    include: [],
    where: null,
  };
}

const stateDir = await mkdtemp(join(tmpdir(), "pgdba-bench-"));
await chmod(stateDir, 0o755);
const version = VERSIONS.find((one) => String(one) === process.argv[2]) ?? 18;
const server = await startServer({ version, settings: { max_wal_size: "4GB" } });
const client = await clientOf(server);
const spec = {
  ...server,
  password: () => server.password,
  sslmode: "disable" as const,
  application_name: "bench",
};
const session = await openSession(spec);
try {
  await client.query(
    await readFile(join(import.meta.dir, "../tests/providers/planner/twin/shop.sql"), "utf8"),
  );
  await client.query(SCHEMA);
  for (const part of fill(20).split(";\n")) await client.query(part);
  await client.query(`CREATE TABLE large (id int PRIMARY KEY, k int, n bigint, filler text);
    INSERT INTO large SELECT i, i % 1000, (i::bigint * 7919) % 1000003, repeat('x', 1500) FROM generate_series(1, 800000) i; CREATE INDEX ON large (k, id);
    CREATE TABLE documents (id int PRIMARY KEY, kind int, body text); ALTER TABLE documents ALTER body SET STORAGE EXTERNAL;
    INSERT INTO documents SELECT i, i % 20, repeat(md5(i::text), 200) FROM generate_series(1, 5000) i`);
  await client.query("VACUUM ANALYZE");
  const { rows } = await client.query("SELECT pg_relation_size('large')::float8 / 2 ^ 30 AS gb");

  const plan = (sql: string): Promise<PlanNode> =>
    serverPlan(session, sql, { another: () => openSession(spec) });
  const begun = performance.now();
  const twin = await session.transaction({ readOnly: true }, (run) =>
    openTwin(async (sql, values = []) => (await run(sql, values, { maxRows: 1_000_000 })).rows, {
      stateDir,
    }),
  );
  const opened = performance.now() - begun;
  try {
    const found: { group: string; sql: string; equal: boolean; ratio: number }[] = [];
    const compare = (
      group: string,
      sql: string,
      ours: PlanNode,
      theirs: PlanNode,
      equal: boolean,
    ): void =>
      void found.push({ group, sql, equal, ratio: ours["Total Cost"] / theirs["Total Cost"] });
    let planning = 0;
    for (const [group, list] of [
      ["shop", STATEMENTS],
      ["TPC-H-like", QUERIES],
      [`large (${rows[0].gb.toFixed(1)} GB), TOAST`, LARGE],
    ] as const) {
      for (const sql of list) {
        const started = performance.now();
        const ours = await twin.explain(sql);
        planning += performance.now() - started;
        const theirs = await plan(sql);
        compare(group, sql, ours, theirs, shapeOfPlan(ours) === shapeOfPlan(theirs));
      }
    }
    for (const { def: index, sql } of PRETENDED) {
      const ours = await twin.explain(sql, { with: [index] });
      await client.query(`CREATE INDEX pretended ${indexSql(index)}`);
      const theirs = await plan(sql);
      const nodes = (one: PlanNode): string =>
        shapeOfPlan(one).replaceAll(
          /\S*(pretended|pgdba_twin)\S*|orders_\w+_total_idx\d*/g,
          "index",
        );
      compare("pretended indexes", sql, ours, theirs, nodes(ours) === nodes(theirs));
      await client.query(`DROP INDEX ${index.schema}.pretended`);
    }
    for (const [group, list] of Map.groupBy(found, (one) => one.group)) {
      const ratios = list.map((one) => one.ratio);
      const equal = list.filter((one) => one.equal).length;
      process.stdout.write(
        `${group.padEnd(28)} ${equal}/${list.length} plans equal, cost ratio median ${median(ratios).toFixed(4)}, ${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}\n`,
      );
    }
    for (const one of found.filter((each) => !each.equal))
      process.stdout.write(`  differs: ${one.sql}\n`);
    const share = found.filter((one) => one.equal).length / found.length;
    process.stdout.write(
      `PostgreSQL ${version}: opened in ${Math.round(opened)} ms, ${(planning / (found.length - PRETENDED.length)).toFixed(1)} ms a plan; ${(100 * share).toFixed(1)} % of plans equal, asked: ${100 * EQUAL} %\n`,
    );
    process.exitCode = share >= EQUAL ? 0 : 1;
  } finally {
    await twin.close();
  }
} finally {
  await session.close();
  await client.end();
  await server.stop();
  await rm(stateDir, { recursive: true, force: true });
}
