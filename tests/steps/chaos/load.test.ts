import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Client } from "pg";
import { openSession, type PgSession } from "../../../providers/postgres/session.ts";
import { readHistory } from "../../../steps/chaos/history/read.ts";
import { Final } from "../../../steps/chaos/judge/final.ts";
import { judge } from "../../../steps/chaos/judge/judge.ts";
import { Tally } from "../../../steps/chaos/judge/tally.ts";
import { waits } from "../../../steps/chaos/judge/waits.ts";
import { Load } from "../../../steps/chaos/load/load.ts";
import { digestOf, makeTables, readAll } from "../../../steps/chaos/load/sql.ts";
import { toLeader } from "../../../steps/chaos/load/leader.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { HEADER } from "./forged.ts";

setDefaultTimeout(300_000);
let server: TestServer;
let pg: PgSession;
let admin: Client;
let folder: string;
/** Enough that no write waits for the row of another one. */
const LISTS = 64;

const open = (timeoutMs = 5_000) =>
  openSession({
    host: server.host,
    port: server.port,
    user: server.user,
    database: server.database,
    password: () => server.password,
    sslmode: "disable",
    application_name: "load",
    connect_timeout_ms: timeoutMs,
  });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "pgdba-load-"));
  server = await startServer({ settings: { synchronous_commit: "off" } });
  pg = await open();
  admin = await clientOf(server);
});
afterAll(async () => {
  await pg?.close();
  await admin?.end();
  await server?.stop();
  rmSync(folder, { recursive: true });
});

function begin(name: string, rate = 100): { load: Load; file: string } {
  const file = join(folder, name);
  const ways = [{ way: "direct" as const, open: () => open() }];
  const header = { ...HEADER, ways: ["direct" as const], rate, lists: LISTS };
  return {
    load: new Load({ file, header, ways, connections: 2, synchronous_commit: "on" }),
    file,
  };
}

async function found(file: string): Promise<{ tally: Tally; final: Final }> {
  const tally = new Tally();
  readHistory(file, tally);
  const final = new Final(tally.last);
  await readAll(pg, { id: (id) => final.add(id), list: (key, ids) => final.list(key, ids) });
  return { tally, final };
}

const until = async (holds: () => boolean | Promise<boolean>) => {
  for (const ends = performance.now() + 20_000; !(await holds()); await Bun.sleep(5))
    if (performance.now() > ends) throw new Error(`it does not come to that: ${holds}`);
};
const waiting = async () =>
  (
    await admin.query(
      "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'load'",
    )
  ).rows as { pid: number }[];
const reload = (sql: string) => admin.query(sql).then(() => admin.query("SELECT pg_reload_conf()"));

test("a COMMIT that no standby has confirmed, and one whose connection broke, are unknown; the server's refusal is a failure; all else is there once", async () => {
  await makeTables(pg, LISTS);
  const { load, file } = begin("first");
  const reached = async (more: number) => {
    const least = load.acknowledged + more;
    await until(() => load.acknowledged >= least);
  };
  await reached(30);
  // The server's own mode is `off`: what the load asks for holds.
  await reload("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
  await until(async () => (await waiting()).length >= 2);
  const before = load.acknowledged;
  // Others are put beside those that wait, three times as many at most, and all of them wait for a standby that never comes.
  await until(async () => (await waiting()).length === 6);
  await Bun.sleep(1_500);
  expect([(await waiting()).length, load.acknowledged]).toEqual([6, before]);
  const [one] = await waiting();
  await admin.query("SELECT pg_cancel_backend($1)", [one!.pid]);
  await until(
    async () =>
      (await waiting()).every(({ pid }) => pid !== one!.pid) || (await waiting()).length === 6,
  );
  const [other] = (await waiting()).filter(({ pid }) => pid !== one!.pid);
  await admin.query("SELECT pg_terminate_backend($1)", [other!.pid]);
  await Bun.sleep(300);
  expect(load.acknowledged).toBe(before);
  await reload("ALTER SYSTEM RESET synchronous_standby_names");
  await reached(30);
  await admin.query("ALTER TABLE pgdba_chaos.writes ADD CONSTRAINT none CHECK (false) NOT VALID");
  await until(async () => (await server.log()).includes('check constraint "none"'));
  await admin.query("ALTER TABLE pgdba_chaos.writes DROP CONSTRAINT none");
  await reached(30);
  await load.stop();
  await load.stop();

  const { tally, final } = await found(file);
  const all = judge(tally, final);
  const told = Object.fromEntries(tally.reasons.map((reason, n) => [reason, tally.told[n]]));
  expect(told["01000"]).toBe(1);
  expect(told["23514"]).toBeGreaterThan(0);
  expect(all.operations.ok).toBe(load.acknowledged);
  expect(all.operations.unknown).toBeGreaterThanOrEqual(2);
  expect(all.operations.failed).toBeGreaterThanOrEqual(told["23514"]!);
  // Those that found no connection free.
  expect(all.operations.unsent).toBeGreaterThan(20);
  const { lost, duplicate, dirty, phantom, rewound, split, forks, recovered } = all;
  expect([
    lost.count,
    duplicate.count,
    dirty.count,
    phantom.count,
    rewound.count,
    split.count,
    forks,
  ]).toEqual([0, 0, 0, 0, 0, 0, []]);
  expect(recovered.count).toBeGreaterThanOrEqual(1);
  // Clients have read on the way, both the set and lists.
  expect(tally.read.filter((at) => at > 0).length).toBeGreaterThan(20);
  const [direct] = waits(tally, { from: 0, to: tally.phaseAt("stopped")!, fault: undefined });
  expect(direct!.longest_gap_ms).toBeGreaterThan(1_500);
  expect(direct!.failed_ms).toBeGreaterThan(1_000);

  // What somebody takes away, or does again, is named.
  const ids = [...tally.outcome.keys()].filter((id) => tally.outcome[id] === 1);
  const digest = await digestOf(pg);
  await admin.query("DELETE FROM pgdba_chaos.writes WHERE id = $1", [ids[3]]);
  await admin.query("INSERT INTO pgdba_chaos.writes VALUES ($1), (1000000)", [ids[5]]);
  expect(await digestOf(pg)).not.toBe(digest);
  const again = await found(file);
  const wrong = judge(again.tally, again.final);
  expect([wrong.lost.ids, wrong.duplicate.ids, wrong.phantom.ids]).toEqual([
    [ids[3]!],
    [ids[5]!],
    [1_000_000],
  ]);
});

test("a load goes on over a restart of the server, by the clock, and each refusal is told", async () => {
  await makeTables(pg, LISTS);
  const { load, file } = begin("second");
  await until(() => load.acknowledged >= 20);
  const before = load.acknowledged;
  await server.restart(() => Bun.sleep(700));
  pg = await open();
  admin = await clientOf(server);
  await until(() => load.acknowledged >= before + 20);
  await load.stop();
  const { tally, final } = await found(file);
  const all = judge(tally, final);
  expect([all.lost.count, all.dirty.count, all.duplicate.count]).toEqual([0, 0, 0]);
  expect(tally.refusals[0]).toBeGreaterThan(3);
  // As many are due as the clock says, also while nothing answers.
  const seconds = tally.phaseAt("stopped")! / 1e6;
  expect(tally.last).toBeGreaterThan(seconds * 100 * 0.6);
  expect(tally.last).toBeLessThanOrEqual(Math.ceil(seconds * 100) + 1);
});

test("directly means to whoever leads: others are left again", async () => {
  const asked: string[] = [];
  let leader = "pg2";
  const member = (name: string) => ({
    name,
    way: async () => {
      asked.push(name);
      return { info: { standby: name !== leader }, close: async () => {} } as PgSession;
    },
  });
  const way = toLeader([member("pg1"), member("pg2"), member("pg3")], 1000);
  const next = async () => {
    for (let attempt = 0; ; attempt++)
      try {
        return await way(attempt);
      } catch {
        if (attempt > 9) throw new Error("never");
      }
  };
  await next();
  await next();
  leader = "pg1";
  await next();
  expect(asked).toEqual(["pg1", "pg2", "pg2", "pg2", "pg3", "pg1"]);
});
