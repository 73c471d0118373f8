import type { Connection, Submittable } from "pg";
import { PgdbaError } from "../../engine/errors.ts";
import type { Json, JsonObject } from "../../engine/types.ts";
import { type Bounds, boundsOf, MAX_ROW } from "./bounds.ts";
import { encode, parserOf, typeName } from "./values.ts";

export interface Field {
  name: string;
  /** PostgreSQL's type name, or its OID as text for one that is not built in. */
  type: string;
}

export interface QueryResult {
  rows: JsonObject[];
  /** Rows given or touched; with `truncated`, those that were kept. */
  row_count: number;
  fields: Field[];
  /** The server's word for what it did: `SELECT`, `UPDATE`, `CREATE TABLE`. */
  command: string;
  /** True when there were more rows than were kept. */
  truncated: boolean;
}

export interface Limits {
  maxRows: number;
  /** Bytes of the rows as they came over the wire. */
  maxBytes: number;
  /** Let the statement run to its end when a limit is reached, dropping the rest; otherwise it is left unfinished. */
  drain: boolean;
}

/** Rows asked for at once, at most and at first: then as many as make up a good piece of the bytes that are kept. */
const BATCH = 1000;
const FIRST_BATCH = 100;
const BATCH_BYTES = 1024 * 1024;

/** The part of pg's connection that a statement uses. */
interface Wire {
  stream: { cork?(): void; uncork?(): void };
  parse(message: { text: string }): void;
  bind(message: { values: (string | null)[] }): void;
  describe(message: { type: "P" }): void;
  execute(message: { rows: number }): void;
  flush(): void;
  sync(): void;
  sendCopyFail(message: string): void;
  on(event: "bindComplete", listener: () => void): void;
  off(event: "bindComplete", listener: () => void): void;
}

/**
 * Sends one statement by the extended protocol, in which the server itself refuses a second statement in the same text. Rows are fetched
 * in batches, and neither more rows nor more bytes than the limits are kept, whatever the statement yields.
 */
export class Statement implements Submittable {
  readonly done: Promise<QueryResult>;
  #finish!: (result: QueryResult) => void;
  #fail!: (error: unknown) => void;
  /** Is called when no more of the answer is of use, however much of it is still to come. */
  onHopeless: (() => void) | undefined;
  readonly #text: string;
  readonly #values: (string | null)[];
  readonly #limits: Limits;
  readonly #result: QueryResult = {
    rows: [],
    row_count: 0,
    fields: [],
    command: "",
    truncated: false,
  };
  #names: string[] = [];
  #parsers: ((text: string) => Json)[] = [];
  #seen = 0;
  #bytes = 0;
  #synced = false;
  #error: unknown;
  #bounds: Bounds | undefined;
  /** The number of sent texts that the server has not accepted yet. */
  #unaccepted: number;
  readonly #onAccept = (): void => void this.#unaccepted--;
  readonly #before: string | undefined;
  /** True until what comes before the statement has ended. */
  #waiting: boolean;

  /** `before` is a statement of ours that is sent along: both are then one transaction, without a round trip of its own. */
  constructor(text: string, values: readonly unknown[], limits: Limits, before?: string) {
    this.#text = text;
    this.#before = before;
    this.#waiting = before !== undefined;
    this.#unaccepted = before === undefined ? 1 : 2;
    this.#values = values.map(encode);
    this.#limits = limits;
    this.done = new Promise((finish, fail) => {
      this.#finish = finish;
      this.#fail = fail;
    });
  }

  /** True once the server has parsed the statement and taken its values: from then on it may have acted. */
  get accepted(): boolean {
    return this.#unaccepted === 0;
  }

  submit(connection: Connection): void {
    const wire = wireOf(connection);
    this.#bounds = boundsOf(connection);
    if (this.#bounds) this.#bounds.maxRow = this.#limits.maxBytes;
    wire.on("bindComplete", this.#onAccept);
    wire.stream.cork?.();
    if (this.#before !== undefined) {
      wire.parse({ text: this.#before });
      wire.bind({ values: [] });
      wire.execute({ rows: 0 });
    }
    wire.parse({ text: this.#text });
    wire.bind({ values: this.#values });
    wire.describe({ type: "P" });
    if (this.#limits.drain) {
      // The server commits when it comes to the Sync: sent along, it does so also when this process is gone by then.
      wire.execute({ rows: 0 });
      this.#sync(connection);
    } else this.#fetch(wire);
    wire.stream.uncork?.();
  }

  #fetch(wire: Wire): void {
    // One row more than is kept: if it comes, there are more.
    const wanted = this.#limits.maxRows - this.#result.rows.length + 1;
    wire.execute({ rows: Math.min(wanted, this.#batch()) });
    wire.flush();
  }

  #batch(): number {
    if (this.#seen === 0) return FIRST_BATCH;
    const size = this.#bytes / this.#seen;
    return Math.min(BATCH, Math.max(1, Math.floor(BATCH_BYTES / size)));
  }

  #sync(connection: Connection): void {
    if (!this.#synced) wireOf(connection).sync();
    this.#synced = true;
  }

  handleRowDescription(message: { fields: { name: string; dataTypeID: number }[] }): void {
    this.#result.fields = message.fields.map((field) => ({
      name: field.name,
      type: typeName(field.dataTypeID),
    }));
    this.#names = unique(message.fields.map((field) => field.name));
    this.#parsers = message.fields.map((field) => parserOf(field.dataTypeID));
  }

  handleDataRow(message: { fields: (string | null)[]; length: number }): void {
    if (this.#waiting) return;
    const result = this.#result;
    const cut = message.fields.length < this.#names.length;
    this.#seen++;
    this.#bytes += message.length;
    if (cut && result.rows.length === 0 && !this.#limits.drain)
      this.#error ??= rowTooLarge(this.#limits.maxBytes);
    if (cut || result.rows.length >= this.#limits.maxRows || this.#bytes > this.#limits.maxBytes)
      this.#truncate();
    if (result.truncated || this.#error !== undefined) return;
    try {
      const entries = message.fields.map((text, index): [string, Json] => [
        this.#names[index] ?? "",
        text === null ? null : (this.#parsers[index]?.(text) ?? text),
      ]);
      result.rows.push(Object.fromEntries(entries));
    } catch (cause) {
      this.#error = new PgdbaError("query_failed", "A value of the result can't be read", {
        hint: "Cast the column to text in the query.",
        cause,
      });
    }
  }

  /** Drops everything that comes from now on, before the library keeps it. */
  #truncate(): void {
    this.#result.truncated = true;
    if (this.#bounds) this.#bounds.maxRow = 0;
  }

  #ended(): void {
    if (this.#bounds) this.#bounds.maxRow = MAX_ROW;
  }

  handlePortalSuspended(connection: Connection): void {
    if (this.#result.truncated) this.#sync(connection);
    else this.#fetch(wireOf(connection));
  }

  handleCommandComplete(message: { text: string }, connection: Connection): void {
    if (this.#waiting) {
      this.#waiting = false;
      return;
    }
    const words = message.text.split(" ");
    const count = Number(words.at(-1));
    this.#result.command = words.filter((word) => !/^\d+$/.test(word)).join(" ");
    // The tag of a SELECT counts the last batch only.
    const hasRows = this.#result.fields.length > 0;
    this.#result.row_count = hasRows
      ? this.#seen
      : words.length > 1 && Number.isInteger(count)
        ? count
        : 0;
    this.#sync(connection);
  }

  handleEmptyQuery(connection: Connection): void {
    this.#error = new PgdbaError("query_failed", "The statement is empty", {
      hint: "Write one SQL statement.",
    });
    this.#sync(connection);
  }

  handleCopyInResponse(connection: Connection): void {
    this.#error = new PgdbaError("unsupported", "COPY FROM STDIN gets no data here", {
      hint: "Use INSERT, or COPY from a file.",
    });
    // A Sync that came while the server waits for data counts for nothing.
    this.#synced = false;
    wireOf(connection).sendCopyFail("no data");
  }

  handleCopyData(): void {
    if (this.#error !== undefined) return;
    this.#error = new PgdbaError("unsupported", "COPY TO STDOUT gives no rows", {
      hint: "Use a query, or COPY to a file.",
    });
    this.onHopeless?.();
  }

  handleError(error: unknown, connection: Connection): void {
    wireOf(connection).off("bindComplete", this.#onAccept);
    this.#sync(connection);
    this.#ended();
    this.#fail(this.#error ?? error);
  }

  handleReadyForQuery(connection: Connection): void {
    wireOf(connection).off("bindComplete", this.#onAccept);
    this.#ended();
    if (this.#error !== undefined) return this.#fail(this.#error);
    const result = this.#result;
    if (result.truncated && !this.#limits.drain) result.row_count = result.rows.length;
    this.#finish(result);
  }
}

function rowTooLarge(maxBytes: number): PgdbaError {
  const limit = `${Math.floor(maxBytes / 1024 / 1024)} MB`;
  return new PgdbaError("limit_exceeded", `The first row of the result is larger than ${limit}`, {
    hint: "Select fewer columns, or a part of a long value: left(column, 1000), length(column).",
  });
}

/** pg types its connection more narrowly than it is. */
function wireOf(connection: Connection): Wire {
  return connection as unknown as Wire;
}

/** Column names made distinct, so that `SELECT a.id, b.id` loses nothing: `id`, `id_2`. */
function unique(names: string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    let candidate = name;
    for (let n = 2; taken.has(candidate); n++) candidate = `${name}_${n}`;
    taken.add(candidate);
    return candidate;
  });
}
