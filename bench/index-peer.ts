/**
 * Index advice beside postgres-mcp (which proves with hypopg) and beside an expert's set, on one server in one run:
 * `bun bench/index-peer.ts`. Debian's packages: a PostgreSQL and its hypopg. The cost is the real planner's, with the indexes really
 * built. Seconds are first those from the command to its answer, then the advice's alone: without the start of an interpreter,
 * but with that of our twin. Statements are those the server counted for the tool's role, BEGIN and the like included.
 */
import { existsSync } from "node:fs";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { binariesOf, debianWithHypopg } from "../tests/support/debian.ts";
import { clientOf, startServer, type TestServer } from "../tests/support/postgres.ts";
import { type Case, CASES } from "./index-cases.ts";
import { findPeer, peerAdvice } from "./peers/postgres-mcp.ts";

const PGDBA = join(import.meta.dir, "../engine/pgdba");
const SETTINGS = {
  shared_preload_libraries: "pg_stat_statements",
  "pg_stat_statements.max": 50_000,
  autovacuum: "off",
};

/** How the peer is asked: as its users get it, then with what hinders it taken away as far as its interface lets one. */
const PEER_RUNS = [
  { who: "peer", options: {}, qualified: false },
  { who: "peer, qualified", options: {}, qualified: true },
  {
    who: "peer, patient",
    options: { min_time_improvement: 0.01, max_runtime_seconds: 90 },
    qualified: true,
  },
];

interface Advice {
  who: string;
  indexes: readonly string[];
  /** From the command to its answer, and of it the advice itself; null for an expert. */
  seconds: { command: number; advice: number } | null;
  sent: number | null;
  note?: string;
}
type Client = Awaited<ReturnType<typeof clientOf>>;

/** `run`, and how many statements the server counted for `role` meanwhile. */
async function counted<T>(client: Client, role: string, run: () => Promise<T>) {
  await client.query("SELECT pg_stat_statements_reset()");
  const value = await run();
  const { rows } = await client.query(
    "SELECT coalesce(sum(calls), 0)::int AS sent FROM pg_stat_statements WHERE userid = $1::regrole",
    [role],
  );
  return { value, sent: rows[0].sent as number };
}

async function ours(
  client: Client,
  server: TestServer,
  stateDir: string,
  one: Case,
  how: { most: number; prove: "twin" | "hypopg" },
): Promise<Advice> {
  const file = join(stateDir, "workload.sql");
  await writeFile(file, `${one.statements.join(";\n")};\n`);
  const argv = ["query", "index-suggest", "--workload", file, "--prove", how.prove];
  const begun = performance.now();
  const { value, sent } = await counted(client, "ours", async () => {
    const child = Bun.spawn(["sh", PGDBA, ...argv, "--max-indexes", String(how.most)], {
      env: {
        PATH: process.env["PATH"] ?? "",
        PGDBA_HOME: stateDir,
        PGDBA_PG_HOST: server.host,
        PGDBA_PG_PORT: String(server.port),
        PGDBA_PG_USER: "ours",
        PGDBA_PG_PASSWORD: server.password,
        PGDBA_PG_DATABASE: server.database,
      },
      stdin: "ignore",
      stdout: "pipe",
      stderr: "ignore",
    });
    const answer = JSON.parse(await new Response(child.stdout).text()) as Answer;
    return { ...answer, command: (performance.now() - begun) / 1000 };
  });
  if (!value.success) throw new Error(JSON.stringify(value));
  const indexes = value.data.suggestions.flatMap(({ statements }) => statements);
  const seconds = { command: value.command, advice: value.data.run.duration_ms / 1000 };
  return { who: `ours, ${how.prove} <= ${how.most}`, indexes, seconds, sent };
}

interface Answer {
  success: boolean;
  data: { suggestions: { statements: string[] }[]; run: { duration_ms: number } };
}

/** The same statements with every column's table named, as PostgreSQL writes them back: the peer guesses the table of a bare column. */
async function qualify(client: Client, statements: readonly string[]): Promise<string[]> {
  const out: string[] = [];
  for (const sql of statements) {
    if (!sql.startsWith("SELECT")) {
      out.push(sql);
      continue;
    }
    // A view's columns need names that differ; the workload's are not all named.
    const { fields } = await client.query(`SELECT * FROM (${sql}) q LIMIT 0`);
    const names = fields.map((_, at) => `c${at}`).join(", ");
    await client.query("BEGIN");
    try {
      await client.query(`CREATE VIEW bench_view (${names}) AS ${sql}`);
      const { rows } = await client.query("SELECT pg_get_viewdef('bench_view'::regclass) AS sql");
      out.push((rows[0].sql as string).replace(/;\s*$/, ""));
    } finally {
      await client.query("ROLLBACK");
    }
  }
  return out;
}

/** Builds the indexes, asks the planner, and takes them away. */
async function prove(client: Client, statements: readonly string[], indexes: readonly string[]) {
  const all = async (): Promise<{ name: string; bytes: number }[]> =>
    (
      await client.query(
        "SELECT format('%I.%I', schemaname, indexname) AS name, pg_relation_size(format('%I.%I', schemaname, indexname)::regclass)::float8 AS bytes FROM pg_indexes WHERE schemaname = 'public'",
      )
    ).rows;
  const before = new Set((await all()).map(({ name }) => name));
  for (const sql of indexes) await client.query(sql);
  // Statistics of expressions only: a new sample of the rest would move every cost a little.
  const { rows } = await client.query(
    "SELECT DISTINCT indrelid::regclass::text AS name FROM pg_index WHERE 0 = ANY (indkey) AND indrelid >= 16384",
  );
  for (const { name } of rows) await client.query(`ANALYZE ${name}`);
  let cost = 0;
  for (const sql of statements)
    cost += (await client.query(`EXPLAIN (FORMAT JSON) ${sql}`)).rows[0]["QUERY PLAN"][0].Plan[
      "Total Cost"
    ];
  const built = (await all()).filter(({ name }) => !before.has(name));
  for (const { name } of built) await client.query(`DROP INDEX ${name}`);
  return { cost, count: built.length, bytes: built.reduce((sum, { bytes }) => sum + bytes, 0) };
}

type Result = Advice & Awaited<ReturnType<typeof prove>>;

/** Ours with no more indexes than the rival's: as far down in cost, and sooner. */
function compare(mine: readonly Result[], rival: Result): { line: string; reached: boolean } {
  const best = mine
    .filter(({ count }) => count <= rival.count)
    .toSorted((a, b) => a.cost - b.cost)[0];
  if (rival.count === 0) return { line: "it advised nothing: no comparison", reached: true };
  if (best === undefined)
    return { line: "MISSED; none of ours has as few indexes", reached: false };
  const isCheaper = best.cost <= rival.cost * 1.001;
  const isFaster = rival.seconds === null || best.seconds!.command < rival.seconds.command;
  const parts = [
    `cost ${isCheaper ? "reached" : "MISSED"}: ${((100 * best.cost) / rival.cost).toFixed(1)} % of its cost, ${best.count} indexes to its ${rival.count}`,
  ];
  if (rival.seconds !== null) {
    parts.push(
      `time ${isFaster ? "reached" : "MISSED"}: ${best.seconds!.command.toFixed(2)} s to its ${rival.seconds.command.toFixed(2)} (the advice alone ${best.seconds!.advice.toFixed(2)} to ${rival.seconds.advice.toFixed(2)})`,
      `statements: ${best.sent} to its ${rival.sent}`,
    );
  }
  return { line: parts.join("; "), reached: isCheaper && isFaster };
}

const root = await mkdtemp(join(tmpdir(), "pgdba-bench-"));
await chmod(root, 0o755);
let missed = 0;
try {
  const debian = debianWithHypopg();
  const python =
    typeof debian === "string"
      ? debian
      : await findPeer(root).catch((error: Error) => error.message);
  const hasPeer = existsSync(python);
  process.stdout.write(hasPeer ? "peer: postgres-mcp 0.3.0, hypopg\n" : `no peer: ${python}\n`);
  for (const one of CASES) {
    const server = await startServer({
      settings: SETTINGS,
      ...(typeof debian === "string"
        ? { version: 15 }
        : { version: debian.version, binaries: binariesOf(debian) }),
    });
    const client = await clientOf(server);
    try {
      await client.query("CREATE EXTENSION pg_stat_statements");
      for (const role of ["ours", "peer"])
        await client.query(`CREATE ROLE ${role} LOGIN SUPERUSER PASSWORD '${server.password}'`);
      if (typeof debian !== "string") await client.query("CREATE EXTENSION hypopg");
      for (const sql of one.setup) await client.query(sql);
      await client.query("VACUUM ANALYZE");
      const expert = one.expert.length;
      const advices: Advice[] = [{ who: "expert", indexes: one.expert, seconds: null, sent: null }];
      const limits = new Set([expert]);
      const peers: Advice[] = [];
      for (const { who, options, qualified } of hasPeer ? PEER_RUNS : []) {
        const uri = `postgresql://peer:${server.password}@${server.host}:${server.port}/postgres`;
        const texts = qualified ? await qualify(client, one.statements) : one.statements;
        const workload = texts.map((query) => ({ query, calls: 1 }));
        const begun = performance.now();
        const { value, sent } = await counted(client, "peer", () =>
          peerAdvice(python, uri, workload, options),
        );
        const { indexes, error } = value;
        const seconds = { command: (performance.now() - begun) / 1000, advice: value.seconds };
        peers.push({ who, indexes, seconds, sent, ...(error === null ? {} : { note: error }) });
        if (indexes.length > 0) limits.add(indexes.length);
      }
      const provers =
        typeof debian === "string" ? (["twin"] as const) : (["twin", "hypopg"] as const);
      // The first run of all prepares the twin's template; that is once per installation.
      await ours(client, server, root, one, { most: 1, prove: "twin" });
      for (const most of limits)
        for (const prove of provers)
          advices.push(await ours(client, server, root, one, { most, prove }));
      advices.push(...peers);
      const before = await prove(client, one.statements, []);
      process.stdout.write(`${one.name}: cost ${before.cost.toFixed(0)} without any\n`);
      const results: Result[] = [];
      for (const advice of advices)
        results.push({ ...advice, ...(await prove(client, one.statements, advice.indexes)) });
      for (const { who, cost, count, bytes, seconds, sent, note, indexes } of results) {
        const effort =
          seconds === null
            ? ""
            : `, ${seconds.command.toFixed(2)} s (${seconds.advice.toFixed(2)}), ${sent} statements sent`;
        process.stdout.write(
          `  ${who.padEnd(19)} cost ${cost.toFixed(0).padStart(7)} (${(100 * (1 - cost / before.cost)).toFixed(2).padStart(6)} % less), ${count} indexes, ${(bytes / 2 ** 20).toFixed(1)} MB${effort}${note === undefined ? "" : `; it failed: ${note}`}\n`,
        );
        if (process.argv.includes("--indexes"))
          process.stdout.write(indexes.map((sql) => `      ${sql}\n`).join(""));
      }
      const mine = results.filter(({ who }) => who.startsWith("ours"));
      for (const rival of results.filter(({ who }) => !who.startsWith("ours"))) {
        const { line, reached } = compare(mine, rival);
        if (!reached) missed++;
        process.stdout.write(`  against ${rival.who}: ${line}\n`);
      }
    } finally {
      await client.end();
      await server.stop();
    }
  }
} finally {
  await rm(root, { recursive: true, force: true });
}
process.exitCode = missed === 0 ? 0 : 1;
