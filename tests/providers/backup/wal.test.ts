import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { BROKEN, MISSING, worker } from "../../../providers/backup/front.ts";
import { settingsFile } from "../../../providers/backup/settings.ts";
import type { NodeRepository } from "../../../providers/backup/work.ts";
import { makeRepository, openRepository } from "../../../providers/repository/open.ts";
import { clientOf, sharedServer } from "../../support/postgres.ts";

const base = mkdtempSync(join(tmpdir(), "pgdba-wal-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));
/** Small file systems can be mounted here. */
const mounts = (() => {
  const { exitCode } = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", base]);
  if (exitCode === 0) Bun.spawnSync(["umount", base]);
  return exitCode === 0;
})();
const place = { kind: "directory", path: join(base, "repo") } as const;
const data = join(base, "data");
let settings: NodeRepository;
let segment: string;
let bytes: Buffer;

beforeAll(async () => {
  const server = await sharedServer();
  const client = await clientOf(server);
  await client.query("create table wal_test as select generate_series(1, 1000) i");
  const { rows } = await client.query(
    "select (select system_identifier::text from pg_control_system()) id, pg_walfile_name(pg_switch_wal()) segment",
  );
  await client.query("drop table wal_test");
  await client.end();
  segment = rows[0].segment;
  bytes = readFileSync(join(server.dataDir, "pg_wal", segment));
  await makeRepository(place);
  mkdirSync(join(data, "pg_wal"), { recursive: true });
  writeFileSync(join(data, "pg_wal", segment), bytes);
  const key = { system_identifier: rows[0].id, version: 18, cluster_id: "one" };
  settings = { place, write: key, read: [key] };
  setup(data, settings);
});

function setup(folder: string, wanted: NodeRepository): void {
  mkdirSync(`${folder}.pgdba`, { recursive: true });
  writeFileSync(settingsFile(folder), JSON.stringify(wanted));
}

async function wal(...argv: string[]): Promise<{ code: number; said: string }> {
  return walIn(data, ...argv);
}

async function walIn(cwd: string, ...argv: string[]): Promise<{ code: number; said: string }> {
  let said = "";
  const code = await worker(["wal", ...argv], {
    cwd,
    env: {},
    signal: new AbortController().signal,
    stdin: async function* () {},
    stdout: async () => {},
    stderr: async (part) => void (said += new TextDecoder().decode(part)),
  });
  return { code, said };
}

const nameOf = (file = segment) =>
  `${settings.write.system_identifier}/18/one/wal/${file.slice(0, 8)}/${file.slice(8, 16)}/${file}.zst`;
const out = (name = "RECOVERYXLOG") => join(data, "pg_wal", name);

describe("wal push and get", () => {
  test("a segment goes in, small and with a checksum, once and twice, and comes out the same", async () => {
    expect(await wal("push", `pg_wal/${segment}`)).toEqual({ code: 0, said: "" });
    expect(await wal("push", `pg_wal/${segment}`)).toEqual({ code: 0, said: "" });
    const repository = await openRepository(place);
    const [stored] = await Array.fromAsync(repository.list(`${settings.write.system_identifier}/`));
    expect(stored?.name).toBe(nameOf());
    expect(stored!.bytes).toBeLessThan(bytes.length / 4);
    expect(await wal("get", segment, "pg_wal/RECOVERYXLOG")).toEqual({ code: 0, said: "" });
    expect(Buffer.compare(readFileSync(out()), bytes)).toBe(0);
  });

  test("what another version of zstd made of the same segment is the same", async () => {
    const repository = await openRepository(place);
    await repository.remove([nameOf()]);
    await repository.create(nameOf(), zstdCompressSync(bytes));
    expect(await wal("push", `pg_wal/${segment}`)).toEqual({ code: 0, said: "" });
  });

  test("another content under the name of a segment is refused, and what is there stays", async () => {
    const other = Buffer.from(bytes);
    other[bytes.length - 5000]! ^= 1;
    const folder = join(base, "second");
    mkdirSync(join(folder, "pg_wal"), { recursive: true });
    writeFileSync(join(folder, "pg_wal", segment), other);
    setup(folder, settings);
    const { code, said } = await walIn(folder, "push", `pg_wal/${segment}`);
    expect(code).toBe(1);
    expect(said).toContain("object_differs");
    await wal("get", segment, "pg_wal/again");
    expect(Buffer.compare(readFileSync(out("again")), bytes)).toBe(0);
  });

  test("a segment of a timeline that the server has left within it or before may differ, and what is there stays", async () => {
    const other = Buffer.from(bytes);
    other[bytes.length - 5000]! ^= 1;
    const number = Number.parseInt(segment.slice(16), 16);
    // In the one before it, at its first byte, in it, at its end, and after it.
    for (const [at, code] of [
      [-0.5, 0],
      [0, 0],
      [0.5, 0],
      [1, 1],
      [1.5, 1],
    ] as const) {
      const folder = join(base, `left${at}`);
      mkdirSync(join(folder, "pg_wal"), { recursive: true });
      writeFileSync(join(folder, "pg_wal", segment), other);
      const lsn = ((number + at) * bytes.length).toString(16).toUpperCase();
      const left = `1\t${Number.parseInt(segment.slice(8, 16), 16).toString(16)}/${lsn}\tno recovery target specified\n`;
      writeFileSync(join(folder, "pg_wal", "00000003.history"), left);
      // An older one says nothing.
      writeFileSync(join(folder, "pg_wal", "00000002.history"), "1\t0/1\tby hand\n");
      setup(folder, settings);
      expect({ at, code: (await walIn(folder, "push", `pg_wal/${segment}`)).code }).toEqual({
        at,
        code,
      });
    }
    await wal("get", segment, "pg_wal/again");
    expect(Buffer.compare(readFileSync(out("again")), bytes)).toBe(0);
  });

  test("a segment of another server, one that is cut, and one of a later timeline are refused", async () => {
    const folder = join(base, "foreign");
    mkdirSync(join(folder, "pg_wal"), { recursive: true });
    const foreign = { ...settings.write, system_identifier: "7396112233445566778" };
    setup(folder, { ...settings, write: foreign, read: [foreign] });
    writeFileSync(join(folder, "pg_wal", segment), bytes);
    expect(await walIn(folder, "push", `pg_wal/${segment}`)).toMatchObject({ code: 1 });
    setup(folder, settings);
    for (const damage of [
      bytes.subarray(0, bytes.length - 8192),
      bytes.subarray(0, 20),
      Buffer.from(bytes).fill(9, 4, 8),
    ]) {
      writeFileSync(join(folder, "pg_wal", segment), damage);
      const { code, said } = await walIn(folder, "push", `pg_wal/${segment}`);
      expect({ code, said }).toMatchObject({
        code: 1,
        said: expect.stringContaining("no segment of"),
      });
    }
  });

  test("history files, labels of backups and partial segments have names of their own", async () => {
    const label = `${segment}.00000028.backup`;
    writeFileSync(join(data, "pg_wal", "00000002.history"), "1\t0/3000000\tno recovery target\n");
    writeFileSync(join(data, "pg_wal", label), "START WAL LOCATION: 0/2000028\n");
    copyFileSync(join(data, "pg_wal", segment), join(data, "pg_wal", `${segment}.partial`));
    for (const file of ["00000002.history", label, `${segment}.partial`]) {
      expect(await wal("push", `pg_wal/${file}`)).toEqual({ code: 0, said: "" });
      expect(await wal("get", file, "pg_wal/out")).toEqual({ code: 0, said: "" });
      expect(readFileSync(out("out")).equals(readFileSync(out(file)))).toBe(true);
    }
    const repository = await openRepository(place);
    const history = await repository.read(
      `${settings.write.system_identifier}/18/one/history/00000002.history`,
    );
    expect(history).not.toBeNull();
    expect(await wal("push", "pg_wal/archive_status")).toMatchObject({ code: 1 });
  });

  test("what is not there is told by 1, and everything else by a status that stops recovery", async () => {
    expect(await wal("get", "0000000100000000000000FF", "pg_wal/none")).toEqual({
      code: MISSING,
      said: "",
    });
    expect(existsSync(out("none"))).toBe(false);
    renameSync(place.path, `${place.path}-away`);
    mkdirSync(place.path);
    const gone = await wal("get", "--patience", "0", segment, "pg_wal/none");
    expect(gone).toMatchObject({
      code: BROKEN,
      said: expect.stringContaining("repository_failed"),
    });
    expect(await wal("push", `pg_wal/${segment}`)).toMatchObject({ code: 1 });
    // It comes back while it is waited for.
    const waiting = wal("get", "--patience", "20", segment, "pg_wal/late");
    rmSync(place.path, { recursive: true });
    renameSync(`${place.path}-away`, place.path);
    expect(await waiting).toEqual({ code: 0, said: "" });
    expect(statSync(out("late")).size).toBe(bytes.length);
  });

  test("a damaged segment is never handed out", async () => {
    const file = join(place.path, nameOf());
    const stored = readFileSync(file);
    for (const damage of [
      stored.subarray(0, stored.length / 2),
      Buffer.from("nothing of the kind"),
      zstdCompressSync(bytes.subarray(0, 8192)),
    ]) {
      writeFileSync(file, damage);
      expect(await wal("get", "--patience", "0", segment, "pg_wal/bad")).toMatchObject({
        code: BROKEN,
      });
      expect(existsSync(out("bad"))).toBe(false);
    }
    writeFileSync(file, stored);
    // One bit anywhere in what push wrote.
    const repository = await openRepository(place);
    await repository.remove([nameOf()]);
    await wal("push", `pg_wal/${segment}`);
    const whole = readFileSync(file);
    for (let at = 5; at < whole.length; at += Math.ceil(whole.length / 12)) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 0x10;
      writeFileSync(file, flipped);
      const { code } = await wal("get", "--patience", "0", segment, "pg_wal/bad");
      if (code === 0) expect(Buffer.compare(readFileSync(out("bad")), bytes)).toBe(0);
      else expect(code).toBe(BROKEN);
    }
    writeFileSync(file, whole);
  });

  test("recovery looks in the own part first, then in those of the origin", async () => {
    const copy = { ...settings.write, cluster_id: "copy" };
    const folder = join(base, "restored");
    mkdirSync(join(folder, "pg_wal"), { recursive: true });
    setup(folder, { place, write: copy, read: [copy, settings.write] });
    expect(await walIn(folder, "get", segment, "pg_wal/x")).toEqual({ code: 0, said: "" });
    const other = Buffer.from(bytes);
    other[bytes.length - 5000]! ^= 1;
    writeFileSync(join(folder, "pg_wal", segment), other);
    // Not the origin's part: there its name is taken.
    expect(await walIn(folder, "push", `pg_wal/${segment}`)).toEqual({ code: 0, said: "" });
    expect(await walIn(folder, "get", segment, "pg_wal/x")).toEqual({ code: 0, said: "" });
    expect(Buffer.compare(readFileSync(join(folder, "pg_wal", "x")), other)).toBe(0);
  });

  test("a copy of the data directory has no settings, and archives nothing; a link to it has", async () => {
    const folder = join(base, "copied");
    mkdirSync(join(folder, "pg_wal"), { recursive: true });
    writeFileSync(join(folder, "pg_wal", segment), bytes);
    const { code, said } = await walIn(folder, "push", `pg_wal/${segment}`);
    expect({ code, said }).toMatchObject({
      code: 1,
      said: expect.stringContaining("backup setup"),
    });
    symlinkSync(data, join(base, "link"));
    expect(await walIn(join(base, "link"), "push", `pg_wal/${segment}`)).toEqual({
      code: 0,
      said: "",
    });
  });

  test.skipIf(!mounts)("a full repository is told, and takes the segment later", async () => {
    const path = join(base, "small");
    mkdirSync(path);
    Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path]);
    try {
      const small = { kind: "directory", path } as const;
      await makeRepository(small);
      setup(data, { ...settings, place: small });
      const noise = Buffer.from(bytes);
      crypto.getRandomValues(noise.subarray(8192, 8192 + 65536));
      crypto.getRandomValues(noise.subarray(80000, 80000 + 65536));
      writeFileSync(join(data, "pg_wal", segment), noise);
      expect(await wal("push", `pg_wal/${segment}`)).toMatchObject({
        code: 1,
        said: expect.stringContaining("repository_full"),
      });
      expect(await wal("get", segment, "pg_wal/none")).toEqual({ code: MISSING, said: "" });
      Bun.spawnSync(["mount", "-o", "remount,size=4m", path]);
      expect(await wal("push", `pg_wal/${segment}`)).toEqual({ code: 0, said: "" });
    } finally {
      Bun.spawnSync(["umount", path]);
      setup(data, settings);
    }
  });

  test("what is typed wrongly is told, and stops recovery too", async () => {
    expect(await wal("push")).toMatchObject({ code: 2 });
    expect(await wal("push", "a", "b")).toMatchObject({ code: 2 });
    expect(await wal("get", "--patience", "x", segment, "y")).toMatchObject({ code: BROKEN });
    expect(await wal("get", "--patience", "0", "../../etc/passwd", "y")).toMatchObject({
      code: BROKEN,
    });
  });
});
