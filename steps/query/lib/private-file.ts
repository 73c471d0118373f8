import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { PgdbaError } from "../../../engine/errors.ts";

/** Writes a file whole or not at all, for its owner alone (0600); one of that name is replaced. @throws PgdbaError io_failed */
export async function writePrivately(file: string, text: string): Promise<void> {
  const temporary = join(dirname(file), `.${basename(file)}.${randomUUID()}`);
  try {
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(text);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw ioFailed(file, error, "Name a file in a folder that exists and may be written to.");
  }
}

export function errno(error: unknown): string {
  return String((error as { code?: unknown } | null)?.code);
}

export function ioFailed(path: string, cause: unknown, hint: string): PgdbaError {
  const code = errno(cause);
  return new PgdbaError("io_failed", `${path}: ${code}`, { cause, hint, data: { errno: code } });
}
