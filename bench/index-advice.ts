/**
 * Index advice beside what an expert would add, on the same server in the same run: `bun bench/index-advice.ts`. The figure is the real
 * planner's total cost with the indexes really built. The experts' sets stand beside the schemas.
 */
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSession } from "../providers/postgres/session.ts";
import suggest from "../steps/index/suggest.ts";
import { CASES } from "./index-cases.ts";
import { fakeContext } from "../tests/support/context.ts";
import { clientOf, startServer } from "../tests/support/postgres.ts";
import { onSession } from "../tests/support/target.ts";

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
      target: onSession(session, spec),
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
