/** Reads back every stored byte of a backup, and of the WAL that it needs, and compares it with what was written. */
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import type { Bytes, Repository } from "../repository/contract.ts";
import { backupPrefix, type ClusterKey } from "../repository/layout.ts";
import { checkSegment, segmentsOf } from "./check-wal.ts";
import { damaged } from "./damaged.ts";
import { FileSet } from "./file-set.ts";
import { decompressed } from "./frames.ts";
import { readManifest } from "./manifest.ts";
import { readRecord } from "./read-record.ts";
import type { BackupRecord, Part } from "./record.ts";
import { tarEntries } from "./tar.ts";
import type { Told } from "./work.ts";

export interface VerifyWorld {
  repository: Repository;
  tell: (told: Told) => void;
  signal: AbortSignal;
}

export interface Damage {
  backup: string;
  /** The object, as it is named in the repository. */
  object: string;
  why: string;
}

export interface Verified {
  verified: boolean;
  /** The backup and those that it is a difference to, the full one first. */
  chain: string[];
  damage: Damage[];
  files: number;
  segments: number;
  /** As stored. */
  bytes: number;
}

const MAX_DAMAGE = 100;

/** @throws PgdbaError invalid_param when there is no such backup | backup_damaged (a link of the chain is gone) | repository_failed */
export async function verify(key: ClusterKey, id: string, world: VerifyWorld): Promise<Verified> {
  const chain = await chainOf(key, id, world);
  const found: Verified = {
    verified: false,
    chain: chain.map((one) => one.id),
    damage: [],
    files: 0,
    segments: 0,
    bytes: 0,
  };
  const work = new Verification(key, world, found, chain);
  for (const record of chain) await work.backup(record);
  found.verified = found.damage.length === 0;
  return found;
}

/** The full backup first. @throws PgdbaError backup_damaged when a link is gone */
export async function chainOf(
  key: ClusterKey,
  id: string,
  { repository, signal }: Pick<VerifyWorld, "repository" | "signal">,
): Promise<BackupRecord[]> {
  const chain = [await readRecord(repository, key, id, signal)];
  for (;;) {
    const { id: child, parent } = chain[0]!;
    if (parent === null) return chain;
    if (chain.some((one) => one.id === parent))
      throw damaged(`The chain of ${id}`, `it is a circle at ${parent}`);
    const above = await readRecord(repository, key, parent, signal).catch((error: unknown) => {
      if (!(error instanceof PgdbaError) || error.code !== "invalid_param") throw error;
      throw damaged(
        `The chain of ${id}`,
        `${parent}, to which ${child} is the difference, is gone from ${repository.where}`,
      );
    });
    chain.unshift(above);
  }
}

class Verification {
  readonly #key: ClusterKey;
  readonly #world: VerifyWorld;
  readonly #found: Verified;
  readonly #total: number;

  constructor(key: ClusterKey, world: VerifyWorld, found: Verified, chain: BackupRecord[]) {
    this.#key = key;
    this.#world = world;
    this.#found = found;
    this.#total = chain.reduce((sum, one) => sum + one.stored_bytes, 0);
  }

  async backup(record: BackupRecord): Promise<void> {
    this.#world.tell({ text: `reading ${record.id}` });
    const files = new FileSet();
    const { manifest } = record;
    const named = (part: Part) => `${backupPrefix(this.#key, record.id)}${part.name}`;
    if (manifest !== null)
      await this.#object(record, manifest, async (bytes) => {
        await readManifest(bytes, named(manifest), (file) => files.add(file));
      });
    for (const part of record.parts)
      await this.#object(record, part, async (bytes) => {
        if (part.kind === "data" || part.kind === "tablespace")
          await this.#tar(part, bytes, named(part), files);
        else for await (const _ of bytes);
      });
    if (manifest !== null && files.missing > 0) await this.#nameMissing(record, manifest, files);
    if (record.wal !== null) await this.#wal(record);
  }

  async #tar(
    part: Part,
    bytes: AsyncIterable<Uint8Array>,
    what: string,
    files: FileSet,
  ): Promise<void> {
    const below = part.tablespace === undefined ? "" : `pg_tblspc/${part.tablespace.oid}/`;
    for await (const entry of tarEntries(bytes, what)) {
      if (entry.kind !== "file") continue;
      const hash = new Bun.CryptoHasher("sha256");
      for await (const piece of entry.content) hash.update(piece);
      this.#found.files += 1;
      const file = { path: below + entry.path, bytes: entry.bytes, sha256: hash.digest("hex") };
      if (!files.see(file)) throw damaged(what, `${file.path} is not as the manifest has it`);
    }
  }

  /** Reads one object to its end, whatever `look` makes of it, and keeps what is wrong with it. */
  async #object(
    record: BackupRecord,
    part: Part,
    look: (bytes: AsyncIterable<Uint8Array>) => Promise<void>,
  ): Promise<void> {
    const { repository, signal } = this.#world;
    const name = `${backupPrefix(this.#key, record.id)}${part.name}`;
    const stored = await repository.read(name, { signal });
    if (stored === null) return this.#damaged(record.id, name, "it is gone");
    const hash = new Bun.CryptoHasher("sha256");
    let read = 0;
    const passing = this.#passing(stored, (piece) => {
      read += piece.length;
      hash.update(piece);
    });
    let why: string | undefined;
    try {
      await look(part.name.endsWith(".zst") ? decompressed(passing, name) : passing);
    } catch (error) {
      if (signal.aborted || !isOfContent(error)) throw error;
      why = toPgdbaError(error).message;
    }
    if (why === undefined && read !== part.stored_bytes)
      why = `it has ${read} bytes, and ${part.stored_bytes} were written`;
    if (why === undefined && hash.digest("hex") !== part.sha256)
      why = "its checksum is another one than when it was written";
    if (why !== undefined) this.#damaged(record.id, name, why);
  }

  async *#passing(bytes: Bytes, see: (piece: Uint8Array) => void): AsyncGenerator<Uint8Array> {
    for await (const piece of bytes) {
      see(piece);
      this.#found.bytes += piece.length;
      this.#world.tell({ done: this.#found.bytes, total: this.#total, unit: "bytes" });
      yield piece;
    }
  }

  async #wal(record: BackupRecord): Promise<void> {
    const { repository, signal } = this.#world;
    for (const segment of await segmentsOf(repository, this.#key, record, signal)) {
      this.#world.tell({ text: `reading WAL segment ${segment.file}` });
      const why = await checkSegment(repository, segment, record, signal);
      this.#found.segments += 1;
      if (why !== null) this.#damaged(record.id, segment.name, why);
    }
  }

  async #nameMissing(record: BackupRecord, manifest: Part, files: FileSet): Promise<void> {
    if (this.#found.damage.some(({ backup }) => backup === record.id)) return;
    const name = `${backupPrefix(this.#key, record.id)}${manifest.name}`;
    const stored = await this.#world.repository.read(name, { signal: this.#world.signal });
    if (stored === null) return;
    await readManifest(decompressed(stored, name), name, (file) => {
      if (!files.wasSeen(file)) this.#damaged(record.id, name, `${file.path} is in no part`);
    });
  }

  #damaged(backup: string, object: string, why: string): void {
    if (this.#found.damage.length < MAX_DAMAGE) this.#found.damage.push({ backup, object, why });
  }
}

/** Damage is a finding; a repository that does not answer is an error. The latter may pass, or has a cause of the system. */
function isOfContent(error: unknown): boolean {
  return (
    error instanceof PgdbaError &&
    (error.code === "backup_damaged" || error.code === "step_refused")
  );
}
