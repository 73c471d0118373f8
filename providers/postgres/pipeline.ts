import type { Connection, Submittable } from "pg";
import { PgdbaError } from "../../engine/errors.ts";
import { type Bounds, boundsOf, MAX_ROW } from "./bounds.ts";

/** The part of pg's connection that a pipeline uses; pg types it more narrowly than it is. */
interface Wire {
  stream: { cork?(): void; uncork?(): void };
  parse(message: { text: string }): void;
  bind(message: { values: [] }): void;
  execute(message: { rows: number }): void;
  sync(): void;
}

/** Bytes of rows that one pipeline keeps. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * Many statements in one round trip: the extended protocol with a single Sync at the end. The server refuses a second statement
 * in any of the texts, starts `statement_timeout` anew for each (postgres.c, exec_execute_message), and skips all that come after
 * one that failed.
 */
export class Pipeline implements Submittable {
  readonly done: Promise<void>;
  /** For each statement that ended: the first column of its rows, as text. */
  readonly columns: (string | null)[][] = [];
  #finish!: () => void;
  #fail!: (error: unknown) => void;
  readonly #texts: readonly string[];
  #rows: (string | null)[] = [];
  #bytes = 0;
  #error: unknown;
  #bounds: Bounds | undefined;

  constructor(texts: readonly string[]) {
    this.#texts = texts;
    this.done = new Promise((finish, fail) => {
      this.#finish = finish;
      this.#fail = fail;
    });
  }

  submit(connection: Connection): void {
    this.#bounds = boundsOf(connection);
    const wire = connection as unknown as Wire;
    wire.stream.cork?.();
    for (const text of this.#texts) {
      wire.parse({ text });
      wire.bind({ values: [] });
      wire.execute({ rows: 0 });
    }
    wire.sync();
    wire.stream.uncork?.();
  }

  handleRowDescription(): void {}

  handleDataRow(message: { fields: (string | null)[]; length: number }): void {
    this.#bytes += message.length;
    // A row without columns stands for one that is too large.
    if (this.#bytes <= MAX_BYTES && message.fields.length > 0) {
      this.#rows.push(message.fields[0] ?? null);
      return;
    }
    if (this.#bounds) this.#bounds.maxRow = 0;
    this.#error ??= new PgdbaError(
      "limit_exceeded",
      "The statements gave more rows, or larger ones, than pgdba keeps",
      { hint: "Limit the rows with LIMIT, and long values with left(column, 1000)." },
    );
  }

  handleCommandComplete(): void {
    this.columns.push(this.#rows);
    this.#rows = [];
  }

  handleEmptyQuery(): void {
    this.handleCommandComplete();
  }

  handleError(error: unknown): void {
    if (this.#bounds) this.#bounds.maxRow = MAX_ROW;
    this.#fail(this.#error ?? error);
  }

  handleReadyForQuery(): void {
    if (this.#bounds) this.#bounds.maxRow = MAX_ROW;
    if (this.#error === undefined) this.#finish();
    else this.#fail(this.#error);
  }
}
