import { amount } from "../../../engine/shared/amount.ts";
import type { Json, StepContext } from "../../../engine/types.ts";
import { PgdbaError } from "../../../engine/errors.ts";
import type { Catalogue, Planner } from "../../../providers/planner/twin/twin.ts";
import { quoteName } from "../../../providers/planner/twin/names.ts";
import { answer } from "./answer.ts";
import { Candidates } from "./candidates.ts";
import type { Sized } from "./candidate.ts";
import { choose } from "./choose.ts";
import { curveOf, flattensAt } from "./curve.ts";
import type { Deadline } from "./deadline.ts";
import type { Limits } from "./limits.ts";
import type { Study } from "./open.ts";
import { Prover } from "./prover.ts";
import type { Work } from "../workload/work.ts";
import { findRemovable } from "./removable.ts";
import { Names } from "../workload/scope.ts";
import { type Sampled, shapesOf } from "../workload/shapes.ts";
import { shortlist } from "./shortlist.ts";
import { States, type Used } from "../workload/states.ts";
import { usesOf } from "../workload/usage.ts";
import { type Refused, refusedBy } from "../workload/workload.ts";
import { writesOf } from "../workload/writes.ts";

/** A predicate that keeps at least this share of a table makes no partial index. */
const SELECTIVE = 0.1;
/** The most expensive statements, for which every index that could serve them is tried; for cheaper ones only the plain choices. */
const RICH = 150;
/** Of more than RICH statements, only the dearest that make up this share of the cost are looked at. */
const WORTH = 0.999;
/** Statements of a shape that are read for their constants. */
const READ = 60;
/** An index as large as all tables together has to save this share of the workload's cost. */
const RENT = 0.02;
/** Parts of the time in which the steps have to be done. */
const TIME = { planning: 0.4, trying: 0.65, choosing: 0.85 };

export interface Options {
  /** Bytes; null: any. */
  budget: number | null;
  maxIndexes: number | null;
  /** Percent of what the workload costs with the other indexes that one must save. */
  percent: number;
  deadline: Deadline;
  isWanted(def: { schema: string; table: string }): boolean;
}

/** Facts that are found out before indexes are looked for. */
interface Known {
  work: Work[];
  /** Statements that can't be planned, and those for which there was no time. */
  unproven: Refused[];
  late: Sampled[];
  uses: ReadonlyMap<Sampled["shape"], readonly Used[]>;
}

export async function advise(
  ctx: StepContext,
  found: Study & { planner: Planner },
  options: Options,
): Promise<Json> {
  const { planner, catalogue, activity } = found;
  const { deadline, isWanted } = options;
  const { work, plans, unproven, late, uses } = await plan(ctx, found, deadline);
  const writes = writesOf(work, activity, catalogue);
  const prover = new Prover(planner, work, writes, ctx.signal);
  for (const [statement, node] of plans.entries()) prover.note(statement, node);
  const none = await prover.select([]);
  const spent = (statement: number): number =>
    (work[statement]?.calls ?? 0) * (none.costs[statement] ?? 0);
  const order = [...work.keys()].toSorted((a, b) => spent(b) - spent(a));
  const dear = worthLooking(order, spent);
  const states = new States(catalogue, uses.values());
  const selective = new Selective(planner);
  const candidates = new Candidates(catalogue, writes, frequencyOf(work, spent));
  const list = await shortlist(prover, {
    order: dear,
    budget: options.budget,
    deadline: deadline.part(TIME.trying),
    propose: async (statement) => {
      const one = work[statement];
      const made = [];
      for (const use of one?.uses ?? []) {
        if (!isWanted({ schema: use.table.schema, table: use.table.name })) continue;
        const shape = one === undefined ? [] : (uses.get(one.shape) ?? []);
        const basic = dear.indexOf(statement) >= RICH;
        const selects = async (sql: string, column: string): Promise<boolean> => {
          const predicate = use.predicates.find(
            (other) => other.sql === sql && other.column === column,
          );
          return (
            predicate !== undefined &&
            states.lasts(use, predicate, shape) &&
            (await selective.is(use.table, sql))
          );
        };
        made.push(...(await candidates.propose(use, { statement, basic, selects })));
      }
      return made;
    },
  });
  ctx.log(
    `${list.pool.length} of ${amount(list.candidates, "candidate")} ${list.pool.length === 1 ? "is" : "are"} used by a plan`,
  );
  const searched = (await prover.select([])).cost;
  const limits = limitsOf(options, searched);
  const limited = options.budget !== null || options.maxIndexes !== null;
  const strict = limited ? 0 : Math.min(1, options.percent);
  const room = (strict * RENT) / Math.max(1, tableBytes(catalogue));
  prover.rent = room * searched;
  const choosing = { limits, deadline: deadline.part(TIME.choosing), slim: !limited };
  const chosen = await choose(prover, candidates, list, choosing);
  await prover.forget(list.pool.filter((one) => !chosen.includes(one)));
  // The figures from here on are reported: they take in all statements, each with all indexes that its tables would have.
  prover.lookAtAll();
  prover.rent = room * none.cost;
  const curve = await curveOf(prover, await used(prover, chosen), deadline);
  const kept = limited ? curve.length : flattensAt(curve, strict);
  const suggested = curve.slice(0, kept).map(({ index }) => index);
  prover.rent = 0;
  const removable = (
    await findRemovable(prover, catalogue, suggested, { activity, deadline })
  ).filter((index) => {
    const [schema = "", table = ""] = index.table.split(".");
    return isWanted({ schema, table });
  });
  const untried = [
    ...late,
    ...order.filter((one) => !list.tried.includes(one)).map((one) => work[one] as Work),
  ];
  if (deadline.passed)
    ctx.warn(
      `The time budget was used up: ${untried.length} of ${amount(work.length + late.length, "statement")} ${untried.length === 1 ? "was" : "were"} not examined for indexes of their own; a longer time_budget examines more`,
    );
  return answer(ctx.target, found, {
    prover,
    curve,
    suggested,
    removable,
    unproven: [...found.refused, ...unproven],
    untried,
    candidates: list.candidates,
    seconds: deadline.spent / 1000,
    complete: !deadline.passed,
  });
}

type Planned = Known & { plans: Awaited<ReturnType<Planner["explain"]>>[] };

/** Plans each statement as it is; one of each shape stands for many. */
async function plan(
  ctx: StepContext,
  { planner, catalogue, parsed }: Study & { planner: Planner },
  deadline: Deadline,
): Promise<Planned> {
  const names = new Names(catalogue);
  const shapes = await shapesOf(parsed);
  const uses = new Map<Sampled["shape"], Used[]>();
  const known: Planned = { work: [], plans: [], unproven: [], late: [], uses };
  for (const shape of shapes) {
    const read: Used[] = [];
    for (const { tree, calls } of shape.members.slice(0, READ))
      read.push({ uses: await usesOf(tree, catalogue, names), calls });
    uses.set(shape, read);
  }
  const planning = deadline.part(TIME.planning);
  for (const statement of shapes.flatMap(({ sample }) => sample)) {
    ctx.signal.throwIfAborted();
    if (planning.passed) {
      known.late.push(statement);
      continue;
    }
    try {
      const node = await planner.explain(statement.sql);
      const own = await usesOf(statement.tree, catalogue, names);
      known.work.push({ ...statement, uses: own, relations: relationsOf(own, catalogue) });
      known.plans.push(node);
    } catch (error) {
      if (!(error instanceof PgdbaError)) throw error;
      known.unproven.push(refusedBy(statement.sql, error));
    }
  }
  return known;
}

function limitsOf({ budget, maxIndexes, percent }: Options, before: number): Limits {
  return {
    budget,
    maxIndexes,
    // More than nothing: an index without any use is never suggested.
    leastGain: (total) => Math.max((total * percent) / 100, before * 1e-9, 0.01),
  };
}

/** Picks the statements that matter, when there are very many. */
function worthLooking(order: readonly number[], spent: (statement: number) => number): number[] {
  const all = order.reduce((sum, one) => sum + spent(one), 0);
  let sum = 0;
  return order.filter((one, at) => {
    const before = sum;
    sum += spent(one);
    return at < RICH || before < WORTH * all;
  });
}

/** By table and key what the statements cost that compare it for equality. */
function frequencyOf(
  work: readonly Work[],
  spent: (statement: number) => number,
): Map<string, number> {
  const frequency = new Map<string, number>();
  for (const [statement, { uses }] of work.entries())
    for (const { table, equal } of uses)
      for (const { sql } of equal) {
        const key = `${table.oid} ${sql}`;
        frequency.set(key, (frequency.get(key) ?? 0) + spent(statement));
      }
  return frequency;
}

/** Keeps the indexes that a plan of some statement uses. Taking one out may show that another is not used by itself. */
async function used(prover: Prover, chosen: readonly Sized[]): Promise<Sized[]> {
  let left = [...chosen];
  for (;;) {
    const names = new Set<string>();
    for (const statement of prover.work.keys())
      for (const name of (await prover.plan(statement, left)).used) names.add(name);
    const next = left.filter((one) => one.names.some((name) => names.has(name)));
    if (next.length === left.length) return left;
    left = next;
  }
}

function tableBytes({ relations }: Catalogue): number {
  return relations.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Knows which conditions keep few rows. */
class Selective {
  readonly #planner: Planner;
  readonly #known = new Map<string, Promise<boolean>>();

  constructor(planner: Planner) {
    this.#planner = planner;
  }

  is(table: Catalogue["relations"][number], predicate: string): Promise<boolean> {
    const key = `${table.oid} ${predicate}`;
    const known = this.#known.get(key) ?? this.#ask(table, predicate);
    this.#known.set(key, known);
    return known;
  }

  async #ask(table: Catalogue["relations"][number], predicate: string): Promise<boolean> {
    const rows = async (where: string): Promise<number> => {
      const from = quoteName(table.schema, table.name);
      return (await this.#planner.explain(`SELECT FROM ${from}${where}`))["Plan Rows"];
    };
    try {
      return (await rows(` WHERE ${predicate}`)) < SELECTIVE * (await rows(""));
    } catch {
      // A condition that can't be planned by itself is no predicate of an index either.
      return false;
    }
  }
}

/** The tables of a statement and the partitioned ones above them: an index on a parent reaches its partitions. */
function relationsOf(uses: Work["uses"], catalogue: Catalogue): Set<number> {
  const all = new Set<number>();
  const note = (oid: number): void => {
    if (all.has(oid)) return;
    all.add(oid);
    for (const parent of catalogue.relations.find((relation) => relation.oid === oid)?.parents ??
      [])
      note(parent);
  };
  for (const use of uses) note(use.table.oid);
  return all;
}
