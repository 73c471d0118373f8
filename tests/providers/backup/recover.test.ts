/** Backups of real servers, fetched and brought to where they are wanted. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { PgdbaError } from "../../../engine/errors.ts";
import { fetchBackup } from "../../../providers/backup/fetch.ts";
import { gatherHoldings } from "../../../providers/backup/holdings.ts";
import { segmentReader } from "../../../providers/backup/locate.ts";
import type { BackupRecord } from "../../../providers/backup/record.ts";
import { textOf } from "../../../providers/backup/read-record.ts";
import { recover, type RecoverOrder } from "../../../providers/backup/recover/recover.ts";
import { AHEAD } from "../../../providers/backup/wal/ask-ahead.ts";
import { restorable, type Wanted } from "../../../providers/backup/when.ts";
import { openBinaries } from "../../../providers/nodes/embedded/binaries.ts";
import { ordinaryUser } from "../../../providers/nodes/embedded/user.ts";
import { lsnText } from "../../../providers/postgres/lsn.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import { backupPrefix, recordName, walName } from "../../../providers/repository/layout.ts";
import { type Archived, startArchived, takeBackup } from "../../support/archived.ts";
import { clientOf, type Version } from "../../support/postgres.ts";

setDefaultTimeout(300_000);

const ROOT = join(import.meta.dir, "../../..");
const PGDBA = [process.execPath, join(ROOT, "engine/main.ts")];
const never = new AbortController().signal;
const owner = ordinaryUser();

describe.each([13, 15, 18] as const)("PostgreSQL %p", (version: Version) => {
  let it: Archived;
  let base: string;
  let client: Awaited<ReturnType<typeof clientOf>>;
  let id: string;
  let noted = 0n;

  beforeAll(async () => {
    it = await startArchived(version, { settings: { max_connections: 30 } });
    client = await clientOf(it.server);
    base = await mkdtemp(join(tmpdir(), "r-"));
    if (owner) await chown(base, owner.uid, owner.gid);
    const space = join(dirname(it.server.dataDir), "space");
    await mkdir(space);
    const { uid, gid } = await stat(it.server.dataDir);
    await chown(space, uid, gid);
    await client.query(`create tablespace far location '${space}'`);
    await client.query(
      "create table kept (id int primary key); create table away (id int) tablespace far",
    );
    await client.query(
      "insert into kept select generate_series(1, 100); insert into away select generate_series(1, 7)",
    );
    ({ id } = await takeBackup(it, "20260101T000000Z-full-aaaaaa"));
    await client.query("insert into kept values (101)");
    await Bun.sleep(3);
    const { rows } = await client.query(
      "select (extract(epoch from clock_timestamp()) * 1000000)::bigint::text as at",
    );
    noted = BigInt(rows[0].at);
    await Bun.sleep(3);
    // One transaction: its lock on the table stands in WAL before its commit does.
    await client.query(
      "begin; insert into kept values (102); insert into away values (8); drop table kept; commit",
    );
    await archived();
  });
  afterAll(async () => {
    await client.end();
    await it.stop();
    await rm(base, { recursive: true, force: true });
  });

  async function archived() {
    const { rows } = await client.query("select pg_walfile_name(pg_switch_wal()) as file");
    while ((await it.repository.stat(walName(it.key, rows[0].file))) === null) await Bun.sleep(20);
  }

  const restoreTo = async (name: string, wanted: Wanted, more: Partial<RecoverOrder> = {}) => {
    const holdings = await gatherHoldings(it.repository, [{ key: it.key, until: null }]);
    const plan = await restorable(
      holdings,
      { wanted, clock: new Date() },
      { read: segmentReader(it.repository) },
    );
    const data = join(base, name);
    const bin = dirname((await openBinaries(version, owner)).postgres);
    const fetched = await fetchBackup(
      { key: it.key, id: plan.start.backup.record.id, into: data, programs: bin, owner },
      { repository: it.repository, tell: () => {}, signal: never },
    );
    const settings = join(base, `${name}.json`);
    await writeFile(settings, JSON.stringify(it.settings));
    // What this process puts there as root, the server's account reads.
    if (owner) Bun.spawnSync(["chown", "-R", `${owner.uid}:${owner.gid}`, settings, it.folder]);
    const order: RecoverOrder = {
      data,
      programs: bin,
      folder: join(base, `${name}.s`),
      owner,
      user: "postgres",
      version,
      timeline: plan.timeline,
      stop: plan.stop && { ...plan.stop, lsn: lsnText(plan.stop.lsn) },
      recorded: plan.start.backup.record.server.settings,
      pgdba: PGDBA,
      settings,
      checks: [],
      amcheck: true,
      finish: "stop",
      archive: false,
      histories: null,
      ...more,
    };
    const done = await recover(order, { tell: () => {}, signal: never });
    if (owner) Bun.spawnSync(["chown", "-R", "0:0", it.folder]);
    return { fetched, plan, order, done };
  };

  test("to a moment: what was committed before it, and nothing after it; then on to its end", async () => {
    const checks = [
      { database: "postgres", sql: "select count(*) = 101 from kept" },
      { database: "postgres", sql: "select count(*) = 7 from away" },
      { database: "postgres", sql: "select max(id) = 102 from kept" },
      { database: "postgres", sql: "select 1 from nosuch" },
    ];
    const { fetched, order, done, plan } = await restoreTo(
      "moment",
      { kind: "time", at: noted },
      { checks },
    );
    expect(fetched.chain).toEqual([id]);
    expect(done.look.checks.map(({ holds }) => holds)).toEqual([true, true, false, false]);
    expect(done.look.databases).toEqual([
      { name: "postgres", bytes: expect.any(Number), tables: 2, rows: 108 },
    ]);
    expect([done.promoted, done.timeline]).toEqual([false, 1]);
    // Stopped as it is, it goes on from there.
    expect(done.said).toContain("recovery stopping after");
    // Nothing of the server is left but its data.
    expect(existsSync(order.folder)).toBe(false);
    expect(existsSync(join(order.data, "pg_wal", AHEAD))).toBe(false);
    if (owner) Bun.spawnSync(["chown", "-R", `${owner.uid}:${owner.gid}`, it.folder]);
    const ended = await recover({ ...order, finish: "promote" }, { tell: () => {}, signal: never });
    if (owner) Bun.spawnSync(["chown", "-R", "0:0", it.folder]);
    expect([ended.promoted, ended.timeline, ended.lsn]).toEqual([true, 2, done.lsn]);
    expect(await readFile(join(order.data, "pg_wal/00000002.history"), "utf8")).toContain(
      `1	${done.lsn}`,
    );
    expect(plan.stop!.inclusive).toBe(true);
    // Nothing of it went to the repository.
    expect(await it.repository.stat(walName(it.key, "00000002.history"))).toBeNull();
  });

  test("to the end of WAL: there is no target, and it is found to be at the end", async () => {
    const { done } = await restoreTo(
      "latest",
      { kind: "latest" },
      {
        checks: [
          {
            database: "postgres",
            sql: "select to_regclass('kept') is null and count(*) = 8 from away",
          },
        ],
      },
    );
    expect(done.look.checks.map(({ why }) => why)).toEqual([null]);
  });

  test("a server that was given more connections after the backup is recovered with as many", async () => {
    await client.query("alter system set max_connections = 60");
    await client.end();
    await it.server.restart();
    client = await clientOf(it.server);
    await client.query("create table later (id int)");
    await archived();
    const { done } = await restoreTo(
      "more",
      { kind: "latest" },
      {
        checks: [
          {
            database: "postgres",
            sql: "select setting::int >= 60 from pg_settings where name = 'max_connections'",
          },
          { database: "postgres", sql: "select count(*) = 0 from later" },
        ],
      },
    );
    expect(done.look.checks.map(({ why }) => why)).toEqual([null, null]);
  });

  if (version === 18)
    test("a disk without room for the backup, or that fills meanwhile, is told, and nothing is left on it", async () => {
      const order = { key: it.key, id, programs: "/nonexistent", owner: null };
      // A record that says more than any disk has.
      const says = (bytes: number): Repository =>
        Object.assign(Object.create(it.repository) as Repository, {
          async read(name: string, options: object) {
            const found = (await it.repository.read(name, options))!;
            if (name !== recordName(it.key, id)) return found;
            const record = JSON.parse(await textOf(found, name)) as BackupRecord;
            return [Buffer.from(JSON.stringify({ ...record, bytes, databases: [] }))];
          },
        });
      const fetched = (into: string, repository: Repository, wal_bytes = 0) =>
        fetchBackup(
          { ...order, into, wal_bytes },
          { repository, tell: () => {}, signal: never },
        ).then(
          () => "fetched",
          ({ code, nothingDone }: PgdbaError) => [code, nothingDone],
        );
      expect(await fetched(join(base, "large"), says(1e15))).toEqual(["step_refused", true]);
      expect((await readdir(base)).filter((name) => name.startsWith("large"))).toEqual([]);
      const small = join(base, "small");
      await mkdir(small);
      const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", small]);
      if (mounted.exitCode !== 0) return;
      try {
        // It fits by what the record says, and WAL does not.
        expect(await fetched(join(small, "d"), says(1), 64 << 20)).toEqual(["step_refused", true]);
        // The record says too little: the disk is full in the middle.
        expect(await fetched(join(small, "d"), says(1))).toEqual(["io_failed", undefined]);
        expect(await readdir(small)).toEqual([]);
      } finally {
        Bun.spawnSync(["umount", small]);
      }
    });

  if (version === 18)
    test("a byte that was changed in the repository is found while it is fetched, and named", async () => {
      const holdings = await gatherHoldings(it.repository, [{ key: it.key, until: null }]);
      const { record } = holdings.backups[0]!;
      const part = record.parts.find(({ kind }) => kind === "data")!;
      const file = join(it.folder, "objects", `${backupPrefix(it.key, record.id)}${part.name}`);
      const path = (await Bun.file(file).exists())
        ? file
        : join(it.folder, `${backupPrefix(it.key, record.id)}${part.name}`);
      const bytes = await readFile(path);
      const { mode } = await stat(path);
      bytes[bytes.length >> 1]! ^= 1;
      await rm(path);
      await writeFile(path, bytes, { mode });
      const into = join(base, "damaged");
      const fetched = await fetchBackup(
        { key: it.key, id: record.id, into, programs: "/nonexistent", owner },
        { repository: it.repository, tell: () => {}, signal: never },
      ).then(
        () => "fetched",
        ({ code, message }: { code: string; message: string }) => [
          code,
          message.includes(part.name),
        ],
      );
      expect(fetched).toEqual(["backup_damaged", true]);
      // What it left is not taken for a backup, and the next attempt begins anew.
      expect((await readdir(base)).filter((name) => name.startsWith("damaged"))).toEqual([]);
    });
});
