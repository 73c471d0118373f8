import { type Way, WAYS } from "../history/lines.ts";
import { NONE, OK, type Tally } from "./tally.ts";

/** The load must have been at work so shortly before the fault, and must go on so shortly after it, microseconds. A busy machine may keep answers for a moment. */
const BEFORE_US = 3_000_000;
const AFTER_US = 1_000_000;

/** Something was acknowledged shortly before it, and something was due shortly after it. What was never sent is no load. */
export function underLoad(tally: Tally, fault: number): boolean {
  const { outcome, sent, done, due } = tally;
  let [before, after] = [false, false];
  for (let id = 1; id <= tally.last; id++) {
    if (outcome[id] === NONE) continue;
    if (due[id]! >= fault && due[id]! < fault + AFTER_US) after = true;
    if (outcome[id] === OK && sent[id]! <= fault && done[id]! > fault - BEFORE_US) before = true;
  }
  return before && after;
}

export interface GoesOn {
  way: Way;
  /** From the end of the fault to the first answer to a write that was sent since, ms; null when there was none. */
  after_ms: number | null;
}

/** How writes went on after the fault, by each way that is promised anything. Null where nobody has marked the fault, or the load ended with pgdba. */
export function goesOn(tally: Tally): GoesOn[] | null {
  const over = tally.phaseAt("healed") ?? tally.phaseAt("inject");
  if (over === undefined || tally.phaseAt("stopped") === undefined) return null;
  const first = WAYS.map(() => Infinity);
  for (let id = 1; id <= tally.last; id++) {
    const { [id]: way = 0 } = tally.way;
    if (tally.outcome[id] !== OK || tally.sent[id]! < over) continue;
    first[way] = Math.min(first[way]!, tally.done[id]!);
  }
  return (tally.head?.ways ?? [])
    .filter((way) => way !== "inside")
    .map((way) => {
      const at = first[WAYS.indexOf(way)]!;
      return { way, after_ms: at === Infinity ? null : Math.round((at - over) / 1000) };
    });
}
