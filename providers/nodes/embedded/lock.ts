import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";

/** What others do under a lock takes seconds; somebody who waits longer than this waits for something that hangs. */
const WAIT_MS = 60_000;
const POLL_MS = 25;

export interface Lock {
  release(): void;
}

/** The lock, or null when another has it. SQLite's lock ends with its holder, however that ends, so that none is ever stale. */
export async function tryLock(file: string): Promise<Lock | null> {
  await mkdir(dirname(file), { recursive: true });
  const { Database } = await import("bun:sqlite");
  const lock = new Database(file, { create: true });
  try {
    lock.run("BEGIN EXCLUSIVE");
    return { release: () => lock.close() };
  } catch (error) {
    lock.close();
    if ((error as { code?: string }).code === "SQLITE_BUSY") return null;
    throw error;
  }
}

/** Runs `work` while no other process does. @throws PgdbaError lock_held; the signal's reason when aborted */
export async function locked<T>(
  file: string,
  { what, signal, waitMs = WAIT_MS }: { what: string; signal?: AbortSignal; waitMs?: number },
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + waitMs;
  let lock = await tryLock(file);
  for (; lock === null; lock = await tryLock(file)) {
    signal?.throwIfAborted();
    if (performance.now() > deadline) {
      throw new PgdbaError("lock_held", `Another process is busy with ${what}`, {
        hint: "Look for a pgdba that hangs, end it and run again.",
        retryable: true,
        nothingDone: true,
      });
    }
    await Bun.sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}
