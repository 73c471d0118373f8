/** How much of something happens. */
export const PLANNED = 0;
/** It runs, and the plan shows which foreign tables it reads. */
export const SHOWN = 1;
/** It runs, and nothing shows what it reads. */
export const UNSEEN = 2;
export type Level = typeof PLANNED | typeof SHOWN | typeof UNSEEN;

/** How something is reached. */
export interface Way {
  by: string;
  level: Level;
  /** A default may move a sequence. */
  fills?: boolean;
  /** Written `row.name`, which calls a function of the row. */
  ofRow?: boolean;
}

/** What is to be looked at, each once, and again only when more of it happens than was known. */
export class Pending {
  readonly #seen = new Map<string, number>();
  #next = new Map<string, Way>();

  add(key: string, way: Way): void {
    const rank = way.level * 4 + (way.fills === true ? 0 : 2) + (way.ofRow === true ? 0 : 1);
    if ((this.#seen.get(key) ?? -1) >= rank) return;
    this.#seen.set(key, rank);
    this.#next.set(key, way);
  }

  take(): Map<string, Way> {
    const taken = this.#next;
    this.#next = new Map();
    return taken;
  }

  get keys(): string[] {
    return [...this.#seen.keys()];
  }

  get empty(): boolean {
    return this.#next.size === 0;
  }
}
