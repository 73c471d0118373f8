import { type IndexDef, indexesOf, type Planner } from "../../../providers/twin/twin.ts";
import type { Candidate, Sized } from "./candidates.ts";
import { Existing, Known, type Outcome } from "./known.ts";
import type { TableUse } from "./scope.ts";
import type { Parsed } from "./workload.ts";

/**
 * Planner units that one row written to an index is taken to cost: the descent, and its share of a page that has to be written.
 * PostgreSQL's planner charges nothing for it, so that without this an index that helps a little would always win.
 */
const WRITE_COST = 1;

/** An update that can't be HOT any more writes to every index of the table, and leaves a dead row behind in each. */
const HOT_LOST = 4;

/** Sets of indexes that a statement is planned with to see which of them matter to it. */
const EXPLORE_ROUNDS = 6;

/** A statement with how it uses its tables. */
export interface Work extends Parsed {
  uses: TableUse[];
  /** Oids of its tables and of the partitioned tables they belong to. */
  relations: ReadonlySet<number>;
}

/** What a statement writes, for the cost of keeping an index: rows by table oid. */
export interface Writes {
  inserted: number;
  updated: number;
  /** Rows updated by statements that set a column, by column. */
  set: Map<string, number>;
}

/** Asks a planner for costs, each combination at most once. Costs are the planner's, a statement's times its calls. */
export class Prover {
  /** Plans made. */
  plans = 0;
  readonly work: readonly Work[];
  /** Whether indexes that exist can be planned away. */
  readonly hides: boolean;
  readonly #planner: Planner;
  readonly #signal: AbortSignal;
  readonly #writes: ReadonlyMap<number, Writes>;
  readonly #relations: ReadonlyMap<string, number>;
  readonly #known: readonly Known[];
  readonly #bits = new Map<string, bigint>();
  readonly #concerned = new WeakMap<IndexDef, boolean[]>();

  constructor(
    planner: Planner,
    work: readonly Work[],
    writes: ReadonlyMap<number, Writes>,
    signal: AbortSignal,
  ) {
    this.#planner = planner;
    this.hides = planner.hides;
    this.#signal = signal;
    this.work = work;
    this.#writes = writes;
    this.#relations = new Map(
      planner.catalogue.relations.map((relation) => [
        `${relation.schema}.${relation.name}`,
        relation.oid,
      ]),
    );
    const existing = new Existing(planner.catalogue);
    this.#known = work.map(() => new Known(existing));
  }

  /** Whether a statement could use an index on this table. */
  concerns(statement: number, def: IndexDef): boolean {
    let concerned = this.#concerned.get(def);
    if (concerned === undefined) {
      const oid = this.#relations.get(`${def.schema}.${def.table}`) ?? -1;
      concerned = this.work.map(({ relations }) => relations.has(oid));
      this.#concerned.set(def, concerned);
    }
    return concerned[statement] === true;
  }

  /** Cost of one run of a statement, and the indexes that its plan uses. */
  async plan(
    statement: number,
    chosen: readonly Sized[],
    without: readonly string[] = [],
  ): Promise<Outcome> {
    const relevant = chosen.filter((candidate) => this.concerns(statement, candidate.def));
    const bits = this.#bitsOf(relevant);
    const known = this.#known[statement];
    const found = known?.find(bits, without);
    if (found !== undefined) return found;
    this.#signal.throwIfAborted();
    this.plans++;
    const plan = await this.#planner.explain(this.work[statement]?.sql ?? "", {
      with: relevant.map((candidate) => candidate.def),
      without,
    });
    const outcome = { cost: plan["Total Cost"], used: indexesOf(plan) };
    const needs = relevant.filter(({ names }) => names.some((name) => outcome.used.has(name)));
    known?.add(bits, without, { outcome, needs: this.#bitsOf(needs) });
    return outcome;
  }

  #bitsOf(chosen: readonly Sized[]): bigint {
    let bits = 0n;
    for (const { sql } of chosen) {
      let bit = this.#bits.get(sql);
      if (bit === undefined) {
        bit = 1n << BigInt(this.#bits.size);
        this.#bits.set(sql, bit);
      }
      bits |= bit;
    }
    return bits;
  }

  /** Cost of the whole workload with these indexes, what keeping them costs included. */
  async total(chosen: readonly Sized[], without: readonly string[] = []): Promise<number> {
    let sum = this.#written(chosen);
    for (const [statement, work] of this.work.entries())
      sum += work.calls * (await this.plan(statement, chosen, without)).cost;
    return sum;
  }

  /** About the least that the workload can cost: each statement as cheap as it was ever seen. */
  leastTotal(): number {
    return this.work.reduce(
      (sum, { calls }, statement) => sum + calls * (this.#known[statement]?.least ?? 0),
      0,
    );
  }

  /** What the workload saves by going from one set to another. */
  async gain(from: readonly Sized[], to: readonly Sized[]): Promise<number> {
    const changed = [
      ...from.filter((one) => !to.includes(one)),
      ...to.filter((one) => !from.includes(one)),
    ];
    let sum = this.#written(from) - this.#written(to);
    for (const [statement, { calls }] of this.work.entries()) {
      if (!changed.some((one) => this.concerns(statement, one.def))) continue;
      const before = await this.plan(statement, from);
      sum += calls * (before.cost - (await this.plan(statement, to)).cost);
    }
    return sum;
  }

  /**
   * Finds out which of `open` matter beside those chosen: each statement is planned with all of them, then without those that it took,
   * until it takes none of the rest. What is left has no effect, and `Known` can tell that of each without another plan.
   */
  async explore(chosen: readonly Sized[], open: readonly Sized[]): Promise<void> {
    for (const statement of this.work.keys()) {
      let rest = open.filter(({ def }) => this.concerns(statement, def));
      for (let round = 0; round < EXPLORE_ROUNDS && rest.length > 0; round++) {
        const { used } = await this.plan(statement, [...chosen, ...rest]);
        const taken = rest.filter((one) => one.names.some((name) => used.has(name)));
        if (taken.length === 0) break;
        rest = rest.filter((one) => !taken.includes(one));
      }
    }
  }

  /** What an index would save beside those chosen, as far as that is known, and about the most that it can where it is not. */
  async atMost(chosen: readonly Sized[], one: Sized): Promise<number> {
    let sum = -this.writeCost(one.def);
    for (const [statement, { calls }] of this.work.entries()) {
      if (!this.concerns(statement, one.def)) continue;
      const { cost } = await this.plan(statement, chosen);
      const known = this.#known[statement];
      const relevant = [...chosen, one].filter(({ def }) => this.concerns(statement, def));
      const after = known?.find(this.#bitsOf(relevant), [])?.cost ?? known?.least ?? 0;
      sum += calls * Math.max(0, cost - after);
    }
    return sum;
  }

  /** Rows that the workload would write to the index. */
  rowsWritten(def: IndexDef): number {
    const writes = this.#writes.get(this.#relations.get(`${def.schema}.${def.table}`) ?? -1);
    if (writes === undefined) return 0;
    // An update of a column that is in the index needs a new entry always; another one only when it is not a HOT update.
    const columns = new Set([...def.keys.map((key) => key.column), ...def.include]);
    const touching = [...writes.set].reduce(
      (most, [column, rows]) => (columns.has(column) ? Math.max(most, rows) : most),
      0,
    );
    return writes.inserted + Math.max(writes.updated, touching * HOT_LOST);
  }

  #written(chosen: readonly Sized[]): number {
    return chosen.reduce((sum, candidate) => sum + this.writeCost(candidate.def), 0);
  }

  writeCost(def: IndexDef): number {
    return this.rowsWritten(def) * WRITE_COST;
  }

  /** The candidates with their sizes; not those that can't be made: a function that is not immutable, a type without the operators. */
  async sized(candidates: readonly Candidate[]): Promise<Sized[]> {
    const sizes = await this.#planner.sizes(candidates.map(({ def }) => def));
    return candidates.flatMap((candidate, at): Sized[] => {
      const made = sizes[at];
      return made == null ? [] : [{ ...candidate, bytes: made.bytes, names: made.names }];
    });
  }
}
