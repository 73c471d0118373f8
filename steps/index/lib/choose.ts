import type { Candidate, Candidates } from "./candidates.ts";
import type { Prover } from "./prover.ts";

export interface Limits {
  /** Bytes that all suggested indexes may take together; null: any. */
  budget: number | null;
  maxIndexes: number | null;
  /** Share of what the workload costs with the others that an index must save by itself. */
  minImprovement: number;
}

interface Sized extends Candidate {
  bytes: number;
  names: string[];
}

interface Move {
  add: Sized;
  remove: Sized | null;
  gain: number;
  /** The number of choices made when the gain was computed. */
  round: number;
}

/** Rounds in which what the planner took is put aside, to see what it takes next. */
const SHORTLIST_ROUNDS = 3;
const MAX_SWAPS = 400;
const NEARLY = 0.98;
const MAX_NEAR = 8;

/**
 * A small set of indexes by the benefit across the workload: Extend (Schlosser, Kossmann, Boissier: Efficient Scalable Multi-Attribute
 * Index Selection Using Recursive Strategies, ICDE 2019). Each step takes a new index, or one more column on a chosen one, by
 * benefit per byte under a budget and by benefit without one. Gains only fall as the set grows, nearly always, so that a gain that was
 * computed earlier serves as a bound and few are computed again. In the end what no plan uses or saves too little is dropped, and
 * exchanges are tried.
 */
export async function choose(
  prover: Prover,
  candidates: Candidates,
  limits: Limits,
  log: (message: string) => void,
): Promise<Sized[]> {
  const pool = await shortlist(prover, candidates.all());
  log(`${pool.length} of ${candidates.all().length} candidates are used by a plan`);
  let chosen = await extend(prover, candidates, pool, limits);
  chosen = await prune(prover, chosen, limits);
  chosen = await swap(prover, chosen, pool, limits);
  return prune(prover, chosen, limits);
}

/** The candidates that the planner takes for some statement when it may take any. */
async function shortlist(prover: Prover, candidates: readonly Candidate[]): Promise<Sized[]> {
  const sized = new Map<string, Sized>();
  const byName = new Map<string, Sized>();
  for (const candidate of candidates) {
    // One that can't be made (a function that is not immutable, a type without the operators) is none.
    const made = await prover.sizeOf(candidate.def).catch(() => null);
    if (made === null) continue;
    const entry = { ...candidate, bytes: made.bytes, names: made.names };
    sized.set(candidate.sql, entry);
    for (const name of made.names) byName.set(name, entry);
  }
  const taken = new Map<string, Sized>();
  for (const statement of prover.work.keys()) {
    let open = [...sized.values()].filter((candidate) => candidate.statements.has(statement));
    for (let round = 0; round < SHORTLIST_ROUNDS && open.length > 0; round++) {
      const { used } = await prover.plan(statement, open);
      const found = new Set([...used].flatMap((name) => byName.get(name) ?? []));
      if (found.size === 0) break;
      for (const candidate of found) taken.set(candidate.sql, candidate);
      open = open.filter((candidate) => !found.has(candidate));
    }
  }
  return [...taken.values()];
}

async function extend(
  prover: Prover,
  candidates: Candidates,
  pool: Sized[],
  limits: Limits,
): Promise<Sized[]> {
  let chosen: Sized[] = [];
  let total = await prover.total([]);
  const uses = prover.work.flatMap((work) => work.uses);
  let moves: Move[] = pool.map((add) => ({
    add,
    remove: null,
    gain: Number.POSITIVE_INFINITY,
    round: -1,
  }));
  const score = (move: Move): number =>
    limits.budget === null
      ? move.gain
      : move.gain / Math.max(1, move.add.bytes - (move.remove?.bytes ?? 0));
  for (let round = 0; ;) {
    const least = leastGain(total, limits);
    moves = moves.filter(
      (move) =>
        fits(after(chosen, move), limits.budget) &&
        (move.remove === null || chosen.includes(move.remove)),
    );
    const [best] = moves
      .filter((move) => move.gain >= least)
      .toSorted((a, b) => score(b) - score(a));
    if (best === undefined) return chosen;
    if (best.round < round) {
      best.gain = total - (await prover.total(after(chosen, best)));
      best.round = round;
      continue;
    }
    const taken =
      limits.budget === null ? await smaller(prover, chosen, moves, best, { total, round }) : best;
    chosen = after(chosen, taken);
    total -= taken.gain;
    round++;
    moves = moves.filter((move) => move !== taken);
    for (const def of candidates.extend(taken.add.def, uses)) {
      const candidate = candidates.add(def);
      const made = candidate === null ? null : await prover.sizeOf(def).catch(() => null);
      if (candidate === null || made === null) continue;
      moves.push({
        add: { ...candidate, bytes: made.bytes, names: made.names },
        remove: taken.add,
        gain: Number.POSITIVE_INFINITY,
        round: -1,
      });
    }
  }
}

/** The smallest of the moves that save nearly as much as `best`: without a budget size would not count at all. */
async function smaller(
  prover: Prover,
  chosen: readonly Sized[],
  moves: readonly Move[],
  best: Move,
  at: { total: number; round: number },
): Promise<Move> {
  const near = moves.filter(
    (move) => move.gain >= NEARLY * best.gain && move.add.bytes < best.add.bytes,
  );
  for (const move of near.toSorted((a, b) => a.add.bytes - b.add.bytes).slice(0, MAX_NEAR)) {
    move.gain = at.total - (await prover.total(after(chosen, move)));
    move.round = at.round;
    if (move.gain >= NEARLY * best.gain) return move;
  }
  return best;
}

/** Never nothing: an index without any use is not suggested, whatever the limit. */
function leastGain(total: number, limits: Limits): number {
  return Math.max(total * limits.minImprovement, 0.01);
}

function after(chosen: readonly Sized[], move: Pick<Move, "add" | "remove">): Sized[] {
  return [...chosen.filter((one) => one !== move.remove), move.add];
}

function fits(chosen: readonly Sized[], budget: number | null): boolean {
  return budget === null || chosen.reduce((sum, one) => sum + one.bytes, 0) <= budget;
}

/** Drops what saves too little now that the others are there, and what is beyond the number allowed: the least first. */
async function prune(prover: Prover, chosen: Sized[], limits: Limits): Promise<Sized[]> {
  let kept = chosen;
  for (;;) {
    const total = await prover.total(kept);
    let worst: { one: Sized; loss: number } | null = null;
    for (const one of kept) {
      const loss = (await prover.total(kept.filter((other) => other !== one))) - total;
      if (worst === null || loss < worst.loss) worst = { one, loss };
    }
    if (
      worst === null ||
      (worst.loss >= leastGain(total, limits) &&
        kept.length <= (limits.maxIndexes ?? Number.POSITIVE_INFINITY))
    )
      return kept;
    kept = kept.filter((other) => other !== worst.one);
  }
}

/** Exchanges a chosen index for another candidate where that saves more. */
async function swap(
  prover: Prover,
  start: Sized[],
  pool: readonly Sized[],
  limits: Limits,
): Promise<Sized[]> {
  let chosen = start;
  let total = await prover.total(chosen);
  let tries = 0;
  for (let improved = true; improved;) {
    improved = false;
    for (const remove of chosen) {
      for (const add of pool) {
        if (chosen.includes(add) || add.def.table !== remove.def.table || ++tries > MAX_SWAPS)
          continue;
        const other = after(chosen, { add, remove });
        if (!fits(other, limits.budget)) continue;
        const cost = await prover.total(other);
        if (cost >= total * 0.999) continue;
        chosen = other;
        total = cost;
        improved = true;
        break;
      }
      if (improved) break;
    }
  }
  return chosen;
}

export type { Sized };
