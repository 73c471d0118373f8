import type { Result } from "../drills/result.ts";

export const WIDTH = 1000;
export const LEFT = 92;
export const RIGHT = 12;

export interface Axis {
  /** What is shown, ms since the load began. */
  begin: number;
  end: number;
  x(ms: number): number;
  ticks: number[];
}

/** The time of a drill from when its load was steady, as all its pictures show it. */
export function axisOf(result: Result): Axis {
  const end = Math.max(1, result.seconds) * 1000;
  // What was before is of no interest.
  const steady = result.phases.find(({ name }) => name === "steady")?.at_ms ?? 0;
  const begin = Math.min(Math.floor(steady / 1000) * 1000, end - 1000);
  const x = (ms: number) =>
    round(
      LEFT +
        ((WIDTH - LEFT - RIGHT) * (Math.min(Math.max(ms, begin), end) - begin)) / (end - begin),
    );
  return { begin, end, x, ticks: ticks(begin, end) };
}

function ticks(begin: number, end: number): number[] {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300].find((s) => (end - begin) / (s * 1000) <= 12);
  const ms = (step ?? 600) * 1000;
  const first = Math.ceil(begin / ms);
  return Array.from({ length: Math.floor(end / ms) - first + 1 }, (_, n) => (first + n) * ms);
}

export function round(value: number): number {
  return Math.round(value * 10) / 10;
}
