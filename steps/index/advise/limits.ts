import type { Sized } from "./candidate.ts";

export interface Limits {
  /** Bytes that all suggested indexes may take together; null: any. */
  budget: number | null;
  maxIndexes: number | null;
  /** The cost that an index must save by itself when the workload costs `total`. */
  leastGain(total: number): number;
}

/** The measure of a candidate: the cost that it saves, or the cost that each of its bytes saves. */
export type Score = "gain" | "per_byte";

export function worth(score: Score, gain: number, bytes: number): number {
  return score === "gain" ? gain : gain / Math.max(1, bytes);
}

export function bytesOf(chosen: readonly Sized[]): number {
  return chosen.reduce((sum, one) => sum + one.bytes, 0);
}

export function fits(chosen: readonly Sized[], budget: number | null): boolean {
  return budget === null || bytesOf(chosen) <= budget;
}
