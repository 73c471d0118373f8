/** Holes of an archive on real servers, in the order in which a cluster lives: each test leaves it to the next one. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { ARCHIVE_COMMAND } from "../../../providers/backup/archive.ts";
import { at, cli, type Ran, removePlaces } from "../../e2e/support.ts";
import { Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
let folder = join(shop.place.root, "backups");
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const backup = (what: string, ...more: string[]): Promise<Ran> =>
  cli(["backup", what, "--cluster", "shop", "--format", "json", ...more], shop.place, {
    limitMs: 120_000,
  });
const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
const objects = () => readdirSync(folder, { recursive: true, encoding: "utf8" });
const objectOf = (file: string) =>
  objects()
    .filter((name) => name.endsWith(`/${file}`) || name.endsWith(`/${file}.zst`))
    .map((name) => join(folder, name))[0];
const arrival = (file: string) =>
  until(
    () => objectOf(file),
    (path) => path !== undefined,
    90_000,
  );
/** Writes something, and ends the segment; gives its name. */
async function ended(node: string): Promise<string> {
  await shop.ask(node, "select pg_create_restore_point('test')");
  return (await shop.ask(node, "select pg_walfile_name(pg_switch_wal())"))[0]![0] as string;
}
async function gaps(): Promise<{ continuous: unknown; files: unknown; histories: unknown }> {
  const ran = await backup("gaps");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  return {
    continuous: at(ran.envelope.data, "continuous"),
    files: (at(ran.envelope.data, "gaps") as { first: string; last: string }[]).map(
      ({ first, last }) => [first, last],
    ),
    histories: at(ran.envelope.data, "histories"),
  };
}
const WHOLE = { continuous: true, files: [], histories: [] };

test("their tests without servers pass", async () => {
  for (const name of ["backup/gaps", "backup/fill", "backup/off"]) {
    const ran = await cli(["test", name], shop.place);
    expect([ran.exit, at(ran.envelope.data, "failed")]).toEqual([0, 0]);
  }
});

const setting = async (node: string, name: string) =>
  (await shop.ask(node, "select reset_val from pg_settings where name = $1", [name]))[0]![0];

test("the servers archive", async () => {
  expect(failure(await shop.create()).slice(0, 2)).toEqual([0, undefined]);
  const made = await backup("setup", "--repository", folder, "--restart", "--yes");
  expect(failure(made)).toEqual([0, undefined, undefined]);
});

test("archiving is not ended without saying what becomes of WAL", async () => {
  const ran = await backup("off", "--yes");
  expect(failure(ran)).toEqual([1, "assertion_failed", expect.stringContaining("disk is full")]);
  expect(await setting("pg2", "archive_command")).toBe(ARCHIVE_COMMAND);
  expect((await backup("off", "--discard")).exit).toBe(4);
});

test("WAL is thrown away where this is asked for; what is in the repository stays, and setup begins again", async () => {
  const before = objects().toSorted();
  expect(failure(await backup("off", "--discard", "--yes"))).toEqual([0, undefined, undefined]);
  for (const node of ["pg1", "pg2", "pg3"]) {
    expect(await setting(node, "archive_command")).toBe("/bin/true");
    expect(await setting(node, "archive_timeout")).toBe("0");
  }
  const passed = await ended("pg1");
  await until(
    async () => (await shop.ask("pg1", "select last_archived_wal from pg_stat_archiver"))[0]![0],
    (one) => one === passed,
  );
  expect(objectOf(passed)).toBeUndefined();
  expect(objects().toSorted()).toEqual(before);
  expect(shop.entry()!["repository"]).toEqual({ kind: "directory", location: folder });
  expect(failure(await backup("setup"))).toEqual([0, undefined, undefined]);
});

test("with a restart archive_mode is off, and no command is left", async () => {
  expect(failure(await backup("off", "--restart", "--yes"))).toEqual([0, undefined, undefined]);
  for (const node of ["pg1", "pg2", "pg3"]) {
    expect((await shop.ask(node, "show archive_mode"))[0]).toEqual(["off"]);
    expect(await setting(node, "archive_command")).toBe("");
  }
  expect((await shop.ask("pg1", "select pg_is_in_recovery()"))[0]).toEqual([false]);
  expect((await backup("list")).exit).toBe(0);
});

test("an archive without a hole is continuous, and there is nothing to fill", async () => {
  folder = join(shop.place.root, "anew");
  const made = await backup("setup", "--repository", folder, "--restart", "--yes");
  expect(failure(made)).toEqual([0, undefined, undefined]);
  // From its start on nothing may be missing; what was not archived before does not matter.
  expect(failure(await backup("create"))).toEqual([0, undefined, undefined]);
  await arrival(await ended("pg1"));
  expect(await gaps()).toEqual(WHOLE);
  const ran = await backup("fill");
  expect([ran.exit, at(ran.envelope.data, "filled")]).toEqual([0, []]);
});

test("a segment that was lost is named, and brought again as it was", async () => {
  const lost = await ended("pg1");
  const path = (await arrival(lost))!;
  await arrival(await ended("pg1"));
  const before = readFileSync(path);
  rmSync(path);
  expect(await gaps()).toEqual({ continuous: false, files: [[lost, lost]], histories: [] });
  const refused = await backup("gaps", "--fail-on-gap");
  expect(failure(refused)).toEqual([
    1,
    "assertion_failed",
    expect.stringContaining("1 segments of WAL"),
  ]);
  const examine = (...more: string[]) =>
    cli(
      [
        "health",
        "check",
        "--cluster",
        "shop",
        "--only",
        "archiver-failing",
        "--format",
        "json",
        ...more,
      ],
      shop.place,
    );
  const health = await examine();
  expect(at(health.envelope.data, "archive", "continuous")).toBe(false);
  expect(at(health.envelope.data, "archive", "remedy")).toBe("pgdba backup fill");
  expect(failure(await examine("--fail-on", "critical"))).toEqual([
    1,
    "assertion_failed",
    expect.stringContaining("gaps"),
  ]);
  const ran = await backup("fill");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(at(ran.envelope.data, "filled")).toEqual([{ file: lost, node: "pg1" }]);
  expect(readFileSync(path)).toEqual(before);
  expect(await gaps()).toEqual(WHOLE);
  expect(readdirSync(`${shop.data("pg1")}.pgdba/fill`)).toEqual([]);
});

test("a failed drill is told until one passes; so are a backup that is too old, and an archive that no entry names", async () => {
  const examine = (...more: string[]) => {
    const words = ["health", "check", "--cluster", "shop", "--only", "archiver-failing"];
    return cli([...words, "--format", "json", "--fail-on", "critical", ...more], shop.place);
  };
  expect(failure(await examine())).toEqual([0, undefined, undefined]);
  expect(failure(await examine("--backup-max-age", "1ms"))[2]).toContain("younger than 1ms");
  // A slip in the SQL is nothing that the backup could do anything about; a comma is no end of it.
  const slip = await backup("drill", "--check", "selec coalesce(true, false)");
  expect(failure(slip)[2]).toContain("This is no SQL: selec coalesce(true, false): ");
  expect(failure(await examine())).toEqual([0, undefined, undefined]);
  const failed = await backup("drill", "--check", "select coalesce(false, true)");
  expect(failure(failed)).toEqual([
    5,
    "assertion_failed",
    expect.stringContaining("it gave false"),
  ]);
  // Nothing is left of it, and nothing but that is said.
  expect(failed.envelope.error!.hint).toStartWith("Nothing of it is left.");
  expect(
    readdirSync(join(shop.data("pg2"), "..")).filter((name) => name.startsWith("scratch")),
  ).toEqual([]);
  const told = async () => {
    const { data } = (await backup("list")).envelope;
    return [
      at(data, "drill", "passed"),
      at(data, "drill", "why"),
      at(data, "backups", 0, "status"),
    ];
  };
  expect(await told()).toEqual([false, expect.stringContaining("it gave false"), "drill_failed"]);
  const health = await examine();
  expect(failure(health)).toEqual([1, "assertion_failed", expect.stringContaining("drill")]);
  expect(failure(await backup("drill"))).toEqual([0, undefined, undefined]);
  expect(await told()).toEqual([true, null, "drilled"]);
  expect(failure(await examine())).toEqual([0, undefined, undefined]);
  const file = join(shop.place.home, "clusters", "shop.yaml");
  const entry = readFileSync(file, "utf8");
  const { repository: _, ...without } = parse(entry) as Record<string, unknown>;
  writeFileSync(file, stringify(without));
  expect(failure(await examine())[2]).toContain("names no repository");
  writeFileSync(file, entry);
});

test("what the primary is about to archive is no gap, and its failure is told", async () => {
  renameSync(folder, `${folder}-away`);
  const segment = await ended("pg1");
  await until(
    async () => (await shop.ask("pg1", "select last_failed_wal from pg_stat_archiver"))[0]![0],
    (one) => one === segment,
  );
  renameSync(`${folder}-away`, folder);
  const ran = await backup("gaps");
  // The archiver may have tried again by now.
  if (objectOf(segment) === undefined) {
    expect(at(ran.envelope.data, "waiting")).toBe(1);
    expect(at(ran.envelope.data, "archiver", "last_failed_wal")).toBe(segment);
  }
  expect(at(ran.envelope.data, "continuous")).toBe(true);
  expect(Number(at(ran.envelope.data, "archiver", "failed"))).toBeGreaterThan(0);
  await arrival(segment);
});

test("where what archives is missing beside the data, the command of the finding brings it", async () => {
  const settings = `${shop.data("pg1")}.pgdba/repository.json`;
  renameSync(settings, `${settings}.away`);
  const segment = await ended("pg1");
  const words = ["health", "check", "--cluster", "shop", "--only", "archiver-failing"];
  const look = async () => {
    const { envelope } = await cli([...words, "--format", "json"], shop.place);
    return at(envelope.data, "findings") as { remedy: { command: string } }[];
  };
  const [found] = await until(look, (findings) => findings.length === 1, 90_000);
  expect(found!.remedy.command).toBe("pgdba run backup/setup --cluster shop");
  const ran = await cli(found!.remedy.command.split(" ").slice(1), shop.place, {
    limitMs: 120_000,
  });
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  await arrival(segment);
  expect(await until(look, (findings) => findings.length === 0, 90_000)).toEqual([]);
});

/** Whether any process stands in the folder, as a server and all that it starts do. */
function worksIn(dir: string): boolean {
  const place = realpathSync(dir);
  const standsIn = (pid: string) => {
    try {
      return readlinkSync(`/proc/${pid}/cwd`) === place;
    } catch {
      return false;
    }
  };
  return readdirSync("/proc").some((name) => /^\d+$/.test(name) && standsIn(name));
}

test("after a failover the hole that the former primary left is found, and filled from its own pg_wal while it is down", async () => {
  const nodes = await shop.nodes();
  // From now on the old primary can't archive, and dies with its newest segments.
  const settings = `${shop.data("pg1")}.pgdba/repository.json`;
  renameSync(settings, `${settings}.away`);
  const unsent = [await ended("pg1"), await ended("pg1")];
  const [[end]] = (await shop.ask("pg1", "select pg_current_wal_lsn()::text")) as [[string]];
  await until(
    () => shop.ask("pg2", `select pg_last_wal_replay_lsn() >= '${end}'::pg_lsn`),
    ([row]) => row![0] === true,
  );
  await nodes.kill("pg1", "process", {});
  // An archive command that has begun outlives the server for a moment, and would find its settings again.
  await until(
    async () => worksIn(shop.data("pg1")),
    (some) => !some,
  );
  renameSync(`${settings}.away`, settings);
  await shop.ask("pg2", "select pg_promote()");
  await arrival("00000002.history");
  await arrival(await ended("pg2"));
  const found = await gaps();
  expect(found.continuous).toBe(false);
  expect(found.files).toEqual([[unsent[0], unsent[1]]]);
  // Only the server that is down has them.
  for (const node of ["pg2", "pg3"])
    for (const file of unsent) rmSync(join(shop.data(node), "pg_wal", file), { force: true });
  expect(shop.pid("pg1")).toBeUndefined();
  const ran = await backup("fill");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(at(ran.envelope.data, "filled")).toEqual(unsent.map((file) => ({ file, node: "pg1" })));
  expect(await gaps()).toEqual(WHOLE);
});

test("a history file that was lost is found by the primary's own, and brought again", async () => {
  const path = objectOf("00000002.history")!;
  const before = readFileSync(path);
  rmSync(path);
  expect(await gaps()).toEqual({ ...WHOLE, continuous: false, histories: ["00000002.history"] });
  expect((await backup("fill")).exit).toBe(0);
  expect(readFileSync(path)).toEqual(before);
  expect(await gaps()).toEqual(WHOLE);
});

test("what no server has any more is told as gone, and a file that is not finished is never brought", async () => {
  const lost = await ended("pg2");
  const path = (await arrival(lost))!;
  await arrival(await ended("pg2"));
  rmSync(path);
  for (const node of ["pg1", "pg2", "pg3"]) {
    const wal = join(shop.data(node), "pg_wal");
    for (const kind of ["done", "ready"])
      rmSync(join(wal, "archive_status", `${lost}.${kind}`), { force: true });
  }
  const ran = await backup("fill");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect([at(ran.envelope.data, "gone"), at(ran.envelope.data, "continuous")]).toEqual([
    [lost],
    false,
  ]);
});

test("servers that differ in a segment bring none of it", async () => {
  const lost = await ended("pg2");
  const path = (await arrival(lost))!;
  await arrival(await ended("pg2"));
  rmSync(path);
  const copy = join(shop.data("pg1"), "pg_wal", lost);
  const bytes = readFileSync(join(shop.data("pg2"), "pg_wal", lost));
  bytes[bytes.length - 1] = 1;
  writeFileSync(copy, bytes);
  writeFileSync(join(shop.data("pg1"), "pg_wal/archive_status", `${lost}.done`), "");
  const ran = await backup("fill");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(at(ran.envelope.data, "failed")).toEqual([
    { file: lost, node: expect.any(String), why: expect.stringContaining("different contents") },
  ]);
  expect(objectOf(lost)).toBeUndefined();
});
