import type { Client } from "pg";
import { PgdbaError } from "../../engine/errors.ts";

/** The largest row that is read where a statement asks for no other bound, in bytes. */
export const MAX_ROW = 16 * 1024 * 1024;
/** Kept of each field of an error or a notice: its message, its detail, its context. */
const MAX_FIELD = 8 * 1024;
/** Kept of all fields of one together. */
const MAX_FIELDS = 64 * 1024;
/** Nothing else that a server sends is as large: the description of 1,600 columns has 140 kB. */
const MAX_OTHER = 1024 * 1024;

const HEADER = 5;
const [DATA_ROW, COPY_DATA, ERROR, NOTICE, NOTIFICATION, READY] = [..."DdENAZ"].map((letter) =>
  letter.charCodeAt(0),
);
const EMPTY = Buffer.alloc(0);

type Forward = (bytes: Buffer) => void;

/**
 * Stands between the socket and the library, which keeps a message whole before it gives it to anybody: what is too large is cut as it
 * arrives. A row beyond `maxRow` comes as one without columns, the fields of an error or a notice are cut and say so, of
 * copied data only the first piece comes, empty.
 */
export class Bounds {
  maxRow = MAX_ROW;
  readonly #server: string;
  /** The first bytes of a message whose header has not come whole. */
  #head = EMPTY;
  /** Bytes of the message under way that have not come yet. */
  #left = 0;
  #fate: "pass" | "drop" | Fields = "pass";
  #copying = false;

  constructor(server: string) {
    this.#server = server;
  }

  /** Hands on what of `chunk` the library may have. @throws PgdbaError connection_failed when it is not PostgreSQL's protocol */
  push(chunk: Buffer, forward: Forward): void {
    let rest = chunk;
    // From here on it is handed on as it came.
    let passed = 0;
    const flush = (end: number) => {
      if (end > passed) forward(rest.subarray(passed, end));
      passed = end;
    };
    let at = 0;
    while (at < rest.length) {
      if (this.#left === 0) {
        if (rest.length - at < HEADER - this.#head.length) {
          flush(at);
          this.#head = Buffer.concat([this.#head, rest.subarray(at)]);
          return;
        }
        if (this.#head.length > 0) {
          rest = Buffer.concat([this.#head, rest]);
          this.#head = EMPTY;
        }
        const replacement = this.#begin(rest[at]!, rest.readUInt32BE(at + 1));
        if (replacement !== undefined) {
          flush(at);
          passed = at + HEADER;
          if (replacement.length > 0) forward(replacement);
        }
        at += HEADER;
        if (this.#left === 0) continue;
      }
      const end = Math.min(rest.length, at + this.#left);
      this.#left -= end - at;
      if (this.#fate !== "pass") {
        if (this.#fate !== "drop") {
          this.#fate.take(rest.subarray(at, end));
          if (this.#left === 0) forward(this.#fate.message());
        }
        passed = end;
      }
      at = end;
    }
    flush(at);
  }

  /** @returns what is handed on in place of the message; undefined for itself */
  #begin(type: number, length: number): Buffer | undefined {
    const body = length - 4;
    this.#left = body;
    this.#fate = "pass";
    if (type === DATA_ROW && body > this.maxRow) return this.#drop(rowWithoutColumns());
    if (type === COPY_DATA) {
      const first = !this.#copying;
      this.#copying = true;
      return this.#drop(first ? message(type, EMPTY) : EMPTY);
    }
    if (type === READY) this.#copying = false;
    if (type === NOTIFICATION && body > MAX_FIELD) return this.#drop(EMPTY);
    if ((type === ERROR || type === NOTICE) && body > MAX_FIELD) {
      this.#fate = new Fields(type);
      return EMPTY;
    }
    if (body >= 0 && (body <= MAX_OTHER || type === DATA_ROW)) return undefined;
    throw new PgdbaError(
      "connection_failed",
      `${this.#server} does not speak PostgreSQL's protocol`,
      { hint: "Check host and port: is it a PostgreSQL server, or a pooler for one?" },
    );
  }

  #drop(replacement: Buffer): Buffer {
    this.#fate = "drop";
    return replacement;
  }
}

/** The fields of an error or a notice, each of them cut. */
class Fields {
  readonly #type: number;
  readonly #kept: Buffer[] = [];
  #total = 0;
  #open = false;
  /** Counts for the current field: bytes that count towards the limit, bytes kept, and bytes received. */
  #length = 0;
  #keptOfIt = 0;
  #seen = 0;

  constructor(type: number) {
    this.#type = type;
  }

  take(bytes: Buffer): void {
    for (let at = 0; at < bytes.length;) {
      if (!this.#open) {
        this.#keep(bytes.subarray(at, at + 1));
        this.#open = bytes[at] !== 0;
        this.#length = this.#keptOfIt = this.#seen = 0;
        at += 1;
        continue;
      }
      const zero = bytes.indexOf(0, at);
      const end = zero === -1 ? bytes.length : zero;
      const part = bytes.subarray(at, this.#cut(bytes, at, end));
      this.#seen += end - at;
      this.#length = part.length < end - at ? MAX_FIELD : this.#length + part.length;
      this.#keptOfIt += part.length;
      this.#keep(part);
      at = end;
      if (zero === -1) return;
      if (this.#seen > this.#keptOfIt) this.#keep(Buffer.from(` … (cut: ${this.#seen} bytes)`));
      this.#keep(bytes.subarray(zero, zero + 1));
      this.#open = false;
      at += 1;
    }
  }

  /** Finds the place to cut a text that begins at `at`: between two characters of UTF-8. */
  #cut(bytes: Buffer, at: number, end: number): number {
    const room = MAX_FIELD - this.#length;
    if (end - at <= room) return end;
    let cut = at + room;
    while (cut > at && (bytes[cut]! & 0xc0) === 0x80) cut -= 1;
    return cut;
  }

  message(): Buffer {
    return message(this.#type, Buffer.concat([...this.#kept, Buffer.alloc(2)]));
  }

  #keep(bytes: Buffer): void {
    // Beyond that it is no longer for people to read.
    if (this.#total + bytes.length > MAX_FIELDS) return;
    this.#total += bytes.length;
    // A copy: the chunk is large and goes.
    this.#kept.push(Buffer.from(bytes));
  }
}

function message(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER);
  header[0] = type;
  header.writeUInt32BE(body.length + 4, 1);
  return Buffer.concat([header, body]);
}

function rowWithoutColumns(): Buffer {
  return message(DATA_ROW!, Buffer.alloc(2));
}

const known = new WeakMap<object, Bounds>();

/** Has the bounds watch what this client's server sends, from the first byte on. */
export function bound(client: Client, server: string): void {
  const connection = client.connection as unknown as Watched;
  const bounds = new Bounds(server);
  known.set(connection, bounds);
  const attach = connection.attachListeners.bind(connection);
  connection.attachListeners = (stream) =>
    attach({
      on(event, listener) {
        if (event !== "data") return stream.on(event, listener);
        return stream.on("data", (chunk) => {
          try {
            bounds.push(chunk as Buffer, listener);
          } catch (error) {
            connection.emit("error", error);
            stream.destroy();
          }
        });
      },
      destroy: () => stream.destroy(),
    });
}

/** The bounds of a connection, where it has some. */
export function boundsOf(connection: object): Bounds | undefined {
  return known.get(connection);
}

interface Stream {
  on(event: string, listener: (chunk: Buffer) => void): unknown;
  destroy(): unknown;
}

/** The part of pg's connection that is watched; pg types it more narrowly than it is. */
interface Watched {
  attachListeners(stream: Stream): unknown;
  emit(event: "error", error: unknown): boolean;
}
