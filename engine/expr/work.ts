import { PgdbaError } from "../errors.ts";

const MAX_WORK = 1_000_000;
const MAX_TEXT = 1024 * 1024;

/** Counts the work that one evaluation may still do. Bounds time and memory: 1,000,000 units take well under half a second. */
export class Work {
  #left = MAX_WORK;

  /** A unit is about one visit of a node of the expression. @throws PgdbaError limit_exceeded */
  charge(units: number): void {
    this.#left -= units;
    if (this.#left < 0) {
      throw new PgdbaError(
        "limit_exceeded",
        `the expression did more than ${MAX_WORK} units of work`,
        {
          hint: "Filter, join or aggregate in SQL, so that fewer rows reach the expression.",
        },
      );
    }
  }

  /** Charges for a text about to be made. @throws PgdbaError limit_exceeded */
  text(length: number): void {
    this.total(length);
    this.charge(length >> 6);
  }

  /** Refuses a text of more than 1 MiB. @throws PgdbaError limit_exceeded */
  total(length: number): void {
    if (length <= MAX_TEXT) return;
    throw new PgdbaError("limit_exceeded", `the text is longer than ${MAX_TEXT} characters`, {
      hint: "Write less: select fewer rows, or cut the value before it is used.",
    });
  }
}
