import type { Candidates } from "./candidates.ts";
import type { Sized } from "./candidate.ts";
import type { Deadline } from "./deadline.ts";
import { fits, type Limits, type Score, worth } from "./limits.ts";
import type { Prover, Selection } from "./prover.ts";

interface Move {
  add: Sized;
  remove: Sized | null;
  /** Exact when `round` is the present one, else more than it can be. */
  gain: number;
  round: number;
}

export interface Growth {
  limits: Limits;
  score: Score;
  /** The selection to start from. */
  from?: Selection;
  deadline: Deadline;
  /** See `choose`. */
  slim: boolean;
}

/** Among steps that save nearly as much as the best one, the smallest index is taken; without a budget, size would not count at all. */
export const NEARLY = 0.98;
const MAX_NEAR = 8;
/** The share of the remaining time for exploring; indexes not explored by then are judged by what is known. */
const EXPLORING = 0.4;

/**
 * Grows a set by the best step, until none saves enough: a new index, or one more column on a chosen one. Gains only fall as the set
 * grows, nearly always, so that a gain that was computed earlier serves as a bound and few are computed again.
 */
export async function extend(
  prover: Prover,
  candidates: Candidates,
  pool: readonly Sized[],
  { limits, score, from, deadline, slim }: Growth,
): Promise<Selection> {
  let now = from ?? (await prover.select([]));
  const uses = prover.work.flatMap((work) => work.uses);
  const open = pool.filter((one) => !now.chosen.includes(one));
  await prover.explore(now.chosen, open, { deadline: deadline.next(EXPLORING) });
  let moves: Move[] = open.map((add) => ({
    add,
    remove: null,
    gain: prover.atMost(now, add),
    round: -1,
  }));
  const scored = (move: Move): number =>
    worth(score, move.gain, move.add.bytes - (move.remove?.bytes ?? 0));
  for (let round = 0; ;) {
    moves = moves.filter((move) => isOpen(move, now.chosen, limits));
    const possible = moves.filter((move) => move.gain >= limits.leastGain(now.cost));
    const [best] = possible.toSorted((a, b) => scored(b) - scored(a));
    // Estimating takes no time to speak of; without a set there would be nothing to advise.
    if (best === undefined || (deadline.passed && !prover.estimates)) return now;
    if (best.round < round) {
      best.gain = await prover.gain(now, after(now.chosen, best));
      best.round = round;
      continue;
    }
    const taken = score === "gain" ? await smaller(prover, now, moves, { best, slim }) : best;
    now = await prover.compare(now, after(now.chosen, taken));
    round++;
    moves = moves.filter((move) => move !== taken);
    if (!prover.estimates)
      await prover.explore(
        now.chosen,
        moves.map((move) => move.add),
        { only: prover.servedBy(taken.add.def), deadline },
      );
    const wider = deadline.passed
      ? []
      : candidates.extend(taken.add.def, uses).flatMap((def) => candidates.add(def) ?? []);
    for (const add of await prover.sized(wider))
      moves.push({ add, remove: taken.add, gain: prover.atMost(now, add), round: -1 });
  }
}

function isOpen(move: Move, chosen: readonly Sized[], limits: Limits): boolean {
  if (move.remove !== null && !chosen.includes(move.remove)) return false;
  const next = after(chosen, move);
  return (
    fits(next, limits.budget) && next.length <= (limits.maxIndexes ?? Number.POSITIVE_INFINITY)
  );
}

async function smaller(
  prover: Prover,
  now: Selection,
  moves: readonly Move[],
  { best, slim }: { best: Move; slim: boolean },
): Promise<Move> {
  const near = moves.filter(
    (move) =>
      move.gain >= NEARLY * best.gain &&
      isSmaller(move.add, best.add) &&
      (!slim || isAkin(move.add, best.add)),
  );
  for (const move of near
    .toSorted((a, b) => (isSmaller(a.add, b.add) ? -1 : 1))
    .slice(0, MAX_NEAR)) {
    move.gain = await prover.gain(now, after(now.chosen, move));
    move.round = best.round;
    if (move.gain >= NEARLY * best.gain) return move;
  }
  return best;
}

/** By its bytes, and of those that take as many by its columns. */
export function isSmaller(one: Sized, other: Sized): boolean {
  const columns = ({ def }: Sized): number => def.keys.length + def.include.length;
  return one.bytes < other.bytes || (one.bytes === other.bytes && columns(one) < columns(other));
}

/**
 * True when an index can replace another without the luck of a LIMIT: it finds the same rows, by the same first key or by its predicate.
 * An index with only the order that a LIMIT wants looks as good while the wanted rows come early, which the planner always hopes.
 */
export function isAkin(one: Sized, other: Sized): boolean {
  return one.def.where !== null || one.def.keys[0]?.sql === other.def.keys[0]?.sql;
}

function after(chosen: readonly Sized[], move: Pick<Move, "add" | "remove">): Sized[] {
  return [...chosen.filter((one) => one !== move.remove), move.add];
}
