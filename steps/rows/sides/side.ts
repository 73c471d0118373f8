import { PgdbaError } from "../../../engine/errors.ts";
import type { Run } from "../../../providers/postgres/session.ts";

/** Of one batch, as the server sends it: far more than its rows should have. */
const MAX_BYTES = 128 * 1024 * 1024;
/** Batches after which what was read is given back: by itself the runtime would let hundreds of MB of it pile up first. */
const COLLECT = 20;
const CURSOR = "pgdba_rows";

export interface Row {
  [key: `k${number}`]: number | string;
  row: string;
  at: string;
  part: string;
}

/** The rows of one side, a batch of them at a time; the next is asked for while the last is looked at. */
export class Side {
  readonly run: Run;
  readonly #batch: number;
  readonly #signal: AbortSignal;
  #rows: Row[] = [];
  #at = 0;
  #next: Promise<Row[]> | undefined;
  #batches = 0;
  /** Rows that were looked at. */
  seen = 0;

  constructor(run: Run, batch: number, signal: AbortSignal) {
    this.run = run;
    this.#batch = batch;
    this.#signal = signal;
  }

  async open(select: string): Promise<void> {
    await this.run(`DECLARE ${CURSOR} NO SCROLL CURSOR FOR ${select}`);
    this.#ask();
  }

  /** The first row that was not taken; undefined at the end, and where `more` has to be called first. */
  get head(): Row | undefined {
    return this.#rows[this.#at];
  }

  take(): Row {
    const row = this.#rows[this.#at++]!;
    this.seen += 1;
    return row;
  }

  /** Waits for the next batch, where there is one; without it `head` stays undefined. */
  async more(): Promise<void> {
    if (this.#at < this.#rows.length || this.#next === undefined) return;
    this.#rows = await this.#next;
    this.#at = 0;
    this.#next = undefined;
    if (this.#rows.length === this.#batch) this.#ask();
  }

  /** Nothing may be under way when the transaction ends. */
  async settled(): Promise<void> {
    await this.#next?.catch(() => {});
  }

  async close(): Promise<void> {
    await this.settled();
    this.#next = undefined;
    await this.run(`CLOSE ${CURSOR}`);
  }

  #ask(): void {
    this.#next = this.#fetch();
    // It is awaited later.
    this.#next.catch(() => {});
  }

  async #fetch(): Promise<Row[]> {
    this.#batches += 1;
    if (this.#batches % COLLECT === 0) Bun.gc(true);
    const { rows, truncated } = await this.run(`FETCH ${this.#batch} FROM ${CURSOR}`, [], {
      maxRows: this.#batch,
      maxBytes: MAX_BYTES,
      drain: true,
      signal: this.#signal,
    });
    if (!truncated) return rows as unknown as Row[];
    throw new PgdbaError("limit_exceeded", "A row is too large to be compared", {
      hint: "Narrow the rows with --where.",
    });
  }
}
