import { type Way, WAYS } from "../history/lines.ts";
import { NONE, OK, type Tally } from "./tally.ts";

/** The cluster as its clients have seen it by one way. Times in ms since the load began. */
export interface Waits {
  way: Way;
  acknowledged: number;
  refused: number;
  /** The longest time from one acknowledgement to the next. */
  longest_gap_ms: number;
  gap_began_ms: number;
  /** All time in which an operation that was due had no acknowledgement before its deadline. */
  failed_ms: number;
  /** From the fault to the longest gap after it, and to its end. Null when no operation missed its deadline, the second while it lasts. */
  down_after_ms: number | null;
  up_after_ms: number | null;
  /** From the moment when an operation was due to its acknowledgement. */
  p50_ms: number | null;
  p99_ms: number | null;
  /** Acknowledged, and late or never acknowledged, by the second in which it was due. */
  seconds: { ok: number[]; missed: number[] };
  /** How many took how long, by the second in which they were due and by the bands of HEAT_MS; those never acknowledged come last. */
  heat?: number[][];
}

/** Bands of latency end here, ms; two more are for what takes longer, and for what never came. */
export const HEAT_MS = [2, 5, 10, 25, 50, 100, 250, 1000] as const;

/** `from` and `to`: the time that is looked at; `fault`: when it was injected. All in microseconds. */
export function waits(
  tally: Tally,
  { from, to, fault }: { from: number; to: number; fault: number | undefined },
): Waits[] {
  const { ways = [], rate = 1, deadline_ms = 250 } = tally.head ?? {};
  return ways.map((way) => {
    const n = WAYS.indexOf(way);
    const acks = new Float64Array(tally.last);
    const latencies = new Float64Array(tally.last);
    const ok: number[] = [];
    const missed: number[] = [];
    const heat: number[][] = [];
    const hot = (second: number, ms: number | null) => {
      const found = ms === null ? HEAT_MS.length + 1 : HEAT_MS.findIndex((end) => ms <= end);
      const band = found === -1 ? HEAT_MS.length : found;
      heat[second] ??= Array.from({ length: HEAT_MS.length + 2 }, () => 0);
      heat[second][band]! += 1;
    };
    let [count, late] = [0, 0];
    let hurt = false;
    for (let id = 1; id <= tally.last; id++) {
      const due = tally.due[id]!;
      if (tally.outcome[id] === NONE || tally.way[id] !== n || due < from || due > to) continue;
      const done = tally.outcome[id] === OK ? tally.done[id]! : Infinity;
      const second = Math.floor(due / 1e6);
      if (done !== Infinity) {
        latencies[count] = done - due;
        acks[count++] = done;
      }
      // One that is due when all ends has not been given its time.
      const given = done !== Infinity || due + deadline_ms * 1000 <= to;
      if (given) hot(second, done === Infinity ? null : (done - due) / 1000);
      if (done - due <= deadline_ms * 1000) ok[second] = (ok[second] ?? 0) + 1;
      else if (due + deadline_ms * 1000 <= to) {
        missed[second] = (missed[second] ?? 0) + 1;
        late += 1;
        // One that was under way at the fault, too.
        if (fault !== undefined && due + deadline_ms * 1000 >= fault) hurt = true;
      }
    }
    const times = acks.subarray(0, count).sort();
    const sorted = latencies.subarray(0, count).sort();
    const gap = longest(times, from, to);
    const after = fault === undefined || !hurt ? undefined : longest(times, from, to, fault);
    const last = Math.floor(to / 1e6);
    return {
      way,
      acknowledged: count,
      refused: tally.refusals[n]!,
      longest_gap_ms: ms(gap.us),
      gap_began_ms: ms(gap.at),
      failed_ms: Math.round((late * 1000) / rate),
      down_after_ms: after === undefined ? null : ms(Math.max(0, after.at - fault!)),
      up_after_ms: after === undefined || after.open ? null : ms(after.at + after.us - fault!),
      p50_ms: at(sorted, 0.5),
      p99_ms: at(sorted, 0.99),
      seconds: { ok: filled(ok, last), missed: filled(missed, last) },
      heat: Array.from({ length: last + 1 }, (_, second) => heat[second] ?? []),
    };
  });
}

/** The longest time between two of `times`, of those that end after `since`. `open`: nothing has ended it. */
function longest(
  times: Float64Array,
  from: number,
  to: number,
  since = -Infinity,
): { us: number; at: number; open: boolean } {
  let gap = { us: 0, at: from, open: false };
  let last = from;
  for (const time of times) {
    if (time >= to) break;
    if (time > since && time - last > gap.us) gap = { us: time - last, at: last, open: false };
    last = Math.max(last, time);
  }
  return to - last > gap.us ? { us: to - last, at: last, open: true } : gap;
}

function at(sorted: Float64Array, share: number): number | null {
  const found = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return found === undefined ? null : Math.round(found / 10) / 100;
}

function filled(counts: number[], last: number): number[] {
  return Array.from({ length: last + 1 }, (_, second) => counts[second] ?? 0);
}

function ms(us: number): number {
  return Math.round(us / 1000);
}
