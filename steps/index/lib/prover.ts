import {
  type IndexDef,
  indexesOf,
  type PlanNode,
  type Twin,
} from "../../../providers/twin/twin.ts";
import type { Candidate } from "./candidates.ts";
import type { TableUse } from "./scope.ts";
import type { Parsed } from "./workload.ts";

/**
 * Planner units that one row written to an index is taken to cost: the descent, and its share of a page that has to be written.
 * PostgreSQL's planner charges nothing for it, so that without this an index that helps a little would always win.
 */
const WRITE_COST = 1;

/** An update that can't be HOT any more writes to every index of the table, and leaves a dead row behind in each. */
const HOT_LOST = 4;

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

/** Asks the twin for costs, each combination once. Costs are the planner's, a statement's times its calls. */
export class Prover {
  /** Plans made. */
  plans = 0;
  readonly work: readonly Work[];
  readonly #twin: Twin;
  readonly #signal: AbortSignal;
  readonly #writes: ReadonlyMap<number, Writes>;
  readonly #relations: ReadonlyMap<string, number>;
  readonly #known = new Map<string, { cost: number; used: Set<string> }>();

  constructor(
    twin: Twin,
    work: readonly Work[],
    writes: ReadonlyMap<number, Writes>,
    signal: AbortSignal,
  ) {
    this.#twin = twin;
    this.#signal = signal;
    this.work = work;
    this.#writes = writes;
    this.#relations = new Map(
      twin.catalogue.relations.map((relation) => [
        `${relation.schema}.${relation.name}`,
        relation.oid,
      ]),
    );
  }

  /** Whether a statement could use an index on this table. */
  concerns(statement: number, def: IndexDef): boolean {
    return (
      this.work[statement]?.relations.has(
        this.#relations.get(`${def.schema}.${def.table}`) ?? -1,
      ) ?? false
    );
  }

  /** Cost of one run of a statement, and the indexes that its plan uses. */
  async plan(
    statement: number,
    chosen: readonly Candidate[],
    without: readonly string[] = [],
  ): Promise<{ cost: number; used: Set<string> }> {
    const relevant = chosen.filter((candidate) => this.concerns(statement, candidate.def));
    const key = JSON.stringify([
      statement,
      relevant.map((candidate) => candidate.sql).toSorted(),
      without,
    ]);
    let found = this.#known.get(key);
    if (found === undefined) {
      this.#signal.throwIfAborted();
      this.plans++;
      const plan: PlanNode = await this.#twin.explain(this.work[statement]?.sql ?? "", {
        with: relevant.map((candidate) => candidate.def),
        without,
      });
      found = { cost: plan["Total Cost"], used: indexesOf(plan) };
      this.#known.set(key, found);
    }
    return found;
  }

  /** Cost of the whole workload with these indexes, what keeping them costs included. */
  async total(chosen: readonly Candidate[], without: readonly string[] = []): Promise<number> {
    let sum = chosen.reduce((all, candidate) => all + this.writeCost(candidate.def), 0);
    for (const [statement, work] of this.work.entries())
      sum += work.calls * (await this.plan(statement, chosen, without)).cost;
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

  writeCost(def: IndexDef): number {
    return this.rowsWritten(def) * WRITE_COST;
  }

  sizeOf(def: IndexDef): ReturnType<Twin["sizeOf"]> {
    return this.#twin.sizeOf(def);
  }
}
