import type { Reign } from "../history/lines.ts";
import { OK, type Tally } from "./tally.ts";

/** Two servers, or timelines, that acknowledged at the same time: each one something that was begun after an acknowledgement of the other. */
export interface Overlap {
  one: Reign;
  other: Reign;
  /** The time in which both did, microseconds. */
  from: number;
  to: number;
  /** What the one of them acknowledged in that time that did it for the shorter time afterwards, or is on the older timeline. */
  ids: number[];
}

interface Span {
  n: number;
  firstAck: number;
  lastBegun: number;
}

/**
 * By the order of real time, with no clock of a server: what was sent after an answer came is later than that. A hand-over has no overlap,
 * however fast it is.
 */
export function overlaps(tally: Tally): Overlap[] {
  const spans: Span[] = tally.reigns.map((_, n) => ({ n, firstAck: Infinity, lastBegun: -1 }));
  for (let id = 1; id <= tally.last; id++) {
    if (tally.outcome[id] !== OK) continue;
    const span = spans[tally.by[id]!]!;
    span.firstAck = Math.min(span.firstAck, tally.done[id]!);
    span.lastBegun = Math.max(span.lastBegun, tally.sent[id]!);
  }
  const found: Overlap[] = [];
  for (const [at, one] of spans.entries())
    for (const other of spans.slice(at + 1)) {
      const from = Math.max(one.firstAck, other.firstAck);
      const to = Math.min(one.lastBegun, other.lastBegun);
      // Each began something after the other's first acknowledgement.
      if (one.firstAck >= other.lastBegun || other.firstAck >= one.lastBegun) continue;
      const wrong = older(tally, one, other);
      const since = wrong === one ? other.firstAck : one.firstAck;
      found.push({
        one: tally.reigns[one.n]!,
        other: tally.reigns[other.n]!,
        from: Math.min(from, to),
        to: Math.max(from, to),
        ids: idsOf(tally, wrong.n, since),
      });
    }
  return found;
}

function older(tally: Tally, one: Span, other: Span): Span {
  const [a, b] = [tally.reigns[one.n]!.timeline, tally.reigns[other.n]!.timeline];
  if (a !== b) return a < b ? one : other;
  return one.lastBegun <= other.lastBegun ? one : other;
}

function idsOf(tally: Tally, reign: number, since: number): number[] {
  const ids: number[] = [];
  for (let id = 1; id <= tally.last; id++)
    if (tally.outcome[id] === OK && tally.by[id] === reign && tally.sent[id]! > since) ids.push(id);
  return ids;
}
