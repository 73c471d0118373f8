import type { Inverse } from "./contract.ts";

/** Seconds for which a healer tries again: the place may be busy at that moment, and nobody else would. */
const AGAIN_S = 60;

/** What only looks whether somebody has repaired it has its answer at once. */
export const healsAgainFor = (inverse: Inverse | { here: readonly string[] }): number =>
  "repair" in inverse && inverse.repair !== undefined ? 0 : AGAIN_S;
