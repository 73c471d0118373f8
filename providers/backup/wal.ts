/**
 * The archive_command and the restore_command: one file of WAL into the repository, or out of it. Each is a process of its own that lives
 * for some hundredths of a second, so that little is loaded here.
 */
import { open, rm } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { PgdbaError, toPgdbaError } from "../../engine/errors.ts";
import { fileError } from "../../engine/shared/write-file.ts";
import type { Bytes, Repository } from "../repository/contract.ts";
import { walName } from "../repository/layout.ts";
import { openRepository } from "../repository/open.ts";
import { partsOf } from "./file-parts.ts";
import { readSettings, settingsHere } from "./settings.ts";
import { AHEAD_BYTES, leadsOn, takeAhead } from "./wal/ask-ahead.ts";
import { bring, SMALL } from "./wal/bring.ts";
import { assertOwnSegment, isSegment } from "./wal/header.ts";
import type { NodeRepository } from "./work.ts";

export interface WalOptions {
  /** The data directory, where the server starts its commands. */
  cwd: string;
  signal: AbortSignal;
  settings?: string;
  /** How long a repository that does not answer is asked again, ms. */
  patienceMs?: number;
  /** Starts `pgdba wal` with these words as a process that goes on by itself. */
  begin?(words: string[]): void;
}

const PATIENCE_MS = 120_000;
const FIRST_PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 10_000;

/**
 * Puts the file at `path` into the repository, durably. The same content that is there already is success, another is not, unless it is of a
 * timeline that the server left before the segment's end: what is there stays then, and nothing that the server went through is missing.
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
    const { compressed } = await import("./wal/zstd.ts");
    const plain = !name.endsWith(".zst");
    const small = size <= SMALL ? await bytesOf(source, size) : undefined;
    const content =
      small === undefined ? compressed(partsOf(source)) : plain ? small : await compressed(small);
    await repository.create(name, content, { signal });
  } catch (error) {
    if (!(error instanceof PgdbaError) || error.code !== "object_differs") throw error;
    // Another version of the library may compress the same segment to other bytes.
    if (await holdsSame(repository, name, source, signal)) return;
    // Refused, it would keep the archiver from all that follows.
    const { leftBehind } = await import("./wal/left-behind.ts");
    if (!(await leftBehind(file, dirname(source), size))) throw error;
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
  const from = options.settings ?? settingsHere(options.cwd);
  const settings = readSettings(from);
  const target = resolve(options.cwd, path);
  const more = leadsOn(file, target) ? await takeAhead(file, target, settings) : null;
  if (more === "given") return true;
  const bytes = await patiently(settings, file, target, options);
  // The server replays it now, and then asks for the next one.
  if (bytes !== null && more === "alone" && bytes <= AHEAD_BYTES)
    options.begin?.([
      "ahead",
      "--settings",
      resolve(options.cwd, from),
      file,
      `${bytes}`,
      dirname(target),
    ]);
  return bytes !== null;
}

async function patiently(
  settings: NodeRepository,
  file: string,
  target: string,
  { patienceMs = PATIENCE_MS, signal }: WalOptions,
): Promise<number | null> {
  const deadline = performance.now() + patienceMs;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      const repository = await openRepository(settings.place);
      try {
        return await bring(repository, settings, file, { target, signal });
      } finally {
        await repository.close();
      }
    } catch (thrown) {
      await rm(target, { force: true }).catch(() => {});
      signal.throwIfAborted();
      const error = toPgdbaError(thrown);
      if (!error.retryable || performance.now() + pause > deadline) throw error;
      await new Promise((done) => setTimeout(done, pause));
    }
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

/** @throws PgdbaError io_failed */
async function bytesOf(path: string, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  const file = await open(path, "r").catch((error: unknown) => {
    throw fileError(path, error);
  });
  try {
    for (let at = 0; at < size;) {
      const { bytesRead } = await file.read(bytes, at, size - at, at);
      if (bytesRead === 0) throw fileError(path, new Error("it ended before its end"));
      at += bytesRead;
    }
  } catch (error) {
    throw fileError(path, error);
  } finally {
    await file.close();
  }
  return bytes;
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
  const { decompressed } = await import("./wal/zstd.ts");
  const theirs = name.endsWith(".zst") ? decompressed(stored, name) : stored;
  return (await digestOf(theirs)) === (await digestOf(partsOf(path)));
}

async function digestOf(content: Bytes): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const part of content) hash.update(part);
  return hash.digest("hex");
}
