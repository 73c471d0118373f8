import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Target } from "../../../engine/types.ts";
import { begin } from "../../../providers/backup/unfinished.ts";
import { backupPrefix, markPrefix } from "../../../providers/repository/layout.ts";
import { resolveTarget } from "../../../providers/target/resolve.ts";
import catalogue from "../../../steps/backup/catalogue.ts";
import record from "../../../steps/backup/record.ts";
import take from "../../../steps/backup/take.ts";
import verify from "../../../steps/backup/verify.ts";
import { type Archived, startArchived } from "../../support/archived.ts";
import { fakeContext, type FakeContext, type Overrides } from "../../support/context.ts";
import { clientOf, startServer, type TestServer } from "../../support/postgres.ts";
import { cloneInto } from "../../support/standby.ts";
import { through } from "../../support/target.ts";
import { runStep } from "./support.ts";

const stateDir = mkdtempSync(join(tmpdir(), "pgdba-take-"));
let primary: Archived;
let standby: TestServer;
let target: Target;

beforeAll(async () => {
  primary = await startArchived(18, { settings: { summarize_wal: "on" } });
  standby = await startServer({
    version: 18,
    settings: { summarize_wal: "on" },
    prepare: (dataDir) => cloneInto(dataDir, primary.server),
  });
  for (const folder of ["clusters", "secrets"]) mkdirSync(join(stateDir, folder));
  writeFileSync(join(stateDir, "secrets", "superuser"), primary.server.password, { mode: 0o600 });
  const at = ({ port }: TestServer) => `{host: 127.0.0.1, port: ${port}}`;
  writeFileSync(
    join(stateDir, "clusters", "shop.yaml"),
    `ownership: connected
system_identifier: "${primary.key.system_identifier}"
version: 18
cluster_id: one
postgres: {host: 127.0.0.1, port: ${primary.server.port}, user: postgres, password_secret: superuser}
secrets: {superuser: {file: secrets/superuser}}
nodes:
  - {name: pg1, roles: [postgres], address: ${at(primary.server)}}
  - {name: pg2, roles: [postgres], address: ${at(standby)}}
repository: {kind: directory, location: ${primary.folder}}
`,
  );
  target = await resolveTarget({
    flags: { cluster: "shop" },
    env: {},
    stateDir,
    onSecret: () => {},
  });
});
afterAll(async () => {
  await target?.close();
  await standby?.stop();
  await primary?.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

let runs = 0;
const context = (more: Overrides = {}): FakeContext =>
  fakeContext({
    clock: {
      now: () => new Date(),
      monotonic: () => performance.now(),
      sleep: (ms) => Bun.sleep(ms),
    },
    ...more,
    run: { id: `r${++runs}`, stateDir, ...more.run },
    target: through(target),
  });
const list = () => runStep(catalogue, {}, context());

test("a backup is taken from the standby, its end awaited from the primary; it is read back, listed and shown", async () => {
  const empty = await list();
  expect(empty).toMatchObject({ backups: [], newest: null, unfinished: [] });
  const taken = await runStep(take, { type: "full" }, context());
  expect(taken).toMatchObject({ node: "pg2", source: "standby", type: "full", timeline: 1 });
  expect((await list()).backups).toMatchObject([
    { id: taken.backup_id, status: "complete", why: null },
  ]);
  const read = await runStep(verify, { backup_id: taken.backup_id }, context());
  expect(read).toMatchObject({ verified: true, damage: [] });
  const listed = await list();
  expect(listed.backups).toMatchObject([
    { id: taken.backup_id, status: "verified", restorable_from: taken.finished_at },
  ]);
  expect(listed.timelines).toMatchObject([{ timeline: 1, earliest: taken.finished_at, gaps: 0 }]);
  expect(listed.newest.backup_id).toBe(taken.backup_id);
  const shown = await runStep(record, { backup_id: taken.backup_id }, context());
  expect(shown).toMatchObject({ record: { id: taken.backup_id }, marks: [{ kind: "verified" }] });
  expect(JSON.stringify(shown)).not.toContain(primary.server.password);
});

test("a run that was killed when it had marked a backup marks it again, also within the same second", async () => {
  const [{ id }] = (await list()).backups;
  let ms = 0;
  const now = () => new Date(Date.UTC(2027, 0, 1, 0, 0, 0, ms++));
  const clock = {
    now,
    monotonic: () => performance.now(),
    sleep: (wait: number) => Bun.sleep(wait),
  };
  for (let times = 0; times < 2; times++) {
    const again = context({ run: { id: "again" }, clock });
    expect(await runStep(verify, { backup_id: id }, again)).toMatchObject({ verified: true });
  }
  expect((await list()).backups).toMatchObject([{ id, status: "verified" }]);
});

test("by a clock that is wrong by hours no backup is taken", async () => {
  const before = (await list()).backups.length;
  for (const hours of [-3, 3]) {
    const now = () => new Date(Date.now() + hours * 3_600_000);
    const clock = { now, monotonic: () => performance.now(), sleep: (ms: number) => Bun.sleep(ms) };
    await expect(runStep(take, { type: "full" }, context({ clock }))).rejects.toMatchObject({
      code: "step_refused",
      message: expect.stringContaining("The clock of shop says"),
    });
  }
  expect((await list()).backups.length).toBe(before);
});

test("a member that is named is taken; an increment builds on the newest that is not damaged", async () => {
  const full = await runStep(take, { type: "full", from: "pg1" }, context());
  expect(full).toMatchObject({ node: "pg1", source: "primary" });
  const increment = await runStep(take, { type: "incremental", from: "primary" }, context());
  expect(increment.parent).toBe(full.backup_id);
  const path = join(primary.folder, backupPrefix(primary.key, increment.backup_id), "data.tar.zst");
  const file = await open(path, "r+");
  await file.write(Buffer.from([1, 2, 3]), 0, 3, 100);
  await file.close();
  const read = await runStep(verify, { backup_id: increment.backup_id }, context());
  expect(read).toMatchObject({ verified: false, chain: [full.backup_id, increment.backup_id] });
  expect((await list()).backups[0]).toMatchObject({ id: increment.backup_id, status: "damaged" });
  const incremental = (more: { parent?: string } = {}) =>
    runStep(take, { type: "incremental", from: "primary", ...more }, context());
  await expect(incremental({ parent: increment.backup_id })).rejects.toMatchObject({
    code: "step_refused",
    message: expect.stringContaining("is damaged"),
  });
  const next = await incremental();
  expect(next.parent).toBe(full.backup_id);
  // What was found out about a backup is so of all that build on it.
  const mark = `${markPrefix(primary.key, full.backup_id)}damaged-29990101T000000Z-r0.json`;
  await primary.repository.create(mark, Buffer.from("{}"));
  const other = await incremental();
  expect([full.backup_id, increment.backup_id, next.backup_id]).not.toContain(other.parent);
  await primary.repository.remove([mark]);
});

test("what a dead backup has left is listed as no backup, and goes with the next one; a living one's parts stay", async () => {
  const { repository, key } = primary;
  const [dead, living] = ["20250101T000000Z-full-dead01", "20250101T000000Z-full-11fe01"];
  for (const [id, run] of [
    [dead, "gone"],
    [living, "alive"],
  ] as const) {
    await begin(repository, { key, id, run });
    await repository.create(`${backupPrefix(key, id)}data.tar.zst`, Buffer.from("half"));
  }
  const client = await clientOf(primary.server);
  await client.query("set application_name = 'pgdba/alive'");
  const before = await list();
  expect(before.unfinished.map(({ id }: { id: string }) => id).toSorted()).toEqual([living, dead]);
  expect(before.backups.map(({ id }: { id: string }) => id)).not.toContain(dead);
  const taken = await runStep(take, { type: "full", from: "primary" }, context());
  expect(taken.removed).toEqual([dead]);
  await client.end();
  expect((await list()).unfinished.map(({ id }: { id: string }) => id)).toEqual([living]);
});

test("after a crash it is known whether there is a backup, and what there is without a record goes", async () => {
  const { repository, key } = primary;
  const ctx = context({ run: { id: "crashed" } });
  expect(await take.probe!(ctx, {})).toEqual({ state: "not_done" });
  const id = "20250101T000001Z-full-c0ffee";
  ctx.note({ id });
  await begin(repository, { key, id, run: "crashed" });
  expect(await take.probe!(ctx, {})).toEqual({ state: "not_done" });
  await take.undo!(ctx, {}, undefined);
  expect((await list()).unfinished.map((one: { id: string }) => one.id)).not.toContain(id);
  const [{ id: whole }] = (await list()).backups;
  ctx.note({ id: whole });
  expect(await take.probe!(ctx, {})).toMatchObject({ state: "done", output: { backup_id: whole } });
  await take.undo!(ctx, {}, undefined);
  expect((await list()).backups[0].id).toBe(whole);
});

test("WAL that does not arrive fails the backup, and nothing is left of it", async () => {
  const before = (await list()).backups.length;
  primary.halt();
  await expect(
    runStep(take, { type: "full", from: "primary", wal_timeout: "1s" }, context()),
  ).rejects.toMatchObject({ code: "timeout", hint: expect.stringContaining("--wal-timeout") });
  primary.resume();
  const after = await list();
  expect(after.backups).toHaveLength(before);
  // Whoever was alive above has ended since.
  expect(after.unfinished).toEqual([]);
});
