import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { aroundLocks } from "../../../steps/index/advise/locks.ts";
import { effectOf } from "../../../steps/index/advise/without.ts";
import { findIndex } from "../../../steps/index/ddl/existing.ts";
import drop from "../../../steps/index/drop.ts";
import planDiff from "../../../steps/index/plan-diff.ts";
import suggest from "../../../steps/index/suggest.ts";
import { codeOf, openSession, specOf } from "../../providers/postgres/helpers.ts";
import { binariesOf, debianWithHypopg } from "../../support/debian.ts";
import { clientOf } from "../../support/postgres.ts";
import { type Bench, bench } from "./support.ts";

setDefaultTimeout(300_000);

const found = debianWithHypopg();
let on: Bench;
let holder: Awaited<ReturnType<typeof clientOf>>;
let other: Awaited<ReturnType<typeof clientOf>>;

beforeAll(async () => {
  on = await bench(
    { shared_preload_libraries: "pg_stat_statements" },
    typeof found === "string" ? {} : { version: found.version, binaries: binariesOf(found) },
  );
  await on.client.query(`CREATE EXTENSION pg_stat_statements;
    CREATE TABLE free (id int, v int); INSERT INTO free SELECT i, i FROM generate_series(1, 20000) i;
    CREATE TABLE shut (id int, v int); INSERT INTO shut SELECT i, i FROM generate_series(1, 20000) i;
    CREATE INDEX shut_id ON shut (id); CREATE VIEW above AS SELECT id AS i FROM shut;
    CREATE TABLE parts (id int) PARTITION BY LIST (id); CREATE TABLE part_1 PARTITION OF parts FOR VALUES IN (1)`);
  await on.client.query("VACUUM ANALYZE");
  holder = await clientOf(on.server);
  other = await clientOf(on.server);
});
afterAll(async () => {
  await holder?.end();
  await other?.end();
  await on?.stop();
});

const FREE = "SELECT * FROM free WHERE id = 7";
const advise = async (sqls: string[], more: object = {}): Promise<any> => {
  const ctx = on.context();
  const advice = await suggest.run(ctx, { workload: sqls.map((sql) => ({ sql })), ...more });
  return { advice, warnings: ctx.recorded.warnings.join("\n") };
};

/** Runs `work` while the holder has done `lock` in an open transaction. */
async function locked(lock: string, work: (pid: number) => Promise<void>): Promise<void> {
  await holder.query(`BEGIN; ${lock}`);
  try {
    await work((await holder.query("SELECT pg_backend_pid() AS pid")).rows[0].pid);
  } finally {
    await holder.query("ROLLBACK");
  }
}

const LOCKS: [string, string, string, string][] = [
  ["a table", "LOCK shut", "SELECT * FROM shut WHERE v = 3", "public.shut"],
  [
    "a table in a join",
    "LOCK shut",
    "SELECT * FROM free JOIN shut USING (id) WHERE free.v = 3",
    "public.shut",
  ],
  ["a view's table", "LOCK shut", "SELECT * FROM above WHERE i = 3", "public.shut"],
  ["a partition", "LOCK ONLY part_1", "SELECT * FROM parts WHERE id = 1", "public.part_1"],
  ["an index", "REINDEX INDEX shut_id", "SELECT * FROM shut WHERE v = 3", "public.shut"],
];
const PROVERS = typeof found === "string" ? ["twin"] : ["twin", "hypopg"];

test.each(PROVERS)(
  "statements on what is locked are named and left out, the others get their advice (%s)",
  async (prove) => {
    if (prove === "hypopg") await on.client.query("CREATE EXTENSION IF NOT EXISTS hypopg");
    for (const [what, lock, sql, table] of LOCKS)
      await locked(lock, async (pid) => {
        const { advice, warnings } = await advise([FREE, sql], { prove });
        expect(
          advice.suggestions.map((one: any) => one.table),
          what,
        ).toEqual(["public.free"]);
        const reason = `${table} is locked by process ${pid} (ACCESS EXCLUSIVE)`;
        expect(advice.unproven, what).toEqual([
          { sql, reason, position: null, hint: "Run again when that is over." },
        ]);
        expect(warnings, what).toContain(`1 statement is not looked at: ${reason}.`);
      });
  },
);

test("so are those on a table whose lock is still waited for, and all of them when no other is left", async () => {
  await other.query("BEGIN; SELECT FROM shut");
  const waiting = holder.query("BEGIN; LOCK shut; ROLLBACK").catch(() => {});
  try {
    const isWaiting = "SELECT count(*)::int AS n FROM pg_locks WHERE NOT granted";
    while ((await on.client.query(isWaiting)).rows[0].n === 0) await Bun.sleep(5);
    const { advice } = await advise(["SELECT * FROM shut WHERE v = 3"]);
    expect(advice.unproven[0].reason).toStartWith("public.shut is locked by process");
    expect(advice.suggestions).toEqual([]);
  } finally {
    await other.query("ROLLBACK");
    await waiting;
  }
});

test("so they are where plans are compared; what dropping an index costs is then not known", async () => {
  await on.client.query("SELECT * FROM shut WHERE id = 3");
  const session = await openSession(specOf(on.server));
  const index = (await findIndex(session, "public", "shut_id"))!;
  await session.close();
  await locked("LOCK shut", async () => {
    const workload = [{ sql: FREE }, { sql: "SELECT * FROM shut" }];
    const settings = { enable_seqscan: "off" };
    const diff: any = await planDiff.run(on.context(), { workload, settings });
    expect([diff.statements, diff.unproven.length]).toEqual([1, 1]);
    const ctx = on.context();
    expect((await effectOf(ctx, index, null)).dearer).toBeNull();
    expect(ctx.recorded.warnings.join()).toContain("is not known: public.shut is locked by");
    // Questions about the index itself do not wait for ever either.
    expect(await codeOf(drop.plan!(on.context(), { index: "shut_id" }))).toBe("timeout");
  });
});

test("a lock that comes while tables are being looked at lets all begin anew", async () => {
  let tries = 0;
  const session = await openSession(specOf(on.server));
  const work = async (): Promise<string> => {
    if (++tries === 1)
      await session.transaction({ readOnly: false }, (run) => run("LOCK shut NOWAIT"));
    return "done";
  };
  await locked("LOCK shut", async () => {
    expect(await aroundLocks(on.context(), work)).toBe("done");
  });
  await session.close();
  expect(tries).toBe(2);
});
