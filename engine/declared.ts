import type { Declared, Effect, Hazard, LockWord, Risk, StepType } from "./types.ts";

/** All that one step says it may do, from its type and its input as written. */
export interface Declarations {
  effect: Effect;
  risk: Risk;
  hazards: readonly Hazard[];
  needs: readonly string[];
  gives: readonly string[];
  takes: readonly string[];
  locks: LockWord;
}

/** Of a step with this `input`, as written or rendered. What the type leaves out is worked out from its effect. */
export function declarationsOf(type: StepType, input: unknown): Declarations {
  const of = <T>(declared: Declared<unknown, T> | undefined, otherwise: T): T =>
    declared === undefined
      ? otherwise
      : typeof declared === "function"
        ? (declared as (input: unknown) => T)(input)
        : declared;
  const effect = of<Effect>(type.effect, "change");
  const reads = effect === "read";
  return {
    effect,
    risk: of<Risk>(type.risk, reads ? "read" : "change"),
    hazards: of<readonly Hazard[]>(type.hazards, []),
    needs: of<readonly string[]>(type.needs, []),
    gives: of<readonly string[]>(type.gives, []),
    takes: of<readonly string[]>(type.takes, []),
    locks: of<LockWord>(type.locks, reads ? "none" : "all"),
  };
}
