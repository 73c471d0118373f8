import type { Pair } from "./table.ts";
import type { Row, Side } from "./side.ts";

/** A row of one side or of both; `twice`: its key was met on that side just before. */
export type Met =
  | { what: "same"; here: Row; there: Row }
  | { what: "different"; here: Row; there: Row }
  | { what: "here"; here: Row }
  | { what: "there"; there: Row }
  | { what: "twice"; side: "here" | "there"; row: Row };

type Value = Row[`k${number}`] | undefined;

/** Integers beyond those of JavaScript come as texts. */
function compareWhole(a: Value, b: Value): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const [one, other] = [BigInt(a ?? 0), BigInt(b ?? 0)];
  return one < other ? -1 : Number(one > other);
}

const compareText = (a: Value, b: Value): number => (a === b ? 0 : String(a) < String(b) ? -1 : 1);

export function orderOf({ whole }: Pair): (a: Row, b: Row) => number {
  const compares = whole.map((one) => (one ? compareWhole : compareText));
  return (a, b) => {
    for (const [at, compare] of compares.entries()) {
      const found = compare(a[`k${at}`], b[`k${at}`]);
      if (found !== 0) return found;
    }
    return 0;
  };
}

/** Goes through both sides at once, which must be in this order. `visit` may have the rest wait for what it does. */
export async function merge(
  here: Side,
  there: Side,
  compare: (a: Row, b: Row) => number,
  visit: (met: Met) => Promise<void> | void,
): Promise<void> {
  let last: { here?: Row; there?: Row } = {};
  for (;;) {
    if (here.head === undefined) await here.more();
    if (there.head === undefined) await there.more();
    const [a, b] = [here.head, there.head];
    if (a === undefined && b === undefined) return;
    const order = a === undefined ? 1 : b === undefined ? -1 : compare(a, b);
    const before = last;
    let met: Met;
    if (a !== undefined && before.here !== undefined && compare(before.here, a) === 0)
      met = { what: "twice", side: "here", row: here.take() };
    else if (b !== undefined && before.there !== undefined && compare(before.there, b) === 0)
      met = { what: "twice", side: "there", row: there.take() };
    else if (order < 0) met = { what: "here", here: (last.here = here.take()) };
    else if (order > 0) met = { what: "there", there: (last.there = there.take()) };
    else {
      last = { here: here.take(), there: there.take() };
      const both = { here: a!, there: b! };
      met = a!.row === b!.row ? { what: "same", ...both } : { what: "different", ...both };
    }
    const waits = visit(met);
    if (waits !== undefined) await waits;
  }
}
