import type { JsonObject } from "../../../engine/types.ts";

/** Small seeded generator (mulberry32), so that a failure names the seed that makes it again. */
export function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A runbook and those that it calls, by name; the first is `drill/crash`. */
export interface Drill {
  docs: Record<string, JsonObject>;
  /** Whether it ends with a failure, and so is taken back. */
  fails: boolean;
  /** Whether it depends on who is quicker which steps begin. */
  races: boolean;
}

const MAIN = [
  "once",
  "once",
  "repeatable",
  "probed",
  "undoable",
  "read",
  "half",
  "refuses",
  "flaky",
  "job",
];
const UNDO = ["once", "once", "repeatable", "probed", "half", "flaky", "job"];

/**
 * Random runbooks of acts: in loops, also parallel ones, in blocks with `rescue` and `always`, in called runbooks; with undo lists of
 * the same kinds. Ids are unique over all documents.
 */
export function drill(seed: number): Drill {
  const random = generator(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const some = <T>(make: () => T, most: number): T[] =>
    Array.from({ length: 1 + Math.floor(random() * most) }, make);
  let n = 0;
  let races = false;
  const id = (prefix: string) => `${prefix}${++n}`;
  const docs: Drill["docs"] = {};

  const act = (kind: string): JsonObject => ({
    id: id(kind[0]!),
    [`act.${kind}`]: {},
    ...(random() < 0.2 ? { foreach: [0, 1], ...(random() < 0.5 ? { parallel: 2 } : {}) } : {}),
  });
  const called = (steps: JsonObject[]): JsonObject => {
    const name = `sub/${id("c")}`;
    docs[name] = { summary: name, risk: "change", steps };
    return { id: id("call"), run: name };
  };
  const undoStep = (): JsonObject => {
    const at = random();
    if (at < 0.2) return called(some(() => act(pick(UNDO)), 2));
    if (at < 0.4)
      return {
        id: id("ub"),
        block: [act(pick(UNDO))],
        always: [act(pick(["once", "repeatable", "probed"]))],
      };
    return act(pick(UNDO));
  };
  const action = (): JsonObject => {
    const kind = pick(MAIN);
    const step = act(kind);
    if (kind === "flaky") step["retry"] = { attempts: 2, backoff: "1ms", on: "true" };
    if (kind === "half" || kind === "refuses") step["ignore_error"] = true;
    const at = random();
    if (at < 0.5) step["undo"] = some(undoStep, 2);
    else if (at < 0.6) step["undo"] = false;
    // What reads has no undo.
    if (kind === "read") delete step["undo"];
    return step;
  };
  /** Items beside one that fails late: they have begun, and some have ended, by then. */
  const racing = (): JsonObject => {
    races = true;
    const kind = pick(["once", "probed", "undoable", "repeatable"]);
    return {
      id: id("race"),
      foreach: [0, 1, 2, 3],
      parallel: 2,
      ignore_error: random() < 0.5,
      block: [
        { id: id(kind[0]!), [`act.${kind}`]: {}, undo: [act("once")] },
        { id: id("late"), "act.late": { fail: "${item == 0}" } },
      ],
    };
  };
  const closing = () => act(pick(["once", "repeatable", "probed"]));
  const element = (depth: number): JsonObject => {
    const at = random();
    if (at < 0.08) return racing();
    if (at < 0.55 || depth > 1) return action();
    if (at < 0.7) return called(some(() => element(depth + 1), 2));
    if (at < 0.85)
      return {
        id: id("b"),
        block: some(() => element(depth + 1), 2),
        always: some(closing, 2),
        ...(random() < 0.2 ? { foreach: [0, 1] } : {}),
      };
    return {
      id: id("g"),
      block: [...some(() => element(depth + 1), 2), { id: id("no"), "act.fail": {} }],
      rescue: some(action, 2),
      ...(random() < 0.5 ? { always: [closing()] } : {}),
    };
  };
  const steps = [...some(() => element(0), 3), action()];
  const fails = random() < 0.7;
  // A generator of its own, so that the drills are what they were before there were points of no return.
  const kept = generator(seed + 5000);
  if (kept() < 0.6) {
    const kind = kept() < 0.5 ? "once" : "probed";
    const point = { id: "kept", [`act.${kind}`]: {}, keep: true };
    steps.splice(1 + Math.floor(kept() * steps.length), 0, point);
    const after = { id: "after", "act.probed": {}, undo: [{ id: "back", "act.once": {} }] };
    if (kept() < 0.5) steps.push(after);
  }
  if (fails) steps.push({ id: "boom", "act.fail": {} });
  docs["drill/crash"] = { summary: `seed ${seed}`, risk: "change", steps };
  return { docs, fails, races };
}
