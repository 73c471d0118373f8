/** A backup is fetched and recovered beside a server of a provider, by a job on its node. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { chmod, chown, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { existsSync, readdirSync, readFileSync, renameSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Json, StepContext, StepType } from "../../../engine/types.ts";
import { readSettings, settingsFile } from "../../../providers/backup/settings.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import { type ClusterKey, walName } from "../../../providers/repository/layout.ts";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import { folderOf } from "../../../steps/backup/restore/scratch.ts";
import discard from "../../../steps/backup/discard.ts";
import fetch from "../../../steps/backup/fetch.ts";
import mark from "../../../steps/backup/mark.ts";
import plan from "../../../steps/backup/plan.ts";
import keptBefore from "../../../steps/backup/before.ts";
import { withoutCombine } from "../../../steps/backup/take/combine.ts";
import dropBefore from "../../../steps/backup/drop-before.ts";
import recover from "../../../steps/backup/recover.ts";
import start from "../../../steps/nodes/start.ts";
import stop from "../../../steps/nodes/stop.ts";
import swap from "../../../steps/backup/swap.ts";
import provision from "../../../steps/nodes/provision.ts";
import { World } from "../../providers/nodes/contract/world.ts";
import { takeBackup } from "../../support/archived.ts";
import { fakeContext, type FakeContext } from "../../support/context.ts";
import { through } from "../../support/target.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import carryDatabase from "../../../steps/backup/carry-database.ts";
import carryTable from "../../../steps/backup/carry-table.ts";
import partWanted from "../../../steps/backup/part-wanted.ts";

setDefaultTimeout(300_000);

const ROOT = join(import.meta.dir, "../../..");
const ID = "20260101T000000Z-full-aaaaaa";
/** One that this machine has client programs of. */
const VERSION = 15;
const world = new World({ provider: "embedded", version: VERSION });
let repository: Repository;
let key: ClusterKey;
let base = "";
let data = "";

/** The same with the server itself, by its address. */
async function reaching(run: string, job: string): Promise<FakeContext> {
  const { host, port } = await at();
  const env = {
    PATH: process.env["PATH"],
    PGPASSWORD: await world.opening().secret("su"),
    PGSSLMODE: "disable",
  };
  const flags = { host, port: String(port), user: "postgres", database: "postgres" };
  const server = await resolveTarget({ flags, env, stateDir: world.stateDir, onSecret: () => {} });
  const bare = through(server);
  const one = context();
  return fakeContext({
    env,
    clock: one.clock,
    run: { id: run, stateDir: world.stateDir },
    step: { job: `${run}/${job}`, path: job },
    target: {
      ...one.target,
      facts: async () => ({
        state: "up",
        identity: null,
        capabilities: ["postgres", "primary", "nodes", "repository"],
        facts: { host, port, member: "a" },
      }),
      use: async (what, on) =>
        what === "postgres" ? bare.use!(what, on) : one.target.use!(what, on),
    },
  });
}

function context(): FakeContext {
  return fakeContext({
    run: { id: "20260101T000000Z-drill1" },
    target: {
      name: world.name,
      facts: async () => ({ state: "down", identity: null, capabilities: [], facts: {} }),
      use: async (what, on) =>
        what === "nodes"
          ? world.another(on)
          : { repository, key, origins: [], place: null, location: base },
    },
    clock: {
      now: () => new Date(),
      monotonic: () => performance.now(),
      sleep: async (ms) => Bun.sleep(ms),
    },
  });
}

const did = async (type: StepType, input: object, ctx: StepContext = context()) =>
  (await type.run(ctx, input as Json)) as Record<string, Json>;
const at = async () => (await world.list())[0]!.reach!;

beforeAll(async () => {
  await world.begin({ open: true });
  const settings = { archive_mode: "on", archive_command: "", max_wal_senders: 5 };
  const spec = world.spec(["a"]);
  await did(provision, { ...spec, settings: { ...spec.settings, ...settings } });
  data = (await world.nodes().facts("a")).postgres!.data;
  const { uid, gid } = await stat(data);
  base = await mkdtemp(join(tmpdir(), "pgdba-scratch-"));
  await chmod(base, 0o755);
  const place = { kind: "directory", path: join(base, "repository") } as const;
  await makeRepository(place);
  const [[identity]] = (await world.sql(
    "a",
    "select system_identifier::text from pg_control_system()",
  )) as [[string]];
  key = { system_identifier: identity, version: VERSION, cluster_id: "one" };
  // As `backup setup` puts it there.
  await mkdir(`${data}.pgdba`);
  const program = join(`${data}.pgdba`, "pgdba");
  await writeFile(
    program,
    `#!/bin/sh\nexec ${process.execPath} ${join(ROOT, "engine/main.ts")} "$@"\n`,
    { mode: 0o755 },
  );
  await writeFile(settingsFile(data), JSON.stringify({ place, write: key, read: [key] }));
  for (const path of [`${data}.pgdba`, program, settingsFile(data)]) await chown(path, uid, gid);
  Bun.spawnSync(["chown", "-R", `${uid}:${gid}`, place.path]);
  expect(readSettings(settingsFile(data)).write).toEqual(key);
  repository = await openRepository(place);
  await world.sql("a", `alter system set archive_command = '${program} wal push %p'`);
  await world.sql("a", "select pg_reload_conf()");
  await world.sql("a", "create table t as select generate_series(1, 50) as id");
  const { host, port } = await at();
  const password = await world.opening().secret("su");
  const server = { host, port, user: "postgres", database: "postgres", password };
  await takeBackup({ server, repository, key } as never, ID);
  Bun.spawnSync(["chown", "-R", `${uid}:${gid}`, place.path]);
  await world.sql("a", "insert into t values (51)");
  await world.sql("a", "select pg_create_restore_point('release')");
  await world.sql("a", "drop table t");
  const [[file]] = (await world.sql("a", "select pg_walfile_name(pg_switch_wal())")) as [[string]];
  await world.until(
    () => repository.stat(walName(key, file)),
    (stored) => stored !== null,
    60_000,
  );
});
afterAll(async () => {
  await repository?.close();
  await world.end();
  await rm(base, { recursive: true, force: true });
});

test("a backup is brought beside the server to a restore point, looked at, and thrown away", async () => {
  const planned = await did(plan, { target_name: "release" });
  expect(planned["backup_id"]).toBe(ID);
  const ctx = context();
  const fetched = await did(fetch, { node: "a", backup_id: ID }, ctx);
  expect(fetched).toMatchObject({ chain: [ID], node: "a" });
  const scratch = join(data, "..", `scratch-${ctx.run.id}`);
  expect(existsSync(join(scratch, "PG_VERSION"))).toBe(true);
  // A later process finds what the job has given.
  expect(await fetch.probe!(context(), { node: "a", backup_id: ID })).toEqual({
    state: "done",
    output: fetched,
  });
  const recovering = context();
  Object.assign(recovering.step, { job: "20260101T000000Z-drill1/recover" });
  const { stop_lsn, inclusive, timeline } = planned;
  const recovered = await did(
    recover,
    {
      node: "a",
      backup_id: ID,
      timeline,
      stop_lsn,
      inclusive,
      checks: [{ sql: "select count(*) = 51 from t" }, { sql: "select false" }],
    },
    recovering,
  );
  expect(recovered["look"]).toMatchObject({
    databases: [{ name: "postgres", tables: 1, rows: 51 }],
    checks: [{ holds: true }, { holds: false, why: "it gave false" }],
  });
  await did(mark, {
    backup_id: ID,
    kind: "drilled",
    facts: { fetch_seconds: 1, stored_bytes: 1, replay_seconds: 1, wal_bytes: 1 },
  });
  expect((await did(plan, { target_name: "release" }))["quality"]).toBe("drilled");
  // The server beside it went on, and lost nothing of its own.
  expect(await world.sql("a", "select to_regclass('t') is null")).toEqual([[true]]);
  await did(discard, { node: "a" }, ctx);
  expect(existsSync(scratch)).toBe(false);
});

test("a table and a database come out of the scratch beside what there is, and what was made is removed when it is taken back", async () => {
  const run = "20260301-140300-taken1";
  const { stop_lsn, inclusive, timeline } = await did(plan, { target_name: "release" });
  const ctx = (job: string) => reaching(run, job);
  await did(fetch, { node: "a", backup_id: ID }, await ctx("fetch"));
  const target = { node: "a", backup_id: ID, timeline, stop_lsn, inclusive };
  const recovered = await did(recover, { ...target, promote: true }, await ctx("recover"));
  expect([recovered["timeline"], (recovered["look"] as { databases: [] }).databases]).toEqual([
    2,
    [],
  ]);
  const wanted = await did(
    partWanted,
    { table: "t", databases: ["postgres"] },
    await ctx("wanted"),
  );
  expect(wanted).toEqual({
    database: "postgres",
    table: "t",
    name: "t_restored_20260301_140300",
    into: "postgres",
  });
  expect(await did(partWanted, { database: "shop" }, await ctx("wanted"))).toMatchObject({
    name: "shop_restored_20260301_140300",
  });
  const from = { node: "a", backup_id: ID, database: "postgres" };
  const database = { ...from, name: "back" };
  const whole = await ctx("database");
  const made = await did(carryDatabase, database, whole);
  expect(made).toMatchObject({ database: "back", rows: 51 });
  expect(await carryDatabase.probe!(whole, database as never)).toEqual({
    state: "done",
    output: made,
  });
  await carryDatabase.undo!(whole, database as never, undefined);
  const names = await world.sql("a", "select datname from pg_database where not datistemplate");
  expect(names).toEqual([["postgres"]]);
  const table = { ...from, table: "t", name: wanted["name"] as string };
  const carrying = await ctx("table");
  expect(await carryTable.probe!(carrying, table as never)).toEqual({ state: "not_done" });
  const carried = await did(carryTable, table, carrying);
  expect(carried).toMatchObject({
    table: "public.t_restored_20260301_140300",
    rows: 51,
    owner: "postgres",
    left_out: [],
  });
  expect(await carryTable.probe!(carrying, table as never)).toEqual({
    state: "done",
    output: carried,
  });
  expect(await refusalOf(did(carryTable, table, await ctx("again")))).toBe("invalid_param");
  const absent = { ...table, table: "nosuch", name: "other" };
  expect(await refusalOf(did(carryTable, absent, await ctx("absent")))).toBe("invalid_param");
  await carryTable.undo!(carrying, table as never, undefined);
  await carryTable.undo!(carrying, table as never, undefined);
  expect(await world.sql("a", "select to_regclass('t_restored_20260301_140300') is null")).toEqual([
    [true],
  ]);
  expect(processes("-D", join(data, "..", `scratch-${run}`))).toEqual([]);
  await did(discard, { node: "a" }, await ctx("discard"));
});

const refusalOf = (work: Promise<unknown>) =>
  work.then(
    () => "not refused",
    ({ code }: { code: string }) => code,
  );

/** Processes whose words hold all of these. */
function processes(...words: string[]): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const argv = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0").join(" ");
      return /^\d+$/.test(name) && words.every((word) => argv.includes(word)) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

test("work that is killed on the node fails the step; its server ends with it, and nothing is left when it is taken back", async () => {
  const { stop_lsn, inclusive, timeline } = await did(plan, { target_name: "release" });
  const run = "20260101T000000Z-killed";
  const ctx = (job: string) => {
    const one = context();
    Object.assign(one.run, { id: run });
    Object.assign(one.step, { job: `${run}/${job}` });
    return one;
  };
  const scratch = join(data, "..", `scratch-${run}`);
  const killed = async (job: string, seen: () => number[], work: Promise<unknown>) => {
    const failed = work.then(
      () => "it ended well",
      ({ code }: { code: string }) => code,
    );
    // The worker of this node, by what its shell began; a server that it runs is seen first.
    await world.until(
      async () => seen(),
      (found) => found.length > 0,
      60_000,
    );
    for (const pid of await workersOf(job)) process.kill(pid, "SIGKILL");
    expect(await failed).toBe("command_failed");
  };
  const target = { node: "a", backup_id: ID, timeline, stop_lsn, inclusive };
  await did(fetch, { node: "a", backup_id: ID }, ctx("fetch"));
  const recovering = ctx("recover");
  await killed("recover", () => processes("-D", scratch), did(recover, target, recovering));
  await world.until(
    async () => processes("-D", scratch),
    (left) => left.length === 0,
    30_000,
  );
  await recover.undo!(recovering, target as never, undefined);
  await fetch.undo!(ctx("fetch"), { node: "a", backup_id: ID } as never, undefined);
  const fetching = ctx("again");
  await killed(
    "fetch",
    () => (existsSync(`${scratch}.unfinished`) ? [1] : []),
    did(fetch, { node: "a", backup_id: ID }, fetching),
  );
  await fetch.undo!(fetching, { node: "a", backup_id: ID } as never, undefined);
  expect(readdirSync(join(data, "..")).filter((name) => name.startsWith("scratch"))).toEqual([]);
  expect(existsSync(folderOf(run))).toBe(false);
  expect(await world.sql("a", "select 1")).toEqual([[1]]);
});

/** The processes of a job of this test's node: their environment names its data. */
async function workersOf(job: string): Promise<number[]> {
  return processes(` work ${job}`).filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, "utf8").includes(data);
    } catch {
      return false;
    }
  });
}

test("where no server has pg_combinebackup, this is told before an increment is taken", async () => {
  const said = await withoutCombine(await reaching("20260301-140300-combine", "take"));
  expect(said).toContain("pg_combinebackup");
  expect(await withoutCombine(context())).toBeNull();
});

test("what can be restored is told with a yes, too", async () => {
  const windows = async (input: object) => (await did(plan, input))["windows"] as unknown[];
  expect(await windows({ target_name: "release", refuse: false })).toMatchObject([
    { from: { backup: ID } },
  ]);
});

test("a random moment lies between the backup and the end of WAL, and is the same for the same run", async () => {
  const first = await did(plan, { random: true });
  expect([
    first["possible"],
    first["backup_id"],
    (await did(plan, { random: true }))["stop_lsn"],
  ]).toEqual([true, ID, first["stop_lsn"]]);
});

test("what is not there is told, and nothing is left of it", async () => {
  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => "not refused",
      ({ code }: { code: string }) => code,
    );
  expect(await refusal(did(fetch, { node: "a", backup_id: "20260101T000000Z-full-ffffff" }))).toBe(
    "invalid_param",
  );
  const ctx = context();
  Object.assign(ctx.step, { job: "20260101T000000Z-drill1/other" });
  await did(fetch, { node: "a", backup_id: ID }, ctx);
  await fetch.undo!(ctx, { node: "a", backup_id: ID } as never, undefined);
  expect(existsSync(join(data, "..", `scratch-${ctx.run.id}`))).toBe(false);
});

test("in place: the data is moved aside and never lost, whatever dies; the server goes on from the restore point on its own timeline", async () => {
  const run = "20260101T000000Z-place1";
  const ctx = (job: string) => {
    const one = context();
    Object.assign(one.run, { id: run });
    Object.assign(one.step, { job: `${run}/${job}` });
    return one;
  };
  const node = { node: "a" };
  const before = `${data}.before-${run}`;
  const scratch = join(data, "..", `scratch-${run}`);
  const refusal = (work: Promise<unknown>) =>
    work.then(
      () => "not refused",
      ({ code }: { code: string }) => code,
    );
  await world.sql("a", "alter system set work_mem = '5MB'");
  const planned = await did(plan, { target_name: "release" });
  const { stop_lsn, inclusive, timeline } = planned;
  const target = { ...node, backup_id: ID, timeline, stop_lsn, inclusive };
  await did(fetch, { ...node, backup_id: ID }, ctx("fetch"));
  await did(recover, target, ctx("recover"));
  // A server that runs keeps its data.
  expect(await refusal(did(swap, node, ctx("swap")))).toBe("step_refused");
  await did(stop, node, ctx("stop"));
  expect(await swap.probe!(ctx("swap"), node as never)).toEqual({ state: "not_done" });
  await did(swap, node, ctx("swap"));
  expect([existsSync(before), existsSync(scratch), existsSync(join(data, "PG_VERSION"))]).toEqual([
    true,
    false,
    true,
  ]);
  const asked = { node: "a", run };
  expect(await did(keptBefore, asked)).toMatchObject({ folder: before, bytes: expect.any(Number) });
  // Taken back, the data before is the data.
  await swap.undo!(ctx("swap"), node as never, undefined);
  expect([existsSync(before), existsSync(scratch)]).toEqual([false, true]);
  await did(start, node, ctx("start"));
  expect(await world.sql("a", "select to_regclass('t') is null")).toEqual([[true]]);
  await did(stop, node, ctx("stop"));
  // A process that dies between the two renames leaves no data directory, and resume goes on.
  renameSync(data, before);
  expect(await swap.probe!(ctx("swap"), node as never)).toEqual({ state: "not_done" });
  await did(swap, node, ctx("swap"));
  expect((await swap.probe!(ctx("swap"), node as never)).state).toBe("done");
  const finished = await did(recover, { ...target, finish: true }, ctx("finish"));
  expect(finished["timeline"]).toBe(2);
  // Done again, as after a crash of the node, it finds that it was promoted.
  expect((await did(recover, { ...target, finish: true }, ctx("again")))["timeline"]).toBe(2);
  // Nothing of it is in the repository while it may all be taken back.
  expect(await repository.stat(walName(key, "00000002.history"))).toBeNull();
  await did(start, node, ctx("start"));
  expect(await world.sql("a", "select count(*)::int from t")).toEqual([[51]]);
  await world.until(
    () => repository.stat(walName(key, "00000002.history")),
    (stored) => stored !== null,
    60_000,
  );
  // The settings of now are those of the server, and not those of the backup.
  expect(await world.sql("a", "show work_mem")).toEqual([["5MB"]]);
  // The data before is there until it is confirmed.
  expect(existsSync(join(before, "PG_VERSION"))).toBe(true);
  expect(
    await did(dropBefore, { ...node, run: "20260101T000000Z-other1" }, ctx("drop")),
  ).toMatchObject({ removed: null });
  expect(await did(dropBefore, node, ctx("drop"))).toMatchObject({ removed: before });
  expect(existsSync(before)).toBe(false);
});

test("after a restore in place the timelines branch, and the next one follows the cluster's own", async () => {
  await world.sql("a", "insert into t values (52)");
  await world.sql("a", "select pg_create_restore_point('second')");
  await world.sql("a", "insert into t values (53)");
  const [[file]] = (await world.sql("a", "select pg_walfile_name(pg_switch_wal())")) as [[string]];
  await world.until(
    () => repository.stat(walName(key, file)),
    (stored) => stored !== null,
    60_000,
  );
  const second = await did(plan, { target_name: "second" });
  expect(second).toMatchObject({
    backup_id: ID,
    timeline: 2,
    timelines: [
      { timeline: 1, depth: 0, followed: true },
      { timeline: 2, depth: 1, parent: 1, followed: true },
    ],
  });
  // What the first restore left behind takes naming its timeline.
  const old = await did(plan, { target_timeline: 1 });
  expect([old["timeline"], old["backup_id"]]).toEqual([1, ID]);
  const node = { node: "a" };
  const ctx = (job: string) => {
    const one = context();
    Object.assign(one.run, { id: "20260101T000000Z-place2" });
    Object.assign(one.step, { job: `20260101T000000Z-place2/${job}` });
    return one;
  };
  const { stop_lsn, inclusive, timeline } = second;
  const target = { ...node, backup_id: ID, timeline, stop_lsn, inclusive };
  await did(fetch, { ...node, backup_id: ID }, ctx("fetch"));
  await did(stop, node, ctx("stop"));
  await did(swap, node, ctx("swap"));
  expect((await did(recover, { ...target, finish: true }, ctx("finish")))["timeline"]).toBe(3);
  await did(start, node, ctx("start"));
  expect(await world.sql("a", "select count(*)::int, max(id) from t")).toEqual([[52, 52]]);
});
