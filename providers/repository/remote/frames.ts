/**
 * The protocol between a pgdba and `pgdba work serve` beside a repository that it can't reach itself. A frame is its length, the number of the
 * call that it belongs to (4 bytes each, big-endian), its kind (1 byte), and the content. Calls go on side by side.
 *
 * Each end may have so many parts of a stream on the way that the other has not asked for yet; `more` asks for the next one.
 */
import type { Bytes } from "../contract.ts";

/** `call`, `result` and `error` hold JSON; `part` holds bytes; `end` and `more` nothing. `break`: the stream, or the call, is given up. */
const KINDS = ["call", "part", "end", "break", "more", "result", "error"] as const;
export type Kind = (typeof KINDS)[number];

export interface Frame {
  call: number;
  kind: Kind;
  content: Uint8Array;
}

/** Parts of a stream on the way that nobody has asked for yet. */
const AHEAD = 8;
const PART_BYTES = 256 * 1024;
const HEAD = 9;
const LONGEST = 4 * 1024 * 1024;

export function frame(
  call: number,
  kind: Kind,
  content: Uint8Array = new Uint8Array(0),
): Uint8Array {
  const bytes = new Uint8Array(HEAD + content.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, content.length);
  view.setUint32(4, call);
  bytes[8] = KINDS.indexOf(kind);
  bytes.set(content, HEAD);
  return bytes;
}

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
export const fromJson = (bytes: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(bytes));

/** Takes bytes as they come, and gives the frames that are whole. */
export class Frames {
  #rest: Uint8Array = new Uint8Array(0);

  *take(bytes: Uint8Array): Iterable<Frame> {
    this.#rest = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEAD) {
      const view = new DataView(this.#rest.buffer, this.#rest.byteOffset);
      const length = view.getUint32(0);
      const kind = KINDS[this.#rest[8]!];
      if (kind === undefined || length > LONGEST) throw new Error("this is no frame");
      if (this.#rest.length < HEAD + length) return;
      const content = this.#rest.slice(HEAD, HEAD + length);
      this.#rest = this.#rest.subarray(HEAD + length);
      yield { call: view.getUint32(4), kind, content };
    }
  }
}

/** Parts that are small enough for a frame. */
export async function* inParts(content: Bytes): Bytes {
  for await (const part of content)
    for (let at = 0; at < part.length; at += PART_BYTES) yield part.subarray(at, at + PART_BYTES);
}

/** Waits until the other end asks for more. */
export class Credit {
  #left = AHEAD;
  #waiting: PromiseWithResolvers<void> | undefined;
  #broken: { error: unknown } | undefined;

  async spend(): Promise<void> {
    while (this.#left === 0 && this.#broken === undefined) {
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
    if (this.#broken !== undefined) throw this.#broken.error;
    this.#left--;
  }

  more(): void {
    this.#left++;
    this.#waiting?.resolve();
  }

  breakOff(error: unknown): void {
    this.#broken ??= { error };
    this.#waiting?.resolve();
  }
}

/** Parts that were given, handed out one by one. */
export class Incoming {
  readonly #parts: Uint8Array[] = [];
  #ended: { error?: unknown } | undefined;
  #waiting: PromiseWithResolvers<void> | undefined;

  give(part: Uint8Array): void {
    this.#parts.push(part);
    this.#waiting?.resolve();
  }

  end(): void {
    this.#ended ??= {};
    this.#waiting?.resolve();
  }

  fail(error: unknown): void {
    this.#ended ??= { error };
    this.#waiting?.resolve();
  }

  async *parts(taken: () => void): Bytes {
    for (;;) {
      const part = this.#parts.shift();
      if (part !== undefined) {
        taken();
        yield part;
        continue;
      }
      if (this.#ended !== undefined) {
        if ("error" in this.#ended) throw this.#ended.error;
        return;
      }
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
  }
}
