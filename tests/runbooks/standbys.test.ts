/** Runbooks that mend, on a cluster with a standby: of plain processes, since Patroni adds nothing to these. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { connect } from "../../providers/postgres/connect.ts";
import { cli, removePlaces, Running } from "../e2e/support.ts";
import { LIMIT_MS, Rehearsed, until } from "../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed("paired");
beforeAll(async () => {
  expect((await shop.create("--nodes", "pg1", "--nodes", "pg2")).envelope.error).toBeNull();
});
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const argv = (...words: string[]): string[] => [...words, "--cluster", shop.name, "--no-input"];
const pgdba = (...words: string[]) => cli(argv(...words), shop.place, { limitMs: LIMIT_MS });
const begin = (...words: string[]) =>
  new Running(argv(...words), shop.place, { limitMs: LIMIT_MS });
const tableOf = (name: string, rows: number): Promise<unknown> =>
  shop.ask(
    "pg1",
    `CREATE TABLE ${name} (id serial PRIMARY KEY, note text);
     INSERT INTO ${name} (note) SELECT repeat('x', 500) FROM generate_series(1, ${rows})`,
  );
const widen = (name: string, ...more: string[]): Running =>
  begin("sequence", "widen", `${name}_id_seq`, "--method", "batches", ...more);
const typeIn = async (node: string, name: string): Promise<unknown> =>
  (
    await shop.ask(
      node,
      `SELECT format_type(atttypid, null) FROM pg_attribute WHERE attrelid = '${name}'::regclass AND attname = 'id'`,
    )
  )[0]?.[0];

test("the accounts of the cluster are not locked out, also where one of its members is named", async () => {
  for (const at of [[], ["--host", "pg1"]])
    for (const does of [
      ["password", "replicator"],
      ["set", "replicator", "--no-login"],
    ])
      expect((await pgdba("role", ...does, ...at)).envelope.error).toMatchObject({
        code: "step_refused",
        message: expect.stringContaining("the account `replication` of the cluster paired"),
      });
});

test("what changes something is refused on a standby before anything is sent, and what looks is not", async () => {
  for (const words of [
    ["maintenance", "vacuum"],
    ["prepared", "list"],
    ["sequence", "widen", "x_seq"],
    ["table", "set", "x", "--settings", '{"fillfactor": 80}'],
  ])
    expect((await pgdba(...words, "--host", "pg2")).envelope.error).toMatchObject({
      code: "capability_missing",
      hint: expect.stringContaining("Name the primary"),
    });
  for (const words of [
    ["session", "list"],
    ["locks", "tree"],
    ["slot", "list"],
    ["disk", "usage"],
  ])
    expect((await pgdba(...words, "--host", "pg2")).envelope.error).toBeNull();
});

const onStandby = async (application_name: string) =>
  connect({
    ...(await (await shop.nodes()).list()).find(({ node }) => node === "pg2")!.reach!,
    user: "postgres",
    database: "postgres",
    password: () => shop.secret("superuser"),
    sslmode: "prefer",
    application_name,
  });

test("on a standby a long read that holds up the replay is the root, with everybody behind the replay", async () => {
  await shop.ask("pg1", "CREATE TABLE read (id int)");
  const there = async () =>
    (await shop.ask("pg2", "SELECT to_regclass('read') IS NOT NULL"))[0]?.[0];
  await until(there, (is) => is === true);
  const reader = await onStandby("report");
  reader.on("error", () => {});
  await reader.query("BEGIN");
  await reader.query("SELECT * FROM read");
  await shop.ask("pg1", "ALTER TABLE read ADD more int");
  const replays = async () =>
    (
      await shop.ask(
        "pg2",
        "SELECT count(*)::int FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'",
      )
    )[0]?.[0];
  await until(replays, (waiting) => waiting === 1);
  const behind = shop.ask("pg2", "SELECT * FROM read");
  const tree = async () => (await pgdba("locks", "tree", "--host", "pg2")).envelope.data as any;
  await until(tree, ({ waiting }) => waiting === 2);
  const { roots, advice, blockers } = await tree();
  expect([roots, blockers.map((one: any) => [one.kind, one.frees])]).toEqual([
    1,
    [
      ["client backend", 2],
      ["startup", 1],
    ],
  ]);
  expect(advice).toMatchObject([{ who: expect.stringContaining("(report)") }]);
  const ended = await cli(advice[0].command.split(" ").slice(1), shop.place, { limitMs: LIMIT_MS });
  expect(ended.envelope.error).toBeNull();
  expect(await behind).toEqual([]);
});

const findings = async (only: string, ...at: string[]): Promise<any[]> =>
  ((await pgdba("health", "check", "--only", only, ...at)).envelope.data as any).findings;

test("the command of a finding runs on the cluster as it stands", async () => {
  await shop.ask(
    "pg1",
    "CREATE TABLE checked (id int); ALTER TABLE checked ADD CONSTRAINT positive CHECK (id > 0) NOT VALID",
  );
  const [{ remedy }] = await findings("constraint-not-valid");
  expect(remedy.command).toContain("--cluster paired --database postgres");
  const words = remedy.command.split(" ").slice(1);
  const ran = await cli(words, shop.place, { limitMs: LIMIT_MS });
  expect(ran.envelope.error).toBeNull();
  expect(await findings("constraint-not-valid")).toEqual([]);
});

test("the slots that Patroni keeps on a standby are not to be dropped", async () => {
  await shop.ask("pg2", "SELECT pg_create_physical_replication_slot('pg1', true)");
  const found = () => findings("slot-inactive", "--host", "pg2");
  expect((await found()).map((one) => one.remedy.command)).toEqual([
    "pgdba run slot/list --slot pg1 --cluster paired --host pg2",
  ]);
  const patroni = await onStandby("Patroni heartbeat");
  expect(await found()).toEqual([]);
  await patroni.end();
  await shop.ask("pg2", "SELECT pg_drop_replication_slot('pg1')");
});

test("a standby whose replay is paused is waited for, and the filling goes on when it goes on", async () => {
  await tableOf("paused", 60_000);
  await shop.ask("pg2", "SELECT pg_wal_replay_pause()");
  const run = widen("paused", "--max-lag", "1MB");
  await run.said("waiting for the standby pg2");
  // Nobody else waits for it.
  await shop.ask("pg1", "INSERT INTO paused (note) VALUES ('meanwhile')");
  expect(await typeIn("pg1", "paused")).toBe("integer");
  await shop.ask("pg2", "SELECT pg_wal_replay_resume()");
  expect((await run.done()).envelope.error).toBeNull();
  await until(
    () => typeIn("pg2", "paused"),
    (type) => type === "bigint",
  );
});

test("killed in the middle, with a failover after it: resume goes on at the new primary, fills what that lacks, and says so", async () => {
  await tableOf("moved", 200_000);
  const run = widen("moved", "--max-lag", "1GB");
  await run.said("filling public.moved.id");
  // What is filled from now on never comes to the standby.
  await shop.ask("pg2", "ALTER SYSTEM SET primary_conninfo = ''");
  await shop.ask("pg2", "SELECT pg_reload_conf()");
  await until(
    () => shop.streaming("pg1"),
    (names) => names.length === 0,
  );
  const filled = "SELECT count(pgdba_wide_1)::int FROM moved";
  await until(
    async () => Number((await shop.ask("pg1", filled))[0]?.[0]),
    (rows) => rows > 100_000,
  );
  run.signal("SIGKILL");
  await run.ended();
  const id = /run (\d{8}-\d{6}-\w+)/.exec(run.stderr)![1]!;
  const nodes = await shop.nodes();
  await nodes.stop("pg1", "immediate");
  await shop.ask("pg2", "SELECT pg_promote()");
  const resumed = await pgdba("resume", id);
  expect(resumed.envelope.error).toBeNull();
  expect((resumed.envelope.data as any).run.warnings).toContainEqual(
    expect.stringMatching(/began on timeline 1, and the server is on timeline 2 now/),
  );
  expect(await typeIn("pg2", "moved")).toBe("bigint");
  expect(await shop.ask("pg2", "SELECT count(id)::int, max(id)::int FROM moved")).toEqual([
    [200_000, 200_000],
  ]);
});

describe("a vacuum that the primary does not live to end", () => {
  const other = new Rehearsed("parted");
  const on = (...words: string[]): string[] => [...words, "--cluster", other.name, "--no-input"];
  const slowly = (delay: string) =>
    other.ask("pg1", `ALTER ROLE postgres SET vacuum_cost_delay = '${delay}'`);
  const counted = async (node: string) =>
    (await other.ask(node, "SELECT pg_stat_get_vacuum_count('dusty'::regclass)::int"))[0]?.[0];
  /** One that has begun, and takes minutes. */
  const begun = async (): Promise<Running> => {
    await other.ask("pg1", "UPDATE dusty SET id = id");
    await slowly("100ms");
    const run = new Running(on("maintenance", "vacuum", "dusty"), other.place, {
      limitMs: LIMIT_MS,
    });
    await until(
      async () =>
        (await other.ask("pg1", "SELECT count(*)::int FROM pg_stat_progress_vacuum"))[0]?.[0],
      (runs) => runs === 1,
    );
    await slowly("0");
    return run;
  };

  beforeAll(async () => {
    expect((await other.create("--nodes", "pg1", "--nodes", "pg2")).envelope.error).toBeNull();
    await other.ask(
      "pg1",
      `CREATE TABLE dusty (id int, note text) WITH (autovacuum_enabled = off);
       INSERT INTO dusty SELECT i, repeat('x', 500) FROM generate_series(1, 50000) i`,
    );
  });
  afterAll(async () => {
    if (other.entry()) await other.destroy();
    await other.close();
  });

  test("killed with it, resume does it again, whatever the server that runs now has counted", async () => {
    const run = await begun();
    run.signal("SIGKILL");
    await run.ended();
    const nodes = await other.nodes();
    await nodes.stop("pg1", "fast");
    await nodes.start("pg1");
    await other.ask("pg1", "VACUUM dusty");
    expect(await counted("pg1")).toBe(1);
    const id = /run (\d{8}-\d{6}-\w+)/.exec(run.stderr)![1]!;
    const { envelope } = await cli(on("resume", id).slice(0, 2), other.place, {
      limitMs: LIMIT_MS,
    });
    expect(envelope.error).toBeNull();
    expect(await counted("pg1")).toBe(2);
  });

  test("it is done where the primary is then", async () => {
    await until(
      () => other.streaming("pg1"),
      (names) => names.length === 1,
    );
    const run = await begun();
    await until(
      async () =>
        (
          await other.ask(
            "pg2",
            "SELECT count(*)::int FROM pg_db_role_setting WHERE setconfig @> '{vacuum_cost_delay=0}'",
          )
        )[0]?.[0],
      (there) => there === 1,
    );
    await (await other.nodes()).stop("pg1", "immediate");
    await other.ask("pg2", "SELECT pg_promote()");
    expect((await run.done()).envelope).toMatchObject({ error: null, data: { vacuumed: 1 } });
    expect(await counted("pg2")).toBe(1);
  });
});
