import { amount } from "./amount.ts";
import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { PgdbaError } from "../errors.ts";
import { fileError } from "./write-file.ts";

export interface ExclusiveOptions {
  /** The work of the others, such as `the lab`. */
  what: string;
  /** How long one waits for the others, ms. */
  waitMs: number;
  /** Ends the waiting. */
  signal?: AbortSignal;
}

const POLL_MS = 10;

/**
 * Runs `work` while no other process, and nobody else in this one, does so for the same file. SQLite's lock ends with its holder, so
 * that none is ever stale; the file itself stays, for somebody may be waiting on it.
 * @throws PgdbaError lock_held when the others take too long | io_failed; the signal's reason when aborted
 */
export async function exclusively<T>(
  file: string,
  { what, waitMs, signal }: ExclusiveOptions,
  work: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + waitMs;
  let lock = await takeExclusively(file);
  for (; lock === null; lock = await takeExclusively(file)) {
    signal?.throwIfAborted();
    if (performance.now() > deadline)
      throw new PgdbaError(
        "lock_held",
        `Another process has been busy with ${what} for ${amount(Math.round(waitMs / 1000), "second")}`,
        { retryable: true, hint: "Look for a pgdba that hangs, end it and run again." },
      );
    await Bun.sleep(POLL_MS);
  }
  try {
    return await work();
  } finally {
    lock.release();
  }
}

/** The same right, until it is given back or this process ends; null while another has it. @throws PgdbaError io_failed */
export async function takeExclusively(file: string): Promise<{ release(): void } | null> {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 }).catch((cause: unknown) => {
    throw fileError(dirname(file), cause, "Name a folder that may be written with PGDBA_HOME.");
  });
  const { Database } = await import("bun:sqlite");
  const lock = open(file, () => new Database(file, { create: true }));
  let held = false;
  try {
    held = open(file, () => taken(lock));
    return held ? { release: () => lock.close() } : null;
  } finally {
    if (!held) lock.close();
  }
}

function taken(lock: { run(sql: string): unknown }): boolean {
  try {
    lock.run("BEGIN EXCLUSIVE");
    return true;
  } catch (cause) {
    if ((cause as { code?: string }).code === "SQLITE_BUSY") return false;
    throw cause;
  }
}

/** SQLite has words of its own for what is wrong with a file. */
function open<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? "unknown";
    throw new PgdbaError("io_failed", `${file} can't be locked: ${code}`, {
      cause,
      hint: "It must be a file in a folder that the user who runs pgdba may write.",
    });
  }
}
