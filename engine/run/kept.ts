import { PgdbaError } from "../errors.ts";
import type { Json } from "../types.ts";

const MB = 1024 * 1024;
/** The largest output that a step may have, and all that one run may hold at once, in characters of JSON. */
const MAX_OUTPUT = 16 * MB;
const MAX_KEPT = 128 * MB;
/** The limit for values that are put together of outputs: the input of a step, the output of a runbook. */
const MAX_ASSEMBLED = 64 * MB;

/** Counts the bytes of the outputs of a run, in one scope of it: those of a called runbook or of an item of a loop go when it ends. */
export class Kept {
  readonly #run: { total: number };
  readonly #outer: Kept | undefined;
  readonly #sizes = new Map<string, number>();
  #pinned = false;
  /** Set once nothing sees any more what is in it. */
  ended = false;
  /** The bytes that inner scopes have left here. */
  #left = 0;

  constructor(outer?: Kept) {
    this.#outer = outer;
    this.#run = outer ? outer.#run : { total: 0 };
  }

  /** Counts the output of a step, in place of what an earlier attempt of it gave. @throws PgdbaError limit_exceeded */
  put(path: string, output: Json): void {
    const size = sizeOf(output, MAX_OUTPUT);
    if (size > MAX_OUTPUT)
      throw tooLarge(
        `The output of ${path} is larger than ${MAX_OUTPUT} characters`,
        "Ask for less: a LIMIT, a max_rows or max_bytes, or write it to a file.",
      );
    this.#run.total += size - (this.#sizes.get(path) ?? 0);
    this.#sizes.set(path, size);
    if (this.#run.total > MAX_KEPT)
      throw tooLarge(
        `The outputs of this run are larger than ${MAX_KEPT} characters together, with that of ${path}`,
        "Ask for less in each step, aggregate in SQL, or split the work over several runs.",
      );
  }

  /** Keeps the outputs of this scope, since an undo may need them. */
  pin(): void {
    this.#pinned = true;
  }

  /** Lets go of all that this scope and those inside of it hold, also where an undo needed it. */
  release(): void {
    this.#pinned = false;
    this.end();
  }

  end(): void {
    this.ended = true;
    const own = [...this.#sizes.values()].reduce((sum, size) => sum + size, this.#left);
    if (this.#pinned && this.#outer) {
      this.#outer.#left += own;
      this.#outer.pin();
    } else this.#run.total -= own;
  }
}

/** @throws PgdbaError limit_exceeded for what is too large to be written anywhere */
export function assertAssembled(value: Json, what: string): void {
  if (sizeOf(value, MAX_ASSEMBLED) > MAX_ASSEMBLED)
    throw tooLarge(
      `${what} is larger than ${MAX_ASSEMBLED} characters`,
      "Use less of the outputs of steps in it.",
    );
}

function tooLarge(message: string, hint: string): PgdbaError {
  return new PgdbaError("limit_exceeded", message, { hint });
}

/** Nothing that people or servers give is nested deeper; what holds itself is without end. */
const MAX_DEPTH = 10_000;

/**
 * About the characters of `value` as JSON, counted no further than `limit`. One value may stand in it many times.
 * @throws TypeError for a value that holds itself
 */
function sizeOf(value: Json, limit: number): number {
  let size = 0;
  const todo: { next: Json; depth: number }[] = [{ next: value, depth: 0 }];
  while (todo.length > 0 && size <= limit) {
    const { next, depth } = todo.pop()!;
    if (depth > MAX_DEPTH) throw new TypeError("the value holds itself, or is nested without end");
    if (typeof next === "string") size += next.length + 2;
    else if (typeof next !== "object" || next === null) size += 5;
    else if (Array.isArray(next)) {
      size += next.length + 2;
      if (size <= limit) for (const item of next) todo.push({ next: item, depth: depth + 1 });
    } else {
      for (const key of Object.keys(next)) {
        const item = next[key]!;
        size += key.length + 4;
        // What holds nothing is counted at once: a row of a list is mostly such.
        if (typeof item === "string") size += item.length + 2;
        else if (typeof item !== "object" || item === null) size += 5;
        else todo.push({ next: item, depth: depth + 1 });
      }
    }
  }
  return size;
}
