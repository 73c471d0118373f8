/** A cluster with standbys goes back in place, in the order in which it lives: each test leaves it to the next one. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { at, cli, type Ran, removePlaces, runId, Running } from "../../e2e/support.ts";
import { KILL_AT, KILLED, runIn } from "../../support/live.ts";
import { LIMIT_MS, Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const folder = join(shop.place.root, "backups");
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const NAMED = ["--cluster", "shop", "--format", "json"];
const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
const WELL = [0, undefined, undefined];
const run = (...words: string[]): Promise<Ran> =>
  cli([...words, ...NAMED], shop.place, { limitMs: LIMIT_MS });
const resume = (id: string, ...more: string[]): Promise<Ran> =>
  cli(["resume", id, ...more, "--confirm=shop", "--format", "json"], shop.place, {
    limitMs: LIMIT_MS,
  });
const rows = async (node: string) =>
  (await shop.ask(node, "select id from kept order by id")).map(([id]) => id);
const beside = (node: string) =>
  readdirSync(dirname(shop.data(node)))
    .filter((name) => /before|scratch/.test(name))
    .toSorted();
const others = (node: string) => ["pg1", "pg2", "pg3"].filter((name) => name !== node);

/** A row, the moment after it, and what must not be there afterwards. */
async function damaged(node: string, id: number): Promise<string> {
  await shop.ask(node, "insert into kept values ($1)", [id]);
  const [[moment]] = (await shop.ask(node, "select clock_timestamp()::text")) as [[string]];
  await shop.ask(node, "insert into kept values (-1)");
  await shop.ask(node, "drop table kept");
  return moment;
}

/** Up to the question, which nobody is there to answer. */
async function asked(moment: string, ...more: string[]): Promise<string> {
  const words = ["backup", "restore", "--in-place", "--target-time", moment, "--yes", ...more];
  const ran = await run(...words);
  expect(failure(ran).slice(0, 2)).toEqual([4, "approval_needed"]);
  expect(ran.envelope.error?.message).toContain("(1 tables, ");
  return runId(ran);
}

async function isBack(node: string, ids: number[]): Promise<void> {
  expect(await rows(node)).toEqual(ids);
  expect(shop.writable()).toEqual([node]);
  expect(await shop.streaming(node)).toEqual(others(node));
  for (const other of others(node))
    await until(
      () => rows(other).catch(() => []),
      (found) => found.length === ids.length,
    );
}

const found = async () => at((await run("cluster", "status")).envelope.data, "findings");

/** The same command in a process that is killed at a moment. */
async function killedAt(moment: string, id: string): Promise<void> {
  const options = { limitMs: LIMIT_MS, preload: KILL_AT, env: { KILL_AT: moment } };
  const { exit, stderr } = await new Running(
    ["resume", id, "--confirm=shop", "--format", "json"],
    shop.place,
    options,
  ).ended();
  expect([moment, exit, runIn(stderr) ?? id]).toEqual([moment, KILLED, id]);
}

test("their tests without servers pass", async () => {
  for (const name of ["restore-in-place", "go-back", "take-place", "standbys-anew"]) {
    const ran = await cli(["test", `backup/${name}`], shop.place);
    expect([name, ran.exit, at(ran.envelope.data, "failed")]).toEqual([name, 0, 0]);
  }
});

test("the cluster archives, and has a backup", async () => {
  expect(failure(await shop.create())).toEqual(WELL);
  const made = await run("backup", "setup", "--repository", folder, "--restart", "--yes");
  expect(failure(made)).toEqual(WELL);
  await shop.ask("pg1", "create table kept (id int)");
  expect(failure(await run("backup", "create"))).toEqual(WELL);
});

test("exactly the rows before the moment are there, all standbys stream, and it archives", async () => {
  const moment = await damaged("pg1", 1);
  // The settings of now stay.
  await shop.ask("pg1", "alter system set work_mem = '5MB'");
  const id = await asked(moment);
  // Until somebody says yes, the cluster goes on.
  expect(await shop.ask("pg1", "select to_regclass('kept') is null")).toEqual([[true]]);
  expect(await shop.streaming("pg1")).toEqual(["pg2", "pg3"]);
  const ran = await resume(id);
  expect(failure(ran)).toEqual(WELL);
  expect(ran.envelope.data).toMatchObject({ node: "pg1", timeline: 2, standbys: ["pg2", "pg3"] });
  expect(at(ran.envelope.data, "archived")).toMatch(/^00000002/);
  expect(at(ran.envelope.data, "full_backup")).toMatch(/-full-/);
  await isBack("pg1", [1]);
  expect(await shop.ask("pg1", "show work_mem")).toEqual([["5MB"]]);
  expect(beside("pg1")).toEqual([`data.before-${id}`]);
  expect([...beside("pg2"), ...beside("pg3")]).toEqual([]);
  const gaps = await run("backup", "gaps");
  expect(at(gaps.envelope.data, "continuous")).toBe(true);
  // A standby that was made anew leads, and archives.
  expect(failure(await shop.run("move", "pg2"))).toEqual(WELL);
});

test("the same after a failover and an earlier restore; whatever dies on the way, resume goes on, and the data before are there", async () => {
  const moment = await damaged("pg2", 2);
  const id = await asked(moment, "--backup=false");
  for (const killed of [
    "acted placed/placed/stopped",
    "acted placed/placed/swapped",
    "started placed/placed/finished",
    "acted placed/placed/started",
  ]) {
    await killedAt(killed, id);
    const kept = [`${shop.data("pg2")}.before-${id}`, shop.data("pg2")].filter((path) =>
      existsSync(join(path, "PG_VERSION")),
    );
    expect([killed, kept.length > 0]).toEqual([killed, true]);
    if (killed !== "acted placed/placed/swapped") continue;
    expect(await found()).toContainEqual(
      expect.objectContaining({
        check: "restore-under-way",
        object: "pg2",
        message: expect.stringContaining(`run ${id}`),
      }),
    );
  }
  const ran = await resume(id);
  expect(failure(ran)).toEqual(WELL);
  expect(ran.envelope.data).toMatchObject({ node: "pg2", timeline: 4, full_backup: null });
  await isBack("pg2", [1, 2]);
  expect(beside("pg2")).toEqual([`data.before-${id}`]);
  expect(await found()).toContainEqual(
    expect.objectContaining({ check: "restore-unconfirmed", object: "pg2" }),
  );
});

test("given up in the middle of it, all is as it was before, and nothing of it is in the repository", async () => {
  const stored = () => readdirSync(folder, { recursive: true, encoding: "utf8" });
  await shop.ask("pg2", "create table later as select 1 as one");
  const [[moment]] = (await shop.ask("pg2", "select clock_timestamp()::text")) as [[string]];
  await shop.ask("pg2", "insert into kept values (3)");
  await shop.ask("pg2", "drop table later");
  const words = ["backup", "restore", "--in-place", "--target-time", moment, "--yes"];
  const id = runId(await run(...words));
  await killedAt("acted placed/placed/finished", id);
  expect(shop.writable()).toEqual([]);
  const ran = await resume(id, "--give-up");
  expect([ran.exit, ran.envelope.error?.code]).toEqual([130, "interrupted"]);
  await isBack("pg2", [1, 2, 3]);
  expect(beside("pg2").filter((name) => name.includes(id))).toEqual([]);
  expect(stored().filter((name) => basename(name).startsWith("00000005"))).toEqual([]);
});

test("where it died after the restored primary took writes, another command does the rest", async () => {
  const id = await asked(await damaged("pg2", 4), "--backup=false");
  await killedAt("acted placed/rest/anew/emptied/0/cleared", id);
  expect(shop.writable()).toEqual(["pg2"]);
  const finished = await run("backup", "restore-finish", "--yes");
  expect(failure(finished)).toEqual(WELL);
  await isBack("pg2", [1, 2, 3, 4]);
  expect(at(finished.envelope.data, "full_backup")).toMatch(/-full-/);
});

test("the data before are there until they are confirmed, each by its run", async () => {
  const kept = beside("pg2").map((name) => name.slice("data.before-".length));
  expect(kept.length).toBe(2);
  const several = await run("backup", "restore-confirm", "pg2", "--yes");
  expect(failure(several).slice(0, 2)).toEqual([2, "invalid_param"]);
  const shown = await run("backup", "restore-confirm", "pg2", "--run", kept[0]!, "--plan");
  expect(at(shown.envelope.data, "kept")).toContain(`data.before-${kept[0]}`);
  const first = await run("backup", "restore-confirm", "pg2", "--run", kept[0]!, "--yes");
  expect(first.exit).toBe(4);
  expect(failure(await resume(runId(first)))).toEqual(WELL);
  expect(beside("pg2")).toEqual([`data.before-${kept[1]}`]);
  expect(await rows("pg2")).toEqual([1, 2, 3, 4]);
});

test("a backup brings the history of its timeline where the repository lacks it", async () => {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const histories = files.filter((name) => name.endsWith(".history"));
  const newest = join(folder, histories.toSorted().at(-1)!);
  const text = readFileSync(newest, "utf8");
  expect(text.trimEnd().split("\n").length).toBeGreaterThan(1);
  rmSync(newest);
  expect(failure(await run("backup", "create"))).toEqual(WELL);
  expect(readFileSync(newest, "utf8")).toBe(text);
});
