/** Schedules that a node keeps: a folder stands for the node, programs are real ones. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StepType } from "../../../../engine/types.ts";
import disk from "../../../../steps/backup/disk.ts";
import add from "../../../../steps/backup/schedule-add.ts";
import remove from "../../../../steps/backup/schedule-remove.ts";
import scheduler from "../../../../steps/backup/scheduler.ts";
import list from "../../../../steps/backup/schedules.ts";
import { fakeContext } from "../../../support/context.ts";
import { runStep } from "../support.ts";

const folder = await mkdtemp(join(tmpdir(), "pgdba-on-node-"));
afterAll(() => rm(folder, { recursive: true, force: true }));
const home = join(folder, "home");
const stateDir = join(folder, "state");
await mkdir(home);
await mkdir(join(stateDir, "clusters"), { recursive: true, mode: 0o700 });
await mkdir(join(stateDir, "secrets/orders"), { recursive: true, mode: 0o700 });
for (const name of ["superuser", "replication", "key"]) {
  await writeFile(join(stateDir, "secrets/orders", name), `id:of-${name}\n`);
  await chmod(join(stateDir, "secrets/orders", name), 0o600);
}
const secrets = ["superuser", "replication", "key"].map((name) => [
  name,
  { file: `secrets/orders/${name}` },
]);
const address = { host: "pg1", port: 5432 };
await writeFile(
  join(stateDir, "clusters/orders.yaml"),
  JSON.stringify({
    ownership: "managed",
    provider: "docker",
    version: 17,
    system_identifier: "7",
    cluster_id: "c",
    secrets: Object.fromEntries(secrets),
    postgres: { host: "127.0.0.1", user: "postgres", password_secret: "superuser" },
    patroni: { endpoints: ["http://127.0.0.1:8008"], scope: "orders" },
    accounts: {
      superuser: { user: "postgres", password: "superuser" },
      replication: { user: "replicator", password: "replication" },
    },
    nodes: [
      {
        name: "pg1",
        roles: ["postgres"],
        address,
        endpoints: { patroni: { address: { host: "pg1", port: 8008 }, reach: address } },
      },
    ],
    repository: {
      kind: "object_store",
      location: "s3://b/p",
      endpoint: "http://127.0.0.1:9000",
      secret: "key",
    },
  }),
);

// Nobody's real crontab is looked at.
await mkdir(join(folder, "bin"));
await writeFile(
  join(folder, "bin/crontab"),
  "#!/bin/sh\necho 'no crontab for tester' >&2; exit 1\n",
);
await chmod(join(folder, "bin/crontab"), 0o755);

let running = "running";
const turns: string[] = [];
const disks: Record<string, string[]> = { pg1: ["/b"], pg2: ["/b"] };
const nodes = {
  list: async () => [
    { node: "pg1", made: true, roles: ["postgres"], state: { running } },
    { node: "pg2", made: true, roles: ["postgres"], state: { running } },
    { node: "night", made: true, roles: ["backup"], state: { running } },
  ],
  state: async () => ({ running }),
  facts: async (node: string) => ({
    os: { arch: process.arch === "arm64" ? "aarch64" : "x86_64" },
    disks: (disks[node] ?? []).map((path) => ({ of: "backup", path })),
  }),
  stop: async () => void turns.push("stop"),
  start: async () => void turns.push("start"),
  async exec(_: string, argv: string[]) {
    const done = Bun.spawnSync(argv, { cwd: home, env: { PATH: process.env.PATH, HOME: home } });
    const { exitCode, stdout, stderr } = done;
    return { exit_code: exitCode, stdout: stdout.toString(), stderr: stderr.toString() };
  },
  async put(_: string, path: string, from: any, { mode = 0o600 } = {}) {
    const bytes = "local" in from ? readFileSync(from.local) : from.content;
    await writeFile(path, bytes);
    await chmod(path, mode);
  },
};
const context = (now = "2026-06-10T12:00:00Z") =>
  fakeContext({
    env: { PATH: `${join(folder, "bin")}:${process.env.PATH}`, HOME: process.env.HOME },
    clock: { now: () => new Date(now), monotonic: () => 0, sleep: async () => {} },
    run: { stateDir },
    target: {
      name: "orders",
      cluster: "orders",
      flags: ["--cluster", "orders"],
      facts: async () => ({ capabilities: ["nodes", "repository"] }) as never,
    },
    use: (async () => nodes) as never,
  });
const INPUT = { cron: "0 2 * * *", timezone: "Asia/Kathmandu", commands: [["backup", "create"]] };
const rows = async (now?: string) => (await runStep(list, {}, context(now))).schedules;

test("a node that is there for it keeps a schedule by any zone, and is given what it needs", async () => {
  const planned = await add.plan!(context(), INPUT);
  expect((planned as any).next[0]).toBe("2026-06-10T20:15:00.000Z");
  expect(existsSync(join(home, "schedules"))).toBe(false);
  const made = await runStep(add, INPUT, context());
  expect(made).toMatchObject({
    name: "create-orders",
    line: "0 2 * * * (Asia/Kathmandu): pgdba backup create --cluster orders --no-input",
  });
  // No password and no key stands in the entry; the key lies beside it.
  const entry = readFileSync(join(home, "clusters/orders.yaml"), "utf8");
  expect(entry).not.toContain("of-");
  expect(JSON.parse(entry).repository).toMatchObject({ secret: "repository" });
  expect(readFileSync(join(home, "keys/repository"), "utf8")).toBe("id:of-key\n");
  expect(statSync(join(home, "keys/repository")).mode & 0o777).toBe(0o600);
  expect(readlinkSync(join(home, "secrets/orders"))).toBe("/run/secrets");
  expect(Bun.spawnSync([join(home, "bin/pgdba"), "--version"]).exitCode).toBe(0);
  // The program was put there, and whatever ran before it is another.
  expect(turns).toEqual(["stop", "start"]);
  await runStep(add, INPUT, context());
  expect(turns.length).toBe(2);
  expect(await rows()).toMatchObject([
    { name: "create-orders", where: "night", next: "2026-06-10T20:15:00.000Z", missed: false },
  ]);
}, 300_000);

test("what it has put down is told, and that it does not run at once", async () => {
  const memory = join(home, "schedules/create-orders.memory");
  await writeFile(
    memory,
    `${JSON.stringify({
      seen: "2026-06-11T20:15:00.000Z",
      began_at: "2026-06-10T20:15:01.000Z",
      ended_at: "2026-06-10T20:16:00.000Z",
      exit_code: 5,
      said: { success: false, message: "it is full" },
      missed: { count: 1, at: "2026-06-11T20:15:00.000Z", why: "it was away" },
    })}\n`,
  );
  const [row] = await rows("2026-06-11T20:20:00Z");
  expect(row).toMatchObject({
    said: "it is full",
    succeeded: false,
    missed: true,
    missed_count: 1,
    why: "it was away",
  });
  running = "stopped";
  expect((await rows("2026-06-12T20:15:30Z"))[0]).toMatchObject({
    missed: true,
    missed_at: "2026-06-12T20:15:00.000Z",
    next: null,
    why: "night does not run: it is stopped",
  });
  running = "running";
});

test("it is taken back, and goes without a trace", async () => {
  const ctx = context();
  await runStep(add, { ...INPUT, cron: "0 3 * * *" }, ctx);
  await add.undo!(ctx, INPUT, undefined);
  expect(await rows()).toMatchObject([{ cron: "0 2 * * *" }]);
  await expect(runStep(remove, { name: "other" }, context())).rejects.toMatchObject({
    hint: "There are create-orders.",
  });
  await runStep(remove, { name: "create-orders" }, context());
  expect(await rows()).toEqual([]);
  expect(existsSync(join(home, "schedules/create-orders.memory"))).toBe(false);
});

test("the scheduler goes on until it is interrupted", async () => {
  const ctx = context();
  const run = (scheduler as StepType).run(ctx, {});
  while (ctx.recorded.logs.length === 0) await Bun.sleep(1);
  ctx.abort(new Error("enough"));
  await expect(run).rejects.toThrow("enough");
});

test("the disk for backups is the one that all servers have; those without it are told", async () => {
  expect(await runStep(disk, {}, context())).toEqual({ path: "/b", lacking: [] });
  disks["pg2"] = [];
  expect(await runStep(disk, {}, context())).toEqual({ path: "/b", lacking: ["pg2"] });
  disks["pg2"] = ["/other"];
  expect(await runStep(disk, {}, context())).toEqual({ path: null, lacking: [] });
});
