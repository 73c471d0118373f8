/** New clusters from backups, in the order in which they live: each test leaves them to the next one. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { at, cli, type Ran, removePlaces, Running } from "../../e2e/support.ts";
import { Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const copy = new Rehearsed("copy", shop.place);
const last = new Rehearsed("last", shop.place);
const killed = new Rehearsed("killed", shop.place);
const folder = join(shop.place.root, "backups");
afterAll(async () => {
  for (const one of [shop, copy, last, killed]) {
    if (one.entry()) await one.destroy();
    await one.close();
  }
  removePlaces();
});

const backup = (what: string, ...more: string[]): Promise<Ran> =>
  cli(["backup", what, "--format", "json", ...more], shop.place, { limitMs: 300_000 });
const restore = (...more: string[]) => backup("restore", ...more);
const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
const GOOD = [0, undefined, undefined];
const now = async (of: Rehearsed, node: string) =>
  String((await of.ask(node, "select clock_timestamp()::text"))[0]![0]);
/** Ends the segment of the one that leads, and waits until it is archived. */
async function archived(of: Rehearsed, node: string): Promise<void> {
  await of.ask(node, "select pg_create_restore_point('test')");
  const [[file]] = (await of.ask(node, "select pg_walfile_name(pg_switch_wal())")) as [[string]];
  await until(
    () => objects(of).some((name) => name.endsWith(`/${file}.zst`)),
    (there) => there,
    90_000,
  );
}
const part = (of: Rehearsed) => {
  const entry = of.entry()!;
  return `${String(entry["system_identifier"])}/18/${String(entry["cluster_id"])}`;
};
const objects = (of: Rehearsed) =>
  readdirSync(join(folder, part(of)), { recursive: true, encoding: "utf8" }).toSorted();
/** Restores in a scratch folder, and asks there. */
const drill = (of: Rehearsed, moment: string, rows: string) =>
  backup(
    "drill",
    "--cluster",
    of.name,
    "--target-time",
    moment,
    "--amcheck=false",
    "--check",
    rows,
  );

let noted = "";

test("a copy is made of what was there at a moment, with passwords, an id and a part of its own", async () => {
  expect(failure(await shop.create("--nodes", "pg1,pg2"))).toEqual(GOOD);
  const made = await backup(
    "setup",
    "--cluster",
    "shop",
    "--repository",
    folder,
    "--restart",
    "--yes",
  );
  expect(failure(made)).toEqual(GOOD);
  expect(failure(await backup("create", "--cluster", "shop"))).toEqual(GOOD);
  await shop.write("pg1", "before");
  noted = await now(shop, "pg1");
  await shop.write("pg1", "after");
  await archived(shop, "pg1");
  const before = objects(shop);

  const ran = await restore(
    "--cluster",
    "shop",
    "--to-new-cluster",
    "copy",
    "--target-time",
    noted,
    "--replicas",
    "1",
  );
  expect(failure(ran)).toEqual(GOOD);
  expect(await copy.values("pg1")).toEqual(["before"]);
  expect(await copy.streaming("pg1")).toEqual(["pg2"]);
  expect(copy.entry()!["system_identifier"]).toEqual(shop.entry()!["system_identifier"]!);
  expect(part(copy)).not.toBe(part(shop));
  expect(copy.secret("superuser")).not.toBe(shop.secret("superuser"));
  expect(at(copy.entry(), "repository", "origins")).toEqual([
    `${part(shop)}@1:${String(at(ran.envelope.data, "stop_lsn"))}`,
  ]);
  // The original's part has what the original has written, and nothing else.
  expect(objects(shop).filter((name) => !/^(wal|history)/.test(name))).toEqual(
    before.filter((name) => !/^(wal|history)/.test(name)),
  );
  expect(objects(shop).some((name) => name.includes("wal/00000002"))).toBe(false);
  expect(objects(copy).some((name) => name.includes("wal/00000002/"))).toBe(true);
  const listed = await backup("list", "--cluster", "copy");
  expect(at(listed.envelope.data, "backups")).toEqual([]);
  expect(at(listed.envelope.data, "origins", 0)).toMatchObject({
    part: part(shop),
    backups: [{ type: "full" }],
  });
});

test("both fail over and archive on a timeline of the same number: nothing is mixed, and both are restored to after that", async () => {
  for (const one of [shop, copy]) {
    expect(failure(await one.run("move", "pg2"))).toEqual(GOOD);
    await one.write("pg2", `${one.name} moved`);
  }
  const moments = new Map<Rehearsed, string>();
  for (const one of [shop, copy]) {
    moments.set(one, await now(one, "pg2"));
    await one.write("pg2", `${one.name} later`);
    await archived(one, "pg2");
  }
  for (const one of [shop, copy]) {
    const holes = await backup("gaps", "--cluster", one.name);
    expect([one.name, at(holes.envelope.data, "gaps")]).toEqual([one.name, []]);
    const mine = one === shop ? 3 : 2;
    const sql = `select count(*) = ${mine} and bool_or(value = '${one.name} moved') and not bool_or(value like '%later') from acknowledged`;
    expect(failure(await drill(one, moments.get(one)!, sql))).toEqual(GOOD);
  }
});

test("what can't be had is refused before anything is made", async () => {
  const early = await restore(
    "--cluster",
    "shop",
    "--to-new-cluster",
    "last",
    "--target-time",
    "2020-01-01 00:00Z",
  );
  expect(failure(early).slice(0, 2)).toEqual([1, "step_refused"]);
  const taken = await restore("--cluster", "shop", "--to-new-cluster", "copy");
  expect(failure(taken).slice(1)).toEqual([
    "step_refused",
    "There is already a cluster named copy",
  ]);
  const nobody = await restore("--cluster", "nobody", "--to-new-cluster", "last");
  expect(failure(nobody)[1]).toBe("no_target");
  const wrong = await restore(
    "--cluster",
    "shop",
    "--to-new-cluster",
    "last",
    "--check",
    "select false",
  );
  expect(failure(wrong)).toEqual([5, "assertion_failed", expect.stringContaining("it gave false")]);
  expect(last.leftovers()).toEqual([]);
  expect(readdirSync(join(folder, part(shop), "..")).length).toBe(2);
});

test("a run that is killed in the middle is finished by resume", async () => {
  const words = [
    "backup",
    "restore",
    "--format",
    "json",
    "--cluster",
    "shop",
    "--to-new-cluster",
    "killed",
  ];
  const run = new Running(words, shop.place, { limitMs: 300_000 });
  // The database that the node was made with is gone, and the restored one has no timeline of its own yet.
  await until(
    () => {
      const base = killed.base();
      return base !== undefined && existsSync(join(base, "pg1/data/standby.signal"));
    },
    (there) => there,
    240_000,
  );
  run.signal("SIGKILL");
  await run.ended();
  const { partial } = killed.entry() as { partial: string };
  const resumed = await cli(["resume", partial, "--format", "json"], shop.place, {
    limitMs: 300_000,
  });
  expect(failure(resumed)).toEqual(GOOD);
  expect((await killed.values("pg1")).toSorted()).toEqual([
    "after",
    "before",
    "shop later",
    "shop moved",
  ]);
  expect(killed.entry()!["partial"]).toBeUndefined();
  expect(failure(await killed.destroy())).toEqual(GOOD);
});

test("from the repository alone: a copy of a copy, when no cluster is left", async () => {
  const own = part(copy);
  for (const one of [shop, copy]) expect(failure(await one.destroy())).toEqual(GOOD);
  const named = ["--repository", folder, "--to-new-cluster", "last"];
  const which = await restore(...named, "--part", "nobody");
  expect(failure(which).slice(0, 2)).toEqual([2, "invalid_param"]);
  // The copy itself has no backup: it is restored from the original's, and its own WAL after it.
  expect(which.envelope.error!.hint).toContain(`${own} (no backup)`);
  const ran = await restore(...named, "--part", own);
  expect(failure(ran)).toEqual(GOOD);
  expect((await last.values("pg1")).toSorted()).toEqual(["before", "copy later", "copy moved"]);
  const text = JSON.parse(readFileSync(join(folder, part(last), "cluster.json"), "utf8")) as object;
  expect(at(text, "origins")).toHaveLength(2);
});
