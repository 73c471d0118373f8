import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chownSync,
  copyFileSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  statSync,
  truncateSync,
} from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PgdbaError } from "../../../engine/errors.ts";
import type { BackupRecord } from "../../../providers/backup/record.ts";
import { readRecord } from "../../../providers/backup/read-record.ts";
import { verify } from "../../../providers/backup/verify.ts";
import {
  backupPrefix,
  keyOf,
  recordName,
  recordPrefix,
  walName,
  walPrefix,
} from "../../../providers/repository/layout.ts";
import type { Repository } from "../../../providers/repository/contract.ts";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import { type Archived, startArchived, takeBackup } from "../../support/archived.ts";
import { clientOf, VERSIONS } from "../../support/postgres.ts";

const never = new AbortController().signal;
/** Small file systems can be mounted here. */
const mounts = (() => {
  const path = mkdtempSync(join(tmpdir(), "pgdba-mounts-"));
  const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path]);
  if (exitCode === 0) Bun.spawnSync(["umount", path]);
  rmdirSync(path);
  return exitCode === 0;
})();

async function namesOf(repository: Repository, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of repository.list(prefix)) names.push(name);
  return names;
}

const verified = (one: Archived, id: string) =>
  verify(one.key, id, { repository: one.repository, tell: () => {}, signal: never });

describe.each([...VERSIONS])("PostgreSQL %i", (version) => {
  let one: Archived;
  beforeAll(async () => {
    one = await startArchived(version);
    const client = await clientOf(one.server);
    const { uid, gid } = statSync(one.server.dataDir);
    const space = mkdtempSync(join(tmpdir(), "pgdba-space-"));
    chownSync(space, uid, gid);
    await client.query(`create tablespace elsewhere location '${space}'`);
    await client.query("create table far (i int, t text) tablespace elsewhere");
    await client.query("insert into far select g, md5(g::text) from generate_series(1, 20000) g");
    await client.query("create table empty (i int)");
    await client.query("create unlogged table fleeting as select generate_series(1, 1000) i");
    await client.query("create database other");
    await client.end();
  });
  afterAll(() => one.stop());

  test("a backup is taken, recorded, and read back", async () => {
    const record = await takeBackup(one, "20260101T000000Z-full-000001");
    expect(await readRecord(one.repository, one.key, record.id)).toEqual(record);
    expect(record.parts.map(({ kind }) => kind).toSorted()).toEqual(["data", "tablespace"]);
    expect(record.source).toBe("primary");
    expect(record.databases.map(({ name }) => name)).toEqual(["other", "postgres"]);
    expect(record.databases.find(({ name }) => name === "postgres")!.tables).toBe(3);
    expect(record.server.settings["max_connections"]).toBe("100");
    expect(record.server.segment_bytes).toBe(16 << 20);
    expect(await one.repository.stat(walName(one.key, record.wal!.start_segment))).not.toBeNull();
    expect(await one.repository.stat(walName(one.key, record.wal!.end_segment))).not.toBeNull();
    const found = await verified(one, record.id);
    expect(found.damage).toEqual([]);
    expect(found.verified).toBe(true);
    expect(found.files).toBeGreaterThan(900);
    expect(found.segments).toBeGreaterThan(0);
    expect(found.bytes).toBe(record.stored_bytes);
  });
});

describe("a server of PostgreSQL 18", () => {
  let one: Archived;
  let full: BackupRecord;
  beforeAll(async () => {
    one = await startArchived(18, { settings: { summarize_wal: "on" } });
    await run("create table t as select g, md5(g::text) from generate_series(1, 50000) g");
    full = await takeBackup(one, "20260101T000000Z-full-000001");
  });
  afterAll(() => one.stop());

  const run = async (text: string) => {
    const client = await clientOf(one.server);
    const { rows } = await client.query(text).finally(() => client.end());
    return rows;
  };
  const pathOf = (record: BackupRecord, part: string) =>
    join(one.folder, backupPrefix(one.key, record.id), part);
  /** Runs `work` while one byte of a file is another one. */
  const flipped = async (path: string, at: number, work: () => Promise<void>) => {
    const file = await open(path, "r+");
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    const put = (value: number) => file.write(Buffer.from([value]), 0, 1, at);
    try {
      await put(byte[0]! ^ 1);
      await work();
    } finally {
      await put(byte[0]!);
      await file.close();
    }
  };

  test("a byte that changed after the upload is found, wherever it is", async () => {
    const size = full.parts[0]!.stored_bytes;
    for (const at of [0, 5000, Math.floor(size / 2), size - 1])
      await flipped(pathOf(full, "data.tar.zst"), at, async () => {
        const found = await verified(one, full.id);
        expect(found.verified).toBe(false);
        expect(found.damage.map(({ object }) => object)).toEqual([
          `${backupPrefix(one.key, full.id)}data.tar.zst`,
        ]);
      });
    await flipped(pathOf(full, "manifest.zst"), 20, async () => {
      expect((await verified(one, full.id)).verified).toBe(false);
    });
    const segment = walName(one.key, full.wal!.start_segment);
    await flipped(join(one.folder, segment), 300, async () => {
      const found = await verified(one, full.id);
      expect(found.damage.map(({ object }) => object)).toEqual([segment]);
    });
    expect((await verified(one, full.id)).verified).toBe(true);
  });

  test("a part or a segment that is gone, and a part that was cut off, are found", async () => {
    const lost = async (path: string, why: string) => {
      renameSync(path, `${path}.away`);
      const found = await verified(one, full.id);
      renameSync(`${path}.away`, path);
      expect(found.damage.map((each) => each.why)).toEqual([why]);
    };
    await lost(pathOf(full, "data.tar.zst"), "it is gone");
    await lost(
      join(one.folder, walName(one.key, full.wal!.end_segment)),
      "the segment is not there",
    );
    const path = pathOf(full, "data.tar.zst");
    copyFileSync(path, `${path}.whole`);
    truncateSync(path, full.parts[0]!.stored_bytes - 100);
    expect((await verified(one, full.id)).verified).toBe(false);
    renameSync(`${path}.whole`, path);
  });

  test("increments build on one another, and a damaged link is named", async () => {
    const chain = [full.id];
    for (const number of [1, 2, 3]) {
      await run(`update t set md5 = 'x' where g % 100 = ${number}`);
      const id = `20260101T00000${number}Z-incremental-00000${number}`;
      const record = await takeBackup(one, id, { type: "incremental", parent: chain.at(-1)! });
      expect(record.parent).toBe(chain.at(-1)!);
      expect(record.bytes).toBeLessThan(full.bytes / 2);
      chain.push(id);
    }
    const whole = await verified(one, chain[3]!);
    expect(whole).toMatchObject({ verified: true, damage: [], chain });
    const second = await readRecord(one.repository, one.key, chain[1]!);
    await flipped(pathOf(second, "data.tar.zst"), 5000, async () => {
      const found = await verified(one, chain[3]!);
      expect(found.damage.map(({ backup }) => backup)).toEqual([chain[1]!]);
    });
    await one.repository.remove([recordName(one.key, second.id)]);
    await expect(verified(one, chain[3]!)).rejects.toMatchObject({
      code: "backup_damaged",
      message: expect.stringContaining(second.id),
    });
  });

  test("one that fails leaves nothing, neither a record nor a part", async () => {
    const before = await namesOf(one.repository, `${keyOf(one.key)}/backup/`);
    const stop = new AbortController();
    const tell = ({ done = 0 }: { done?: number }) => done > 1e6 && stop.abort(new Error("enough"));
    await expect(
      takeBackup(one, "20260101T000009Z-full-000009", {}, { tell, signal: stop.signal }),
    ).rejects.toThrow("enough");
    const other = { ...one.key, system_identifier: "1" };
    await expect(
      takeBackup(one, "20260101T000009Z-full-00000a", { key: other }),
    ).rejects.toMatchObject({ code: "identity_mismatch" });
    one.halt();
    await expect(
      takeBackup(one, "20260101T000009Z-full-00000b", { wal_timeout_ms: 700 }),
    ).rejects.toMatchObject({
      code: "timeout",
      message: expect.stringContaining("did not come into"),
    });
    one.resume();
    expect(await namesOf(one.repository, `${keyOf(one.key)}/backup/`)).toEqual(before);
    expect(await namesOf(one.repository, recordPrefix(one.key))).not.toContain(
      recordName(one.key, "20260101T000009Z-full-000009"),
    );
  });

  test.skipIf(!mounts)("a full disk is told, and the room of the parts is free again", async () => {
    const path = mkdtempSync(join(tmpdir(), "pgdba-full-"));
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", path]);
    try {
      const place = { kind: "directory", path } as const;
      await makeRepository(place);
      const repository = await openRepository(place);
      for (const name of await namesOf(one.repository, walPrefix(one.key)))
        await repository.create(name, new Uint8Array(1));
      const before = await namesOf(repository, "");
      const { freeBytes } = (await repository.space())!;
      await expect(
        takeBackup({ ...one, repository }, "20260101T000009Z-full-00000e"),
      ).rejects.toMatchObject({
        code: "repository_full",
        message: `There is no space left in ${path}`,
        hint: expect.stringContaining("backup expire"),
      });
      expect(await namesOf(repository, "")).toEqual(before);
      expect((await repository.space())!.freeBytes).toBeGreaterThan(freeBytes - 64 * 1024);
    } finally {
      Bun.spawnSync(["umount", path]);
      rmdirSync(path);
    }
    // The server goes on, and another backup of it is taken.
    await takeBackup(one, "20260101T000009Z-full-00000f");
  });

  test("a wrong password is told, and nothing is left", async () => {
    await run("create role backup login replication password 'right'");
    const before = await namesOf(one.repository, "");
    const server = { ...one.server, user: "backup", password: "wrong" };
    const failed = await takeBackup({ ...one, server }, "20260101T000009Z-full-000010").then(
      () => null,
      (error: unknown) => error as PgdbaError,
    );
    expect(failed).toMatchObject({ code: "connection_failed", data: { sqlstate: "28P01" } });
    expect(`${failed!.message} ${failed!.hint}`).not.toContain("wrong");
    expect(await namesOf(one.repository, "")).toEqual(before);
  });

  test("a role without the rights is told which ones", async () => {
    await run("create role plain login password 'secret'");
    const server = { ...one.server, user: "plain", password: "secret" };
    await expect(
      takeBackup({ ...one, server }, "20260101T000009Z-full-00000c"),
    ).rejects.toMatchObject({
      code: "insufficient_privilege",
      hint: 'Give the role the right: `ALTER ROLE "plain" REPLICATION;`',
    });
    await run("alter role plain replication");
    const record = await takeBackup({ ...one, server }, "20260101T000009Z-full-00000d");
    expect(record.databases[0]!.tables).toBe(1);
  });
});

test("PostgreSQL 16 has no increments, and says what to do instead", async () => {
  const old = await startArchived(16);
  try {
    const full = await takeBackup(old, "20260101T000000Z-full-000001");
    await expect(
      takeBackup(old, "20260101T000001Z-incremental-000001", {
        type: "incremental",
        parent: full.id,
      }),
    ).rejects.toMatchObject({ code: "unsupported", hint: expect.stringContaining("--type full") });
  } finally {
    await old.stop();
  }
});
