import { isMapping } from "../json.ts";
import type {
  ActionStep,
  Doc,
  Effect,
  Json,
  JsonSchema,
  Library,
  ParamSpec,
  Step,
  StepRegistry,
  StepType,
} from "../types.ts";
import type { Absences } from "./absent.ts";
import { namedIn } from "./call-graph.ts";
import { didYouMean } from "./messages.ts";
import type { Place } from "./normalise.ts";
import type { Finding, Report } from "./report.ts";

/** The job of checking the steps of one runbook. */
export interface StepsJob {
  report: Report;
  library: Library;
  registry: StepRegistry;
  /** The name of the runbook. */
  name: string;
  types: ReadonlyMap<string, StepType>;
  places: ReadonlyMap<string, Place>;
  params: Record<string, ParamSpec>;
  /** True when it runs until it is interrupted. */
  watches: boolean;
}

/** The view from one point of a runbook. */
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
  /** True below an `until`: what stands here is done again and again. */
  repeated?: boolean;
  /** True inside an `always`. */
  closing?: boolean;
}

/** The consequences of a step's changing something: the way to take it back, and the steps that may repeat it. */
export function checkEffect(
  { report }: StepsJob,
  step: ActionStep,
  type: StepType,
  view: View,
): void {
  const at = [...step.at, type.type];
  const changes = effectAsWritten(type, step.input) === "change";
  checkUndo(report, step, type, { changes, inUndo: view.undoOf !== undefined });
  if (!changes) return;
  const idempotent = idempotentAsWritten(type, step.input);
  if (view.repeated && !idempotent) {
    report.add(
      at,
      {
        rule: "until-of-change",
        message: `\`${type.type}\` changes something, and \`until\` would do it again and again`,
        hint: `Let it act once, and wait with \`until\` in a step that reads.${orSay(type, "effect: read", "idempotent: true")}`,
      },
      true,
    );
  }
  if (step.retry !== undefined && step.retry.on === undefined && !idempotent) {
    report.add(
      [...step.at, "retry"],
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

/** An `undo` that would never run is a promise that is not kept. */
function checkUndo(
  report: Report,
  step: ActionStep,
  type: StepType,
  { changes, inUndo }: { changes: boolean; inUndo: boolean },
): void {
  const at = [...step.at, "undo"];
  const listed = Array.isArray(step.undo);
  const [called] = namedIn(type, step.input);
  if (inUndo && listed) {
    report.add(
      at,
      {
        rule: "undo-of-undo",
        message: `\`${type.type}\` is part of an undo, which is not taken back itself`,
        hint: "Leave its `undo` out.",
      },
      true,
    );
  } else if (!changes && (listed || (step.undo === false && called))) {
    report.add(
      at,
      {
        rule: "undo-of-read",
        message: called
          ? `\`${type.type}\` has no \`undo\`: the steps of \`${called.text}\` are taken back, each by its own`
          : `\`${type.type}\` reads, so there is nothing to take back and its \`undo\` is never run`,
        hint: called
          ? `Write \`undo\` at the steps of \`${called.text}\`, or call it in a \`block\` with a \`rescue\`.`
          : `Leave it out, or give it to the step that changes something.${orSay(type, "effect: change")}`,
      },
      true,
    );
  }
}

/** The words that an author may add to the step, where its type takes them. */
function orSay({ input }: StepType, ...said: string[]): string {
  const can = said.filter((one) => Object.hasOwn(input.properties ?? {}, one.split(":")[0]!));
  return can.length === 0 ? "" : ` Or say \`${can.join("` or `")}\`, if that is true of it.`;
}

/** A point of no return stands where the run goes forward, and is not taken back itself. */
export function checkKeep({ report }: StepsJob, step: Step, view: View): void {
  if (step.keep !== true) return;
  const add = (rule: string, message: string, hint: string) =>
    report.add([...step.at, "keep"], { rule, message, hint }, true);
  if (view.undoOf !== undefined) {
    add(
      "keep-in-undo",
      "a step of an undo can't be a point of no return: it takes back, and is not taken back itself",
      `Leave \`keep\` out, or give it to \`${view.undoOf}\`, which is then not taken back at all.`,
    );
  } else if (view.closing) {
    add(
      "keep-in-always",
      "a step of an `always` can't be a point of no return: it also runs after the run was taken back",
      "Give `keep` to the last step of the block, or to the block itself.",
    );
  } else if (step.kind === "action" && Array.isArray(step.undo)) {
    add(
      "keep-and-undo",
      "`keep` and `undo` contradict each other: a point of no return is not taken back",
      "Leave one of them out. To clean up after an attempt that failed, put the step into a `block` with a `rescue`.",
    );
  }
}

/** Only what reads can be asked again. */
export function checkFresh(
  { report, types }: StepsJob,
  step: Step,
  called: readonly (Doc | undefined)[],
  view: View,
): void {
  if (step.fresh !== true) return;
  const type = step.kind === "action" ? types.get(step.type) : undefined;
  const acts = called.find((doc) => doc !== undefined && doc.data["risk"] !== "read");
  const why =
    step.kind === "block"
      ? "a block is not asked again as a whole"
      : view.undoOf !== undefined || view.closing
        ? "what takes a run back goes by what the run saw"
        : acts
          ? `\`${acts.name}\` is \`risk: ${String(acts.data["risk"])}\`, and is not run again by a resumed run`
          : type && effectAsWritten(type, step.input) === "change"
            ? `\`${type.type}\` changes something, and is not done again by a resumed run`
            : undefined;
  if (why === undefined) return;
  report.add(
    [...step.at, "fresh"],
    { rule: "fresh-of-change", message: why, hint: "Give `fresh` to a step that reads." },
    true,
  );
}

/** A call with `until` is repeated as a whole. */
export function checkRepeatedCalls(
  { report }: StepsJob,
  step: ActionStep,
  type: StepType,
  called: readonly (Doc | undefined)[],
): void {
  for (const doc of called) {
    if (doc === undefined || doc.data["risk"] === "read") continue;
    report.add(
      [...step.at, type.type],
      {
        rule: "until-of-change",
        message: `\`${doc.name}\` is \`risk: ${String(doc.data["risk"])}\`, and \`until\` would run it again and again`,
        hint: "Run it once, and wait with `until` in a step that reads.",
      },
      true,
    );
  }
}

function idempotentAsWritten(type: StepType, input: Json): boolean {
  if (typeof type.idempotent !== "function") return type.idempotent;
  try {
    return isMapping(input) && type.idempotent(input);
  } catch {
    return false;
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
