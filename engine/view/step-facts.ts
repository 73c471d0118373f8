import { declarationsOf } from "../declared.ts";
import type { Json, StepType } from "../types.ts";

const BY_INPUT = "by its input";

const DECLARED = [
  "effect",
  "risk",
  "hazards",
  "needs",
  "uses",
  "gives",
  "takes",
  "locks",
  "idempotent",
] as const;

/** All that a step type declares, by key; `by its input` where a function of the input tells it. */
export function stepFacts(type: StepType): Record<string, Json> {
  const plain = { ...declarationsOf(fixed(type), {}), idempotent: type.idempotent as boolean };
  const isVaried = (key: (typeof DECLARED)[number]) =>
    typeof type[key] === "function" ||
    // Without a word of its own it follows from the effect.
    (type[key] === undefined &&
      typeof type.effect === "function" &&
      (key === "risk" || key === "locks"));
  const facts = DECLARED.map((key) => [key, isVaried(key) ? BY_INPUT : plain[key]] as const);
  const has = (["plan", "probe", "undo"] as const).filter((name) => type[name] !== undefined);
  return { ...Object.fromEntries(facts), has } as Record<string, Json>;
}

/** The facts in words, such as `risk: change`; a list that is empty is left out. */
export function stepFactsInWords(type: StepType): string[] {
  return Object.entries(stepFacts(type)).flatMap(([key, value]) => {
    if (Array.isArray(value)) return value.length === 0 ? [] : [`${key}: ${value.join(", ")}`];
    return [`${key}: ${value === true ? "yes" : value === false ? "no" : String(value)}`];
  });
}

/** A type without its functions of the input. */
function fixed(type: StepType): StepType {
  const entries = Object.entries(type).filter(([, value]) => typeof value !== "function");
  return { effect: "change", ...Object.fromEntries(entries) } as StepType;
}
