/** What is refused, or fails, leaves the database as it was: a server with a repository that meets with faults, in the order of its life. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { at, cli, type Ran, removePlaces } from "../../e2e/support.ts";
import { Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const folder = join(shop.place.root, "backups");
const argv = (...words: string[]) => [...words, "--cluster", "shop", "--yes", "--format", "json"];
const backup = (what: string, ...more: string[]): Promise<Ran> =>
  cli(argv("backup", what, ...more), shop.place, { limitMs: 170_000 });
const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
let base = "";

async function ended(): Promise<string> {
  await shop.ask("pg1", "select pg_create_restore_point('test')");
  const [[file]] = (await shop.ask("pg1", "select pg_walfile_name(pg_switch_wal())")) as [[string]];
  await until(
    () => stored(file),
    (path) => path !== undefined,
    90_000,
  );
  return file;
}
const stored = (file: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(`/${file}.zst`))
    .map((name) => join(folder, name))[0];
/** The server has its rows, takes more, and nothing lies beside its data that was not there. */
async function untouched(): Promise<void> {
  await shop.ask("pg1", "insert into t select count(*) + 1 from t");
  const beside = readdirSync(dirname(shop.data("pg1")));
  expect(beside.filter((name) => /scratch|before/.test(name))).toEqual([]);
}

beforeAll(async () => {
  await shop.create("--nodes", '["pg1"]');
  await shop.ask("pg1", "create table t (id int)");
  const made = await backup("setup", "--repository", folder, "--restart");
  expect(failure(made)).toEqual([0, undefined, undefined]);
  const taken = await backup("create");
  expect(failure(taken)).toEqual([0, undefined, undefined]);
  base = at(taken.envelope.data, "backup_id") as string;
});
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

test("a target before the first backup, in the future, or not there is refused with the window", async () => {
  for (const target of [
    ["--target-time", "2001-01-01 00:00Z"],
    ["--target-time", "2999-01-01 00:00Z"],
    ["--target-lsn", "FF/0"],
    ["--target-name", "nowhere"],
    ["--target-xid", "4000000000"],
  ]) {
    const refused = await backup("restore", "--in-place", ...target);
    const outside = target[1]!.startsWith("2001") || target[0] === "--target-lsn";
    expect([target[0], refused.envelope.error?.code]).toEqual([
      target[0],
      outside ? "step_refused" : expect.stringMatching(/^(step_refused|invalid_param)$/),
    ]);
    if (outside) expect(at(refused.envelope.error as never, "data", "windows")).toBeArray();
  }
  await untouched();
});

test("a repository whose file system is away is no empty one; when it is back all goes on", async () => {
  renameSync(folder, `${folder}.away`);
  mkdirSync(folder);
  for (const words of [
    ["create"],
    ["list"],
    ["verify", base],
    ["drill"],
    ["restore", "--in-place", "--immediate"],
    ["expire", "--keep-full", "1"],
    ["delete", base, "--newest"],
    ["gaps"],
  ]) {
    const failed = await backup(words[0]!, ...words.slice(1));
    expect([words[0], failed.exit === 0, failed.envelope.error?.code]).toEqual([
      words[0],
      false,
      "repository_failed",
    ]);
  }
  expect(readdirSync(folder)).toEqual([]);
  await untouched();
  rmSync(folder, { recursive: true });
  renameSync(`${folder}.away`, folder);
  await ended();
  const gaps = await backup("gaps");
  expect(at(gaps.envelope.data, "continuous")).toBe(true);
});

test("a repository that can only be read gives backups and takes none", async () => {
  const bind = Bun.spawnSync(["mount", "--bind", folder, folder]);
  if (bind.exitCode !== 0) return;
  try {
    Bun.spawnSync(["mount", "-o", "remount,ro,bind", folder]);
    const began = performance.now();
    const refused = await backup("create");
    expect(failure(refused)).toEqual([
      expect.any(Number),
      "repository_failed",
      expect.stringContaining("EROFS"),
    ]);
    // It does not heal by waiting.
    expect(performance.now() - began).toBeLessThan(60_000);
    expect((await backup("list")).exit).toBe(0);
    await untouched();
  } finally {
    Bun.spawnSync(["umount", folder]);
  }
});

test("WAL that was lost is named; a moment after the hole is refused, and one before it can be had", async () => {
  await shop.ask("pg1", "select pg_create_restore_point('before')");
  await ended();
  const lost = await ended();
  await shop.ask("pg1", "select pg_create_restore_point('after')");
  await ended();
  rmSync(stored(lost)!);
  expect(at((await backup("when", "--target-name", "before")).envelope.data, "possible")).toBe(
    true,
  );
  const after = await backup("when", "--target-name", "after");
  expect(at(after.envelope.data, "possible")).toBe(false);
  // The window ends where the hole begins.
  const ends = `WAL up to ${Number.parseInt(lost.slice(8, 16), 16)}/${lost.slice(22)}000000`;
  expect(String(at(after.envelope.data, "why"))).toContain(ends.replace("/0", "/"));
  const gaps = (await backup("gaps")).envelope.data;
  expect(at(gaps, "gaps", 0, "first")).toBe(lost);
  const refused = await backup("restore", "--in-place", "--target-name", "after");
  expect(refused.envelope.error?.code).toMatch(/^(step_refused|invalid_param)$/);
  await untouched();
});

test("a server that is another one is not written into the part of the first, and an entry that names it is refused", async () => {
  const file = join(shop.place.home, "clusters", "shop.yaml");
  const { readFileSync, writeFileSync } = await import("node:fs");
  const entry = readFileSync(file, "utf8");
  const other = entry.replace(
    /system_identifier: "?\d+"?/,
    'system_identifier: "7000000000000000001"',
  );
  expect(other).not.toBe(entry);
  writeFileSync(file, other);
  const refused = await backup("create");
  expect([refused.exit, refused.envelope.error?.code]).toEqual([3, "identity_mismatch"]);
  writeFileSync(file, entry);
  await untouched();
});
