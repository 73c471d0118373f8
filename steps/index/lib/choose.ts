import type { Candidates, Sized } from "./candidates.ts";
import { extend } from "./extend.ts";
import { bytesOf, fits, type Limits, type Score, worth } from "./limits.ts";
import type { Prover } from "./prover.ts";
import { shortlist } from "./shortlist.ts";

/** An exchange must save this share of the whole to be made. */
const BETTER = 0.001;
/** Within this share of what all candidates together would cost, no exchange can gain much. */
const NEAR = 0.03;
/** Times an index of the best set is taken out to see what takes its place. */
const MAX_EXCHANGES = 24;

/**
 * A small set of indexes by the benefit across the workload, found in two ways of which the better is kept: *Extend* (Schlosser,
 * Kossmann, Boissier: Efficient Scalable Multi-Attribute Index Selection Using Recursive Strategies, ICDE 2019), which grows it by the
 * best step, and *Drop* (Whang: Index Selection in Relational Databases, 1987), which begins with all that the planner takes and leaves
 * out what matters least, and so keeps together what is of use together only. In the end each index is taken out once, to see what
 * would be chosen in its place.
 */
export async function choose(
  prover: Prover,
  candidates: Candidates,
  limits: Limits,
  log: (message: string) => void,
): Promise<Sized[]> {
  const { pool, first } = await shortlist(prover, candidates.all(), limits.budget);
  log(`${pool.length} of ${candidates.all().length} candidates are used by a plan`);
  const scores: Score[] = limits.budget === null ? ["gain"] : ["gain", "per_byte"];
  let best: Sized[] = [];
  for (const score of scores) {
    const grown = await extend(prover, candidates, pool, {
      limits: { ...limits, maxIndexes: null },
      score,
    });
    for (const start of [grown, first]) {
      const left = await drop(prover, start, limits, score);
      if ((await prover.gain(best, left)) > 0) best = left;
    }
  }
  const least = prover.leastTotal();
  if ((await prover.total(best)) <= least * (1 + NEAR)) return best;
  return exchange(prover, candidates, pool, best, limits);
}

/** Leaves out what saves too little now that the others are there, and what is beyond the limits: the least first. */
async function drop(
  prover: Prover,
  start: readonly Sized[],
  limits: Limits,
  score: Score,
): Promise<Sized[]> {
  let kept = [...start];
  for (;;) {
    const total = await prover.total(kept);
    const large = !fits(kept, limits.budget);
    const many = kept.length > (limits.maxIndexes ?? Number.POSITIVE_INFINITY);
    let worst: { one: Sized; loss: number; worth: number } | null = null;
    for (const one of kept) {
      const loss = -(await prover.gain(
        kept,
        kept.filter((other) => other !== one),
      ));
      const value = large ? worth(score, loss, one.bytes) : loss;
      if (worst === null || value < worst.worth) worst = { one, loss, worth: value };
    }
    if (worst === null || (!large && !many && worst.loss >= limits.leastGain(total))) return kept;
    kept = kept.filter((other) => other !== worst.one);
  }
}

/** Takes out one index at a time and grows the rest again without it, as long as that saves more. */
async function exchange(
  prover: Prover,
  candidates: Candidates,
  pool: readonly Sized[],
  start: readonly Sized[],
  limits: Limits,
): Promise<Sized[]> {
  let chosen = [...start];
  let open = [...chosen];
  for (let tries = 0; tries < MAX_EXCHANGES && open.length > 0; tries++) {
    const total = await prover.total(chosen);
    const out = open.shift()!;
    const rest = chosen.filter((one) => one !== out);
    const others = pool.filter((one) => one !== out);
    const score = limits.budget === null ? "gain" : "per_byte";
    const grown = await extend(prover, candidates, others, { limits, score, from: rest });
    const other = await drop(prover, grown, limits, score);
    if ((await prover.gain(chosen, other)) <= BETTER * total) continue;
    chosen = other;
    open = other.toSorted((a, b) => bytesOf([b]) - bytesOf([a]));
  }
  return chosen;
}
