/** Damage on plain processes: each kind is done to a file, seen by the means that can see it, and gone afterwards. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../../engine/clock.ts";
import { validate } from "../../../engine/shared/validate.ts";
import type { Effect, StepType, Target } from "../../../engine/types.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import verify from "../../../steps/backup/verify.ts";
import compare from "../../../steps/chaos/compare.ts";
import damage from "../../../steps/chaos/damage.ts";
import table from "../../../steps/chaos/table.ts";
import damageBackup from "../../../steps/chaos/damage-backup.ts";
import damageWal from "../../../steps/chaos/damage-wal.ts";
import { at, cli, removePlaces, type Ran, Running } from "../../e2e/support.ts";
import { fakeContext, type FakeContext } from "../../support/context.ts";
import { LIMIT_MS, Rehearsed, until } from "../../support/rehearsed.ts";
import { through } from "../../support/target.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const close: (() => Promise<unknown>)[] = [];
const TABLE = "pgdba_corrupt.rows";
let runs = 0;

beforeAll(async () => {
  expect((await shop.create("--nodes", '["pg1","pg2"]')).exit).toBe(0);
  const label = ["cluster", "label", "--add", "test", "--cluster", "shop", "--format", "json"];
  expect((await cli(label, shop.place)).exit).toBe(0);
  await step(table, {});
});
afterAll(async () => {
  for (const one of close.toReversed()) await one();
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

async function contextOf(): Promise<FakeContext> {
  const target = await resolveTarget({
    flags: { cluster: "shop" },
    env: {},
    stateDir: shop.place.home,
    onSecret: () => {},
  });
  const id = `run-${++runs}`;
  const context = fakeContext({
    clock: systemClock,
    target: breaking(through(target)),
    run: { id, runbook: "chaos/corrupt", stateDir: shop.place.home },
    step: { id: "inject", path: "inject", job: `${id}/inject` },
  });
  close.push(async () => {
    await context.close();
    await target.close();
  });
  return context;
}
/** As for a step type that has declared what it does. */
function breaking(target: Partial<Target>): Partial<Target> {
  return {
    ...target,
    use: async (what, on) => target.use!(what, { ...on, hazards: ["fault", "loses"] }),
  };
}
async function step(type: StepType, input: object, context?: FakeContext): Promise<any> {
  const ctx = context ?? (await contextOf());
  ctx.does.effect = type.effect as Effect;
  const output = await type.run(ctx, input);
  expect(validate(type.output, output, "the output")).toEqual([]);
  return output;
}
const armed = async () => (await shop.nodes()).armed();

test("the table is the same on both nodes, and no means finds anything", async () => {
  expect(await step(compare, { table: TABLE })).toMatchObject({
    equal: true,
    by: [],
    damaged: [],
    rows: 20_000,
  });
});

const MEANT = ["--cluster", "shop", "--yes", "--i-know-what-i-am-doing", "--without-backup=shop"];
const QUICK = ["--steady", "1s", "--min-free-percent", "0", "--least", "100", "--format", "json"];
const pgdba = (...argv: string[]): Promise<Ran> =>
  cli([...argv, "--cluster", "shop", "--format", "json"], shop.place, { limitMs: LIMIT_MS });
const sound = async () => step(compare, { table: TABLE });

/** By the table of what is seen by what; `comparison` and `size` only where a read ends well. */
const SEEN: [how: string, by: string[], blind: string[]][] = [
  ["heap", ["seqscan", "index read", "verify_heapam", "bt_index_check", "checksum"], []],
  ["misdirected", ["seqscan", "index read", "verify_heapam", "bt_index_check", "checksum"], []],
  ["index", ["index read", "bt_index_check", "checksum"], ["seqscan", "verify_heapam"]],
  ["truncate", ["index read", "comparison", "size"], ["seqscan", "verify_heapam", "checksum"]],
  ["zero", ["comparison"], ["seqscan", "verify_heapam", "bt_index_check", "checksum"]],
];
for (const [n, [how, by, blind]] of SEEN.entries())
  test(`${how}: it bites, is seen by what can see it, and what was there is written back`, async () => {
    const node = n % 2 === 0 ? "pg2" : "pg1";
    const ctx = await contextOf();
    const done = await step(damage, { node, how, table: TABLE }, ctx);
    expect(done).toMatchObject({ node, took: true });
    const found = await step(compare, { table: TABLE, since: done.began });
    expect(found).toMatchObject({ equal: false, damaged: [node] });
    expect(found.by).toEqual(expect.arrayContaining(by));
    for (const means of blind) expect(found.by).not.toContain(means);
    expect(await armed()).toMatchObject([{ node, state: "armed" }]);
    expect(await damage.probe!(ctx, {})).toMatchObject({ state: "failed" });
    // No healer repairs data: it says what to do, and stays.
    const [healed] = await (await shop.nodes()).heal();
    expect(healed).toMatchObject({ node, healed: false });
    expect(healed!.why).toContain("no healer can repair that");
    await damage.undo!(ctx, {}, undefined);
    expect(await armed()).toEqual([]);
    expect(await sound()).toMatchObject({ equal: true, rows: 20_000 });
  });

test("a file that was cut and has grown since is damaged still, and is not mended by halves", async () => {
  const ctx = await contextOf();
  await step(damage, { node: "pg1", how: "truncate", table: TABLE }, ctx);
  const grow = `INSERT INTO ${TABLE} SELECT n, repeat(md5(n::text), 3) FROM generate_series(30001, 30200) n`;
  await shop.ask("pg1", grow);
  await shop.ask("pg1", "CHECKPOINT");
  const [healed] = await (await shop.nodes()).heal();
  expect(healed).toMatchObject({ node: "pg1", healed: false, lasted: null });
  await expect(damage.undo!(ctx, {}, undefined) as Promise<void>).rejects.toMatchObject({
    code: "command_failed",
    message: expect.stringContaining("written to since it was cut"),
  });
  // As the advice says: it is made anew.
  await step(table, {});
  expect(await (await shop.nodes()).heal()).toMatchObject([{ node: "pg1", healed: true }]);
  expect(await sound()).toMatchObject({ equal: true, rows: 20_000 });
});

test("a table of PostgreSQL itself is not damaged", async () => {
  const what = { node: "pg2", how: "heap", table: "pg_catalog.pg_proc" };
  await expect(step(damage, what)).rejects.toMatchObject({
    code: "step_refused",
    nothingDone: true,
  });
  expect(await armed()).toEqual([]);
});

test("WAL: a server that recovers alone lacks what was acknowledged; the standby fetches it again", async () => {
  const leader = step(damageWal, { node: "pg1", table: TABLE });
  await expect(leader).rejects.toMatchObject({ code: "step_refused" });
  const ctx = await contextOf();
  const done = await step(damageWal, { node: "pg2", table: TABLE }, ctx);
  expect(done).toMatchObject({ node: "pg2", took: true, written: 40 });
  expect(done.by).toContain("recovery");
  // Where pages were written that are newer than what it recovers, it does not start.
  if (done.lost !== null) expect(done.lost).toBe(30);
  await damageWal.undo!(ctx, { node: "pg2" }, undefined);
  expect(await armed()).toEqual([]);
  await until(
    () => shop.streaming("pg1"),
    (names) => names.includes("pg2"),
  );
  expect(await sound()).toMatchObject({ equal: true, rows: 20_040 });
});

test("WAL is not damaged where no copy could be made to try it on, and nothing is written before", async () => {
  const stray = join(shop.data("pg2"), "pg_tblspc", "16999");
  writeFileSync(stray, "");
  try {
    await expect(step(damageWal, { node: "pg2", table: TABLE })).rejects.toMatchObject({
      code: "step_refused",
      nothingDone: true,
      message: expect.stringContaining("tablespaces"),
    });
  } finally {
    rmSync(stray);
  }
  expect(await armed()).toEqual([]);
  expect(await sound()).toMatchObject({ equal: true, rows: 20_040 });
});

test("a zeroed page of the primary: the drill finds it, moves the role, and makes node and indexes anew", async () => {
  const ran = await cli(["chaos", "corrupt", "--how", "zero", ...MEANT, ...QUICK], shop.place, {
    limitMs: LIMIT_MS,
  });
  expect([ran.envelope.error, ran.envelope.data]).toMatchObject([
    null,
    {
      verdict: "valid",
      unexpected: [],
      fault: { node: "pg1", took: true, bytes: 8192 },
      found: { by: ["comparison"], damaged: ["pg1"] },
      repaired: ["the role was handed over", "pg1 was made anew", "the indexes were made anew"],
      leader_after: "pg2",
      lost: 0,
    },
  ]);
  expect(await armed()).toEqual([]);
});

test("after kill -9 the damage is told until it is repaired, and resume repairs it", async () => {
  const argv = ["chaos", "corrupt", "--how", "index", ...MEANT, ...QUICK];
  const child = new Running(argv, shop.place, { limitMs: LIMIT_MS });
  await child.said("start held");
  child.signal("SIGKILL");
  await child.ended();
  const id = /run (\S+)/.exec(child.stderr)![1]!;
  const status = await pgdba("cluster", "status");
  const told = JSON.stringify(at(status.envelope.data, "findings"));
  expect(told).toContain("nothing ends that by itself");
  expect(told).toContain(`pgdba resume ${id}`);
  const healed = await pgdba("chaos", "heal", "--all");
  expect(healed.exit).not.toBe(0);
  expect(healed.envelope.error?.message).toContain("make the index anew");
  const resumed = await cli(["resume", id, "--format", "json"], shop.place, { limitMs: LIMIT_MS });
  expect(at(resumed.envelope.data, "verdict")).toBe("unknown");
  expect(at(resumed.envelope.data, "repaired")).toEqual(["the indexes were made anew"]);
  expect(await armed()).toEqual([]);
});

test("a backup that was damaged is found by verify, and marked before it was", async () => {
  const folder = join(shop.place.root, "backups");
  const setup = ["backup", "setup", "--repository", folder, "--restart", "--yes"];
  expect((await pgdba(...setup)).envelope.error).toBeNull();
  const made = await pgdba("backup", "create", "--yes");
  expect(made.envelope.error).toBeNull();
  const id = String(at(made.envelope.data, "backup_id"));
  const other = await contextOf();
  Object.assign(other.target, { labels: [] });
  await expect(step(damageBackup, { backup_id: id }, other)).rejects.toMatchObject({
    code: "step_refused",
    nothingDone: true,
  });
  const done = await step(damageBackup, { backup_id: id });
  expect(done).toMatchObject({ backup_id: id, took: true, bytes: 4 });
  const listed = await pgdba("backup", "list");
  expect(JSON.stringify(at(listed.envelope.data, "backups"))).toContain("damaged");
  const found = await step(verify, { backup_id: id });
  expect(found).toMatchObject({ verified: false, damage: [{ backup: id, object: done.object }] });
  expect(await damageBackup.probe!(await contextOf(), {})).toMatchObject({ state: "failed" });
  await expect(step(damageBackup, { backup_id: "20200101T000000Z-full-000000" })).rejects.toThrow();
});
