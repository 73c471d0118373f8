import type { Candidates, Sized } from "./candidates.ts";
import { fits, type Limits, type Score, worth } from "./limits.ts";
import type { Prover } from "./prover.ts";

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
  /** What is chosen already. */
  from?: readonly Sized[];
}

/** Of moves that save nearly as much as the best the smallest is taken: without a budget size would not count at all. */
const NEARLY = 0.98;
const MAX_NEAR = 8;

/**
 * Grows a set by the best step, until none saves enough: a new index, or one more column on a chosen one. Gains only fall as the set
 * grows, nearly always, so that a gain that was computed earlier serves as a bound and few are computed again.
 */
export async function extend(
  prover: Prover,
  candidates: Candidates,
  pool: readonly Sized[],
  { limits, score, from = [] }: Growth,
): Promise<Sized[]> {
  let chosen = [...from];
  let total = await prover.total(chosen);
  const uses = prover.work.flatMap((work) => work.uses);
  const open = pool.filter((one) => !chosen.includes(one));
  await prover.explore(chosen, open);
  let moves: Move[] = [];
  for (const add of open)
    moves.push({ add, remove: null, gain: await prover.atMost(chosen, add), round: -1 });
  const scored = (move: Move): number =>
    worth(score, move.gain, move.add.bytes - (move.remove?.bytes ?? 0));
  for (let round = 0; ;) {
    moves = moves.filter((move) => isOpen(move, chosen, limits));
    const possible = moves.filter((move) => move.gain >= limits.leastGain(total));
    const [best] = possible.toSorted((a, b) => scored(b) - scored(a));
    if (best === undefined) return chosen;
    if (best.round < round) {
      best.gain = await prover.gain(chosen, after(chosen, best));
      best.round = round;
      continue;
    }
    const taken = score === "gain" ? await smaller(prover, chosen, moves, best) : best;
    chosen = after(chosen, taken);
    total -= taken.gain;
    round++;
    moves = moves.filter((move) => move !== taken);
    await prover.explore(
      chosen,
      moves.map((move) => move.add),
    );
    const wider = candidates
      .extend(taken.add.def, uses)
      .flatMap((def) => candidates.add(def) ?? []);
    for (const add of await prover.sized(wider))
      moves.push({ add, remove: taken.add, gain: await prover.atMost(chosen, add), round: -1 });
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
  chosen: readonly Sized[],
  moves: readonly Move[],
  best: Move,
): Promise<Move> {
  const near = moves.filter(
    (move) => move.gain >= NEARLY * best.gain && move.add.bytes < best.add.bytes,
  );
  for (const move of near.toSorted((a, b) => a.add.bytes - b.add.bytes).slice(0, MAX_NEAR)) {
    move.gain = await prover.gain(chosen, after(chosen, move));
    move.round = best.round;
    if (move.gain >= NEARLY * best.gain) return move;
  }
  return best;
}

function after(chosen: readonly Sized[], move: Pick<Move, "add" | "remove">): Sized[] {
  return [...chosen.filter((one) => one !== move.remove), move.add];
}
