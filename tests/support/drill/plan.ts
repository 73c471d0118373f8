import { ACTS, type Trial } from "./trial.ts";

/** Steps that begin in a run of each, loops and all. */
const STEPS: Record<Trial["runbook"], number> = {
  create: 6,
  move: 33,
  copy: 10,
  restore: 24,
  destroy: 2,
};
/** How often each is drawn; a restore takes longest. */
const DRAWN: Trial["runbook"][] = [
  "move",
  "move",
  "move",
  "restore",
  "restore",
  "create",
  "copy",
  "destroy",
];

/** Numbers from 0 to 1 that a seed makes, so that a failure can be had again. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The trial of a seed. */
export function trialOf(seed: number): Trial {
  const random = randomOf(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const runbook = pick(DRAWN);
  const acts = runbook === "create" || runbook === "destroy" ? ACTS.slice(0, 3) : ACTS;
  return {
    runbook,
    act: pick(acts),
    step: 1 + Math.floor(random() * STEPS[runbook]),
    delayMs: Math.floor(random() * (runbook === "create" ? 1500 : 150)),
    victim: pick([0, 1, 2]),
  };
}
