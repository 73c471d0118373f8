/** The extent to which something is reached: planned only, or also executed. */
export const PLANNED = 0;
/** It runs, and the plan shows which foreign tables it reads. */
export const SHOWN = 1;
/** It runs, and nothing shows what it reads. */
export const UNSEEN = 2;
export type Level = typeof PLANNED | typeof SHOWN | typeof UNSEEN;

/** The way in which something is reached. */
export interface Way {
  by: string;
  level: Level;
  /** A default may move a sequence. */
  fills?: boolean;
  /** Written `row.name`, which calls a function of the row. */
  ofRow?: boolean;
  /** Schemas that it may be in; any without them. */
  places?: readonly string[] | undefined;
}

/** The objects still to be looked at, each once, and again when it is reached in a worse way than before. */
export class Pending {
  readonly #seen = new Map<string, Way>();
  #next = new Map<string, Way>();

  add(key: string, way: Way): void {
    const known = this.#seen.get(key);
    const places =
      known === undefined
        ? way.places
        : known.places && way.places && [...new Set([...known.places, ...way.places])];
    // Planning moves no sequence, whatever it plans.
    const fills = way.fills === true || way.level === PLANNED;
    const worst: Way = {
      by: way.by,
      level: Math.max(way.level, known?.level ?? PLANNED) as Level,
      fills: fills && (known?.fills ?? true),
      ofRow: way.ofRow === true && (known?.ofRow ?? true),
      places,
    };
    if (
      known?.level === worst.level &&
      known.fills === worst.fills &&
      known.ofRow === worst.ofRow &&
      known.places?.length === places?.length
    )
      return;
    this.#seen.set(key, worst);
    this.#next.set(key, worst);
  }

  take(): Map<string, Way> {
    const taken = this.#next;
    this.#next = new Map();
    return taken;
  }

  get(key: string): Way | undefined {
    return this.#seen.get(key);
  }

  get keys(): string[] {
    return [...this.#seen.keys()];
  }

  get empty(): boolean {
    return this.#next.size === 0;
  }
}
