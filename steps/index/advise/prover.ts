import type { Planner } from "../../../providers/planner/planner.ts";
import { type IndexDef, indexSql } from "../../../providers/planner/twin/index-def.ts";
import { indexesOf } from "../../../providers/planner/twin/plan.ts";
import type { Candidate, Sized } from "./candidate.ts";
import type { Deadline } from "./deadline.ts";
import { firstOfEach } from "./first-of-each.ts";
import { hashed } from "./hashed.ts";
import { Existing, Known, type Outcome } from "../workload/known.ts";
import type { TableUse } from "../workload/scope.ts";
import { serves } from "./serves.ts";
import { Widths } from "../workload/widths.ts";
import type { Work, Writes } from "../workload/work.ts";
/**
 * Planner units that one row written to an index is taken to cost: the descent, and its share of a page that has to be written.
 * PostgreSQL's planner charges nothing for it, so that without this an index that helps a little would always win.
 */
const WRITE_COST = 1;

/** An update that can't be HOT any more writes to every index of the table, and leaves a dead row behind in each. */
const HOT_LOST = 4;

/** Sets of indexes that a statement is planned with to see which of them matter to it. */
const EXPLORE_ROUNDS = 6;

/** Up to so many statements, every set is planned. */
const EXACT = 40;
/** With more statements, each is explored in fewer rounds and with the best candidates for each of its tables only. */
const FEW = { candidates: 12, rounds: 3 };

/** A set of indexes and what the workload costs with it. */
export interface Selection {
  readonly chosen: readonly Sized[];
  /** The cost of one run of each statement. */
  readonly costs: readonly number[];
  /** All runs of all that are looked at, with what keeping the indexes costs. */
  readonly cost: number;
  /** By statement those of the indexes that can matter to it, as bits. */
  readonly bits: readonly bigint[];
}

/** Asks a planner for costs, each combination at most once. Costs are the planner's, a statement's times its calls. */
export class Prover {
  /** Plans made. */
  plans = 0;
  /** The cost of each byte of an index, in the planner's units; nothing by default. */
  rent = 0;
  /**
   * True when sets that are only compared are judged by the plans that are known, which may be dearer than the plan that the planner would
   * find. Used for very many statements. A chosen set is planned all the same.
   */
  readonly estimates: boolean;
  readonly work: readonly Work[];
  /** True when existing indexes can be planned away. */
  readonly hides: boolean;
  readonly #planner: Planner;
  readonly #widths: Widths;
  readonly #signal: AbortSignal;
  readonly #writes: ReadonlyMap<number, Writes>;
  readonly #relations: ReadonlyMap<string, number>;
  readonly #known: readonly Known[];
  /** By statement the bit of each index that can matter to it. */
  readonly #bits: readonly Map<string, bigint>[];
  /** Uses of each table, those of its partitions included. */
  readonly #uses = new Map<number, { statement: number; use: TableUse }[]>();
  #serves = new Map<string, ReadonlySet<number>>();
  /** Statements for which indexes are looked for; null: all, with any index on their tables. */
  #searched: ReadonlySet<number> | null = null;

  constructor(
    planner: Planner,
    work: readonly Work[],
    writes: ReadonlyMap<number, Writes>,
    signal: AbortSignal,
  ) {
    this.#planner = planner;
    this.#widths = new Widths(planner.catalogue);
    this.hides = planner.hides;
    this.#signal = signal;
    this.work = work;
    this.estimates = work.length > EXACT;
    this.#writes = writes;
    this.#relations = new Map(
      planner.catalogue.relations.map((relation) => [
        `${relation.schema}.${relation.name}`,
        relation.oid,
      ]),
    );
    const existing = new Existing(planner.catalogue);
    this.#known = work.map(() => new Known(existing));
    this.#bits = work.map(() => new Map());
    for (const [statement, { uses, relations }] of work.entries())
      for (const oid of relations) {
        const list = this.#uses.get(oid) ?? [];
        this.#uses.set(oid, list);
        for (const use of uses) list.push({ statement, use });
      }
  }

  /** Narrows what follows to these statements, and for each to the indexes that fit how it uses its tables. */
  search(statements: Iterable<number>): void {
    this.#searched = new Set(statements);
    this.#serves = new Map();
  }

  /** From here on all statements count, each with all indexes on its tables. */
  lookAtAll(): void {
    this.#searched = null;
    this.#serves = new Map();
  }

  /** The statements to which an index can matter. */
  servedBy(def: IndexDef): ReadonlySet<number> {
    const sql = indexSql(def);
    let found = this.#serves.get(sql);
    if (found === undefined) {
      const searched = this.#searched;
      const uses = this.#uses.get(this.#relations.get(`${def.schema}.${def.table}`) ?? -1) ?? [];
      found = new Set(
        uses
          .filter(
            ({ statement, use }) =>
              searched === null || (searched.has(statement) && serves(def, use)),
          )
          .map(({ statement }) => statement),
      );
      this.#serves.set(sql, found);
    }
    return found;
  }

  #relevant(statement: number, chosen: readonly Sized[]): Sized[] {
    return chosen.filter(({ def }) => this.servedBy(def).has(statement));
  }

  /** Cost of one run of a statement, and the indexes that its plan uses. */
  async plan(
    statement: number,
    chosen: readonly Sized[],
    without: readonly string[] = [],
  ): Promise<Outcome> {
    const relevant = this.#relevant(statement, chosen);
    return this.#ask(statement, this.#bitsOf(statement, relevant), { chosen: relevant, without });
  }

  /** `chosen`: which the bits stand for, and maybe others. */
  async #ask(
    statement: number,
    bits: bigint,
    { chosen, without = [] }: { chosen: readonly Sized[]; without?: readonly string[] },
  ): Promise<Outcome> {
    const known = this.#known[statement];
    const found = known?.find(bits, without);
    if (found !== undefined) return found;
    this.#signal.throwIfAborted();
    this.plans++;
    const relevant = this.#relevant(statement, chosen);
    const plan = await this.#planner.explain(this.work[statement]?.sql ?? "", {
      with: relevant.map((candidate) => candidate.def),
      without,
    });
    const outcome = { cost: plan["Total Cost"], used: indexesOf(plan) };
    const needs = relevant.filter(({ names }) => names.some((name) => outcome.used.has(name)));
    known?.add(bits, without, { outcome, needs: this.#bitsOf(statement, needs) });
    return outcome;
  }

  /** Keeps the plan of a statement without any new index. */
  note(statement: number, plan: Awaited<ReturnType<Planner["explain"]>>): void {
    const outcome = { cost: plan["Total Cost"], used: indexesOf(plan) };
    this.#known[statement]?.add(0n, [], { outcome, needs: 0n });
  }

  #bitsOf(statement: number, chosen: readonly Sized[]): bigint {
    let bits = 0n;
    for (const one of chosen) bits |= this.#bit(statement, one);
    return bits;
  }

  #bit(statement: number, { sql }: Sized): bigint {
    const known = this.#bits[statement];
    let bit = known?.get(sql);
    if (bit === undefined) {
      bit = 1n << BigInt(known?.size ?? 0);
      known?.set(sql, bit);
    }
    return bit;
  }

  /** The workload with these indexes. */
  async select(chosen: readonly Sized[]): Promise<Selection> {
    const costs: number[] = [];
    const bits: bigint[] = [];
    for (const statement of this.work.keys()) {
      const relevant = this.#relevant(statement, chosen);
      const own = this.#bitsOf(statement, relevant);
      bits.push(own);
      costs.push((await this.#ask(statement, own, { chosen: relevant })).cost);
    }
    return this.#selection(chosen, costs, bits);
  }

  /** Another set. Only statements that the difference can matter to are planned for it. */
  async change(from: Selection, chosen: readonly Sized[]): Promise<Selection> {
    const costs = [...from.costs];
    const bits = [...from.bits];
    for (const [statement, own] of this.#difference(from, chosen)) {
      bits[statement] = own;
      costs[statement] = (await this.#ask(statement, own, { chosen })).cost;
    }
    return this.#selection(chosen, costs, bits);
  }

  /** As `change`, by what is known where sets are only estimated. */
  async compare(from: Selection, chosen: readonly Sized[]): Promise<Selection> {
    if (!this.estimates) return this.change(from, chosen);
    const costs = [...from.costs];
    const bits = [...from.bits];
    for (const [statement, own] of this.#difference(from, chosen)) {
      bits[statement] = own;
      costs[statement] = this.#upper(statement, own);
    }
    return this.#selection(chosen, costs, bits);
  }

  #selection(
    chosen: readonly Sized[],
    costs: readonly number[],
    bits: readonly bigint[],
  ): Selection {
    // Statements that are not searched are taken to be served as well: else they would hide the gain of the others.
    const cost = this.work.reduce(
      (sum, { calls }, statement) =>
        this.#searched?.has(statement) === false ? sum : sum + calls * (costs[statement] ?? 0),
      this.#kept(chosen),
    );
    return { chosen, costs, cost, bits };
  }

  /** The statements to which the difference of two sets can matter, with the bits of the second. */
  #difference(from: Selection, to: readonly Sized[]): Map<number, bigint> {
    const bits = new Map<number, bigint>();
    const before = new Set(from.chosen);
    const after = new Set(to);
    for (const one of before.symmetricDifference(after))
      for (const statement of this.servedBy(one.def)) {
        const own = bits.get(statement) ?? from.bits[statement] ?? 0n;
        const bit = this.#bit(statement, one);
        bits.set(statement, after.has(one) ? own | bit : own & ~bit);
      }
    return bits;
  }

  /** The cost that the workload saves by going from one set to another. */
  async gain(from: Selection, chosen: readonly Sized[]): Promise<number> {
    let sum = this.#kept(from.chosen) - this.#kept(chosen);
    for (const [statement, own] of this.#difference(from, chosen)) {
      const cost = this.estimates
        ? this.#upper(statement, own)
        : (await this.#ask(statement, own, { chosen })).cost;
      sum += (this.work[statement]?.calls ?? 0) * ((from.costs[statement] ?? 0) - cost);
    }
    return sum;
  }

  #upper(statement: number, bits: bigint): number {
    const known = this.#known[statement];
    return (known?.find(bits, []) ?? known?.upper(bits))?.cost ?? 0;
  }

  /** Cost of the whole workload with these indexes and without some that exist. */
  async total(chosen: readonly Sized[], without: readonly string[] = []): Promise<number> {
    let sum = this.#kept(chosen);
    for (const [statement, work] of this.work.entries())
      sum += work.calls * (await this.plan(statement, chosen, without)).cost;
    return sum;
  }

  /** About the least that the workload can cost: each statement as cheap as it was ever seen. */
  leastTotal(): number {
    return this.work.reduce(
      (sum, { calls }, statement) =>
        this.#searched?.has(statement) === false
          ? sum
          : sum + calls * (this.#known[statement]?.least ?? 0),
      0,
    );
  }

  /**
   * Finds out which of `open` matter beside those chosen: each statement is planned with all of them, then without those that it took,
   * until it takes none of the rest. What is left has no effect, and `Known` can tell that of each without another plan.
   * @param open the best first
   */
  async explore(
    chosen: readonly Sized[],
    open: readonly Sized[],
    { only, deadline }: { only?: ReadonlySet<number>; deadline?: Deadline } = {},
  ): Promise<void> {
    const served = new Map<number, Sized[]>();
    for (const one of open)
      for (const statement of this.servedBy(one.def)) {
        if (only !== undefined && !only.has(statement)) continue;
        const list = served.get(statement);
        if (list === undefined) served.set(statement, [one]);
        else list.push(one);
      }
    const rounds = this.estimates ? FEW.rounds : EXPLORE_ROUNDS;
    for (const [statement, list] of served) {
      if (deadline?.passed === true) return;
      const there = this.#relevant(statement, chosen);
      let rest = this.estimates ? firstOfEach(list, FEW.candidates) : list;
      for (let round = 0; round < rounds && rest.length > 0; round++) {
        const { used } = await this.plan(statement, [...there, ...rest]);
        const taken = rest.filter((one) => one.names.some((name) => used.has(name)));
        if (taken.length === 0) break;
        rest = rest.filter((one) => !taken.includes(one));
      }
    }
  }

  /** The saving of an index beside those chosen, where it is known; elsewhere about the most that it can save. */
  atMost({ bits: before, costs }: Selection, one: Sized): number {
    let sum = -this.#kept([one]);
    for (const statement of this.servedBy(one.def)) {
      const known = this.#known[statement];
      const bits = (before[statement] ?? 0n) | this.#bit(statement, one);
      const after =
        known?.find(bits, [])?.cost ??
        (this.estimates ? known?.upper(bits)?.cost : known?.least) ??
        0;
      const calls = this.work[statement]?.calls ?? 0;
      sum += calls * Math.max(0, (costs[statement] ?? 0) - after);
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

  /** The cost of keeping indexes: the writes, and the room. */
  #kept(chosen: readonly Sized[]): number {
    return chosen.reduce((sum, { def, bytes }) => sum + this.writeCost(def) + this.rent * bytes, 0);
  }

  writeCost(def: IndexDef): number {
    return this.rowsWritten(def) * WRITE_COST;
  }

  /**
   * The candidates with their sizes; not those that can't be made (a function that is not immutable, a type without the operators), nor
   * those that could refuse a row. For one of them that looks up single values there is an index on their hashes, which can't.
   */
  async sized(candidates: readonly Candidate[]): Promise<Sized[]> {
    const sizes = await this.#planner.sizes(candidates.map(({ def }) => def));
    const sized: Sized[] = [];
    const instead: Candidate[] = [];
    const unsafe: IndexDef[] = [];
    for (const [at, candidate] of candidates.entries()) {
      const made = sizes[at];
      if (made == null) continue;
      const { safe, notes } = await this.#widths.judge(candidate.def, made.types);
      if (safe) sized.push({ ...candidate, bytes: made.bytes, names: made.names, notes });
      else unsafe.push(candidate.def);
      if (!safe && candidate.lookup) instead.push(hashed(candidate));
    }
    await this.#planner.forget(unsafe);
    return instead.length === 0 ? sized : [...sized, ...(await this.sized(instead))];
  }

  /** These are not asked for any more: a planner with fewer indexes to look at is faster. */
  async forget(candidates: readonly Sized[]): Promise<void> {
    await this.#planner.forget(candidates.map(({ def }) => def));
  }
}
