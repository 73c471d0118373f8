/** Archiving on real servers, in the order in which a cluster lives: each test leaves it to the next one. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { ARCHIVE_COMMAND } from "../../../providers/backup/archive.ts";
import { at, cli, type Ran, removePlaces, statuses } from "../../e2e/support.ts";
import { makeBucket, s3, storePlace, withoutS3 } from "../../support/s3.ts";
import { NODES, Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const folder = join(shop.place.root, "backups");
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const setup = (...more: string[]): Promise<Ran> =>
  cli(["backup", "setup", "--cluster", "shop", "--format", "json", ...more], shop.place, {
    limitMs: 120_000,
  });
const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
const stored = (): string[] =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(zst|history|json)$/.test(name))
    .map((name) => name.split("/").at(-1)!)
    .toSorted();
const archiver = async (node: string) =>
  (
    await shop.ask(
      node,
      "select archived_count::int, failed_count::int, last_failed_wal from pg_stat_archiver",
    )
  )[0]!;
const command = async (node: string) =>
  (await shop.ask(node, "select reset_val from pg_settings where name = 'archive_command'"))[0]![0];
/** Writes something, and ends the segment; gives its name. */
async function ended(node: string): Promise<string> {
  await shop.ask(node, "select pg_create_restore_point('test')");
  return (await shop.ask(node, "select pg_walfile_name(pg_switch_wal())"))[0]![0] as string;
}

test("its tests without servers pass", async () => {
  const ran = await cli(["test", "backup/setup"], shop.place);
  expect([ran.exit, at(ran.envelope.data, "failed")]).toEqual([0, 0]);
});

test("a command that pgdba did not write is never replaced, and its text is not shown", async () => {
  expect((await shop.create()).exit).toBe(0);
  await shop.ask("pg2", "alter system set archive_command = 'curl -u me:hidden-word %p'");
  await shop.ask("pg2", "select pg_reload_conf()");
  await until(
    () => command("pg2"),
    (one) => String(one).includes("curl"),
  );
  const ran = await setup("--repository", folder, "--restart", "--yes");
  expect(failure(ran)).toEqual([1, "assertion_failed", expect.stringContaining("pg2")]);
  expect(JSON.stringify(ran.envelope)).not.toContain("hidden-word");
  expect(await command("pg2")).toContain("curl");
  await shop.ask("pg2", "alter system reset archive_command");
  await shop.ask("pg2", "select pg_reload_conf()");
  await until(
    () => command("pg2"),
    (one) => one === "",
  );
});

test("where it takes a restart this is said, and nothing is changed; with --restart it takes --yes", async () => {
  const ran = await setup("--repository", folder);
  expect(failure(ran)).toEqual([1, "assertion_failed", expect.stringContaining("pg1, pg2, pg3")]);
  expect(failure(await setup("--repository", folder, "--restart"))[0]).toBe(3 + 1);
  expect(readdirSync(shop.place.root)).not.toContain("backups");
  expect(shop.entry()).not.toHaveProperty("repository");
});

test.skipIf(process.geteuid?.() !== 0)(
  "a folder in which the servers' user can't write is refused before a server archives or restarts",
  async () => {
    const taken = join(shop.place.root, "of-root");
    mkdirSync(taken, { mode: 0o755 });
    const ran = await setup("--repository", taken, "--restart", "--yes");
    expect(failure(ran)).toEqual([
      5,
      "repository_failed",
      expect.stringMatching(/^The server on pg1 could not archive: .*EACCES/),
    ]);
    expect(statuses(ran)["installed"]).toBe("failed");
    for (const node of NODES)
      expect(existsSync(join(`${shop.data(node)}.pgdba`, "repository.json"))).toBe(false);
    for (const node of NODES) expect(await command(node)).not.toBe(ARCHIVE_COMMAND);
    expect(shop.entry()).not.toHaveProperty("repository");
  },
);

test("a segment arrives; every member is ready to lead", async () => {
  const ran = await setup("--repository", folder, "--restart", "--yes");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  const { data } = ran.envelope;
  const segment = at(data, "segment") as string;
  expect(stored()).toContain(`${segment}.zst`);
  const entry = shop.entry()!;
  expect(at(data, "part")).toBe(
    `${String(entry["system_identifier"])}/18/${String(entry["cluster_id"])}`,
  );
  expect(entry["repository"]).toEqual({ kind: "directory", location: folder });
  for (const node of NODES) {
    expect(await command(node)).toBe(ARCHIVE_COMMAND);
    expect((await shop.ask(node, "show archive_timeout"))[0]).toEqual(["1min"]);
    expect((await shop.ask(node, "show summarize_wal"))[0]).toEqual(["on"]);
    const beside = `${shop.data(node)}.pgdba`;
    expect(readdirSync(beside).toSorted()).toEqual(["pgdba", "pgdba.json", "repository.json"]);
    expect(statSync(beside).mode & 0o777).toBe(0o700);
    expect(statSync(join(beside, "repository.json")).mode & 0o777).toBe(0o600);
  }
});

test("done again it changes nothing that is right, and repairs what is gone", async () => {
  rmSync(`${shop.data("pg3")}.pgdba`, { recursive: true });
  const ran = await setup();
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(readdirSync(`${shop.data("pg3")}.pgdba`)).toContain("repository.json");
  expect(statuses(ran)["restarts"]).toBe("skipped");
});

test("a segment that is not full waits as long as --archive-timeout says, in the whole seconds that the server counts", async () => {
  expect(failure(await setup("--archive-timeout", "90500ms"))).toEqual([0, undefined, undefined]);
  expect((await shop.ask("pg1", "show archive_timeout"))[0]).toEqual(["91s"]);
  expect(failure(await setup())).toEqual([0, undefined, undefined]);
  expect((await shop.ask("pg1", "show archive_timeout"))[0]).toEqual(["1min"]);
});

test.skipIf(s3 === undefined)(
  `an object store takes its place, and a folder again${s3 === undefined ? ` [${withoutS3}]` : ""}`,
  async () => {
    await makeBucket();
    const { endpoint, bucket, prefix } = storePlace();
    const key = `${s3!.id}:${s3!.secret}`;
    const where = ["--repository", `s3://${bucket}/${prefix}`, "--endpoint", endpoint];
    const missing = await setup(...where, "--key-env", "NO_SUCH_KEY");
    expect(failure(missing).slice(0, 2)).toEqual([2, "missing_secret"]);
    const ran = await cli(
      [
        "backup",
        "setup",
        "--cluster",
        "shop",
        ...where,
        "--key-env",
        "STORE_KEY",
        "--format",
        "json",
      ],
      shop.place,
      { limitMs: 120_000, env: { STORE_KEY: key } },
    );
    expect(failure(ran)).toEqual([0, undefined, undefined]);
    expect(JSON.stringify(ran.envelope)).not.toContain(s3!.secret);
    for (const node of NODES) {
      const beside = `${shop.data(node)}.pgdba`;
      expect(statSync(join(beside, "repository.key")).mode & 0o777).toBe(0o600);
      expect(readFileSync(join(beside, "repository.json"), "utf8")).not.toContain(s3!.secret);
    }
    const kept = ["clusters/shop.yaml", "journal.db"].map((name) =>
      readFileSync(join(shop.place.home, name), "latin1"),
    );
    expect(kept.join()).not.toContain(s3!.secret);
    expect(failure(await setup("--repository", folder))).toEqual([0, undefined, undefined]);
  },
);

test("while the repository is away the server keeps its WAL, and brings it when it is back", async () => {
  renameSync(folder, `${folder}-away`);
  mkdirSync(folder);
  const [, failed] = await archiver("pg1");
  const segment = await ended("pg1");
  // The server begins with its oldest segment, which a checkpoint may just have marked for the archive.
  await until(
    () => archiver("pg1"),
    (one) => Number(one[1]) > Number(failed),
  );
  expect(readdirSync(join(shop.data("pg1"), "pg_wal"))).toContain(segment);
  // Nothing is written into what is only the place of it.
  expect(readdirSync(folder)).toEqual([]);
  await shop.ask("pg1", "create table meanwhile as select 1");
  rmSync(folder, { recursive: true });
  renameSync(`${folder}-away`, folder);
  await until(stored, (names) => names.includes(`${segment}.zst`), 90_000);
});

test("after a promotion the new primary archives its history and its segments", async () => {
  expect((await shop.run("move", "pg2")).exit).toBe(0);
  const segment = await ended("pg2");
  expect(segment.startsWith("00000002")).toBe(true);
  await until(stored, (names) => names.includes(`${segment}.zst`), 90_000);
  expect(stored()).toContain("00000002.history");
});

test("of two primaries on one timeline the second to bring a segment fails, and what is there stays", async () => {
  // pg1 and pg3 are standbys; both promoted they begin timeline 3, each with a history of its own.
  for (const node of ["pg1", "pg3"]) {
    await shop.ask(node, "select pg_promote()");
    await shop.ask(node, `create table only_${node} as select generate_series(1, 1000) i`);
  }
  const first = await ended("pg1");
  await until(stored, (names) => names.includes(`${first}.zst`), 90_000);
  const path = readdirSync(folder, { recursive: true, encoding: "utf8" }).find((name) =>
    name.endsWith(`${first}.zst`),
  )!;
  const before = await Bun.file(join(folder, path)).bytes();
  const second = await ended("pg3");
  expect([second, first.slice(0, 8)]).toEqual([first, "00000003"]);
  await until(
    () => archiver("pg3"),
    (one) => Number(one[1]) > 0,
    90_000,
  );
  expect(await Bun.file(join(folder, path)).bytes()).toEqual(before);
  expect(readdirSync(join(shop.data("pg3"), "pg_wal"))).toContain(second);
});
