/** More strangers are counted and not kept. */
const MOST_STRANGERS = 1_000;

/** How often each id is there at the end, in the set and in the lists. */
export class Final {
  /** Up to 255 times. */
  readonly set: Uint8Array;
  readonly listed: Uint8Array;
  /** Ids that nobody can have sent, and how often they are there. */
  readonly strangers = new Map<number, number>();
  readonly lists = new Map<number, readonly number[]>();
  rows = 0;

  constructor(last: number) {
    this.set = new Uint8Array(last + 1);
    this.listed = new Uint8Array(last + 1);
  }

  add(id: number): void {
    this.rows += 1;
    this.#count(this.set, id);
  }

  list(key: number, ids: readonly number[]): void {
    this.lists.set(key, ids);
    for (const id of ids) this.#count(this.listed, id);
  }

  #count(counts: Uint8Array, id: number): void {
    if (id < 1 || id >= counts.length) {
      if (this.strangers.size < MOST_STRANGERS || this.strangers.has(id))
        this.strangers.set(id, (this.strangers.get(id) ?? 0) + 1);
    } else if (counts[id]! < 255) counts[id]! += 1;
  }
}
