import type { Catalogue } from "../../../providers/planner/twin/twin.ts";

/** The result of one plan of a statement. */
export interface Outcome {
  cost: number;
  /** Names of the indexes that it uses. */
  used: ReadonlySet<string>;
}

interface Entry extends Outcome {
  with: bigint;
  /** The indexes of `with` that the plan uses. */
  needs: bigint;
  without: ReadonlySet<string>;
}

/**
 * The plans of one statement. A plan that was chosen among many indexes is chosen among fewer too, as long as those it uses are
 * there: most sets that a search tries need no new plan (the "atomic configurations" of Finkelstein, Schkolnick, Tiberio: Physical
 * Database Design for Relational Databases, TODS 1988). New indexes are given as a set of bits.
 */
export class Known {
  /** The least cost seen. */
  least = Number.POSITIVE_INFINITY;
  readonly #entries: Entry[] = [];
  /** By exactly what there was. */
  readonly #exact = new Map<bigint, Outcome>();
  readonly #existing: Existing;

  constructor(existing: Existing) {
    this.#existing = existing;
  }

  add(chosen: bigint, without: readonly string[], plan: { outcome: Outcome; needs: bigint }): void {
    const { outcome, needs } = plan;
    this.#entries.push({ ...outcome, with: chosen, needs, without: new Set(without) });
    if (without.length > 0) return;
    this.#exact.set(chosen, outcome);
    this.least = Math.min(this.least, outcome.cost);
  }

  find(chosen: bigint, without: readonly string[]): Outcome | undefined {
    const exact = without.length === 0 ? this.#exact.get(chosen) : undefined;
    if (exact !== undefined) return exact;
    const found = this.#entries.findLast(
      (entry) =>
        (entry.with & chosen) === chosen &&
        (entry.needs & chosen) === entry.needs &&
        this.#removed(entry, without),
    );
    if (found !== undefined && without.length === 0) this.#exact.set(chosen, found);
    return found;
  }

  /**
   * No more than this with these indexes: the cheapest of the plans seen that need no others. The planner may find a better one.
   */
  upper(chosen: bigint): Outcome | undefined {
    const exact = this.#exact.get(chosen);
    if (exact !== undefined) return exact;
    let best: Entry | undefined;
    for (const entry of this.#entries)
      if (
        entry.without.size === 0 &&
        (entry.needs & chosen) === entry.needs &&
        (best === undefined || entry.cost < best.cost)
      )
        best = entry;
    return best;
  }

  /** True when the indexes that are planned away now were planned away then as well, or were not used. */
  #removed(entry: Entry, without: readonly string[]): boolean {
    if (entry.without.size === 0 && without.length === 0) return true;
    if (![...entry.without].every((name) => without.includes(name))) return false;
    return without.every((name) => {
      if (entry.without.has(name)) return true;
      const leaves = this.#existing.namesOf(name);
      return leaves !== null && !leaves.some((leaf) => entry.used.has(leaf));
    });
  }
}

/** The indexes that exist, by what they are called in plans. */
export class Existing {
  readonly #catalogue: Catalogue;
  readonly #leaves = new Map<string, string[] | null>();

  constructor(catalogue: Catalogue) {
    this.#catalogue = catalogue;
  }

  /**
   * The names of `schema.name` and of its partitions' indexes; null for one that matters although no plan scans it: an index on an
   * expression has statistics, a unique one proves that rows are.
   */
  namesOf(name: string): string[] | null {
    let found = this.#leaves.get(name);
    if (found === undefined) {
      const { indexes } = this.#catalogue;
      const below = (oid: number): typeof indexes =>
        indexes
          .filter((index) => index.parent === oid)
          .flatMap((index) => [index, ...below(index.oid)]);
      const tree = indexes
        .filter((index) => `${index.schema}.${index.name}` === name)
        .flatMap((index) => [index, ...below(index.oid)]);
      found = tree.some((index) => index.unique || index.expressions !== null)
        ? null
        : tree.map((index) => index.name);
      this.#leaves.set(name, found);
    }
    return found;
  }
}
