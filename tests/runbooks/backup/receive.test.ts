/** WAL that is streamed into a repository, in the order in which a cluster lives: each test leaves it to the next one. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { at, cli, type Ran, removePlaces, Running } from "../../e2e/support.ts";
import { Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
const folder = join(shop.place.root, "backups");
let receiver: Running | undefined;
afterAll(async () => {
  receiver?.signal("SIGKILL");
  await receiver?.ended();
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const backup = (what: string, ...more: string[]): Promise<Ran> =>
  cli(["backup", what, "--cluster", "shop", "--format", "json", ...more], shop.place, {
    limitMs: 120_000,
  });
const receive = (...more: string[]) =>
  new Running(
    [
      "backup",
      "receive",
      "--cluster",
      "shop",
      "--format",
      "json",
      "--archive-timeout",
      "1s",
      ...more,
    ],
    shop.place,
    { limitMs: 600_000 },
  );
const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
const stored = (file: string) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" }).some((name) =>
    name.endsWith(`/${file}`),
  );
const arrived = (file: string) =>
  until(
    () => stored(file),
    (there) => there,
    60_000,
  );
async function ended(node: string): Promise<string> {
  await shop.ask(node, "select pg_create_restore_point('test')");
  return (await shop.ask(node, "select pg_walfile_name(pg_switch_wal())"))[0]![0] as string;
}
async function whole() {
  const { envelope } = await backup("gaps");
  const { data } = envelope;
  return [at(data, "gaps"), at(data, "histories"), at(data, "receiver", "active")];
}

test("its tests without servers pass", async () => {
  const ran = await cli(["test", "backup/receive"], shop.place);
  expect([ran.exit, at(ran.envelope.data, "failed")]).toEqual([0, 0]);
});

test("it sets up, and touches no setting of the servers", async () => {
  expect((await shop.create()).exit).toBe(0);
  const refused = await receive().done();
  expect(failure(refused).slice(0, 2)).toEqual([3, "capability_missing"]);
  receiver = receive("--repository", folder);
  await receiver.said("streaming from");
  expect((await shop.ask("pg1", "show archive_mode"))[0]).toEqual(["off"]);
  expect(at(shop.entry() as never, "repository", "slot")).toBe("pgdba_receive");
  // What is committed comes soon, though its segment is not full.
  const [[file]] = (await shop.ask("pg1", "select pg_walfile_name(pg_current_wal_lsn())")) as [
    [string],
  ];
  await shop.ask("pg1", "create table t as select 1 as id");
  await arrived(`${file}.zst`);
});

test("a backup is whole, and is verified", async () => {
  const ran = await backup("create");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(await whole()).toEqual([[], [], true]);
});

test("a receiver that was killed goes on where it stopped; nothing is missing", async () => {
  receiver!.signal("SIGKILL");
  await receiver!.ended();
  const files: string[] = [];
  for (let i = 0; i < 3; i++) files.push(await ended("pg1"));
  const late = await backup("create", "--wal-timeout", "5s");
  expect(failure(late)).toEqual([1, "step_refused", expect.stringContaining("Nobody streams WAL")]);
  receiver = receive();
  for (const file of files) await arrived(`${file}.zst`);
  expect(await whole()).toEqual([[], [], true]);
});

test("it follows a new primary and its timeline", async () => {
  const before = await ended("pg1");
  expect((await shop.run("move", "pg2")).exit).toBe(0);
  const after = await ended("pg2");
  expect(after.slice(0, 8)).toBe("00000002");
  await arrived(`${after}.zst`);
  expect([stored(`${before}.zst`), stored("00000002.history")]).toEqual([true, true]);
  await until(whole, (answer) => JSON.stringify(answer) === "[[],[],true]", 30_000);
  // On the former primary it would keep WAL for nobody.
  const slots = "select count(*)::int from pg_replication_slots where slot_name = 'pgdba_receive'";
  const left = async () => (await shop.ask("pg1", slots))[0]![0];
  await until(left, (count) => count === 0, 90_000);
});

test("the end that it is told is a good one; while it runs its slot can't be taken away, and then it can", async () => {
  const refused = await backup("receive-off");
  expect(failure(refused)).toEqual([1, "step_refused", expect.stringContaining("streams WAL")]);
  receiver!.signal("SIGTERM");
  expect((await receiver!.ended()).exit).toBe(0);
  receiver = undefined;
  expect(failure(await backup("receive-off"))).toEqual([0, undefined, undefined]);
  const [[left]] = (await shop.ask(
    "pg2",
    "select count(*)::int from pg_replication_slots where slot_name = 'pgdba_receive'",
  )) as [[number]];
  expect([left, at(shop.entry() as never, "repository", "slot")]).toEqual([0, undefined]);
});
