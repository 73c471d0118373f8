import { afterAll, beforeEach, expect, test } from "bun:test";
import { Cron } from "croner";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SpawnResult } from "../../../../engine/types.ts";
import { dueAt } from "../../../../steps/backup/schedule/due.ts";
import type { Entry } from "../../../../steps/backup/schedule/keeper.ts";
import { keptOf, type Memory } from "../../../../steps/backup/schedule/memory.ts";
import { entryThere } from "../../../../steps/backup/schedule/node-home.ts";
import { Scheduler } from "../../../../steps/backup/schedule/scheduler.ts";

const folder = mkdtempSync(join(tmpdir(), "pgdba-scheduler-"));
afterAll(() => rmSync(folder, { recursive: true }));

const entry = (name: string, cron: string, more: Partial<Entry> = {}): Entry => ({
  name,
  cron,
  timezone: "UTC",
  commands: [["backup", "create", "--cluster", "orders"]],
  added_at: "2026-06-10T00:00:30Z",
  ...more,
});
const put = (one: Entry) =>
  writeFileSync(join(folder, `${one.name}.schedule`), `${JSON.stringify(one)}\n`);
const memory = (name: string) =>
  JSON.parse(readFileSync(join(folder, `${name}.memory`), "utf8")) as Memory;

let now = new Date(0);
let ran: string[] = [];
let ends: ((exit: number) => void)[] = [];
let told: string[] = [];
let isHeld = false;
const OK = JSON.stringify({ success: true, command: "backup create", error: null });
const BAD = JSON.stringify({ success: false, command: "x", error: { message: "it is full" } });

beforeEach(() => {
  rmSync(folder, { recursive: true });
  Bun.spawnSync(["mkdir", folder]);
  [ran, ends, told, isHeld] = [[], [], [], false];
});

function scheduler(stop = new AbortController()) {
  return new Scheduler({
    folder,
    program: ["/bin/pgdba"],
    now: () => now,
    signal: stop.signal,
    async spawn(argv, { env } = {}) {
      expect(env).toEqual({ PGDBA_CALLER: "schedule" });
      ran.push(argv.join(" "));
      const exit = isHeld ? await new Promise<number>((done) => ends.push(done)) : 0;
      const stdout = `${exit === 0 ? OK : BAD}\n`;
      return { exit_code: exit, signal: null, stdout, stderr: "log" } as SpawnResult;
    },
    log: (text) => void told.push(text),
  });
}
const at = (text: string) => (now = new Date(text));

test("a time that has just passed is run, one that is over is missed, as croner has the times", () => {
  for (const cron of ["*/15 * * * *", "*/7 3 * * *", "0 2 * * 1-5", "30 2 * * *"])
    for (const timezone of ["UTC", "Europe/Berlin"]) {
      const since = new Date("2026-10-24T00:00:00Z");
      const until = new Date("2026-10-26T03:00:20Z");
      const all: Date[] = [];
      const clock = new Cron(cron, { timezone, paused: true });
      for (let one = clock.nextRun(since); one && one <= until; one = clock.nextRun(one))
        all.push(one);
      const { due, missed } = dueAt(entry("n", cron, { timezone }), since, until);
      const last = all.at(-1)!;
      const isFresh = until.getTime() - last.getTime() < 60_000;
      expect(due).toEqual(isFresh ? last : null);
      expect(missed?.count ?? 0).toBe(all.length - (isFresh ? 1 : 0));
    }
  expect(
    dueAt(entry("n", "0 2 * * *"), at("2026-06-10T02:00:00Z"), at("2026-06-10T09:00:00Z")),
  ).toEqual({
    due: null,
    missed: null,
  });
});

test("a command is run once at its time, and what it said is kept; one that was not run is told", async () => {
  put(entry("nightly", "0 2 * * *"));
  const first = scheduler();
  at("2026-06-10T01:59:59Z");
  await (
    await first.look("away")
  ).ended;
  expect(ran).toEqual([]);
  at("2026-06-10T02:00:01Z");
  await (
    await first.look("away")
  ).ended;
  await (
    await first.look("away")
  ).ended;
  expect(ran).toEqual(["/bin/pgdba backup create --cluster orders --format json"]);
  expect(memory("nightly")).toEqual({
    seen: "2026-06-10T02:00:00.000Z",
    began_at: "2026-06-10T02:00:01.000Z",
    ended_at: "2026-06-10T02:00:01.000Z",
    exit_code: 0,
    said: { success: true, message: "backup create is done" },
    missed: null,
  });
  // It is away for two nights, and comes back in the morning: nothing is made up for.
  at("2026-06-12T08:00:00Z");
  await (
    await scheduler().look("away")
  ).ended;
  expect(ran.length).toBe(1);
  expect(memory("nightly").missed).toEqual({
    count: 2,
    at: "2026-06-12T02:00:00.000Z",
    why: "away",
  });
  expect(told.at(-1)).toBe("nightly of 2026-06-12T02:00:00.000Z was missed: away");
  // One that is put in anew has missed nothing.
  put(entry("fresh", "* * * * *", { added_at: "2026-06-12T07:59:50Z" }));
  await (
    await scheduler().look("away")
  ).ended;
  expect([ran.length, memory("fresh").missed]).toEqual([2, null]);
});

test("commands wait for one another, go on while they succeed, and a time that passes meanwhile is missed", async () => {
  isHeld = true;
  const commands = [["one"], ["two"], ["three"]];
  const added_at = "2026-06-10T01:59:30Z";
  put(entry("a", "* * * * *", { commands, added_at }));
  put(entry("b", "* * * * *", { added_at }));
  const all = scheduler();
  at("2026-06-10T02:00:00Z");
  await all.look("away");
  await Bun.sleep(0);
  at("2026-06-10T02:01:00Z");
  const { ended } = await all.look("away");
  expect(memory("a").missed).toMatchObject({ count: 1, why: "the run before was still at work" });
  const next = async (exit: number) => {
    while (ends.length === 0) await Bun.sleep(1);
    ends.shift()!(exit);
  };
  await next(0);
  await next(1);
  await next(0);
  await ended;
  expect(ran.map((line) => line.split(" ")[1])).toEqual(["one", "two", "backup"]);
  expect(memory("a")).toMatchObject({
    exit_code: 1,
    said: { success: false, message: "it is full" },
  });
  expect(memory("b").said?.success).toBe(true);
});

test("what was at work when it died is told by the next one; what can't be read is left alone", async () => {
  isHeld = true;
  put(entry("a", "* * * * *"));
  writeFileSync(join(folder, "b.schedule"), "{");
  at("2026-06-10T02:00:00Z");
  await scheduler().look("away");
  while (ran.length === 0) await Bun.sleep(1);
  expect(keptOf("a", entry("a", "* * * * *"), memory("a"))).toMatchObject({ said: null });
  const stop = new AbortController();
  const next = scheduler(stop).run();
  while (memory("a").said === null) await Bun.sleep(1);
  stop.abort();
  await next;
  expect(memory("a").said).toEqual({
    success: false,
    message: "the scheduler ended while it was at work",
  });
  expect(told.join()).toContain("b.schedule can't be read");
});

test("a node is told of the cluster by the names of its servers, and of no power over them", () => {
  const node = (name: string) => ({
    name,
    roles: ["postgres" as const],
    address: { host: name, port: 5432 },
    reach: { host: "127.0.0.1", port: 1 },
    endpoints: {
      patroni: { address: { host: name, port: 8008 }, reach: { host: "127.0.0.1", port: 2 } },
    },
  });
  const account = (user: string) => ({ user, password: user });
  const data = {
    ownership: "managed",
    provider: "docker",
    version: 17,
    cluster_id: "c",
    system_identifier: "7",
    postgres: { host: "127.0.0.1", port: 1, user: "postgres", password_secret: "superuser" },
    patroni: { endpoints: ["http://127.0.0.1:2"], scope: "orders", user: "patroni" },
    accounts: { superuser: account("postgres"), replication: account("replicator") },
    nodes: [node("pg1"), node("pg2")],
    repository: {
      kind: "object_store",
      location: "s3://b/p",
      endpoint: "http://127.0.0.1:9000",
      node_endpoint: "http://172.17.0.1:9000",
      secret: "repository",
    },
  } as Parameters<typeof entryThere>[1];
  const there = entryThere("orders", data);
  expect(there).toMatchObject({
    ownership: "connected",
    postgres: { host: "pg1", port: 5432 },
    patroni: { endpoints: ["http://pg1:8008", "http://pg2:8008"], scope: "orders" },
    repository: { endpoint: "http://172.17.0.1:9000", secret: "repository" },
    secrets: {
      superuser: { file: "secrets/orders/superuser" },
      repository: { file: "keys/repository" },
    },
  });
  expect(JSON.stringify(there)).not.toMatch(/127\.0\.0\.1|docker|"nodes"/);
  const secured = entryThere("orders", { ...data, tls: { authority: "ca" } as never });
  expect(secured).toMatchObject({
    postgres: { sslmode: "verify-full", sslrootcert: "/run/secrets/ca.crt" },
    patroni: { endpoints: ["https://pg1:8008", "https://pg2:8008"], cafile: "/run/secrets/ca.crt" },
  });
  expect(() => entryThere("orders", { ...data, accounts: undefined } as never)).toThrow(
    "by which accounts",
  );
});
