/**
 * The archive_command and the restore_command: one file of WAL into the repository, or out of it. Each is a process of its own that lives
 * for some hundredths of a second, so that little is loaded here.
 */
import { open, rm } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { fileError } from "../../engine/shared/write-file.ts";
import type { Bytes, Repository } from "../repository/contract.ts";
import { keyOf, walName } from "../repository/layout.ts";
import { openRepository } from "../repository/open.ts";
import { partsOf } from "./file-parts.ts";
import { isLater } from "./origins.ts";
import { readSettings, settingsHere } from "./settings.ts";
import { assertOwnSegment, isSegment } from "./wal/header.ts";
import { compressed, decompressed } from "./wal/zstd.ts";

export interface WalOptions {
  /** The data directory, where the server starts its commands. */
  cwd: string;
  signal: AbortSignal;
  settings?: string;
  /** How long a repository that does not answer is asked again, ms. */
  patienceMs?: number;
}

const PATIENCE_MS = 120_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;
/** Segments up to this size are handled in memory. */
const SMALL = 32 * 1024 * 1024;

/**
 * Puts the file at `path` into the repository, durably. The same content that is there already is success, another is not.
 * @throws PgdbaError object_differs | repository_failed | repository_full | invalid_config | io_failed
 */
export async function push(path: string, options: WalOptions): Promise<void> {
  const settings = readSettings(options.settings ?? settingsHere(options.cwd));
  const file = basename(path);
  const name = walName(settings.write, file);
  const source = resolve(options.cwd, path);
  const { size, head } = await lookAt(source);
  if (isSegment(file)) assertOwnSegment(head, { file, size, key: settings.write });
  const repository = await openRepository(settings.place);
  const { signal } = options;
  try {
    const plain = !name.endsWith(".zst");
    const small = size <= SMALL ? await bytesOf(source, size) : undefined;
    const content =
      small === undefined ? compressed(partsOf(source)) : plain ? small : await compressed(small);
    await repository.create(name, content, { signal });
  } catch (error) {
    if (!(error instanceof PgdbaError) || error.code !== "object_differs") throw error;
    // Another version of the library may compress the same segment to other bytes.
    if (!(await holdsSame(repository, name, source, signal))) throw error;
  } finally {
    await repository.close();
  }
}

/**
 * Puts the file of that name at `path`; false when the repository says that it has none. One that does not answer is asked again for a
 * while, and then it is an error: recovery must stop then, and not end early.
 * @throws PgdbaError repository_failed | invalid_config | io_failed
 */
export async function get(file: string, path: string, options: WalOptions): Promise<boolean> {
  const settings = readSettings(options.settings ?? settingsHere(options.cwd));
  const target = resolve(options.cwd, path);
  const deadline = performance.now() + (options.patienceMs ?? PATIENCE_MS);
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return await fetched(settings, file, target, options.signal);
    } catch (thrown) {
      await rm(target, { force: true }).catch(() => {});
      options.signal.throwIfAborted();
      const error = toPgdbaError(thrown);
      if (!error.retryable || performance.now() + pause > deadline) throw error;
      await new Promise((done) => setTimeout(done, pause));
    }
  }
}

async function fetched(
  settings: ReturnType<typeof readSettings>,
  file: string,
  target: string,
  signal: AbortSignal,
): Promise<boolean> {
  const repository = await openRepository(settings.place);
  try {
    for (const key of settings.read) {
      if (isLater(file, key.until)) continue;
      const name = walName(key, file);
      const stored = await repository.read(name, { signal });
      if (stored === null) continue;
      const content = name.endsWith(".zst")
        ? decompressed(stored, `${keyOf(key)}/${file}`)
        : stored;
      await write(target, content, (head, size) => {
        if (isSegment(file)) assertOwnSegment(head, { file, size, key });
      });
      return true;
    }
    return false;
  } finally {
    await repository.close();
  }
}

async function lookAt(path: string): Promise<{ size: number; head: Uint8Array }> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const head = new Uint8Array(64);
      await file.read(head, 0, head.length, 0);
      return { size, head };
    } finally {
      await file.close();
    }
  } catch (error) {
    throw fileError(path, error);
  }
}

async function bytesOf(path: string, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let at = 0;
  for await (const part of partsOf(path)) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

async function write(
  path: string,
  content: Bytes,
  check: (head: Uint8Array, size: number) => void,
): Promise<void> {
  let head: Uint8Array = new Uint8Array(0);
  let size = 0;
  const file = await open(path, "w", 0o600).catch((error: unknown) => {
    throw fileError(path, error);
  });
  try {
    for await (const part of content) {
      if (head.length < 64) head = Buffer.concat([head, part.subarray(0, 64)]);
      size += part.length;
      for (let at = 0; at < part.length;)
        at += (await file.write(part, at, part.length - at)).bytesWritten;
    }
  } finally {
    await file.close();
  }
  check(head, size);
}

/** Whether the object holds what the file does, however it was compressed. */
async function holdsSame(
  repository: Repository,
  name: string,
  path: string,
  signal: AbortSignal,
): Promise<boolean> {
  const stored = await repository.read(name, { signal });
  if (stored === null) return false;
  const theirs = name.endsWith(".zst") ? decompressed(stored, name) : stored;
  return (await digestOf(theirs)) === (await digestOf(partsOf(path)));
}

async function digestOf(content: Bytes): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const part of content) hash.update(part);
  return hash.digest("hex");
}
