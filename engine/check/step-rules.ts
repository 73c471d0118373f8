import type {
  ActionNode,
  Effect,
  Json,
  JsonSchema,
  Library,
  ParamSpec,
  Risk,
  StepRegistry,
  StepType,
} from "../types.ts";
import { isObject } from "./accepts.ts";
import type { Absences } from "./absent.ts";
import { didYouMean } from "./messages.ts";
import type { Place } from "./normalise.ts";
import type { Finding, Report } from "./report.ts";

/** What the check of the steps of one runbook works with. */
export interface StepsJob {
  report: Report;
  library: Library;
  registry: StepRegistry;
  /** The name of the runbook. */
  name: string;
  types: ReadonlyMap<string, StepType>;
  places: ReadonlyMap<string, Place>;
  params: Record<string, ParamSpec>;
  risk: Risk;
}

/** What is visible at one point of a runbook. */
export interface View {
  /** Results of the steps that have run by then. */
  steps: Record<string, JsonSchema>;
  /** Loop variables, `index`, `error`. */
  extra: Record<string, JsonSchema>;
  /** Steps that may have no output here. */
  absent: Absences;
  /** True below a `when`, which may have asked for what is read here. */
  guarded: boolean;
  /** Set inside the undo of a step: nothing in there sees its own effects. */
  undoOf?: string;
}

/** What follows from a step's changing something: the runbook's risk, and that a retry may repeat it. */
export function checkEffect({ report, risk }: StepsJob, node: ActionNode, type: StepType): void {
  const at = [...node.at, type.type];
  if (effectAsWritten(type, node.input) !== "change") return;
  if (risk === "read") {
    report.add(
      at,
      {
        rule: "risk-too-low",
        message: `\`${type.type}\` changes something, and the runbook says \`risk: read\``,
        hint: "Say `risk: change`, or more if it interrupts or destroys.",
      },
      true,
    );
  }
  const idempotent =
    typeof type.idempotent === "function"
      ? isObject(node.input) && type.idempotent(node.input)
      : type.idempotent;
  if (node.retry !== undefined && node.retry.on === undefined && !idempotent) {
    report.add(
      [...node.at, "retry"],
      {
        severity: "warning",
        rule: "retry-of-non-idempotent",
        message: `\`${type.type}\` may act twice: a failed attempt can have had its effect`,
        hint: "Say which errors are safe to retry with `retry.on`, e.g. `error.code == 'connection_failed'`.",
      },
      true,
    );
  }
}

/** A function that can't cope with an input that isn't rendered yet leaves the worst to be assumed. */
function effectAsWritten(type: StepType, input: Json): Effect {
  if (typeof type.effect !== "function") return type.effect;
  try {
    return type.effect(input);
  } catch {
    return "change";
  }
}

/** Why the step `id` can't be seen from where it is referred to. */
export function explainInvisible(
  id: string,
  place: Place | undefined,
  view: View,
): Finding | undefined {
  if (view.undoOf === id) {
    return {
      rule: "undo-refers-to-own-output",
      message: `the undo of \`${id}\` is made up before \`${id}\` acts, so it can't use its result`,
      hint: "Read what it needs in a step before.",
    };
  }
  if (place === undefined) return undefined;
  const rule = "unknown-step";
  if (place.undoOf !== undefined)
    return { rule, message: `step \`${id}\` is part of an undo, and seen by nothing else` };
  if (place.loop !== undefined && !Object.hasOwn(view.steps, id)) {
    return {
      rule,
      message: `step \`${id}\` stands inside a foreach block: it is seen only there, by later steps of the same item`,
      hint: "Move the step that uses it into the block.",
    };
  }
  return {
    rule,
    message: `step \`${id}\` has not run yet here`,
    hint: didYouMean(id, Object.keys(view.steps)) ?? "Move it up, or refer to an earlier step.",
  };
}
