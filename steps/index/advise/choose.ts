import type { Candidates } from "./candidates.ts";
import type { Sized } from "./candidate.ts";
import type { Deadline } from "./deadline.ts";
import { extend, isAkin, isSmaller, NEARLY } from "./extend.ts";
import { bytesOf, fits, type Limits, type Score, worth } from "./limits.ts";
import type { Prover, Selection } from "./prover.ts";
import type { Shortlist } from "./shortlist.ts";

/** An exchange must save this share of the whole to be made. */
const BETTER = 0.001;
/** Within this share of what all candidates together would cost, no exchange can gain much. */
const NEAR = 0.03;
/** Times an index of the best set is taken out to see what takes its place. */
const MAX_EXCHANGES = 24;

interface About {
  limits: Limits;
  deadline: Deadline;
  /** True to prefer a smaller set that is nearly as good over the best that the limits allow. */
  slim: boolean;
}

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
  { pool, first }: Shortlist,
  about: About,
): Promise<Sized[]> {
  const { limits, deadline } = about;
  const scores: Score[] = limits.budget === null ? ["gain"] : ["gain", "per_byte"];
  const none = await prover.select([]);
  let best = none;
  for (const score of scores) {
    // More than one may be needed for any to be of use: what is beyond the limits goes later.
    const open: Limits = {
      ...limits,
      maxIndexes: null,
      leastGain: (total) => limits.leastGain(total) * GROWING.gain,
    };
    const grown = await extend(prover, candidates, pool, {
      limits: open,
      score,
      from: none,
      deadline: deadline.next(GROWING.time),
      slim: about.slim,
    });
    for (const start of deadline.passed ? [grown] : [grown, await prover.select(first)]) {
      const left = await proven(prover, await drop(prover, start, score, about));
      // A search that was cut short may hold many indexes of little use.
      const isDone = start === grown || !deadline.passed;
      if (isDone && left.cost < best.cost) best = left;
    }
  }
  const least = prover.leastTotal();
  if (best.cost > least * (1 + NEAR)) best = await exchange(prover, candidates, pool, best, about);
  return [...(about.slim ? await slimmed(prover, pool, best, about) : best).chosen];
}

/** Plans a selection whose cost was only estimated. */
function proven(prover: Prover, selection: Selection): Promise<Selection> | Selection {
  return prover.estimates ? prover.select(selection.chosen) : selection;
}

/** Puts smaller indexes in the place of larger ones that save hardly more. */
async function slimmed(
  prover: Prover,
  pool: readonly Sized[],
  start: Selection,
  { deadline }: About,
): Promise<Selection> {
  let now = start;
  for (const one of start.chosen.toSorted((a, b) => b.bytes - a.bytes)) {
    const rest = now.chosen.filter((other) => other !== one);
    const served = prover.servedBy(one.def);
    const smaller = pool.filter(
      (other) =>
        isSmaller(other, one) &&
        isAkin(other, one) &&
        !rest.includes(other) &&
        !prover.servedBy(other.def).isDisjointFrom(served),
    );
    const worth = -(await prover.gain(now, rest));
    for (const other of smaller.toSorted((a, b) => (isSmaller(a, b) ? -1 : 1))) {
      if (deadline.passed) return now;
      if (-(await prover.gain(now, [...rest, other])) > (1 - NEARLY) * worth) continue;
      now = await prover.change(now, [...rest, other]);
      break;
    }
  }
  return now;
}

/** While a set grows, an index is judged without those still to come, so the bar is higher; and some time is left for the rest. */
const GROWING = { gain: 0.1, time: 0.7 };

interface Loss {
  loss: number;
  round: number;
}

/**
 * Leaves out what saves too little now that the others are there, and what is beyond the limits: the least first. What an index is
 * worth only rises as others go, nearly always, so that few have to be judged again each time; in the end all are.
 */
async function drop(
  prover: Prover,
  start: Selection,
  score: Score,
  { limits, deadline }: About,
): Promise<Selection> {
  let now = start;
  const losses = new Map<Sized, Loss>();
  for (let round = 0; ;) {
    const large = !fits(now.chosen, limits.budget);
    const many = now.chosen.length > (limits.maxIndexes ?? Number.POSITIVE_INFINITY);
    if (deadline.passed && !large && !many) return now;
    const judged = now.chosen
      .map((one) => ({ one, known: losses.get(one) }))
      .toSorted((a, b) => value(a, large, score) - value(b, large, score));
    const [least] = judged;
    if (least === undefined) return now;
    const stale = deadline.passed ? undefined : staleOf(judged, round);
    const { known } = least;
    const tooLittle = known !== undefined && known.loss < limits.leastGain(now.cost + known.loss);
    const goes = large || many || tooLittle;
    if (stale !== undefined && (stale === least || !goes)) {
      const rest = now.chosen.filter((other) => other !== stale.one);
      losses.set(stale.one, { loss: -(await prover.gain(now, rest)), round });
      continue;
    }
    if (!goes) return now;
    now = await prover.compare(
      now,
      now.chosen.filter((other) => other !== least.one),
    );
    round++;
  }
}

interface Judged {
  one: Sized;
  known: Loss | undefined;
}

function value({ one, known }: Judged, large: boolean, score: Score): number {
  if (known === undefined) return Number.NEGATIVE_INFINITY;
  return large ? worth(score, known.loss, one.bytes) : known.loss;
}

/** The first that was not judged with just those that are there. */
function staleOf(judged: readonly Judged[], round: number): Judged | undefined {
  const [least] = judged;
  if (least?.known?.round !== round) return least;
  return judged.find(({ known }) => known?.round !== round);
}

/** Takes out one index at a time and grows the rest again without it, as long as that saves more. */
async function exchange(
  prover: Prover,
  candidates: Candidates,
  pool: readonly Sized[],
  start: Selection,
  about: About,
): Promise<Selection> {
  const { limits, deadline } = about;
  const score = limits.budget === null ? "gain" : "per_byte";
  let now = start;
  let open = [...now.chosen];
  for (let tries = 0; tries < MAX_EXCHANGES && open.length > 0; tries++) {
    if (deadline.passed) return now;
    const out = open.shift()!;
    const rest = await prover.change(
      now,
      now.chosen.filter((one) => one !== out),
    );
    // An index that serves none of its statements can't take its place.
    const served = prover.servedBy(out.def);
    const others = pool.filter(
      (one) => one !== out && !prover.servedBy(one.def).isDisjointFrom(served),
    );
    const grown = await extend(prover, candidates, others, {
      limits,
      score,
      from: rest,
      deadline,
      slim: about.slim,
    });
    const other = await proven(prover, await drop(prover, grown, score, about));
    if (now.cost - other.cost <= BETTER * now.cost) continue;
    now = other;
    open = [...other.chosen].toSorted((a, b) => bytesOf([b]) - bytesOf([a]));
  }
  return now;
}
