/**
 * Reads the tar files that PostgreSQL makes (ustar, names of at most 99 bytes, sizes beyond 8 GB in base 256), and refuses what could reach beyond the
 * folder that it is meant for.
 */
import { PgdbaError } from "../../engine/errors.ts";
import { damaged } from "./damaged.ts";

export interface TarEntry {
  /** Relative, without `.`, `..` and empty parts. */
  path: string;
  kind: "file" | "folder" | "link";
  bytes: number;
  mode: number;
  /** Seconds since 1970. */
  modified: number;
  /** Of a link: where it points, which may be anywhere. */
  target: string;
  /** The content of a file. What is not read of it is passed over. */
  content: AsyncIterable<Uint8Array>;
}

const BLOCK = 512;

/** The entries, one after the other; each is done with before the next is asked for. @throws PgdbaError step_refused | backup_damaged */
export async function* tarEntries(
  bytes: AsyncIterable<Uint8Array>,
  what: string,
): AsyncGenerator<TarEntry> {
  const read = new Blocks(bytes, what);
  try {
    for (;;) {
      const header = await read.block();
      if (header === null) throw damaged(what, "it ends too early");
      if (header.every((byte) => byte === 0)) break;
      const entry = entryOf(header, what);
      let left = entry.bytes;
      const content = (async function* () {
        while (left > 0) {
          const piece = await read.some(left);
          left -= piece.length;
          yield piece;
        }
      })();
      yield { ...entry, content };
      while (left > 0) left -= (await read.some(left)).length;
      await read.skip((BLOCK - (entry.bytes % BLOCK)) % BLOCK);
    }
    // Nothing but zeros may follow, which are read so that all of the file was.
    for (let rest = await read.block(); rest !== null; rest = await read.block())
      if (rest.some((byte) => byte !== 0)) throw damaged(what, "something follows its end");
  } finally {
    // Whoever stops in the middle does not leave a file open.
    await read.close();
  }
}

const KINDS: Record<string, TarEntry["kind"]> = {
  "0": "file",
  "\0": "file",
  "2": "link",
  "5": "folder",
};

function entryOf(header: Buffer, what: string): Omit<TarEntry, "content"> {
  let sum = 0;
  for (let at = 0; at < BLOCK; at += 1) sum += at >= 148 && at < 156 ? 32 : header[at]!;
  if (sum !== numberAt(header, 148, 8)) throw damaged(what, "a header does not match its checksum");
  const name = textAt(header, 0, 100);
  const prefix = header.toString("latin1", 257, 262) === "ustar" ? textAt(header, 345, 155) : "";
  const path = safe(prefix === "" ? name : `${prefix}/${name}`, what);
  const kind = KINDS[String.fromCharCode(header[156]!)];
  if (kind === undefined) throw damaged(what, `${path} is neither file, folder nor link`);
  const bytes = kind === "file" ? numberAt(header, 124, 12) : 0;
  if (!Number.isSafeInteger(bytes) || bytes < 0) throw damaged(what, `${path} has no size`);
  return {
    path,
    kind,
    bytes,
    mode: numberAt(header, 100, 8) & 0o7777,
    modified: numberAt(header, 136, 12),
    target: kind === "link" ? textAt(header, 157, 100) : "",
  };
}

function textAt(header: Buffer, at: number, length: number): string {
  const zero = header.indexOf(0, at);
  return header.toString("utf8", at, zero === -1 || zero > at + length ? at + length : zero);
}

/** Octal, or base 256 where the first bit is set. */
function numberAt(header: Buffer, at: number, length: number): number {
  if ((header[at]! & 0x80) === 0) {
    const text = header
      .toString("latin1", at, at + length)
      .replace(/[\0 ]+$/, "")
      .trim();
    return text === "" ? 0 : /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : NaN;
  }
  let value = header[at]! & 0x7f;
  for (let next = at + 1; next < at + length; next += 1) value = value * 256 + header[next]!;
  return value;
}

/** @throws PgdbaError step_refused for a path that leaves the folder */
function safe(path: string, what: string): string {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  if (!path.startsWith("/") && !parts.includes("..") && !path.includes("\0"))
    return parts.join("/");
  throw new PgdbaError(
    "step_refused",
    `${what} holds the path ${JSON.stringify(path)}, which leaves its folder`,
    {
      hint: "PostgreSQL makes no such backup: somebody has changed it. Use another one.",
    },
  );
}

class Blocks {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #what: string;
  #piece: Uint8Array = new Uint8Array();

  constructor(bytes: AsyncIterable<Uint8Array>, what: string) {
    this.#source = bytes[Symbol.asyncIterator]();
    this.#what = what;
  }

  /** Null at the end. */
  async block(): Promise<Buffer | null> {
    if (!(await this.#fill())) return null;
    if (this.#piece.length >= BLOCK) return Buffer.from(this.#cut(BLOCK));
    const block = Buffer.alloc(BLOCK);
    for (let filled = 0; filled < BLOCK;) {
      const part = await this.some(BLOCK - filled);
      block.set(part, filled);
      filled += part.length;
    }
    return block;
  }

  /** One byte at least, `most` at most. */
  async some(most: number): Promise<Uint8Array> {
    if (!(await this.#fill())) throw damaged(this.#what, "it ends too early");
    return this.#cut(Math.min(most, this.#piece.length));
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0;) left -= (await this.some(left)).length;
  }

  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #cut(count: number): Uint8Array {
    const part = this.#piece.subarray(0, count);
    this.#piece = this.#piece.subarray(count);
    return part;
  }

  async #fill(): Promise<boolean> {
    while (this.#piece.length === 0) {
      const { done, value } = await this.#source.next();
      if (done) return false;
      this.#piece = value;
    }
    return true;
  }
}
