import type { Duplex } from "node:stream";
import type { Sink } from "../../../engine/types.ts";

/** Docker puts both streams of a program into one, each part behind its number and length. */
const HEADER = 8;

/** Hands out what comes, part by part; no more is read until a part is taken. Ends when the stream does. */
export async function readBoth(
  stream: Duplex,
  take: { stdout: Sink; stderr: Sink },
): Promise<void> {
  let pending: Buffer = Buffer.alloc(0);
  let left = 0;
  let sink = take.stdout;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      if (left === 0) {
        if (pending.length < HEADER) break;
        sink = pending[0] === 2 ? take.stderr : take.stdout;
        left = pending.readUInt32BE(4);
        pending = pending.subarray(HEADER);
        continue;
      }
      if (pending.length === 0) break;
      const part = pending.subarray(0, left);
      pending = pending.subarray(part.length);
      left -= part.length;
      await sink(new Uint8Array(part));
    }
  }
}

/** Writes, and waits while the other end does not take more. False when it is closed. */
export async function write(stream: Duplex, bytes: Uint8Array): Promise<boolean> {
  if (stream.destroyed || stream.writableEnded) return false;
  if (stream.write(bytes)) return true;
  await new Promise<void>((resolve) => {
    const done = () => {
      for (const event of ["drain", "close", "error"]) stream.off(event, done);
      resolve();
    };
    for (const event of ["drain", "close", "error"]) stream.once(event, done);
  });
  return !stream.destroyed;
}

/** Keeps the first or the last `maxBytes` of a stream as text. */
export class Kept {
  readonly #maxBytes: number;
  readonly #part: "head" | "tail";
  #parts: Uint8Array[] = [];
  #length = 0;
  truncated = false;

  constructor(maxBytes: number, part: "head" | "tail") {
    this.#maxBytes = maxBytes;
    this.#part = part;
  }

  add(bytes: Uint8Array): void {
    if (this.#part === "head") {
      const room = this.#maxBytes - this.#length;
      if (bytes.length > room) this.truncated = true;
      if (room > 0) this.#push(bytes.subarray(0, room));
      return;
    }
    this.#push(bytes);
    while (this.#parts.length > 0 && this.#length - this.#parts[0]!.length >= this.#maxBytes) {
      this.#length -= this.#parts.shift()!.length;
      this.truncated = true;
    }
  }

  text(): string {
    const all = Buffer.concat(this.#parts);
    if (this.#part === "tail" && all.length > this.#maxBytes) this.truncated = true;
    const bytes = this.#part === "tail" ? all.subarray(-this.#maxBytes) : all;
    // As a stream, so that a character cut in half at the limit is dropped, not garbled.
    return new TextDecoder().decode(bytes, { stream: this.#part === "head" && this.truncated });
  }

  #push(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }
}

/** The frames of both streams put together. */
export function readableLog(bytes: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= bytes.length;) {
    const length = bytes.readUInt32BE(at + 4);
    parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  return Buffer.concat(parts).toString("utf8");
}
