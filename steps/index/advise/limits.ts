import type { Sized } from "./candidate.ts";

export interface Limits {
  /** Bytes that all suggested indexes may take together; null: any. */
  budget: number | null;
  maxIndexes: number | null;
  /** What an index must save by itself of what the workload costs. */
  leastGain(total: number): number;
}

/** What counts: what is saved, or what a byte of it saves. */
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
