import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Repository } from "../../repository/contract.ts";
import { parseSegment, type Segment, segmentFile } from "../segments.ts";
import { roomAt } from "../space.ts";
import type { NodeRepository } from "../work.ts";
import { AHEAD_BYTES } from "./ask-ahead.ts";
import { bring } from "./bring.ts";

const MOST = 8;
/** The answers of an object store take their time; and one at a time leaves the disk idle while it is decompressed. */
const AT_ONCE = 2;

interface Place {
  repository: Repository;
  settings: NodeRepository;
  /** Of a segment. */
  bytes: number;
  /** A folder of its own, which may not be there yet. */
  into: string;
  signal: AbortSignal;
}

/** The segments after the one that was asked for last: one at first, twice as many with each that is asked for in their order. */
export class Spool {
  readonly #place: Place;
  readonly #most: number;
  /** Whole, and on the disk. */
  readonly #held = new Set<string>();
  readonly #under = new Map<string, Promise<void>>();
  /** Whoever asked moves it away. */
  readonly #given = new Set<string>();
  #last: Segment | null = null;
  #window = 0;
  /** The next one is not there, or can't be had now: nothing is fetched until the next question. */
  #halted = true;

  constructor(place: Place) {
    this.#place = place;
    this.#most = Math.min(MOST, Math.floor(AHEAD_BYTES / place.bytes));
  }

  get isEmpty(): boolean {
    return this.#held.size === 0 && this.#under.size === 0;
  }

  /** Whether its file is there, whole; it is no longer ours then. One that is being fetched is waited for. */
  async take(file: string): Promise<boolean> {
    const segment = parseSegment(file, this.#place.bytes);
    if (segment === null) return false;
    const isNext = this.#last !== null && file === this.#after(this.#last, 1n);
    this.#window = Math.min(isNext ? 2 * this.#window : 1, this.#most);
    this.#last = segment;
    this.#halted = false;
    for (const one of [...this.#held, ...this.#given])
      if (!this.#isWanted(one)) await this.#remove(one);
    this.#fill();
    await this.#under.get(file);
    if (!this.#held.delete(file)) return false;
    this.#given.add(file);
    return true;
  }

  /** After the signal. */
  async end(): Promise<void> {
    await Promise.all(this.#under.values());
    await this.#place.repository.close();
  }

  #after({ timeline, number }: Segment, more: bigint): string {
    return segmentFile({ timeline, number: number + more }, this.#place.bytes);
  }

  /** Also the one that was asked for last, and is waited for. */
  #isWanted(file: string): boolean {
    if (this.#last === null) return false;
    for (let more = 0; more <= this.#window; more++)
      if (file === this.#after(this.#last, BigInt(more))) return true;
    return false;
  }

  #fill(): void {
    const last = this.#last;
    for (let more = 1; last !== null && more <= this.#window; more++) {
      if (this.#halted || this.#place.signal.aborted || this.#under.size >= AT_ONCE) return;
      const file = this.#after(last, BigInt(more));
      if (this.#held.has(file) || this.#under.has(file)) continue;
      const fetching = this.#fetch(file).then(() => {
        this.#under.delete(file);
        this.#fill();
      });
      this.#under.set(file, fetching);
    }
  }

  /** Nobody waits for what goes wrong here: whoever needs the segment fetches it himself, and is told. */
  async #fetch(file: string): Promise<void> {
    const { repository, settings, bytes, into, signal } = this.#place;
    try {
      if (await this.#hasRoom()) {
        const target = join(into, file);
        const size = await bring(repository, settings, file, { target, signal });
        if (!this.#isWanted(file)) return await this.#remove(file);
        if (size === bytes && !signal.aborted) {
          this.#given.delete(file);
          this.#held.add(file);
          return;
        }
      }
    } catch {
      // As if it were not there.
    }
    this.#halted = true;
    await this.#remove(file);
  }

  async #hasRoom(): Promise<boolean> {
    const { freeBytes, reserve } = await roomAt(this.#place.into);
    return freeBytes - (this.#under.size + 1) * this.#place.bytes >= reserve;
  }

  async #remove(file: string): Promise<void> {
    this.#held.delete(file);
    this.#given.delete(file);
    await rm(join(this.#place.into, file), { force: true }).catch(() => {});
  }
}
