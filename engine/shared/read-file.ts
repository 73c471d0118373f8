import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  openSync,
  readFileSync,
  readSync,
  type Stats,
  statSync,
} from "node:fs";
import { type ErrorCode, PgdbaError } from "../errors.ts";

/** The folder of the files that an executable holds in itself: they are read whole, for they can't be opened. */
const WITHIN = Bun.isStandaloneExecutable ? `${import.meta.dir}/` : undefined;

export interface Expected {
  /** A larger file is refused. */
  maxBytes: number;
  /** Code of the error; `io_failed` without it. */
  code?: ErrorCode;
  /** The advice when the file can't be used. */
  hint?: string;
}

/**
 * The bytes of a regular file, or undefined when nothing has that name. Never waits and never reads without end: a FIFO, a device,
 * a socket, a folder, a link that leads nowhere and a file beyond the limit are refused.
 * @throws PgdbaError `code`, with the operating system's word in `data.errno` where it has one (EFBIG beyond the limit)
 */
export function readIfThere(file: string, expected: Expected): Buffer | undefined {
  if (WITHIN !== undefined && file.startsWith(WITHIN)) return ownFile(file);
  return opened(file, expected, (fd) => {
    if (fstatSync(fd).size > expected.maxBytes) throw tooLarge(file, expected);
    return readAll(file, fd, expected);
  });
}

/** The first `length` bytes of a regular file of any size, or undefined when there is none. @throws PgdbaError as `readIfThere` */
export function readHead(file: string, length: number): Buffer | undefined {
  const buffer = Buffer.alloc(length);
  return opened(file, { maxBytes: length }, (fd) =>
    buffer.subarray(0, readSync(fd, buffer, 0, length, 0)),
  );
}

/** The bytes of a regular file. @throws PgdbaError as `readIfThere`, and when there is none */
export function readBytes(file: string, expected: Expected): Buffer {
  const bytes = readIfThere(file, expected);
  if (bytes !== undefined) return bytes;
  const cause = Object.assign(new Error("no such file"), { code: "ENOENT" });
  throw refused(file, "does not exist", expected, cause);
}

/** The UTF-8 text of a regular file, without a byte order mark. @throws PgdbaError as `readBytes` */
export function readText(file: string, expected: Expected): string {
  return decode(file, readBytes(file, expected), expected);
}

/** The same, or undefined when nothing has that name. @throws PgdbaError as `readIfThere` */
export function readTextIfThere(file: string, expected: Expected): string | undefined {
  const bytes = readIfThere(file, expected);
  return bytes && decode(file, bytes, expected);
}

/** The operating system's word for why a file could not be used; undefined when it was not the operating system. */
export function errnoOf(error: unknown): string | undefined {
  const data = error instanceof PgdbaError ? error.data : error;
  if (typeof data !== "object" || data === null) return undefined;
  const { errno, code } = data as { errno?: unknown; code?: unknown };
  return typeof errno === "string" ? errno : typeof code === "string" ? code : undefined;
}

/** The kind of thing that stands in the place of a regular file; undefined for a regular file. */
export function otherKind(stat: Stats): string | undefined {
  if (stat.isFile()) return undefined;
  if (stat.isDirectory()) return "a folder";
  if (stat.isFIFO()) return "a FIFO";
  if (stat.isSocket()) return "a socket";
  if (stat.isSymbolicLink()) return "a symbolic link";
  return "a device";
}

function opened<T>(file: string, expected: Expected, read: (fd: number) => T): T | undefined {
  try {
    // Opening a device may already do something.
    assertRegular(file, statSync(file), expected);
    // It may have become a FIFO since; without O_NONBLOCK, opening one waits for a writer.
    const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      assertRegular(file, fstatSync(fd), expected);
      return read(fd);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if (cause instanceof PgdbaError) throw cause;
    const errno = errnoOf(cause) ?? "unknown";
    if (errno !== "ENOENT") throw refused(file, `can't be read: ${errno}`, expected, cause);
    if (!isLink(file)) return undefined;
    throw refused(file, "is a link that leads nowhere", expected, cause);
  }
}

function ownFile(file: string): Buffer | undefined {
  return existsSync(file) ? readFileSync(file) : undefined;
}

function assertRegular(file: string, stat: Stats, expected: Expected): void {
  const other = otherKind(stat);
  if (other !== undefined) throw refused(file, `is ${other}, not a file`, expected);
}

/** It may grow meanwhile, or say that it has no size, as files of /proc do. */
function readAll(file: string, fd: number, expected: Expected): Buffer {
  let buffer = Buffer.allocUnsafe(Math.min(fstatSync(fd).size, expected.maxBytes) + 1);
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      if (length > expected.maxBytes) throw tooLarge(file, expected);
      const larger = Buffer.allocUnsafe(Math.min(length * 2 + 4096, expected.maxBytes + 1));
      buffer.copy(larger);
      buffer = larger;
    }
    const read = readSync(fd, buffer, length, buffer.length - length, null);
    if (read === 0) return buffer.subarray(0, length);
    length += read;
  }
}

function isLink(file: string): boolean {
  try {
    return lstatSync(file).isSymbolicLink();
  } catch {
    return false;
  }
}

function decode(file: string, bytes: Buffer, expected: Expected): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw refused(file, "is not UTF-8 text", expected, cause);
  }
}

function tooLarge(file: string, expected: Expected): PgdbaError {
  const cause = Object.assign(new Error("file too large"), { code: "EFBIG" });
  return refused(file, `is larger than ${sizeOf(expected.maxBytes)}`, expected, cause);
}

function sizeOf(bytes: number): string {
  if (bytes % 1024 !== 0) return `${bytes} bytes`;
  return bytes % 1048576 === 0 ? `${bytes / 1048576} MB` : `${bytes / 1024} kB`;
}

function refused(file: string, why: string, expected: Expected, cause?: unknown): PgdbaError {
  const errno = errnoOf(cause);
  return new PgdbaError(expected.code ?? "io_failed", `${file} ${why}`, {
    cause,
    hint: expected.hint ?? "Check the path and its permissions; it must be a regular file.",
    data: errno === undefined ? undefined : { errno },
  });
}
