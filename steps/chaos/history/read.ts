import { closeSync, openSync, readSync } from "node:fs";
import { PgdbaError } from "../../../engine/errors.ts";
import { fileError } from "../../../engine/shared/write-file.ts";
import type { Header, Visitor } from "./lines.ts";

const CHUNK = 1024 * 1024;
const NEWLINE = 10;
const SPACE = 32;
const ZERO = 48;

/** The numbers that a line of this letter has at least; letters of texts are not among them. */
const LEAST: Record<string, number> = { u: 1, o: 7, f: 6, i: 6, x: 3, c: 3, s: 4, l: 6 };

/** Reads a history from its beginning; see lines.ts. @throws PgdbaError io_failed | step_failed for a line that is none */
export function readHistory(file: string, visitor: Visitor): void {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (error) {
    throw fileError(file, error);
  }
  try {
    const lines = new Lines(visitor);
    let buffer = Buffer.allocUnsafe(CHUNK);
    let kept = 0;
    for (;;) {
      if (kept === buffer.length) {
        const larger = Buffer.allocUnsafe(buffer.length * 2);
        buffer.copy(larger);
        buffer = larger;
      }
      const read = readSync(fd, buffer, kept, buffer.length - kept, null);
      if (read === 0) return;
      const end = kept + read;
      const used = lines.take(buffer, end);
      buffer.copyWithin(0, used, end);
      kept = end - used;
    }
  } finally {
    closeSync(fd);
  }
}

class Lines {
  readonly #visitor: Visitor;
  readonly #numbers: number[] = [];
  #line = 0;

  constructor(visitor: Visitor) {
    this.#visitor = visitor;
  }

  /** Takes all whole lines of the first `end` bytes. @returns where the rest begins */
  take(buffer: Buffer, end: number): number {
    let from = 0;
    for (;;) {
      const to = buffer.indexOf(NEWLINE, from);
      if (to === -1 || to >= end) return from;
      this.#line += 1;
      this.#one(buffer, from, to);
      from = to + 1;
    }
  }

  #one(buffer: Buffer, from: number, to: number): void {
    const letter = String.fromCharCode(buffer[from] ?? 0);
    const least = LEAST[letter];
    if (least === undefined) return this.#text(letter, buffer.toString("utf8", from + 2, to));
    const numbers = this.#numbers;
    let count = 0;
    for (let at = from + 1; at < to;) {
      if (buffer[at] !== SPACE) throw this.#damaged();
      at += 1;
      const begun = at;
      let value = 0;
      for (let digit; at < to && (digit = buffer[at]! - ZERO) >= 0 && digit <= 9; at++)
        value = value * 10 + digit;
      if (at === begun) throw this.#damaged();
      numbers[count++] = value;
    }
    if (count < least) throw this.#damaged();
    this.#numbered(letter, numbers, count);
  }

  #numbered(letter: string, numbers: readonly number[], count: number): void {
    const visitor = this.#visitor;
    const [a, b, c, d, e, f, g] = numbers as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    switch (letter) {
      case "o":
        return visitor.ok(a, b, c, c + d, c + d + e, f, g);
      case "f":
        return visitor.failed(a, b, c, c + d, c + d + e, f);
      case "i":
        return visitor.unknown(a, b, c, c + d, c + d + e, f);
      case "x":
        return visitor.unsent(a, b, c);
      case "u":
        return visitor.reserved(a);
      case "c":
        return visitor.refused(a, b, c);
      case "s":
        return visitor.seen(c, d, numbers, 4, count);
      default:
        return visitor.list({ done: c, reign: d, key: e, same: f }, numbers, 6, count);
    }
  }

  #text(letter: string, text: string): void {
    const [first = "", ...rest] = text.split(" ");
    const n = Number(first);
    if (letter === "h") return this.#visitor.header(this.#header(text));
    if (!"wep".includes(letter) || first === "" || !Number.isSafeInteger(n)) throw this.#damaged();
    if (letter === "e") return this.#visitor.reason(n, rest.join(" "));
    const [word = "", ...more] = rest;
    if (letter === "p") return this.#visitor.phase(n, word, more.join(" "));
    this.#visitor.reign(n, { timeline: Number(word), server: more.join(" ") });
  }

  #header(text: string): Header {
    try {
      const header = JSON.parse(text) as Header;
      if (header.format === 1) return header;
    } catch {
      // It is told below.
    }
    throw this.#damaged();
  }

  #damaged(): PgdbaError {
    return new PgdbaError("step_failed", `Line ${this.#line} of the history is none`, {
      hint: "Somebody else has written into the file: what it tells can't be relied on. Run the drill again.",
    });
  }
}
