/** The first of what is put in, and how many came after: a run of any length says as much as can be read. */
export class Bounded<T> {
  readonly listed: T[] = [];
  readonly #limit: number;
  #more = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  push(...items: T[]): void {
    for (const item of items) {
      if (this.listed.length < this.#limit) this.listed.push(item);
      else this.#more += 1;
    }
  }

  remove(unwanted: (item: T) => boolean): void {
    const kept = this.listed.filter((item) => !unwanted(item));
    this.listed.splice(0, this.listed.length, ...kept);
  }

  /** The number of those that are not listed. */
  get more(): number {
    return this.#more;
  }
}
