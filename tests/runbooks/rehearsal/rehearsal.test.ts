/** The rehearsals, in the order in which a cluster lives: each test leaves it to the next one. */
import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Json } from "../../../engine/types.ts";
import { at, cli, type Ran, removePlaces, runId, statuses } from "../../e2e/support.ts";
import { NODES, Rehearsed, until } from "../../support/rehearsed.ts";

setDefaultTimeout(300_000);

const shop = new Rehearsed();
afterAll(async () => {
  if (shop.entry()) await shop.destroy();
  await shop.close();
  removePlaces();
});

const COMMANDS = {
  create: [],
  move: ["pg2"],
  copy: ["pg1", "--copy", "/nonexistent/copy"],
  restore: ["pg1", "--copy", "/nonexistent/copy"],
  destroy: ["--confirm=shop", "--without-backup=shop"],
};

/** How the plan of each ends: its exit code, and why it fails. */
async function plans(): Promise<Record<string, [number, Json]>> {
  const all = Object.entries(COMMANDS).map(
    async ([runbook, argv]): Promise<[string, [number, Json]]> => {
      const { exit, envelope } = await shop.run(runbook, ...argv, "--plan");
      return [runbook, [exit, envelope.error?.code ?? null]];
    },
  );
  return Object.fromEntries(await Promise.all(all));
}

const failure = ({ exit, envelope }: Ran) => [exit, envelope.error?.code, envelope.error?.message];
const folder = () => readdirSync(shop.place.home).filter((name) => !name.startsWith("journal"));

test("their tests without servers pass", async () => {
  for (const runbook of Object.keys(COMMANDS)) {
    const ran = await cli(["test", `rehearsal/${runbook}`], shop.place);
    expect([runbook, ran.exit, at(ran.envelope.data, "failed")]).toEqual([runbook, 0, 0]);
  }
});

test("a name that is free: only making is planned, and nothing is written by it", async () => {
  expect(await plans()).toEqual({
    create: [0, null],
    move: [2, "no_target"],
    copy: [2, "no_target"],
    restore: [2, "no_target"],
    destroy: [2, "no_target"],
  });
  const plan = await shop.run("create", "--plan");
  expect(statuses(plan)).toMatchObject({ reserved: "previewed", streaming: "undetermined" });
  expect([shop.entry(), shop.leftovers()]).toEqual([undefined, []]);
});

test("a making that fails leaves nothing behind", async () => {
  const ran = await shop.run("create", "--settings", '{"shared_buffers": "nonsense"}');
  expect([ran.exit, ran.envelope.error?.step]).toEqual([5, "made"]);
  expect(shop.leftovers()).toEqual([]);
  const unknown = await shop.run("create", "--pg-version", "99");
  expect([unknown.exit, unknown.envelope.error?.code]).toEqual([5, "unsupported"]);
  expect(shop.leftovers()).toEqual([]);
});

test("one that is killed is half made: it can be looked at, resumed, and removed", async () => {
  const killed = shop.begin("create", ...shop.settings);
  await killed.said("start made");
  await until(
    () => shop.base() !== undefined,
    (there) => there,
  );
  killed.signal("SIGKILL");
  const { stderr } = await killed.ended();
  expect(await plans()).toEqual({
    create: [1, "step_refused"],
    move: [2, "no_target"],
    copy: [1, expect.any(String)],
    restore: [expect.any(Number), expect.any(String)],
    destroy: [0, null],
  });
  const id = /run (\S+)/.exec(stderr)![1]!;
  expect(shop.entry()).toMatchObject({ partial: id });
  const again = await shop.create();
  expect([again.exit, again.envelope.error?.code]).toEqual([1, "step_refused"]);
  const removed = await shop.destroy();
  expect(failure(removed)).toEqual([0, undefined, undefined]);
  expect(shop.leftovers()).toEqual([]);
});

test("a cluster is made from nothing, with secrets that only its owner reads", async () => {
  const ran = await shop.create();
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(ran.envelope.data).toMatchObject({
    primary: "pg1",
    system_identifier: shop.control("pg1")!.system_identifier,
  });
  expect(at(ran.envelope.data, "standbys")).toEqual(
    expect.arrayContaining(["pg2", "pg3"]) as unknown as Json,
  );
  expect(shop.entry()).toMatchObject({
    ownership: "managed",
    provider: "embedded",
    system_identifier: shop.control("pg1")!.system_identifier,
  });
  expect(shop.entry()).not.toHaveProperty("partial");
  const secret = shop.secret("superuser");
  expect(ran.stdout + ran.stderr).not.toContain(secret);
  expect(readFileSync(join(shop.place.home, "journal.db"), "latin1")).not.toContain(secret);
  const taken = await shop.create();
  expect(failure(taken)).toEqual([1, "step_refused", "There is already a cluster named shop"]);
  expect((await shop.streaming("pg1")).length).toBe(2);
});

test("up: everything but making is planned, and the plan acts on nothing", async () => {
  expect(await plans()).toEqual({
    create: [1, "step_refused"],
    move: [0, null],
    copy: [0, null],
    restore: [1, "io_failed"],
    destroy: [0, null],
  });
  expect([shop.writable(), await shop.streaming("pg1")]).toEqual([["pg1"], ["pg2", "pg3"]]);
});

test("the primary moves: session and lock go with it, and what was written is there", async () => {
  await shop.write("pg1", "before the move");
  const moving = shop.begin("move", "pg2");
  await moving.said("start others/1/follows");
  // It stands still while its lock is looked for.
  moving.signal("SIGSTOP");
  const locks = "SELECT count(*)::int FROM pg_locks WHERE locktype = 'advisory'";
  const held = Number((await shop.ask("pg2", locks))[0]![0]);
  const second = await shop.run("move", "pg3", "--lock-wait", "1s");
  moving.signal("SIGCONT");
  expect(held).toBeGreaterThan(0);
  expect([second.exit, second.envelope.error?.code]).toEqual([3, "lock_held"]);
  const ran = await moving.done();
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(ran.envelope.data).toMatchObject({
    moved: true,
    old_primary: "pg1",
    new_primary: "pg2",
    timeline: 2,
  });
  expect([shop.writable(), await shop.streaming("pg2")]).toEqual([["pg2"], ["pg1", "pg3"]]);
  expect(await shop.registered()).toBe("pg2");
  expect(await shop.values("pg2")).toEqual(["before the move"]);
  expect((await shop.ask("pg2", locks))[0]).toEqual([0]);
  await shop.write("pg2", "after the move");
  await until(
    () => shop.values("pg1"),
    (values) => values.length === 2,
  );
  const [[timeline]] = (await shop.ask("pg1", "SELECT received_tli FROM pg_stat_wal_receiver")) as [
    [number],
  ];
  expect(timeline).toBe(2);
});

test("a move that has nothing to do says so; one that can't be made is refused before anything stops", async () => {
  const idle = await shop.run("move", "pg2");
  expect([idle.exit, at(idle.envelope.data, "moved")]).toEqual([0, false]);
  const steps = at(idle.envelope.data, "run", "steps") as { path: string; changed: boolean }[];
  expect(steps.filter(({ path, changed }) => changed && !path.startsWith("others"))).toEqual([]);

  const unknown = await shop.run("move", "pg9");
  expect(unknown.envelope.error?.message).toContain("shop has no node pg9");
  const nodes = await shop.nodes();
  await nodes.freeze("pg3");
  const frozen = await shop.run("move", "pg1");
  await nodes.thaw("pg3");
  expect([frozen.exit, frozen.envelope.error?.message]).toEqual([
    1,
    expect.stringContaining("pg3 can't be asked or stands still"),
  ]);
  await nodes.stop("pg3", "fast");
  const stopped = await shop.run("move", "pg3");
  expect([stopped.exit, stopped.envelope.error?.message]).toEqual([1, "pg3 does not run"]);
  expect(shop.writable()).toEqual(["pg2"]);
});

test("a standby that was stopped before a move stays so, and follows when it starts", async () => {
  const ran = await shop.run("move", "pg1");
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(shop.pid("pg3")).toBeUndefined();
  await (await shop.nodes()).start("pg3");
  await until(
    () => shop.streaming("pg1"),
    (names) => names.join() === "pg2,pg3",
  );
});

let copy = "";
test("a cold copy is made of the primary, and only of it, at a place that is free", async () => {
  copy = join(shop.base()!, "copy");
  const standby = await shop.run("copy", "pg2", "--copy", copy);
  expect(standby.envelope.error?.message).toBe("pg2 is a standby: name the primary");
  const ran = await shop.run("copy", "pg1", "--copy", copy);
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(ran.envelope.data).toMatchObject({ copy, timeline: 3 });
  expect(shop.pid("pg1")).toBeDefined();
  writeFileSync(join(copy, "mark"), "");
  const again = await shop.run("copy", "pg1", "--copy", copy);
  expect([again.exit, again.envelope.error?.message]).toEqual([1, `${copy} is there already`]);
  expect(existsSync(join(copy, "mark"))).toBe(true);
});

test("a copy of another cluster is refused, and so is a restore to a standby", async () => {
  const other = join(shop.base()!, "other");
  cpSync(join(copy, "global/pg_control"), join(other, "global/pg_control"));
  const file = join(other, "global/pg_control");
  const bytes = readFileSync(file);
  bytes.writeBigUInt64LE(42n, 0);
  writeFileSync(file, bytes);
  const ran = await shop.run("restore", "pg1", "--copy", other);
  expect([ran.exit, ran.envelope.error?.message]).toEqual([
    1,
    `${other} is a copy of another cluster`,
  ]);
  const standby = await shop.run("restore", "pg2", "--copy", copy);
  expect(standby.envelope.error?.message).toContain("pg2 is a standby");
  expect(shop.writable()).toEqual(["pg1"]);
  rmSync(other, { recursive: true });
});

/** What holds after a restore: the rows of the copy and no others, on a timeline that is new, and the old data is kept. */
async function restored(ran: Ran, timeline: number): Promise<void> {
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect(ran.envelope.data).toMatchObject({ timeline });
  expect([shop.writable(), await shop.registered()]).toEqual([["pg1"], "pg1"]);
  expect(await shop.values("pg1")).toEqual(["before the move", "after the move"]);
  expect(await shop.streaming("pg1")).toEqual(["pg2", "pg3"]);
  const kept = String(at(ran.envelope.data, "kept"));
  expect(kept).toEndWith(runId(ran));
  expect(existsSync(join(kept, "global/pg_control"))).toBe(true);
  rmSync(kept, { recursive: true });
}

test("the copy takes the place of a cluster that is up", async () => {
  await until(
    () => shop.streaming("pg1"),
    (names) => names.length === 2,
  );
  await shop.write("pg1", "after the copy");
  await restored(await shop.run("restore", "pg1", "--copy", copy), 4);
});

test("nobody answers: what needs the server is refused", async () => {
  const nodes = await shop.nodes();
  for (const node of NODES) await nodes.freeze(node);
  expect(await plans()).toMatchObject({
    create: [1, "step_refused"],
    move: [1, "connection_failed"],
    destroy: [0, null],
  });
  const move = await shop.run("move", "pg2");
  for (const node of NODES) await nodes.thaw(node);
  expect([move.exit, move.envelope.error?.code]).toEqual([1, "connection_failed"]);
});

test("all down: a move is refused with the server's own error, a restore works, on another new timeline", async () => {
  const nodes = await shop.nodes();
  await shop.write("pg1", "after the restore");
  for (const node of NODES) await nodes.stop(node, "fast");
  expect(await plans()).toEqual({
    create: [1, "step_refused"],
    move: [1, "connection_failed"],
    copy: [0, null],
    restore: [1, "io_failed"],
    destroy: [0, null],
  });
  const move = await shop.run("move", "pg2");
  expect([move.exit, move.envelope.error?.code]).toEqual([1, "connection_failed"]);
  expect(shop.writable()).toEqual([]);
  await restored(await shop.run("restore", "pg1", "--copy", copy), 5);
});

test("a cluster is removed with all that it had; only its entry and secrets are kept aside", async () => {
  const refused = await shop.run("destroy", "--confirm=shop");
  expect([refused.exit, refused.envelope.error?.code]).toEqual([3, "gate_refused"]);
  const ran = await shop.destroy();
  expect(failure(ran)).toEqual([0, undefined, undefined]);
  expect([shop.entry(), shop.leftovers()]).toEqual([undefined, []]);
  expect(existsSync(join(String(at(ran.envelope.data, "kept")), "cluster.yaml"))).toBe(true);
  expect(folder()).toContain("forgotten");
  const again = await cli(shop.argv("destroy", "--confirm=shop"), shop.place);
  expect(failure(again).slice(0, 2)).toEqual([2, "no_target"]);
});
