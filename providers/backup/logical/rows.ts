/**
 * Counts the rows of each table in what `pg_restore --data-only --file=-` writes. The text comes from whoever owned the database: it is read
 * and never run, and a name in it counts only when it is written as PostgreSQL writes names.
 */
import { unquoted } from "./names.ts";

export interface TableRows {
  schema: string;
  table: string;
  rows: number;
}

const NEWLINE = 10;
/** A line of data may have a gigabyte; of each line no more is looked at. */
const HEAD = 4096;

export class RowCounter {
  readonly tables: TableRows[] = [];
  #head = Buffer.alloc(HEAD);
  #length = 0;
  #copy: TableRows | null = null;
  #statement = "";

  add(bytes: Uint8Array): void {
    let from = 0;
    while (from < bytes.length) {
      const at = bytes.indexOf(NEWLINE, from);
      const end = at < 0 ? bytes.length : at;
      const space = HEAD - Math.min(this.#length, HEAD);
      if (space > 0)
        this.#head.set(
          bytes.subarray(from, Math.min(end, from + space)),
          Math.min(this.#length, HEAD),
        );
      this.#length += end - from;
      if (at < 0) return;
      this.#ended();
      from = end + 1;
    }
  }

  #ended(): void {
    const length = this.#length;
    this.#length = 0;
    if (this.#copy !== null) {
      // The end of the data is a backslash and a dot alone; a value never is, for its backslash is doubled.
      if (length === 2 && this.#head[0] === 92 && this.#head[1] === 46) this.#copy = null;
      else this.#copy.rows++;
      return;
    }
    const line = this.#head.toString("utf8", 0, Math.min(length, HEAD));
    this.#statement = this.#statement === "" ? line : `${this.#statement}\n${line}`;
    if (!this.#statement.startsWith("COPY ") || this.#statement.length > 10 * HEAD) {
      this.#statement = "";
      return;
    }
    const found = COPY.exec(this.#statement);
    if (found === null) return;
    this.#statement = "";
    this.#copy = { schema: unquoted(found[1]!), table: unquoted(found[2]!), rows: 0 };
    this.tables.push(this.#copy);
  }
}

const NAME = String.raw`("(?:[^"]|"")+"|[a-z_\u0080-\uffff][a-z0-9_$\u0080-\uffff]*)`;
const COPY = new RegExp(String.raw`^COPY ${NAME}\.${NAME} (?:\([\s\S]*\) )?FROM stdin;$`);
