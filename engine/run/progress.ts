import { cut } from "../shared/cut.ts";
import type { Progress } from "../types.ts";
import type { RunState } from "./state.ts";

/** Between two reports of one step, ms: a step may report as often as it likes. */
const EVERY_MS = 200;

/** Makes what a step calls to say how far it is. The first report and the one that says that it is done are always passed on. */
export function progressOf(
  { emit, clock }: RunState,
  { path, hidden }: { path: string; hidden(): boolean },
): (progress: Progress) => void {
  let last = -Infinity;
  return ({ done = null, total = null, unit = null, text = null }) => {
    const now = clock.monotonic();
    const complete = done !== null && done === total;
    if (hidden() || (now - last < EVERY_MS && !complete)) return;
    last = now;
    const said = text === null ? null : cut(text);
    emit({ kind: "step.progress", path, done, total, unit, text: said });
  };
}
