import { closeSync, fsyncSync, openSync, writeSync } from "node:fs";
import { fileError } from "../../../engine/shared/write-file.ts";
import { type Header, type Reign, type Way, WAYS } from "./lines.ts";

/** Lines wait so long, or until they are so many bytes, before they are written. */
const FLUSH_MS = 100;
const FLUSH_BYTES = 256 * 1024;
/** Ids are reserved by so many at a time. */
const RESERVED = 4096;

/** An operation: its times in microseconds since the load began. */
export interface Times {
  due: number;
  sent: number;
  done: number;
}

/** Appends to a history; see lines.ts. */
export class History {
  readonly #file: string;
  readonly #fd: number;
  readonly #reigns = new Map<string, number>();
  readonly #reasons = new Map<string, number>();
  readonly #timer: Timer;
  #lines: string[] = [];
  #bytes = 0;
  #reserved = 0;
  #last = 0;
  #error: Error | undefined;

  /** @throws PgdbaError io_failed, also when there is such a file */
  constructor(file: string, header: Header) {
    this.#file = file;
    try {
      this.#fd = openSync(file, "wx", 0o600);
    } catch (error) {
      throw fileError(file, error);
    }
    this.#add(`h ${JSON.stringify(header)}`);
    this.#timer = setInterval(() => this.#flush(), FLUSH_MS);
    this.#timer.unref();
  }

  /** The reason why the last lines are not on disk. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** The last id that was given out. */
  get last(): number {
    return this.#last;
  }

  /** The next id. Whoever reads the history knows that it may have been sent. */
  next(): number {
    const id = ++this.#last;
    if (id > this.#reserved) {
      this.#reserved = id + RESERVED - 1;
      this.#add(`u ${this.#reserved}`);
      this.#flush();
      // From here on only these lines tell what was never sent: they must outlive the machine.
      if (this.#error === undefined) fsyncSync(this.#fd);
    }
    return id;
  }

  ok(id: number, way: Way, times: Times, reign: Reign, lsn: number): void {
    this.#add(`o ${id} ${spans(way, times)} ${this.#reign(reign)} ${lsn}`);
  }

  failed(id: number, way: Way, times: Times, why: string): void {
    this.#add(`f ${id} ${spans(way, times)} ${this.#reason(why)}`);
  }

  unknown(id: number, way: Way, times: Times, why: string): void {
    this.#add(`i ${id} ${spans(way, times)} ${this.#reason(why)}`);
  }

  unsent(id: number, way: Way, due: number): void {
    this.#add(`x ${id} ${WAYS.indexOf(way)} ${whole(due)}`);
  }

  refused(way: Way, at: number, why: string): void {
    this.#add(`c ${WAYS.indexOf(way)} ${whole(at)} ${this.#reason(why)}`);
  }

  seen(way: Way, { sent, done }: Times, reign: Reign, ids: readonly number[]): void {
    if (ids.length === 0) return;
    const at = `${WAYS.indexOf(way)} ${whole(sent)} ${whole(done)}`;
    this.#add(`s ${at} ${this.#reign(reign)} ${ids.join(" ")}`);
  }

  /** `more`: the ids after the first `same` ones, which are those of the line about this list before. */
  list(
    way: Way,
    { sent, done }: Times,
    reign: Reign,
    list: { key: number; same: number; more: readonly number[] },
  ): void {
    const at = `${WAYS.indexOf(way)} ${whole(sent)} ${whole(done)}`;
    const tail = list.more.length === 0 ? "" : ` ${list.more.join(" ")}`;
    this.#add(`l ${at} ${this.#reign(reign)} ${list.key} ${list.same}${tail}`);
  }

  phase(at: number, name: string, text = ""): void {
    this.#add(`p ${whole(at)} ${name} ${oneLine(text)}`);
    this.#flush();
  }

  /** Says as well that nothing was begun beyond the last id. @throws PgdbaError io_failed when a line is not on disk */
  close(): void {
    clearInterval(this.#timer);
    this.#add(`u ${this.#last}`);
    this.#flush();
    try {
      if (this.#error === undefined) fsyncSync(this.#fd);
      closeSync(this.#fd);
    } catch (error) {
      this.#error ??= error as Error;
    }
    if (this.#error !== undefined) throw fileError(this.#file, this.#error);
  }

  #reign(reign: Reign): number {
    const key = `${reign.timeline} ${oneLine(reign.server)}`;
    return this.#number(this.#reigns, "w", key);
  }

  #reason(text: string): number {
    return this.#number(this.#reasons, "e", oneLine(text));
  }

  #number(known: Map<string, number>, letter: string, text: string): number {
    const found = known.get(text);
    if (found !== undefined) return found;
    const n = known.size;
    known.set(text, n);
    this.#add(`${letter} ${n} ${text}`);
    return n;
  }

  #add(line: string): void {
    this.#lines.push(line);
    this.#bytes += line.length + 1;
    if (this.#bytes >= FLUSH_BYTES) this.#flush();
  }

  /** One that fails is told by `error`: nothing may throw in the middle of a load. */
  #flush(): void {
    if (this.#lines.length === 0) return;
    const bytes = Buffer.from(`${this.#lines.join("\n")}\n`);
    this.#lines = [];
    this.#bytes = 0;
    if (this.#error !== undefined) return;
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at);
    } catch (error) {
      this.#error = error as Error;
    }
  }
}

function spans(way: Way, { due, sent, done }: Times): string {
  return `${WAYS.indexOf(way)} ${whole(due)} ${whole(sent - due)} ${whole(done - sent)}`;
}

/** Times that the clock rounds differently never run backwards. */
function whole(us: number): number {
  return Math.max(0, Math.round(us));
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, " ").trim().slice(0, 500);
}
