import { statSync } from "node:fs";
import { PgdbaError } from "../../../engine/errors.ts";
import { type Header, type Reign, type Visitor, WAYS } from "../history/lines.ts";
import { Lists } from "./lists.ts";

export const NONE = 0;
export const OK = 1;
export const FAILED = 2;
export const UNKNOWN = 3;
export const UNSENT = 4;

/** More refusals, and more strangers among the ids, are counted and not kept. */
const MOST = 1_000;

/** A line of an operation is no shorter, so that a history of so many bytes has no more of them. */
const BYTES_OF_ONE = 30;

/** The number of operations that a history may have, by the size of its file. */
export function capacityOf(file: string): number {
  return Math.ceil(statSync(file).size / BYTES_OF_ONE);
}

/** What a history tells, by the number of the operation: columns, for there may be millions. */
export class Tally implements Visitor {
  head: Header | undefined;
  /** The last id that may have been sent. */
  last = 0;
  outcome = new Uint8Array(0);
  way = new Uint8Array(0);
  /** Microseconds since the load began. */
  due = new Float64Array(0);
  sent = new Float64Array(0);
  done = new Float64Array(0);
  /** Of what is acknowledged: the place in the WAL, in bytes. */
  lsn = new Float64Array(0);
  /** Of what is acknowledged the reign, else the reason. */
  by = new Uint32Array(0);
  /** When a client first read it, plus one; 0 for never. */
  read = new Float64Array(0);
  readonly reigns: Reign[] = [];
  readonly reasons: string[] = [];
  /** How often each reason was told, of operations and of attempts to connect. */
  readonly told: number[] = [];
  readonly phases: { at: number; name: string; text: string }[] = [];
  readonly lists = new Lists();
  /** Ids that a client has read and nobody has sent, with the time. */
  readonly strangers = new Map<number, number>();
  /** By way. */
  readonly refusals = WAYS.map(() => 0);
  /** When the last line was told of, microseconds. */
  end = 0;

  constructor(capacity = 0) {
    this.#grow(capacity);
  }

  header(header: Header): void {
    this.head = header;
  }

  reserved(upTo: number): void {
    this.last = upTo;
    this.#grow(upTo + 1);
  }

  reign(n: number, reign: Reign): void {
    this.reigns[n] = reign;
  }

  reason(n: number, text: string): void {
    this.reasons[n] = text;
    this.told[n] = 0;
  }

  ok(
    id: number,
    way: number,
    due: number,
    sent: number,
    done: number,
    reign: number,
    lsn: number,
  ): void {
    this.#keep(id, OK, way, due, sent, done, reign);
    this.lsn[id] = lsn;
  }

  failed(id: number, way: number, due: number, sent: number, done: number, reason: number): void {
    this.#keep(id, FAILED, way, due, sent, done, reason);
    this.told[reason]! += 1;
  }

  unknown(id: number, way: number, due: number, sent: number, done: number, reason: number): void {
    this.#keep(id, UNKNOWN, way, due, sent, done, reason);
    this.told[reason]! += 1;
  }

  unsent(id: number, way: number, due: number): void {
    this.#keep(id, UNSENT, way, due, due, due, 0);
  }

  refused(way: number, at: number, reason: number): void {
    this.refusals[way]! += 1;
    this.told[reason]! += 1;
    this.end = Math.max(this.end, at);
  }

  seen(done: number, _reign: number, numbers: readonly number[], from: number, to: number): void {
    for (let at = from; at < to; at++) this.#seen(numbers[at]!, done);
  }

  list(
    { done, key, same }: { done: number; key: number; same: number },
    numbers: readonly number[],
    from: number,
    to: number,
  ): void {
    for (let at = from; at < to; at++) this.#seen(numbers[at]!, done);
    this.lists.read({ key, same, more: numbers.slice(from, to), done });
  }

  phase(at: number, name: string, text: string): void {
    this.phases.push({ at, name, text });
    this.end = Math.max(this.end, at);
  }

  /** When the last phase of this name began; undefined when there was none. */
  phaseAt(name: string): number | undefined {
    return this.phases.findLast((phase) => phase.name === name)?.at;
  }

  #seen(id: number, at: number): void {
    if (id < 1 || id > this.last) {
      if (this.strangers.size < MOST) this.strangers.set(id, at);
    } else if (this.read[id] === 0) this.read[id] = at + 1;
  }

  #keep(
    id: number,
    outcome: number,
    way: number,
    due: number,
    sent: number,
    done: number,
    by: number,
  ): void {
    if (id < 1 || id > this.last || this.outcome[id] !== NONE)
      throw new PgdbaError(
        "step_failed",
        `The history tells of operation ${id}, which ${id < 1 || id > this.last ? "was never begun" : "has ended before"}`,
        {
          hint: "Somebody else has written into the file: what it tells can't be relied on. Run the drill again.",
        },
      );
    this.outcome[id] = outcome;
    this.way[id] = way;
    this.due[id] = due;
    this.sent[id] = sent;
    this.done[id] = done;
    this.by[id] = by;
    if (done > this.end) this.end = done;
  }

  #grow(least: number): void {
    const had = this.outcome.length;
    if (least <= had) return;
    const size = Math.max(least, Math.ceil(had * 1.5));
    const larger = <T extends Uint8Array | Uint32Array | Float64Array>(old: T, made: T): T => {
      made.set(old);
      return made;
    };
    this.outcome = larger(this.outcome, new Uint8Array(size));
    this.way = larger(this.way, new Uint8Array(size));
    this.due = larger(this.due, new Float64Array(size));
    this.sent = larger(this.sent, new Float64Array(size));
    this.done = larger(this.done, new Float64Array(size));
    this.lsn = larger(this.lsn, new Float64Array(size));
    this.by = larger(this.by, new Uint32Array(size));
    this.read = larger(this.read, new Float64Array(size));
  }
}
