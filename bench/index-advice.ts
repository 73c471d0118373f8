/**
 * Index advice beside what an expert would add, on the same server in the same run: `bun bench/index-advice.ts`. The figure is the real
 * planner's total cost with the indexes really built. The experts' sets stand beside the schemas.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSession } from "../providers/postgres/session.ts";
import suggest from "../steps/index/suggest.ts";
import { EXPERT, fill, QUERIES, SCHEMA } from "../tests/steps/index/tpch.ts";
import { fakeContext } from "../tests/support/context.ts";
import { clientOf, startServer } from "../tests/support/postgres.ts";

interface Case {
  name: string;
  setup: string[];
  statements: readonly string[];
  expert: readonly string[];
}

const CASES: Case[] = [
  {
    name: "TPC-H-like",
    setup: [SCHEMA, ...fill(20).split(";\n")],
    statements: QUERIES,
    expert: EXPERT,
  },
  {
    name: "pgbench-like",
    setup: [
      `CREATE TABLE accounts (aid int, bid int, abalance int, filler char(84)); CREATE TABLE tellers (tid int, bid int, tbalance int); CREATE TABLE history (tid int, bid int, aid int, delta int, mtime timestamp)`,
      `INSERT INTO accounts SELECT i, i % 10, 0 FROM generate_series(1, 200000) i; INSERT INTO tellers SELECT i, i % 10, 0 FROM generate_series(1, 100) i; INSERT INTO history SELECT i % 100, i % 10, i, 1, '2025-01-01' FROM generate_series(1, 50000) i`,
    ],
    statements: [
      "UPDATE accounts SET abalance = abalance + 1 WHERE aid = 77",
      "SELECT abalance FROM accounts WHERE aid = 77",
      "UPDATE tellers SET tbalance = tbalance + 1 WHERE tid = 7",
      "INSERT INTO history VALUES (7, 1, 77, 1, '2025-01-01')",
      "SELECT sum(delta) FROM history WHERE aid = 77",
    ],
    expert: ["CREATE INDEX ON accounts (aid)", "CREATE INDEX ON history (aid)"],
  },
  {
    name: "joins",
    setup: [
      ...["a", "b", "c", "d", "e"].map(
        (name) =>
          `CREATE TABLE j${name} (id int PRIMARY KEY, up int NOT NULL, kind int NOT NULL, note text)`,
      ),
      ...["a", "b", "c", "d", "e"].map(
        (name, at) =>
          `INSERT INTO j${name} SELECT i, 1 + (i::bigint * 7919) % ${2000 * 3 ** Math.max(0, at - 1)}, i % 97, repeat('n', 40) FROM generate_series(1, ${2000 * 3 ** at}) i`,
      ),
    ],
    statements: [
      "SELECT count(*) FROM ja JOIN jb ON jb.up = ja.id JOIN jc ON jc.up = jb.id WHERE ja.kind = 5",
      "SELECT je.* FROM ja JOIN jb ON jb.up = ja.id JOIN jc ON jc.up = jb.id JOIN jd ON jd.up = jc.id JOIN je ON je.up = jd.id WHERE ja.id = 17",
      "SELECT jc.id, (SELECT count(*) FROM jd WHERE jd.up = jc.id) FROM jc WHERE jc.kind = 3 AND jc.up = 99",
      "SELECT * FROM jd WHERE EXISTS (SELECT FROM je WHERE je.up = jd.id AND je.kind = 11) AND jd.kind = 50 ORDER BY jd.id LIMIT 20",
    ],
    expert: ["b", "c", "d", "e"].map((name) => `CREATE INDEX ON j${name} (up)`),
  },
];

const stateDir = await mkdtemp(join(tmpdir(), "pgdba-bench-"));
await chmod(stateDir, 0o755);
let missed = 0;
try {
  for (const { name, setup, statements, expert } of CASES) {
    const server = await startServer({});
    const client = await clientOf(server);
    const spec = {
      ...server,
      password: () => server.password,
      sslmode: "disable" as const,
      application_name: "bench",
    };
    const session = await openSession(spec);
    const total = async (): Promise<number> => {
      let sum = 0;
      for (const sql of statements)
        sum += (await client.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows[0]["QUERY PLAN"][0].Plan[
          "Total Cost"
        ];
      return sum;
    };
    const size = async (): Promise<number> =>
      (
        await client.query(
          "SELECT sum(pg_indexes_size(oid))::float8 AS bytes FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace",
        )
      ).rows[0].bytes;
    for (const sql of setup) await client.query(sql);
    await client.query("VACUUM ANALYZE");
    const before = await total();
    const empty = await size();
    const ctx = fakeContext({
      run: { stateDir },
      target: { connection: { spec, session: async () => session } },
    });
    const begun = performance.now();
    const advice = (await suggest.run(ctx, {
      workload: statements.map((sql) => ({ sql })),
      max_indexes: expert.length,
    })) as {
      suggestions: { statements: string[]; name: string }[];
      cost: { after: number };
      effort: { plans: number; statements_sent: number };
    };
    const seconds = (performance.now() - begun) / 1000;
    for (const { statements: build } of advice.suggestions)
      for (const sql of build) await client.query(sql);
    await client.query("ANALYZE");
    const ours = { cost: await total(), bytes: (await size()) - empty };
    for (const one of advice.suggestions) await client.query(`DROP INDEX "${one.name}"`);
    for (const sql of expert) await client.query(sql);
    await client.query("ANALYZE");
    const theirs = { cost: await total(), bytes: (await size()) - empty };
    const reached = ours.cost <= theirs.cost * 1.001 && advice.suggestions.length <= expert.length;
    if (!reached) missed++;
    const line = (who: string, cost: number, count: number, bytes: number): string =>
      `  ${who.padEnd(8)} cost ${before.toFixed(0)} -> ${cost.toFixed(0)} (${(100 * (1 - cost / before)).toFixed(2)} % less), ${count} indexes, ${(bytes / 2 ** 20).toFixed(1)} MB`;
    process.stdout.write(
      `${name}: ${reached ? "reached" : "MISSED"}\n${line("ours", ours.cost, advice.suggestions.length, ours.bytes)}, ${seconds.toFixed(1)} s, ${advice.effort.plans} plans, ${advice.effort.statements_sent} statements sent, predicted ${advice.cost.after.toFixed(0)}\n${line("expert", theirs.cost, expert.length, theirs.bytes)}\n`,
    );
    await session.close();
    await client.end();
    await server.stop();
  }
} finally {
  await rm(stateDir, { recursive: true, force: true });
}
process.exitCode = missed === 0 ? 0 : 1;
