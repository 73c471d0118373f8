import {
  type Declared,
  type Effect,
  type Hazard,
  HAZARDS,
  LOCK_WORDS,
  type LockWord,
  type Risk,
  RISKS,
  type StepType,
} from "./types.ts";

/** All that one step says it may do, from its type and its input as written. */
export interface Declarations {
  effect: Effect;
  risk: Risk;
  hazards: readonly Hazard[];
  needs: readonly string[];
  uses: readonly string[];
  gives: readonly string[];
  takes: readonly string[];
  locks: LockWord;
}

/** The declarations of a type whose function fails on an input, or gives an unknown word: the worst. */
const WORST: Declarations = {
  effect: "change",
  risk: "destructive",
  hazards: HAZARDS,
  needs: [],
  uses: [],
  gives: [],
  takes: [],
  locks: "all",
};

/**
 * The declarations of a step with this `input`, as written or rendered. Parts that the type leaves out follow from
 * its effect. When a function of the type throws, as one may that looks into a template, the worst is assumed.
 */
export function declarationsOf(type: StepType, input: unknown): Declarations {
  const of = <T>(
    declared: Declared<unknown, T> | undefined,
    otherwise: T,
    worst: T,
    isSound: (said: T) => boolean,
  ): T => {
    if (declared === undefined) return otherwise;
    try {
      const said =
        typeof declared === "function"
          ? (declared as (input: unknown) => T)(input)
          : (declared as T);
      return isSound(said) ? said : worst;
    } catch {
      return worst;
    }
  };
  const effect = of<Effect>(type.effect, WORST.effect, WORST.effect, oneOf(["read", "change"]));
  const reads = effect === "read";
  return {
    effect,
    risk: of<Risk>(type.risk, reads ? "read" : "change", WORST.risk, oneOf(RISKS)),
    hazards: of<readonly Hazard[]>(type.hazards, [], WORST.hazards, listOf(HAZARDS)),
    needs: of<readonly string[]>(type.needs, [], [], Array.isArray),
    uses: of<readonly string[]>(type.uses, [], [], Array.isArray),
    gives: of<readonly string[]>(type.gives, [], [], Array.isArray),
    takes: of<readonly string[]>(type.takes, [], [], Array.isArray),
    locks: of<LockWord>(type.locks, reads ? "none" : "all", WORST.locks, oneOf(LOCK_WORDS)),
  };
}

/**
 * A type of somebody's own. One that changes something, or may do so by its input, and does not say how bad that is counts as
 * disruptive.
 */
export function ownType(type: StepType): StepType {
  const own: StepType =
    type.risk !== undefined || type.effect === "read" ? type : { ...type, risk: "disruptive" };
  owned.add(own);
  return own;
}

const owned = new WeakSet<StepType>();

/** True for a type of somebody's own. */
export function isOwn(type: StepType): boolean {
  return owned.has(type);
}

/** The effect of a step with its input. `change` in either form wins: a template can't talk a step out of its gate. */
export function effectOf(type: StepType, asWritten: unknown, rendered: unknown): Effect {
  if (typeof type.effect !== "function") return type.effect;
  return type.effect(asWritten) === "change" || type.effect(rendered) === "change"
    ? "change"
    : "read";
}

function oneOf<T>(words: readonly T[]): (said: T) => boolean {
  return (said) => words.includes(said);
}

function listOf<T>(words: readonly T[]): (said: readonly T[]) => boolean {
  return (said) => Array.isArray(said) && said.every(oneOf(words));
}
