import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import type { Client } from "pg";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { BY_SETTING, HOLDERS, PLANTS, SETTINGS } from "./plants.ts";
import { examine, type Report, shortly, until } from "./support.ts";

describe.each([13, 18] as const)("problems planted in PostgreSQL %d", (version) => {
  let server: TestServer;
  const clients: Client[] = [];
  const plants = [BY_SETTING, ...PLANTS, HOLDERS].filter(({ from = 13 }) => version >= from);
  const thresholds = Object.assign({}, ...plants.map((plant) => plant.thresholds ?? {}));

  const open = async (user = "postgres", password = server.password): Promise<Client> => {
    const client = await clientOf({ ...server, user, password });
    clients.push(client);
    return client;
  };
  const query = async (sql: string): Promise<void> => {
    const client = await clientOf(server);
    for (const statement of statements(sql)) await client.query(statement);
    await client.end();
  };

  beforeAll(async () => {
    server = await startServer({ version, settings: SETTINGS });
    await query(plants.filter((plant) => plant !== HOLDERS).map(({ sql }) => sql).join(";"));
    for (const sql of DISTURBANCES) await query(`set search_path = "Ödd ""Schema"; ${sql}`);
    await query(HOLDERS.sql);
    await open("Few", "few");
    await deadlock(await open(), await open());
  }, 60_000);
  afterAll(async () => {
    for (const client of clients) await client.end().catch(() => {});
    await server?.stop();
  });

  test("are all found", async () => {
    const wanted = plants.flatMap(({ finds }) => finds);
    const report = await until(
      () => examine(server, { thresholds }),
      (answer) => missing(answer, wanted).length === 0,
    );
    expect(missing(report, wanted)).toEqual([]);
    expect(report.errors).toEqual([]);
  }, 30_000);

  test("are gone once their remedies have been run as written", async () => {
    const only = [...REMEDIED];
    const before = await examine(server, { only, thresholds });
    for (const name of REMEDIED) expect(before.findings.map((finding) => finding.check)).toContain(name);
    for (const { remedy } of before.findings) {
      if (remedy.sql !== null && !remedy.sql.startsWith("--")) await query(remedy.sql);
    }
    const after = await until(
      () => examine(server, { only, thresholds }),
      (answer) => answer.findings.length === 0,
    );
    expect(shortly(after)).toEqual([]);
  }, 30_000);
});

/** Their remedies can be run by a test, and are complete by themselves. */
const REMEDIED = [
  "index-duplicate", "index-redundant", "index-unused", "bloat-index", "bloat-table", "dead-rows", "autovacuum-off-table", "statistics-stale",
  "statistics-never", "freeze-overdue", "constraint-not-valid", "trigger-disabled", "policy-without-rls", "rls-without-policy", "security-definer-path",
  "password-expiring", "dangerous-grants", "extension-outdated", "fk-without-index", "slot-inactive", "prepared-transactions",
];

function missing(report: Report, wanted: string[]): string[] {
  const found = shortly(report);
  return wanted.filter((line) => !found.includes(line));
}

/** The statements of `sql`, so that those which refuse a transaction block get none: it ends at each semicolon outside of quotes. */
function statements(sql: string): string[] {
  return sql.match(/(?:\$\$.*?\$\$|'[^']*'|"[^"]*"|[^;'"$])+/gs)?.filter((part) => part.trim() !== "") ?? [];
}

/** Each in a session of its own: what it did is counted when that ends. */
const DISTURBANCES = [
  `vacuum analyze "Bloat"; vacuum analyze "Dead"; vacuum analyze "Scanned"`,
  `do $$ begin for i in 1..60 loop perform count(*) from "Scanned" where a < 0; end loop; for i in 1..120 loop perform 1 from "Scanned" where id = i; end loop; end $$`,
  `delete from "Bloat" where id % 20 <> 0; delete from "Dead" where id % 2 = 0`,
  `vacuum "Bloat"`,
  `do $$ begin for i in 1..51000 loop begin insert into "Also" values (1); exception when others then null; end; end loop; end $$`,
  `checkpoint; select pg_switch_wal(); checkpoint; select pg_reload_conf()`,
];

async function deadlock(a: Client, b: Client): Promise<void> {
  await a.query("begin; select pg_advisory_xact_lock(1)");
  await b.query("begin; select pg_advisory_xact_lock(2)");
  const outcomes = await Promise.allSettled([a.query("select pg_advisory_xact_lock(2)"), b.query("select pg_advisory_xact_lock(1)")]);
  expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
  await a.query("rollback");
  await b.query("rollback");
}
