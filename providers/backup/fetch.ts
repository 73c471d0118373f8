/**
 * A backup out of the repository into a data directory. Each stored byte is compared with what was written, and each file with the manifest, while
 * it is written: a directory that is there at the end is the backup, whole and on disk.
 */
import { closeSync, fchownSync, openSync, write, writeSync } from "node:fs";
import { chown, mkdir, readdir, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { PgdbaError } from "../../engine/errors.ts";
import { fileError } from "../../engine/shared/write-file.ts";
import { spawnProcess } from "../../engine/spawn.ts";
import type { Bytes, Repository } from "../repository/contract.ts";
import { backupPrefix, type ClusterKey } from "../repository/layout.ts";
import { damaged } from "./damaged.ts";
import { FileSet } from "./file-set.ts";
import { decompressed } from "./frames.ts";
import { readManifest } from "./manifest.ts";
import type { BackupRecord, Part } from "./record.ts";
import { assertRoom, assertStillRoom, bytesToRestore, roomAt } from "./space.ts";
import { tarEntries } from "./tar.ts";
import { chainOf } from "./verify.ts";
import type { Told } from "./work.ts";

export interface FetchOrder {
  key: ClusterKey;
  id: string;
  /** The data directory. It is not there yet, or is what an earlier attempt of the same job has left unfinished. */
  into: string;
  /** The folder of the server's programs, for chains: pg_combinebackup. */
  programs: string;
  /** The account of the server, where this process is another one. */
  owner: { uid: number; gid: number } | null;
  /** WAL that will be replayed into it: room is made sure of for that, too. */
  wal_bytes?: number;
}

export interface FetchWorld {
  repository: Repository;
  tell: (told: Told) => void;
  signal: AbortSignal;
}

export interface Fetched {
  chain: string[];
  files: number;
  /** As read from the repository, and as written. */
  stored_bytes: number;
  bytes: number;
  seconds: number;
}

/** Beside the data directory while it is not whole. */
const unfinished = (into: string) => `${into}.unfinished`;
/** Tablespaces lie beside the data directory, each in a folder named by its oid. */
const tablespacesOf = (data: string) => `${data}.tablespaces`;

/** @throws PgdbaError step_refused | backup_damaged | repository_failed | io_failed | unsupported */
export async function fetchBackup(order: FetchOrder, world: FetchWorld): Promise<Fetched> {
  const { into, owner } = order;
  const begun = performance.now();
  const chain = await chainOf(order.key, order.id, world);
  await clear(into);
  assertRoom(bytesToRestore(chain, order.wal_bytes ?? 0), await roomAt(into), dirname(into));
  try {
    await mkdir(dirname(into), { recursive: true, mode: 0o700 });
    await writeFile(unfinished(into), order.id, { mode: 0o600 });
    if (owner) await chown(unfinished(into), owner.uid, owner.gid);
    const work = new Fetching(order, world, chain);
    if (chain.length === 1) await work.backup(chain[0]!, into, tablespacesOf(into));
    else await work.combined();
    await onDisk(into, world.signal);
    await rm(unfinished(into));
    const seconds = (performance.now() - begun) / 1000;
    return { chain: chain.map(({ id }) => id), ...work.counted, seconds };
  } catch (error) {
    // At once, since a disk that is full stops the server beside it. What can't be removed now is removed with the run.
    await removed(into).catch(() => {});
    throw error instanceof PgdbaError ? error : fileError(into, error);
  }
}

/** Removes what an attempt that did not end has left; anything else is somebody's. */
async function clear(into: string): Promise<void> {
  const isOurs = await Bun.file(unfinished(into)).exists();
  const names = await readdir(into).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return null;
    throw error;
  });
  if (names !== null && names.length > 0 && !isOurs) {
    throw new PgdbaError("step_refused", `${into} is there already, and is not empty`, {
      hint: "A backup is only fetched into a folder of its own.",
      nothingDone: true,
    });
  }
  await removed(into);
}

/** The mark that it is ours goes last. */
async function removed(into: string): Promise<void> {
  for (const path of [into, tablespacesOf(into), partsOf(into), unfinished(into)])
    await rm(path, { recursive: true, force: true });
}

const partsOf = (into: string) => `${into}.parts`;
/** The disk is looked at after so many bytes. */
const LOOK_BYTES = 64 << 20;

class Fetching {
  readonly counted = { files: 0, stored_bytes: 0, bytes: 0 };
  readonly #order: FetchOrder;
  readonly #world: FetchWorld;
  readonly #chain: readonly BackupRecord[];
  readonly #total: number;
  #unlooked = 0;

  constructor(order: FetchOrder, world: FetchWorld, chain: readonly BackupRecord[]) {
    this.#order = order;
    this.#world = world;
    this.#chain = chain;
    this.#total = chain.reduce((sum, { stored_bytes }) => sum + stored_bytes, 0);
  }

  /** Each backup of the chain beside the data directory, from which PostgreSQL's own program makes one. */
  async combined(): Promise<void> {
    const { into, programs, owner } = this.#order;
    const program = join(programs, "pg_combinebackup");
    if (!(await Bun.file(program).exists())) {
      throw new PgdbaError(
        "unsupported",
        `${programs} has no pg_combinebackup, which puts ${this.#order.id} together`,
        {
          hint: "Restore it where PostgreSQL's client programs of version 17 or later are, or restore a full backup.",
          nothingDone: true,
        },
      );
    }
    const folders: string[] = [];
    for (const record of this.#chain) {
      const folder = join(partsOf(into), record.id);
      await this.backup(record, folder, tablespacesOf(folder), { withManifest: true });
      folders.push(folder);
    }
    const last = folders.at(-1)!;
    const maps: string[] = [];
    for (const { tablespace } of this.#chain.at(-1)!.parts) {
      if (!tablespace) continue;
      const from = await readlink(join(last, "pg_tblspc", tablespace.oid));
      maps.push(`--tablespace-mapping=${from}=${join(tablespacesOf(into), tablespace.oid)}`);
    }
    if (maps.length > 0) await this.#folder(tablespacesOf(into));
    this.#world.tell({ text: "putting the chain together" });
    const argv = [program, `--output=${into}`, "--no-sync", ...maps, ...folders];
    const { exit_code, stderr } = await spawnProcess(argv, {
      baseEnv: { LC_ALL: "C", PATH: "/usr/bin:/bin" },
      cwd: "/",
      signal: this.#world.signal,
      user: owner ?? undefined,
    });
    if (exit_code !== 0) {
      throw new PgdbaError(
        "backup_damaged",
        `The chain of ${this.#order.id} can't be put together`,
        {
          hint: stderr.trim().split("\n").slice(-3).join("\n"),
          data: { chain: this.#chain.map(({ id }) => id) },
        },
      );
    }
    await rm(partsOf(into), { recursive: true, force: true });
  }

  async backup(
    record: BackupRecord,
    into: string,
    tablespaces: string,
    { withManifest = false } = {},
  ): Promise<void> {
    const { manifest } = record;
    if (manifest === null)
      throw new PgdbaError("step_refused", `${record.id} is no backup of a data directory`, {
        hint: "A logical backup is loaded into a server: name the one in it with --in-database.",
        nothingDone: true,
      });
    const files = new FileSet();
    await this.#folder(into);
    const copy = withManifest ? join(into, "backup_manifest") : null;
    await this.#object(record, manifest, async (bytes, what) => {
      const read = (pieces: AsyncIterable<Uint8Array>) =>
        readManifest(pieces, what, (file) => files.add(file));
      const copying = async function* (file: number) {
        for await (const piece of bytes) {
          await written(piece, file);
          yield piece;
        }
      };
      if (copy === null) await read(bytes);
      else await this.#create(copy, 0o600, async (file) => void (await read(copying(file))));
    });
    for (const part of record.parts) {
      const { tablespace } = part;
      if (tablespace) {
        await this.#folder(tablespaces);
        await this.#folder(join(tablespaces, tablespace.oid));
      }
      const folder = tablespace ? join(tablespaces, tablespace.oid) : into;
      const below = tablespace ? `pg_tblspc/${tablespace.oid}/` : "";
      await this.#object(record, part, (bytes, what) =>
        this.#unpack({ bytes, what, folder, below, files }),
      );
    }
    if (files.missing > 0)
      throw damaged(
        `${backupPrefix(this.#order.key, record.id)}${manifest.name}`,
        `${files.missing} of its files are in no part`,
      );
    // The server would make the links anew by it, to where the tablespaces of the original are.
    await rm(join(into, "tablespace_map"), { force: true });
    await this.#links(record, into, tablespaces);
  }

  async #links({ parts }: BackupRecord, into: string, tablespaces: string): Promise<void> {
    for (const { tablespace } of parts) {
      if (!tablespace) continue;
      const link = join(into, "pg_tblspc", tablespace.oid);
      await rm(link, { recursive: true, force: true });
      await symlink(join(tablespaces, tablespace.oid), link);
    }
  }

  async #unpack({
    bytes,
    what,
    folder,
    below,
    files,
  }: {
    bytes: AsyncIterable<Uint8Array>;
    what: string;
    folder: string;
    below: string;
    files: FileSet;
  }): Promise<void> {
    for await (const entry of tarEntries(bytes, what)) {
      const path = join(folder, entry.path);
      // Links are those of tablespaces, which are made anew; a link that points anywhere is never followed.
      if (entry.kind === "link") continue;
      if (entry.kind === "folder") {
        await this.#folder(path);
        continue;
      }
      const hash = new Bun.CryptoHasher("sha256");
      await this.#create(path, entry.mode & 0o700, async (file) => {
        for await (const piece of entry.content)
          await written(piece, file, () => void hash.update(piece));
      });
      const file = { path: below + entry.path, bytes: entry.bytes, sha256: hash.digest("hex") };
      if (!files.see(file)) throw damaged(what, `${file.path} is not as the manifest has it`);
      this.counted.files += 1;
      this.counted.bytes += entry.bytes;
      this.#unlooked += entry.bytes;
      if (this.#unlooked < LOOK_BYTES) continue;
      this.#unlooked = 0;
      await assertStillRoom(folder);
    }
  }

  async #folder(path: string): Promise<void> {
    const made = await mkdir(path, { recursive: true, mode: 0o700 });
    const { owner } = this.#order;
    if (made !== undefined && owner) await chown(path, owner.uid, owner.gid);
  }

  async #create(path: string, mode: number, fill: (file: number) => Promise<void>): Promise<void> {
    // `wx`: a name that a tar holds twice is refused, and nothing is written through a link.
    const file = openSync(path, "wx", mode | 0o600);
    try {
      await fill(file);
      const { owner } = this.#order;
      if (owner) fchownSync(file, owner.uid, owner.gid);
    } finally {
      closeSync(file);
    }
  }

  /** Reads one object to its end; what it holds counts only when all of it is as it was written. */
  async #object(
    record: BackupRecord,
    part: Part,
    take: (bytes: AsyncIterable<Uint8Array>, what: string) => Promise<void>,
  ): Promise<void> {
    const { repository, signal } = this.#world;
    const name = `${backupPrefix(this.#order.key, record.id)}${part.name}`;
    const stored = await repository.read(name, { signal });
    if (stored === null) throw damaged(name, "it is gone");
    const hash = new Bun.CryptoHasher("sha256");
    const passing = this.#passing(stored, (piece) => hash.update(piece));
    await take(part.name.endsWith(".zst") ? decompressed(passing, name) : passing, name);
    if (hash.digest("hex") !== part.sha256)
      throw damaged(name, "its checksum is another one than when it was written");
  }

  async *#passing(bytes: Bytes, see: (piece: Uint8Array) => void): AsyncGenerator<Uint8Array> {
    const { tell, signal } = this.#world;
    for await (const piece of bytes) {
      signal.throwIfAborted();
      see(piece);
      this.counted.stored_bytes += piece.length;
      tell({ done: this.counted.stored_bytes, total: this.#total, unit: "bytes" });
      yield piece;
    }
  }
}

/** Smaller pieces, such as most files have, are written faster than another thread is asked to. */
const SMALL = 64 * 1024;
const writeTo = promisify(write);

/** The piece is in the file at the end; `meanwhile` looks at it. */
async function written(piece: Uint8Array, file: number, meanwhile?: () => void): Promise<void> {
  if (piece.length <= SMALL) {
    for (let at = 0; at < piece.length;) at += writeSync(file, piece, at);
    meanwhile?.();
    return;
  }
  const writing = writeAll(piece, file);
  writing.catch(() => {});
  meanwhile?.();
  await writing;
}

async function writeAll(piece: Uint8Array, file: number): Promise<void> {
  for (let at = 0; at < piece.length;)
    at += (await writeTo(file, piece, at, piece.length - at, null)).bytesWritten;
}

/** All of the file system, by one call: some thousand files are synced faster so than one by one. */
async function onDisk(folder: string, signal: AbortSignal): Promise<void> {
  const { exit_code, stderr } = await spawnProcess(["sync", "-f", folder], {
    baseEnv: { PATH: "/usr/bin:/bin" },
    cwd: "/",
    signal,
  });
  if (exit_code !== 0)
    throw new PgdbaError("io_failed", `${folder} can't be brought to disk`, {
      hint: stderr.trim(),
    });
}
