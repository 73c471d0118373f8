import type { Socket } from "node:net";
import type { Client } from "pg";
import { PgdbaError } from "../../../engine/errors.ts";
import { release } from "../../../engine/shared/release.ts";
import { reasonOf } from "../channel.ts";
import { fromPostgres } from "../errors.ts";

export interface Message {
  type: number;
  body: Buffer;
}

const HEADER = 5;
/** Nothing that a server sends here is larger: copied data comes in pieces of some 32 kB, the history of a timeline in one row. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** Bytes that wait to be taken; beyond that the socket is told to pause, so that the server waits. */
const HIGH_WATER = 4 * 1024 * 1024;

/**
 * The messages of a server, one after the other and as fast as they are taken: a base backup is far larger than memory. The library makes the
 * connection (TLS, SCRAM), and hands the socket over once it is ready; it keeps all that comes.
 */
export class Wire {
  readonly #socket: Socket;
  readonly #doing: string;
  readonly #chunks: Buffer[] = [];
  /** All of them was handed out with the last message. */
  readonly #read: Buffer[] = [];
  /** A message that came in several chunks. */
  #joined = Buffer.allocUnsafeSlow(64 * 1024);
  #waiting = 0;
  #at = 0;
  #paused = false;
  #end: PgdbaError | undefined;
  #wake: (() => void) | undefined;

  constructor(client: Client, doing: string) {
    const socket = client.connection.stream as Socket;
    this.#socket = socket;
    this.#doing = doing;
    socket.removeAllListeners("data");
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#waiting += chunk.length;
      if (this.#waiting >= HIGH_WATER && !this.#paused) {
        this.#paused = true;
        socket.pause();
      }
      this.#wake?.();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => this.#fail({ code: "ECONNRESET", message: "the connection ended" }));
  }

  /** It is good until the next one is asked for. @throws PgdbaError connection_failed, or the signal's reason */
  async next(signal?: AbortSignal): Promise<Message> {
    for (const chunk of this.#read.splice(0)) release(chunk);
    const header = await this.#take(HEADER, signal);
    const length = header.readUInt32BE(1) - 4;
    if (length < 0 || length > MAX_MESSAGE)
      throw new PgdbaError("connection_failed", `${this.#doing}: the answer is no message`, {
        hint: "Check host and port: is it a PostgreSQL server, or a pooler for one?",
      });
    const type = header[0]!;
    return { type, body: length === 0 ? EMPTY : await this.#take(length, signal) };
  }

  /** Waits where the server takes no more. */
  async send(type: string, body: Uint8Array): Promise<void> {
    const header = Buffer.alloc(HEADER);
    header.write(type, "latin1");
    header.writeUInt32BE(body.length + 4, 1);
    if (this.#end) throw this.#end;
    if (this.#socket.write(Buffer.concat([header, body]))) return;
    await new Promise<void>((done) => {
      this.#socket.once("drain", done);
      this.#wake = done;
    });
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async #take(count: number, signal: AbortSignal | undefined): Promise<Buffer> {
    while (this.#waiting < count) {
      if (signal?.aborted) throw reasonOf(signal);
      if (this.#end) throw this.#end;
      await this.#more(signal);
    }
    this.#waiting -= count;
    if (this.#paused && this.#waiting < HIGH_WATER / 2) {
      this.#paused = false;
      this.#socket.resume();
    }
    const first = this.#chunks[0]!;
    if (first.length - this.#at >= count) return this.#cut(first, count);
    if (this.#joined.length < count) this.#joined = Buffer.allocUnsafeSlow(count);
    const whole = this.#joined.subarray(0, count);
    for (let filled = 0; filled < count;) {
      const chunk = this.#chunks[0]!;
      const part = this.#cut(chunk, Math.min(count - filled, chunk.length - this.#at));
      part.copy(whole, filled);
      filled += part.length;
    }
    return whole;
  }

  #cut(chunk: Buffer, count: number): Buffer {
    const part = chunk.subarray(this.#at, this.#at + count);
    this.#at += count;
    if (this.#at === chunk.length) {
      this.#read.push(this.#chunks.shift()!);
      this.#at = 0;
    }
    return part;
  }

  #more(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((done) => {
      const wake = () => {
        this.#wake = undefined;
        signal?.removeEventListener("abort", wake);
        done();
      };
      this.#wake = wake;
      signal?.addEventListener("abort", wake, { once: true });
    });
  }

  #fail(error: unknown): void {
    this.#end ??= fromPostgres(error, this.#doing);
    this.#wake?.();
  }
}

const EMPTY = Buffer.alloc(0);
