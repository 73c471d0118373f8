import type { Sized } from "./candidate.ts";
import type { Deadline } from "./deadline.ts";
import type { Prover, Selection } from "./prover.ts";

/** One more index, and the cost of the workload with it and all before it. */
export interface Point {
  index: Sized;
  /** The cost that it saves, less the cost of its room. */
  gain: number;
  /** With what keeping the indexes costs, without their room. */
  cost: number;
  bytes: number;
}

/**
 * The curve is flat where an index saves less than these shares: of the cost without any index, of the average saving of the indexes
 * before it, and of the cost that is left.
 */
const FLAT = { ofAll: 0.01, ofMean: 0.1, ofRest: 0.05 };
/** Each further index has to save more: with this many, twice the shares of the mean and of the rest. */
const MANY = 10;

/** The indexes, ordered by the cost that each saves beside those before it. */
export async function curveOf(
  prover: Prover,
  chosen: readonly Sized[],
  deadline: Deadline,
): Promise<Point[]> {
  const points: Point[] = [];
  let now: Selection = await prover.select([]);
  let bytes = 0;
  let open = chosen.map((index) => ({ index, gain: Number.POSITIVE_INFINITY, round: -1 }));
  while (open.length > 0) {
    open = open.toSorted((a, b) => b.gain - a.gain);
    const [best] = open;
    if (best === undefined) break;
    if (best.round < points.length && !deadline.passed) {
      best.gain = await prover.gain(now, [...now.chosen, best.index]);
      best.round = points.length;
      continue;
    }
    const next = await prover.compare(now, [...now.chosen, best.index]);
    bytes += best.index.bytes;
    points.push({
      index: best.index,
      gain: now.cost - next.cost,
      cost: next.cost - prover.rent * bytes,
      bytes,
    });
    now = next;
    open = open.filter((one) => one !== best);
  }
  return points;
}

/**
 * The number of indexes that are worth it. Behind them the curve is flat: none of the stretches that follow saves, for
 * each of its indexes, a hundredth of the whole, or a tenth of what those before saved on the average, or a twentieth of what is left.
 * @param strictness from 0, which takes all, to 1
 */
export function flattensAt(points: readonly Point[], strictness: number): number {
  const saved = [0];
  for (const { gain } of points) saved.push((saved.at(-1) ?? 0) + gain);
  const [first] = points;
  const before = first === undefined ? 0 : first.cost + first.gain;
  for (let count = 1; count < points.length; count++) {
    const mean = (saved[count] ?? 0) / count;
    const left = before - (saved[count] ?? 0);
    const pace = 1 + count / MANY;
    const least =
      strictness *
      Math.min(FLAT.ofAll * before, FLAT.ofMean * pace * mean, FLAT.ofRest * pace * left);
    const best = Math.max(
      ...saved.slice(count + 1).map((value, at) => (value - (saved[count] ?? 0)) / (at + 1)),
    );
    if (best < least) return count;
  }
  return points.length;
}
