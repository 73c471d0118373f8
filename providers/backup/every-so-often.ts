import type { WorkIo } from "./jobs.ts";

const PAUSE_MS = 500;

/** Counts come with every piece; they are told twice a second. */
export function everySoOften(tell: WorkIo["tell"]): WorkIo["tell"] {
  let last = -Infinity;
  return (told) => {
    const now = performance.now();
    const isCount = told.done !== undefined;
    if (isCount && now - last < PAUSE_MS) return;
    if (isCount) last = now;
    tell(told);
  };
}
