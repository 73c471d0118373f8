import { type FileHandle, open } from "node:fs/promises";
import { release } from "../../../engine/shared/release.ts";
import { fileError } from "../../../engine/shared/write-file.ts";
import type { Bytes, Repository, Signalled } from "../../repository/contract.ts";
import { keyOf, walName } from "../../repository/layout.ts";
import { damagedSegment } from "./damaged-segment.ts";
import { contentBytesIn } from "../frames/cutter.ts";
import { isLater } from "../origins.ts";
import type { NodeRepository } from "../work.ts";
import { assertOwnSegment, isSegment } from "./header.ts";

/** Segments up to this size are handled in memory. */
export const SMALL = 32 * 1024 * 1024;

/**
 * Writes the file of that name to `target`, from the first part that has it. Its bytes, or null when the repository says that none has.
 * @throws PgdbaError repository_failed | step_refused | io_failed; what was written by then stays
 */
export async function bring(
  repository: Repository,
  { read }: NodeRepository,
  file: string,
  { target, signal }: Signalled & { target: string },
): Promise<number | null> {
  for (const key of read) {
    if (isLater(file, key.until)) continue;
    const name = walName(key, file);
    const stored = await repository.read(name, { signal });
    if (stored === null) continue;
    const content = name.endsWith(".zst") ? plain(stored, `${keyOf(key)}/${file}`) : stored;
    const { head, size } = await write(target, content);
    if (isSegment(file)) assertOwnSegment(head, { file, size, key });
    return size;
  }
  return null;
}

/** A small one at once, which takes half of the time that a stream takes, and spares the start of `wal get` the load of node's zlib. */
async function* plain(stored: Bytes, name: string): Bytes {
  const parts = stored[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let bytes = 0;
  let ended = false;
  try {
    while (!ended && bytes <= SMALL && (bytes === 0 || isSmall(first[0]!))) {
      const part = await parts.next();
      if (part.done) ended = true;
      else if (part.value.length > 0) first.push(part.value);
      bytes += part.done ? 0 : part.value.length;
    }
    if (ended) {
      const whole = Buffer.concat(first.splice(0));
      // No bytes are no frame, which is not an error to Bun.
      if (whole.length === 0) throw damagedSegment(name, new Error("it is empty"));
      const content = await Bun.zstdDecompress(whole).catch((cause: unknown) => {
        throw damagedSegment(name, cause);
      });
      yield content;
      release(content);
      return;
    }
    const { decompressed } = await import("./zstd.ts");
    const rest = async function* (): Bytes {
      yield* first.splice(0);
      for (let part = await parts.next(); !part.done; part = await parts.next()) yield part.value;
    };
    yield* decompressed(rest(), name);
  } finally {
    await parts.return?.();
  }
}

const isSmall = (head: Uint8Array): boolean => (contentBytesIn(head) ?? Infinity) <= SMALL;

async function write(path: string, content: Bytes): Promise<{ head: Uint8Array; size: number }> {
  let head: Uint8Array = new Uint8Array(0);
  let size = 0;
  const file = await open(path, "w", 0o600).catch((error: unknown) => {
    throw fileError(path, error);
  });
  try {
    for await (const part of content) {
      if (head.length < 64) head = Buffer.concat([head, part.subarray(0, 64)]);
      size += part.length;
      await writeAll(file, part).catch((error: unknown) => {
        throw fileError(path, error);
      });
    }
  } finally {
    await file.close();
  }
  return { head, size };
}

async function writeAll(file: FileHandle, part: Uint8Array): Promise<void> {
  for (let at = 0; at < part.length;)
    at += (await file.write(part, at, part.length - at)).bytesWritten;
}
